#!/usr/bin/env python3
"""Asks a Pulsar that demands tokens, and the broker in a box with the same configuration file, the same: who is let in, who may do what, and in
which words the others are refused.

access.py COMMAND; STARGATE_SECURE_PORT and STARGATE_CREDENTIALS say where that Pulsar is (scripts/broker start --secure)."""
import atexit
import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

PORT = int(os.environ.get("STARGATE_SECURE_PORT") or sys.exit(
    "STARGATE_SECURE_PORT is not set: start a broker with scripts/broker --secure and set it to its port"))
CREDENTIALS = pathlib.Path(os.environ["STARGATE_CREDENTIALS"])
SECRET = (CREDENTIALS / "secret.key").read_bytes()
NOW = int(time.time())
NAME = f"access-{os.getpid()}-{NOW}"
ROLE = f"guest-{NAME}"


def text_of(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def token(claims, algorithm="HS256", secret=SECRET):
    signed = text_of(json.dumps({"alg": algorithm}).encode()) + "." + text_of(json.dumps(claims).encode())
    how = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(algorithm, hashlib.sha256)
    return signed + "." + text_of(hmac.new(secret, signed.encode(), how).digest())


ADMIN, GUEST = token({"sub": "admin"}), token({"sub": ROLE})
TOKENS = {
    "a signature that is none": ADMIN[:-4] + "AAAA", "no token": "abc", "nothing": "", "three words": "a.b.c", "two dots": "..",
    "expired": token({"sub": "admin", "exp": NOW - 100}), "not yet": token({"sub": "admin", "nbf": NOW + 1000}),
    "in time": token({"sub": "admin", "exp": NOW + 1000, "nbf": NOW - 5}), "a time with a fraction": token({"sub": "admin", "exp": NOW + 1000.5}),
    "a time that is text": token({"sub": "admin", "exp": "soon"}), "nobody": token({}), "a number": token({"sub": 5}),
    "an empty subject": token({"sub": ""}), "not signed": text_of(b'{"alg":"none"}') + "." + text_of(b'{"sub":"admin"}') + ".",
    "a longer hash than the key": token({"sub": "admin"}, "HS512"), "a longer one": token({"sub": "admin"}, "HS384"),
    "another key": token({"sub": "admin"}, secret=b"x" * 32), "another algorithm": token({"sub": "admin"}, "RS256"),
    "claims that are a list": token(["admin"]), "a claim more": token({"sub": "admin", "aud": "x", "iat": NOW}),
}
TOPIC = f"public/default/{NAME}"
SOCKETS = {"producer": f"/ws/v2/producer/persistent/{TOPIC}", "consumer": f"/ws/v2/consumer/persistent/{TOPIC}/s",
           "reader": f"/ws/v2/reader/persistent/{TOPIC}", "consumer of several": f"/ws/v3/consumer/s?topics=persistent://{TOPIC}",
           "consumer of a pattern": f"/ws/v3/consumer/s?topicsPattern=persistent://{TOPIC}.*"}
REQUESTS = [
    ("GET", "brokers/health"), ("GET", "brokers/version"), ("GET", "clusters"), ("GET", "tenants"),
    ("PUT", f"tenants/{NAME}", '{"allowedClusters":["standalone"]}'), ("GET", "tenants/public"), ("DELETE", f"tenants/{NAME}"),
    ("GET", "namespaces/public"), ("PUT", f"namespaces/public/{NAME}"), ("GET", "namespaces/public/default"),
    ("DELETE", f"namespaces/public/{NAME}"), ("GET", "namespaces/public/default/permissions"),
    ("POST", "namespaces/public/default/permissions/x", '["produce"]'), ("DELETE", "namespaces/public/default/permissions/x"),
    ("GET", "namespaces/public/default/deduplication"), ("POST", "namespaces/public/default/deduplication", "true"),
    ("GET", "namespaces/public/default/autoTopicCreation"), ("GET", "persistent/public/default"),
    ("GET", "persistent/public/default/partitioned"), ("PUT", f"persistent/{TOPIC}-z"), ("DELETE", f"persistent/{TOPIC}-z"),
    ("PUT", f"persistent/{TOPIC}-p/partitions", "2"), ("POST", f"persistent/{TOPIC}-p/partitions", "3"),
    ("GET", f"persistent/{TOPIC}-p/partitions"), ("DELETE", f"persistent/{TOPIC}-p/partitions"), ("GET", f"persistent/{TOPIC}/stats"),
    ("GET", f"persistent/{TOPIC}/subscriptions"), ("PUT", f"persistent/{TOPIC}/subscription/q", "{}"),
    ("POST", f"persistent/{TOPIC}/subscription/s/skip_all"), ("POST", f"persistent/{TOPIC}/subscription/s/skip/1"),
    ("POST", f"persistent/{TOPIC}/subscription/s/resetcursor/0"), ("DELETE", f"persistent/{TOPIC}/subscription/q"),
    ("POST", f"persistent/{TOPIC}/terminate"), ("PUT", f"persistent/{TOPIC}/unload"),
]


class Broker:
    def __init__(self, port):
        self.port, self.said = port, []

    def ask(self, method, path, shown=None, body=None, scheme="Bearer "):
        """The status with its phrase, what kind of body came, and what the broker meant."""
        upgrades = path.startswith("/ws/")
        lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{self.port}"]
        if shown is not None:
            lines.append(f"Authorization: {scheme}{shown}")
        if upgrades:
            lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        else:
            lines.append("Connection: close")
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as peer:
            peer.sendall("\r\n".join([*lines, "", body or ""]).encode())
            said = b""
            while piece := peer.recv(65536):
                said += piece
                head, _, rest = said.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                if b"\r\n\r\n" in said and (said.startswith(b"HTTP/1.1 101") or (length and len(rest) >= int(length[1]))):
                    break
        status = head.split(b"\r\n")[0].decode()
        if status.startswith("HTTP/1.1 101"):
            return status
        kind = re.search(rb"(?i)\r\ncontent-type: *([^\r]*)", head)
        page = re.search(rb"<title>(.*?)</title>.*MESSAGE:</th><td>(.*?)</td>", rest, re.S)
        meant = " / ".join(part.decode() for part in page.groups()) if page else rest.decode()
        meant = re.sub(r'reqId&quot;:.*', "", meant)
        if status.startswith("HTTP/1.1 200") and meant.startswith(("{", "[")):
            meant = meant[0]  # what there is, is not the same on both
        return f"{status} | {kind[1].decode() if kind else ''} | {meant}"

    def note(self, what, *arguments, **more):
        self.said.append(f"{what}: {self.ask(*arguments, **more)}")

    def permit(self, actions):
        path = f"/admin/v2/namespaces/public/default/permissions/{ROLE}"
        self.ask("POST", path, ADMIN, json.dumps(actions)) if actions else self.ask("DELETE", path, ADMIN)

    def answers(self):
        for kind, path in SOCKETS.items():
            for who, shown in (("nobody", None), ("a guest", GUEST), ("the administrator", ADMIN)):
                self.note(f"{kind} of {who}", "GET", path, shown)
        for what, shown in TOKENS.items():
            self.note(f"{what}, to a socket", "GET", SOCKETS["producer"], shown)
            self.note(f"{what}, to the administration", "GET", "/admin/v2/tenants", shown)
            self.note(f"{what}, in the query", "GET", f"{SOCKETS['producer']}?token={shown}")
        bad = TOKENS["a signature that is none"]
        self.note("good in the query", "GET", f"{SOCKETS['producer']}?token={ADMIN}")
        self.note("good in the query, bad in the header", "GET", f"{SOCKETS['producer']}?token={ADMIN}", bad)
        self.note("bad in the query, good in the header", "GET", f"{SOCKETS['producer']}?token={bad}", ADMIN)
        self.note("in the query of a request", "GET", f"/admin/v2/tenants?token={ADMIN}")
        for scheme in ("bearer ", "Basic ", "", "Bearer"):
            self.note(f"scheme '{scheme}'", "GET", SOCKETS["producer"], ADMIN, scheme=scheme)
            self.note(f"scheme '{scheme}' of a request", "GET", "/admin/v2/tenants", ADMIN, scheme=scheme)
        for who, shown in (("nobody", None), ("a guest", GUEST), ("the administrator", ADMIN)):
            self.note(f"a path that is none, of {who}", "GET", "/ws/v2/nonsense", shown)
            self.note(f"a topic that is none, of {who}", "GET", "/ws/v2/producer/persistent/public", shown)
            self.note(f"a parameter that is none, of {who}", "GET", SOCKETS["consumer"] + "?receiverQueueSize=x", shown)
            self.note(f"no such namespace, of {who}", "GET", "/ws/v2/producer/persistent/no/ns/t", shown)
            self.note(f"no such namespace to consume, of {who}", "GET", "/ws/v2/consumer/persistent/no/ns/t/s", shown)
        for actions in ([], ["produce"], ["consume"], ["produce", "consume"]):
            self.permit(actions)
            for kind, path in SOCKETS.items():
                self.note(f"{kind} of a guest with {actions}", "GET", path, GUEST)
            for method, path, *body in REQUESTS:
                self.note(f"{method} {path} of a guest with {actions}", method, "/admin/v2/" + path, GUEST, "".join(body) if method != "GET" else None)
        self.permit([])
        for method, path, *body in REQUESTS[:4]:
            self.note(f"{method} {path} of nobody", method, "/admin/v2/" + path, None, "".join(body) if method != "GET" else None)
        return self.said


configuration = CREDENTIALS.parent / "standalone.conf"
box = subprocess.Popen([sys.argv[1], "standalone", "--config", configuration, "--port", "0", "--tls-port", "0"], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)
atexit.register(box.kill)  # unless it has ended before
pulsars = Broker(PORT).answers()
boxs = Broker(int(re.search(r" ws://[^:]*:(\d+)", box.stdout.readline())[1])).answers()
box.send_signal(signal.SIGTERM)
_, errors = box.communicate(timeout=20)
differ = [(a, b) for a, b in zip(pulsars, boxs) if a != b]
for a, b in differ:
    print(f"Pulsar:  {a}\nthe box: {b}\n")
shows_secrets = ADMIN in errors or "brokerClientAuthenticationParameters=" in errors
if shows_secrets:
    print("the box showed a token")
print(f"{len(pulsars)} questions, {len(differ)} answers differ")
sys.exit(1 if differ or shows_secrets or box.returncode != 0 else 0)
