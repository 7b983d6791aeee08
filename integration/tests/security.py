"""TLS and tokens, against a broker that demands them: what is right works, and each mistake has its own clear error."""
import http.server
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading

from certificates import TlsProxy, make_certificate
from relay import Relay
from support import COMMAND, Popen, check, finish, fresh_topic

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
    done = subprocess.run([COMMAND, "--url", url, "--connect-timeout", "8s", *arguments], input=stdin, capture_output=True,
                          timeout=60, check=False)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    printed.append(out + err)
    return done.returncode, out, err


def certificate(name, subject, issuer=None, **how):
    return make_certificate(directory, name, subject, issuer, **how)


def proxy_with(shown, **how):
    return TlsProxy(PORT, shown, **how)


authority = certificate("ca", "The test's authority", authority=True)

# -- what is right works -----------------------------------------------------------------------------------------------

admin_token = ("--token-file", str(CREDENTIALS / "admin.token"))
for url, how in ((TLS, ("--tls-ca", CA)), (PLAIN, ()), (f"wss://127.0.0.1:{PORT + 2}", ("--tls-ca", CA))):
    topic = fresh_topic()
    status, out, err = stargate(url, *how, *admin_token, "produce", topic, "-m", "x", "-m", "y")
    check(f"{url}: produce", status == 0 and err == "2 messages produced\n", (status, err))
    for command in (("consume", topic, "-s", "s", "--position", "earliest"), ("read", topic, "--from", "earliest")):
        status, out, err = stargate(url, *how, *admin_token, *command, "-n", "2", "--timeout", "20s")
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
right = proxy_with(certificate("right", "localhost", authority))
status, out, err = stargate(right.url, *ca, *admin_token, "produce", fresh_topic(), "-m", "x")
check("a certificate of the right authority for the right host is trusted", status == 0, (status, err))
for what, proxy, how, word in (
    ("another authority", right, ("--tls-ca", CA), "certificate"),
    ("no authority but the system's", right, (), "certificate"),
    ("another host", proxy_with(certificate("host", "elsewhere", authority, hosts=("elsewhere.example",))), ca,
     "hostname mismatch"),
    ("an expired certificate", proxy_with(certificate("old", "localhost", authority, days=-1)), ca, "expired"),
    ("TLS 1.1", proxy_with(certificate("tls11", "localhost", authority), protocol=ssl.TLSVersion.TLSv1_1), ca, ""),
):
    status, out, err = stargate(proxy.url, *how, *admin_token, *produce)
    check(f"{what}: refused, and the reason is told", status == 1 and word in err.lower() and "localhost" in err
          and err.count("\n") <= 2 and not proxy.tokens[len(proxy.tokens) if proxy is right else 0:], (status, err))

client = certificate("client", "the client", authority)
stranger = certificate("stranger", "a stranger")
mutual = proxy_with(certificate("mutual", "localhost", authority), client_ca=authority[0])
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
check("wss to a port without TLS fails with the place, and says what to do",
      status == 1 and f"localhost:{PORT}" in err and "without TLS: use ws://" in err, (status, err))
status, out, err = stargate(f"ws://localhost:{PORT + 2}", *admin_token, *produce)
check("ws to a port with TLS fails with the place", status == 1 and f"localhost:{PORT + 2}" in err, (status, err))

# -- a token file is read again at each connect ------------------------------------------------------------------------

