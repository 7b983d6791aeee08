"""Tokens that expire or are revoked, and certificates that change, while a producer and a consumer are connected.

Both go on through all of it: nothing is restarted, and no message is lost.
"""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from certificates import make_certificate
from relay import Relay
from support import COMMAND, Popen, check, finish, fresh_topic

PORT = int(os.environ.get("STARGATE_SECURE_PORT") or sys.exit(
    "STARGATE_SECURE_PORT is not set: start a broker with scripts/broker --secure and set it to its port"))
CREDENTIALS = pathlib.Path(os.environ["STARGATE_CREDENTIALS"])
ADMIN = (CREDENTIALS / "admin.token").read_text()
GUEST = (CREDENTIALS / "guest.token").read_text()
PLAIN = f"ws://localhost:{PORT}"
directory = pathlib.Path(tempfile.mkdtemp())
token_file = directory / "token"


def token(role, seconds):
    """A token as the broker's operator makes them, good for so long."""
    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    text = part(b'{"alg":"HS256"}') + b"." + part(json.dumps({"sub": role, "exp": int(time.time()) + seconds}).encode())
    secret = (CREDENTIALS / "secret.key").read_bytes()
    return (text + b"." + part(hmac.new(secret, text, hashlib.sha256).digest())).decode()


def administer(*arguments):
    done = subprocess.run([COMMAND, "--url", PLAIN, "--token", ADMIN, "admin", *arguments], capture_output=True, text=True,
                          timeout=60, check=False)
    check(f"admin {' '.join(arguments)}", done.returncode == 0, done.stderr)


def until(condition, seconds=20.0):
    """Whether it comes to be in time, and when it did."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.02)
    return time.monotonic() - began


class Running:
    """A command that runs, and what it prints."""

    def __init__(self, *arguments, stdin=None):
        self.inspection = directory / f"inspection-{arguments[0]}"
        self.process = Popen(
            [COMMAND, "--url", f"wss://localhost:{relay.port}", "--tls-ca", str(CREDENTIALS / "ca.pem"), "--token-file", str(token_file), "-v",
             "--backoff", "100ms,1s,5s", "--inspection-socket", str(self.inspection), *arguments],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.out, self.err = [], []
        self.reading = [threading.Thread(target=self.read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err))]
        for thread in self.reading:
            thread.start()

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.strip())

    def said(self, *words):
        return sum(all(word in line for word in words) for line in list(self.err))

    def restarts(self):
        done = subprocess.run([COMMAND, "tree", str(self.inspection), "--format", "json"], capture_output=True, text=True,
                              timeout=30, check=False)
        return json.loads(done.stdout)["restarts"] if done.returncode == 0 else done.stderr

    def join(self):
        status = self.process.wait(timeout=60)
        for thread in self.reading:
            thread.join()
        return status


relay = Relay(PORT + 2)
topic = fresh_topic()
administer("namespaces", "grant", "public/default", "--role", "guest", "--actions", "produce,consume")
token_file.write_text(token("guest", 6))
expires = time.monotonic() + 7
consumer = Running("consume", topic, "-s", "s", "--position", "earliest")
producer = Running("produce", topic, "-f", "-", "--send-timeout", "60s", stdin=subprocess.PIPE)
sent, ending = 0, threading.Event()


def feed():
    global sent
    while not ending.wait(0.01):
        producer.process.stdin.write(f"{sent}\n")
        producer.process.stdin.flush()
        sent += 1
    producer.process.stdin.close()


feeding = threading.Thread(target=feed, daemon=True)
feeding.start()


def flows(what, seconds=20.0):
    """What is handed over now arrives."""
    number = sent + 1
    took = until(lambda: any(int(line) >= number for line in consumer.out[-1000:]), seconds)
    check(f"{what}: messages flow", took is not None, (consumer.err[-3:], producer.err[-3:]))
    if took is None:  # nor will what comes next
        os._exit(1)
    return took


def outage(what, word, repair):
    """A cut, a while in which no attempt succeeds, and the end of its cause."""
    flows(f"{what}, connected before")
    told = consumer.said(word), producer.said(word)
    relay.cut()
    # More often than a socket's and its supervisor's patience with what never worked.
    refused = until(lambda: consumer.said(word) >= told[0] + 6 and producer.said(word) >= told[1] + 6, 30)
    check(f"{what}: each attempt is refused, and says why", refused is not None, (consumer.err[-3:], producer.err[-3:]))
    repair()
    took = flows(f"{what}, put right", 10)
    for who in (consumer, producer):
        check(f"{what}: nothing was restarted", who.restarts() == 0, who.restarts())
    print(f"{what}: flows again {took:.1f} s after it was put right", flush=True)


flows("a token that will expire")
until(lambda: time.monotonic() > expires)
flows("a token that has expired, on the connection that stands")
outage("a token expired", "unauthorized", lambda: token_file.write_text(GUEST))

administer("namespaces", "revoke", "public/default", "--role", "guest")
outage("a permission revoked", "forbidden",
       lambda: administer("namespaces", "grant", "public/default", "--role", "guest", "--actions", "produce,consume"))

token_file.rename(directory / "elsewhere")
outage("a token's file gone", str(token_file), lambda: (directory / "elsewhere").rename(token_file))


def put(file, name):
    shutil.copy(file, directory / name)
    os.replace(directory / name, CREDENTIALS / name)


def shown_by_broker():
    """The certificate, if the broker has its key: it looks at its files every second, maybe between the two."""
    try:
        return ssl.get_server_certificate(("localhost", PORT + 2)).split()
    except ssl.SSLError:
        return None


def show(certificate, key):
    put(key, "broker.key")
    put(certificate, "broker.pem")
    expected = pathlib.Path(certificate).read_text().split()
    check("the broker shows its new certificate", until(lambda: shown_by_broker() == expected, 30) is not None)


def show_without_its_key(key):
    """As while somebody replaces the one file and then the other."""
    put(key, "broker.key")
    check("the broker shows a certificate without its key", until(lambda: shown_by_broker() is None, 30) is not None)


for name in ("broker.pem", "broker.key"):
    shutil.copy(CREDENTIALS / name, directory / f"right-{name}")
right = directory / "right-broker.pem", directory / "right-broker.key"
try:
    stranger = make_certificate(directory, "stranger", "localhost")
    show_without_its_key(stranger[1])
    outage("the broker's key is another certificate's", "does not have the key", lambda: show(*right))
    show(*stranger[:2])
    outage("the broker's certificate is a stranger's", "certificate is refused", lambda: show(*right))
    old = make_certificate(directory, "old", "localhost", days=-1)
    show(*old[:2])
    outage("the broker's certificate has expired", "certificate is refused", lambda: show(*right))
finally:
    show(*right)

ending.set()
feeding.join()
status = producer.join()
check("the producer ends with every message stored", status == 0 and f"{sent} messages produced" in producer.err[-1],
      (status, producer.err[-2:]))
everything = set(range(sent))
check("and the consumer has every message", until(lambda: {int(n) for n in list(consumer.out)} >= everything) is not None,
      sorted(everything - {int(n) for n in list(consumer.out)})[:20])
consumer.process.send_signal(signal.SIGTERM)
check("the consumer ends when it is asked to", consumer.join() == 0, consumer.err[-2:])
check("no token was printed", not any(t.split(".")[2] in line for line in consumer.err + producer.err for t in (ADMIN, GUEST)))
print(f"{sent} messages, {len(consumer.out) - len(everything)} of them handled again")
finish()
