"""TLS and tokens, against a broker that demands them: what is right works, and each mistake has its own clear error."""
import datetime
import http.server
import ipaddress
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from support import COMMAND, check, finish, fresh_topic

PORT = int(os.environ.get("STARGATE_SECURE_PORT") or sys.exit(
    "STARGATE_SECURE_PORT is not set: start a broker with scripts/broker --secure and set it to its port"))
CREDENTIALS = pathlib.Path(os.environ["STARGATE_CREDENTIALS"])
PLAIN, TLS = f"ws://localhost:{PORT}", f"wss://localhost:{PORT + 2}"
CA = str(CREDENTIALS / "ca.pem")
ADMIN = (CREDENTIALS / "admin.token").read_text()
GUEST = (CREDENTIALS / "guest.token").read_text()
directory = pathlib.Path(tempfile.mkdtemp())
printed = []


def stargate(url, *arguments, stdin=b""):
    done = subprocess.run([COMMAND, "--url", url, "--connect-timeout", "8", *arguments], input=stdin, capture_output=True,
                          timeout=60, check=False)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    printed.append(out + err)
    return done.returncode, out, err


# -- certificates, and a proxy that shows them -------------------------------------------------------------------------

def make_certificate(name, subject, issuer=None, hosts=("localhost",), days=365, authority=False):
    """Gives the files of a certificate and its key, and both for issuing others."""
    key = rsa.generate_private_key(65537, 2048)
    name_of = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(name_of(subject))
               .issuer_name(issuer[2].subject if issuer else name_of(subject)).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=30))
               .not_valid_after(now + datetime.timedelta(days=days))
               .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
    names = [x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer[3] if issuer else key, hashes.SHA256())
    files = str(directory / f"{name}.pem"), str(directory / f"{name}.key")
    pathlib.Path(files[0]).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pathlib.Path(files[1]).write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                         serialization.NoEncryption()))
    return files[0], files[1], certificate, key


authority = make_certificate("ca", "The test's authority", authority=True)