token_file = directory / "changing.token"
token_file.write_text(GUEST)
right.handshakes.clear()
topic = fresh_topic()
consumer = Popen([COMMAND, "--url", right.url, *ca, "--token-file", str(token_file), "consume", topic, "-s", "s",
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
check("the connection comes back with the file's new token", line == b"after\n" and right.handshakes == [GUEST, ADMIN],
      (line, out, err, len(right.handshakes)))

# -- the files of TLS are read again when they were changed ------------------------------------------------------------

files = {name: directory / f"renewed-{name}" for name in ("ca", "cert", "key")}


def renew(name):
    """An authority, a certificate for the broker by it, and one for the client, whose files take the place of others."""
    by = certificate(f"{name}-ca", f"authority {name}", authority=True)
    shown = certificate(f"{name}-broker", "localhost", by)
    of_client = certificate(f"{name}-client", "the client", by)
    for file, source in zip(files.values(), (by[0], *of_client[:2])):
        fresh = directory / "fresh"
        shutil.copy(source, fresh)
        os.replace(fresh, file)
    return TlsProxy(PORT, shown, client_ca=by[0])


renewed = renew("first")
topic = fresh_topic()
consumer = Popen([COMMAND, "--url", renewed.url, "--tls-ca", str(files["ca"]), "--tls-cert", str(files["cert"]),
                             "--tls-key", str(files["key"]), "-v", "--backoff", "50ms,500ms,5s", *admin_token, "consume", topic,
                             "-s", "s", "--position", "earliest"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
stargate(PLAIN, *admin_token, "produce", topic, "-m", "before")
line = consumer.stdout.readline()
renewed.context = renew("second").context  # from now on, one that the old files do not fit
files["key"].rename(directory / "away")    # but not all of them are there yet
renewed.cut()
stargate(PLAIN, *admin_token, "produce", topic, "-m", "after")
while b"tls.key_file" not in (said := consumer.stderr.readline()) and said:
    printed.append(said.decode())
check("a file that is missing for a while is named", b"renewed-key" in said, said)
(directory / "away").rename(files["key"])
while line == b"before\n":
    line = consumer.stdout.readline()
consumer.send_signal(signal.SIGTERM)
out, err = consumer.communicate(timeout=30)
check("an authority and a certificate that were renewed on disk are used at the next attempt", line == b"after\n", (line, out, err))

# -- the forms of Pulsar's own clients, and a path in front of the broker's ---------------------------------------------

for form in (f"token:{ADMIN}", f"file://{CREDENTIALS}/admin.token", f"file:{CREDENTIALS}/admin.token"):
    status, out, err = stargate(PLAIN, "--token", form, "produce", fresh_topic(), "-m", "x")
    check(f"--token {form[:9]}… is understood", status == 0, (status, err))


class Ingress(Relay):
    """Takes /pulsar for the broker's root, and nothing else."""

    def greet(self, raw):
        head = b""
        while b"\r\n\r\n" not in head:
            head += raw.recv(65536) or b"\r\n\r\n"
        if b" /pulsar/" not in head:
            raw.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            raise OSError("elsewhere")
        return raw, head.replace(b" /pulsar/", b" /", 1)


ingress = Ingress(PORT)
for path, status_wanted in (("/pulsar", 0), ("/pulsar/", 0), ("", 1), ("/elsewhere", 1)):
    status, out, err = stargate(f"ws://localhost:{ingress.port}{path}", *admin_token, "produce", fresh_topic(), "-m", "x")
    check(f"WebSocket below '{path}'", status == status_wanted, (status, err))
    status, out, err = stargate(f"ws://localhost:{ingress.port}{path}", *admin_token, "admin", "health")
    check(f"REST below '{path}'", status == status_wanted, (status, err))
for url in ("ws://localhost:1/pulsar?x=y", "ws://localhost:1/a b"):
    status, out, err = stargate(url, *produce)
    check(f"{url} is wrong usage", status == 2 and "path" in err, (status, err))

# -- secrets -----------------------------------------------------------------------------------------------------------

status, out, err = stargate(right.url, *ca, "-v", "--token", ADMIN, "consume", topic, "-s", "new", "-n", "1", "--timeout", "1s")
text = "".join(printed)
check("no token was printed, by any of these", len(text) > 1000 and not any(t in text or t.split(".")[2] in text for t in (ADMIN, GUEST)))
finish()
