"""`stargate standalone`: what it says, how it ends, and that clients which are not ours work on it: PyPI's websocket-client
and npm's ws. That it does what Pulsar does is integration/model's."""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import websocket

os.environ.setdefault("STARGATE_URL", "ws://localhost:1")  # the tests of others need a broker; these bring their own
from certificates import make_certificate
from support import COMMAND, Popen, check, finish, fresh_topic, stargate

broker = Popen([COMMAND, "standalone", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
first = broker.stdout.readline()
check("its first line says that it stores nothing, and where it is", "it stores nothing" in first and "ws://127.0.0.1:" in first, first)
url = first.split()[-1]
port = int(url.rsplit(":", 1)[1])
memory = next(int(line.split()[1]) for line in open(f"/proc/{broker.pid}/status", encoding="ascii") if line.startswith("VmRSS"))
check("it takes little memory", memory < 40_000, f"{memory} KiB")


def b64(text):
    return base64.b64encode(text.encode()).decode()


# -- PyPI's websocket-client -------------------------------------------------------------------------------------------

topic = fresh_topic()
path = f"{url}/ws/v2/%s/persistent/public/default/{topic}"
consumer = websocket.create_connection(path % "consumer" + "/s", timeout=10)
producer = websocket.create_connection(path % "producer", timeout=10)
for i in range(100):
    producer.send(json.dumps({"payload": b64(f"message {i}"), "context": str(i), "properties": {"n": str(i)}}))
receipts = [json.loads(producer.recv()) for _ in range(100)]
check("websocket-client produces", all(r["result"] == "ok" and r["context"] == str(i) for i, r in enumerate(receipts)), receipts[:2])
seen = []
for _ in range(100):
    message = json.loads(consumer.recv())
    seen.append(base64.b64decode(message["payload"]).decode())
    consumer.send(json.dumps({"messageId": message["messageId"]}))
check("… and consumes", seen == [f"message {i}" for i in range(100)], seen[:3])
consumer.ping("are you there?")
consumer.send(json.dumps({"type": "isEndOfTopic"}))
check("… and pings, and is answered", json.loads(consumer.recv()) == {"endOfTopic": False})
consumer.close()
producer.close()
try:
    websocket.create_connection(f"{url}/ws/v2/producer/persistent/public/nowhere/t", timeout=10)
    check("a namespace that is not there is refused", False)
except websocket.WebSocketBadStatusException as why:
    check("a namespace that is not there is refused", why.status_code == 404, why)
large = websocket.create_connection(path % "producer", timeout=10)
large.send(json.dumps({"payload": "A" * 780_000, "context": "large"}))
check("a message as large as a broker takes is taken", json.loads(large.recv())["result"] == "ok")
large.send(json.dumps({"payload": "A" * 1_100_000}))
check("a larger one ends its connection", large.recv() == "")

# -- npm's ws ----------------------------------------------------------------------------------------------------------

node = subprocess.run(["node", "-e", """
const WebSocket = require('ws');
const [url, topic] = process.argv.slice(1);
const path = kind => `${url}/ws/v2/${kind}/persistent/public/default/${topic}`;
const consumer = new WebSocket(path('consumer') + '/s?subscriptionType=Shared');
const seen = [];
consumer.on('open', () => {
  const producer = new WebSocket(path('producer'));
  producer.on('open', () => { for (let i = 0; i < 100; ++i) producer.send(JSON.stringify({payload: Buffer.from('m' + i).toString('base64'), context: '' + i})); });
});
consumer.on('message', data => {
  const message = JSON.parse(data);
  seen.push(Buffer.from(message.payload, 'base64').toString());
  consumer.send(JSON.stringify({messageId: message.messageId}));
  if (seen.length === 100) { console.log(JSON.stringify(seen)); process.exit(0); }
});
setTimeout(() => process.exit(1), 20000);
""", url, fresh_topic()], capture_output=True, text=True, timeout=60, check=False,
                      env={**os.environ, "NODE_PATH": os.environ.get("NODE_PATH", "/usr/share/nodejs")})
check("npm's ws produces and consumes", node.returncode == 0 and json.loads(node.stdout) == [f"m{i}" for i in range(100)],
      (node.returncode, node.stdout[:200], node.stderr[-500:]))

# -- the command itself ------------------------------------------------------------------------------------------------

topic = "persistent://public/default/" + fresh_topic("a b/c")
status, out, err = stargate("produce", topic, "-m", "one", "-m", "two", "-k", "key", url=url)
check("the command produces", status == 0, err)
status, out, err = stargate("consume", topic, "-s", "s", "--position", "earliest", "-n", "2", "--timeout", "20s", url=url)
check("… and consumes", out == b"one\ntwo\n", (out, err))
status, out, err = stargate("admin", "topics", "list", "public/default", url=url)
check("… and administrates", status == 0 and topic in out.decode(), (out, err))
try:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/v2/persistent/public/default/t/compaction", timeout=10)
    check("what it does not do, it refuses by name", False)
except urllib.error.HTTPError as why:
    said = why.read().decode()
    check("what it does not do, it refuses by name", why.code == 404 and "broker in a box does not do GET" in said, said)
with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/v2/brokers/health", timeout=10) as answer:
    check("it is healthy", answer.read() == b"ok")

# -- what `perf` is told of the tree -----------------------------------------------------------------------------------


def perf_with(loops):
    """One that is at work, with so many event loops."""
    perf = Popen([COMMAND, "-v", "--url", url, "perf", "produce", fresh_topic(), "-n", "3", "-m", "0", "-r", "10", "--event-loops", loops],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for _ in range(3):
        while "connected to" not in perf.stderr.readline() and perf.poll() is None:
            pass
    return perf


def threads(perf):
    return len(os.listdir(f"/proc/{perf.pid}/task"))


one, three = perf_with("1"), perf_with("3")
until = time.monotonic() + 10  # those that resolved names end by and by
while threads(three) != threads(one) + 2 and time.monotonic() < until:
    time.sleep(0.02)
check("perf has as many event loops as it is told", threads(three) == threads(one) + 2, (threads(one), threads(three)))
for perf in (one, three):
    perf.send_signal(signal.SIGINT)
    perf.communicate(timeout=20)

# -- beginning and ending ----------------------------------------------------------------------------------------------

second = subprocess.run([COMMAND, "standalone", "--port", str(port)], capture_output=True, text=True, timeout=20, check=False)
check("a port that is taken is told, and what to do", second.returncode == 1 and "--port names another" in second.stderr,
      (second.returncode, second.stderr))
wrong = subprocess.run([COMMAND, "standalone", "--port", "70000"], capture_output=True, text=True, timeout=20, check=False)
check("a port that is none is wrong usage", wrong.returncode == 2, (wrong.returncode, wrong.stderr))
directory = pathlib.Path(tempfile.mkdtemp())
authority = make_certificate(directory, "ca", "The test's authority", authority=True)
shown = make_certificate(directory, "box", "localhost", authority)
stranger = make_certificate(directory, "stranger", "a stranger")
secret = directory / "secret.key"
secret.write_bytes(b"0123456789abcdef0123456789abcdef")
(directory / "short.key").write_bytes(b"short")


def token_of(role):
    signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "HS256"}, {"sub": role}))
    return signed + "." + base64.urlsafe_b64encode(hmac.new(secret.read_bytes(), signed.encode(), hashlib.sha256).digest()).decode().rstrip("=")