class TlsProxy:
    """Speaks TLS to the client and plain TCP to the broker; keeps the headers it sees."""

    def __init__(self, certificate, client_ca=None, protocol=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate[0], certificate[1])
        if protocol:  # an old one, on purpose
            warnings.simplefilter("ignore", DeprecationWarning)
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = protocol
            self.context.set_ciphers("DEFAULT@SECLEVEL=0")
        if client_ca:
            self.context.load_verify_locations(client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"wss://localhost:{self.listener.getsockname()[1]}"
        self.tokens, self.connections = [], []
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
            client = self.context.wrap_socket(raw, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            self.tokens += [line.split(" ", 2)[2] for line in head.decode().split("\r\n") if line.startswith("Authorization:")]
            broker = socket.create_connection(("127.0.0.1", PORT))
            self.connections.append(broker)
            broker.sendall(head)
            threading.Thread(target=self.pump, args=(broker, client), daemon=True).start()
            self.pump(client, broker)
        except OSError:
            pass

    @staticmethod
    def pump(source, sink):
        try:
            while piece := source.recv(65536):
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


# -- what is right works -----------------------------------------------------------------------------------------------

admin_token = ("--token-file", str(CREDENTIALS / "admin.token"))
for url, how in ((TLS, ("--tls-ca", CA)), (PLAIN, ()), (f"wss://127.0.0.1:{PORT + 2}", ("--tls-ca", CA))):
    topic = fresh_topic()
    status, out, err = stargate(url, *how, *admin_token, "produce", topic, "-m", "x", "-m", "y")
    check(f"{url}: produce", status == 0 and err == "2 messages produced\n", (status, err))
    for command in (("consume", topic, "-s", "s", "--position", "earliest"), ("read", topic, "--from", "earliest")):
        status, out, err = stargate(url, *how, *admin_token, *command, "-n", "2", "--timeout", "20")
        check(f"{url}: {command[0]}", status == 0 and out == "x\ny\n", (status, out, err))
status, out, err = stargate(TLS, "--tls-ca", CA, *admin_token, "admin", "tenants", "list")
check("administration speaks TLS and shows the token", status == 0 and "public" in out, (status, out, err))
status, out, err = stargate(TLS, "--tls-ca", CA, "--token", ADMIN, "produce", fresh_topic(), "-m", "x")
check("a token may stand on the command line", status == 0, (status, err))
status, out, err = stargate(TLS, "--tls-dangerously-trust-any-certificate", *admin_token, "produce", fresh_topic(), "-m", "x")
check("any certificate is trusted when that is asked for by its name", status == 0, (status, err))

class Redirect(http.server.BaseHTTPRequestHandler):
    """A broker that sends on to the one that owns what was asked for."""
    def do_GET(self):
        self.send_response(307)
        self.send_header("Location", f"http://localhost:{PORT}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


redirecting = http.server.HTTPServer(("127.0.0.1", 0), Redirect)
threading.Thread(target=redirecting.serve_forever, daemon=True).start()
status, out, err = stargate(f"ws://127.0.0.1:{redirecting.server_port}", *admin_token, "admin", "tenants", "list")
check("administration follows to another broker, with the token", status == 0 and "public" in out, (status, out, err))

# -- tokens ------------------------------------------------------------------------------------------------------------

produce = ("produce", fresh_topic(), "-m", "x")
stargate(PLAIN, *admin_token, "admin", "namespaces", "revoke", "public/default", "--role", "guest")
status, out, err = stargate(TLS, "--tls-ca", CA, *produce)
check("no token: unauthorized", status == 1 and "unauthorized" in err and "401" in err, (status, err))
status, out, err = stargate(TLS, "--tls-ca", CA, "--token", ADMIN[:-4] + "AAAA", *produce)
check("a bad token: unauthorized", status == 1 and "unauthorized" in err, (status, err))
status, out, err = stargate(TLS, "--tls-ca", CA, "--token", GUEST, *produce)
check("a token without permission: forbidden", status == 1 and "forbidden" in err and "403" in err, (status, err))
status, out, err = stargate(TLS, "--tls-ca", CA, "--token", GUEST, "admin", "tenants", "list")
check("administration says so, too", status == 1 and ("forbidden" in err or "unauthorized" in err), (status, err))
status, out, err = stargate(TLS, "--tls-ca", CA, *admin_token, "admin", "namespaces", "grant", "public/default", "--role", "guest",
                            "--actions", "produce,consume")
check("a permission is granted", status == 0, (status, err))
status, out, err = stargate(TLS, "--tls-ca", CA, "--token", GUEST, *produce)
check("and then it works", status == 0, (status, err))
status, out, err = stargate(TLS, "--tls-ca", CA, "--token-file", "/no/such/token", *produce)
check("a token file that is not there is named", status == 1 and "/no/such/token" in err, (status, err))
(directory / "broken.token").write_text("two\nlines")
status, out, err = stargate(TLS, "--tls-ca", CA, "--token-file", str(directory / "broken.token"), *produce)
check("what cannot be a token is refused without being shown", status == 1 and "cannot stand in a header" in err
      and "two" not in err, (status, err))

# -- certificates ------------------------------------------------------------------------------------------------------

ca = ("--tls-ca", authority[0])
right = TlsProxy(make_certificate("right", "localhost", authority))
status, out, err = stargate(right.url, *ca, *admin_token, "produce", fresh_topic(), "-m", "x")
check("a certificate of the right authority for the right host is trusted", status == 0, (status, err))
for what, proxy, how, word in (
    ("another authority", right, ("--tls-ca", CA), "certificate"),
    ("no authority but the system's", right, (), "certificate"),
    ("another host", TlsProxy(make_certificate("host", "elsewhere", authority, hosts=("elsewhere.example",))), ca,
     "hostname mismatch"),
    ("an expired certificate", TlsProxy(make_certificate("old", "localhost", authority, days=-1)), ca, "expired"),
    ("TLS 1.1", TlsProxy(make_certificate("tls11", "localhost", authority), protocol=ssl.TLSVersion.TLSv1_1), ca, ""),
):
    status, out, err = stargate(proxy.url, *how, *admin_token, *produce)
    check(f"{what}: refused, and the reason is told", status == 1 and word in err.lower() and "localhost" in err
          and err.count("\n") <= 2 and not proxy.tokens[len(proxy.tokens) if proxy is right else 0:], (status, err))

client = make_certificate("client", "the client", authority)
stranger = make_certificate("stranger", "a stranger")
mutual = TlsProxy(make_certificate("mutual", "localhost", authority), client_ca=authority[0])
status, out, err = stargate(mutual.url, *ca, "--tls-cert", client[0], "--tls-key", client[1], *admin_token, "produce",
                            fresh_topic(), "-m", "x")
check("mutual TLS works", status == 0, (status, err))
status, out, err = stargate(mutual.url, *ca, "--tls-cert", client[0], "--tls-key", client[1], *admin_token, "admin", "health")
check("for administration, too", status == 0 and out == "ok\n", (status, out, err))
status, out, err = stargate(mutual.url, *ca, *admin_token, *produce)
check("without a certificate of our own, the broker's word is told", status == 1 and "certificate" in err, (status, err))
status, out, err = stargate(mutual.url, *ca, "--tls-cert", stranger[0], "--tls-key", stranger[1], *admin_token, *produce)
check("with one that it does not know, too", status == 1 and ("unknown CA" in err), (status, err))
for how, word in ((("--tls-ca", "/no/ca"), "/no/ca"), (("--tls-ca", str(directory / "broken.token")), "tls.ca_file"),
                  ((*ca, "--tls-cert", client[0]), "tls.key_file"),
                  ((*ca, "--tls-cert", client[0], "--tls-key", stranger[1]), "mismatch")):
    status, out, err = stargate(right.url, *how, *admin_token, *produce)
    check(f"{how[-2:]}: wrong usage, and it is named", status == 2 and word in err, (status, err))
status, out, err = stargate(f"wss://localhost:{PORT}", "--tls-ca", CA, *admin_token, *produce)
check("wss to a port without TLS fails with the place", status == 1 and f"localhost:{PORT}" in err, (status, err))
status, out, err = stargate(f"ws://localhost:{PORT + 2}", *admin_token, *produce)
check("ws to a port with TLS fails with the place", status == 1 and f"localhost:{PORT + 2}" in err, (status, err))

# -- a token file is read again at each connect ------------------------------------------------------------------------

token_file = directory / "changing.token"
token_file.write_text(GUEST)
right.tokens.clear()
topic = fresh_topic()
consumer = subprocess.Popen([COMMAND, "--url", right.url, *ca, "--token-file", str(token_file), "consume", topic, "-s", "s",
                             "--position", "earliest"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
stargate(PLAIN, *admin_token, "produce", topic, "-m", "before")
line = consumer.stdout.readline()
token_file.write_text(ADMIN + "\n")
right.cut()
stargate(PLAIN, *admin_token, "produce", topic, "-m", "after")
while line == b"before\n":  # once more if its acknowledgement was cut off
    line = consumer.stdout.readline()
consumer.send_signal(signal.SIGTERM)
out, err = consumer.communicate(timeout=30)
printed.append((out + err).decode())
check("the connection comes back with the file's new token", line == b"after\n" and right.tokens == [GUEST, ADMIN],
      (line, out, err, len(right.tokens)))

# -- secrets -----------------------------------------------------------------------------------------------------------

status, out, err = stargate(right.url, *ca, "-v", "--token", ADMIN, "consume", topic, "-s", "new", "-n", "1", "--timeout", "1")
text = "".join(printed)
check("no token was printed, by any of these", len(text) > 1000 and not any(t in text or t.split(".")[2] in text for t in (ADMIN, GUEST)))
finish()
