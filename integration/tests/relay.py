"""A TCP relay between a client and the broker, which can be cut, and keeps what clients sent."""
import socket
import threading


class Sent:
    """What a client sent by one connection."""

    def __init__(self, first):
        self.bytes = bytearray(first)
        self.ended = threading.Event()

    def texts(self):
        """Its WebSocket text frames, and whether a close frame came behind them."""
        at = self.bytes.find(b"\r\n\r\n") + 4
        texts, closed = [], False
        while at >= 4 and at + 2 <= len(self.bytes):
            kind, size = self.bytes[at] & 15, self.bytes[at + 1] & 127
            at += 2
            if size > 125:
                more = 2 if size == 126 else 8
                size = int.from_bytes(self.bytes[at:at + more], "big")
                at += more
            mask = self.bytes[at:at + 4]
            body = self.bytes[at + 4:at + 4 + size]
            at += 4 + size
            if len(body) == size and kind == 1:
                texts.append(bytes(c ^ mask[i % 4] for i, c in enumerate(body)))
            closed = closed or kind == 8
        return texts, closed


class Relay:
    """Passes on what comes to a port on loopback, until it is cut."""

    def __init__(self, to):
        self.to = to
        self.connections = []
        self.sent = []  # what clients sent: the bytes of each connection, and whether it has ended
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            client, first = self.greet(raw)
            broker = socket.create_connection(("127.0.0.1", self.to))
            self.connections.append(broker)
            broker.sendall(first)
            sent = Sent(first)
            self.sent.append(sent)
            threading.Thread(target=self.pump, args=(broker, client), daemon=True).start()
            self.pump(client, broker, sent.bytes)
            sent.ended.set()
        except OSError:
            raw.close()

    def greet(self, raw):
        """Gives what to read from, and what was read already."""
        return raw, b""

    @staticmethod
    def pump(source, sink, keep=None):
        try:
            while piece := source.recv(65536):
                if keep is not None:
                    keep += piece
                sink.sendall(piece)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for broker in self.connections:
            try:
                broker.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections.clear()