safe = Popen([COMMAND, "standalone", "--port", "0", "--tls-port", "0", "--tls-cert", shown[0], "--tls-key", shown[1],
                         "--token-secret-key", secret, "--super-user-roles", "admin,root"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
tls_url = "wss://localhost:" + re.search(r"wss://127.0.0.1:(\d+) and ws://", safe.stdout.readline())[1]
for role, right in (("admin", True), ("root", True), ("guest", False)):
    status, _, err = stargate("--tls-ca", authority[0], "--token", token_of(role), "produce", fresh_topic(), "-m", "x", url=tls_url)
    check(f"with TLS and the token of {role}", (status == 0) == right and (right or "forbidden" in err), (status, err))
status, _, err = stargate("--tls-ca", stranger[0], "--token", token_of("admin"), "produce", fresh_topic(), "-m", "x", url=tls_url)
check("its certificate is verified by who trusts another", status == 1 and "certificate" in err, (status, err))
status, out, err = stargate("--tls-ca", authority[0], "--token", token_of("root"), "admin", "tenants", "list", url=tls_url)
check("its administration speaks TLS and asks for tokens", status == 0 and b"public" in out, (status, out, err))
safe.send_signal(signal.SIGTERM)
_, errors = safe.communicate(timeout=20)
check("it ends, and shows nothing of tokens", safe.returncode == 0 and errors == "", (safe.returncode, errors))


def refused(what, words, *arguments, file=None):
    if file is not None:
        (directory / "box.conf").write_text(file)
        arguments += ("--config", directory / "box.conf")
    done = subprocess.run([COMMAND, "standalone", "--port", "0", *arguments], capture_output=True, text=True, timeout=20, check=False)
    check(what, done.returncode in (1, 2) and all(word in done.stderr for word in words), (done.returncode, done.stderr))


refused("TLS without a certificate is told", ["cannot read a certificate from ''"], "--tls-port", "0")
refused("a certificate that is not there is named", ["/no/cert"], "--tls-port", "0", "--tls-cert", "/no/cert", "--tls-key", shown[1])
refused("a key that is another's is told", ["key of that certificate", "mismatch"], "--tls-port", "0", "--tls-cert", shown[0], "--tls-key", stranger[1])
refused("a certificate without a port is wrong usage", ["--tls-port"], "--tls-cert", shown[0])
refused("a secret that is not there is named", ["/no/secret"], "--token-secret-key", "/no/secret")
refused("a secret that is too short is told, and how to make one", ["5 bytes", "openssl rand"], "--token-secret-key", directory / "short.key")
refused("a file that is not there is named", ["/no/file"], "--config", "/no/file")
refused("a line that is none is named", ["box.conf, line 2", "name=value"], file="# a comment\nnonsense\n")
refused("a value that is none is named", ["box.conf, line 1", "webServicePort"], file="webServicePort=many\n")
refused("tokens without a key are told", ["needs a tokenSecretKey"], file="authenticationEnabled=true\nauthorizationEnabled=true\n")
refused("authentication alone is told", ["go together"], file="authenticationEnabled=true\n")
refused("what is asked by another way than tokens is told", ["authenticationProviders"], file="authenticationProviders=org.example.Basic\n")
(directory / "box.conf").write_text("webServicePort=1\nallowAutoTopicCreation=false\nbrokerDeduplicationEnabled=true\ndefaultRetentionTimeInMinutes=5\n")
closed = Popen([COMMAND, "standalone", "--config", directory / "box.conf", "--port", "0"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
closed_url = closed.stdout.readline().split()[-1]
status, _, err = stargate("produce", fresh_topic(), "-m", "x", url=closed_url)
check("it makes no topics where the file says so", status == 1 and "404" in err, (status, err))
closed.send_signal(signal.SIGTERM)
_, errors = closed.communicate(timeout=20)
check("what has no effect is named", errors == "stargate: defaultRetentionTimeInMinutes has no effect on a broker in a box\n", errors)
held = websocket.create_connection(path % "consumer" + "/held", timeout=10)
broker.send_signal(signal.SIGINT)
rest, errors = broker.communicate(timeout=20)
check("an interrupt ends it with 0, and it says what it did", broker.returncode == 0 and "forgets all" in rest, (broker.returncode, rest))
check("… without a word of trouble", errors == "", errors)
finish()
