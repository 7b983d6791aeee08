"""End-to-end encryption, with the official client at the other end."""
import base64
import json
import os
import pathlib
import re
import subprocess
import tempfile

import pulsar
from support import URL, check, finish, fresh_topic, stargate

web_port = int(re.search(r":(\d+)$", URL)[1])
client = pulsar.Client(os.environ.get("STARGATE_PULSAR_URL") or f"pulsar://127.0.0.1:{web_port - 1430}",
                       logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
directory = pathlib.Path(tempfile.mkdtemp())


def make_key(name):
    private, public = directory / f"{name}.key", directory / f"{name}.pem"
    subprocess.run(["openssl", "genrsa", "-out", private, "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return str(public), str(private)


public, private = make_key("right")
other_public, other_private = make_key("other")
reader_of_keys = pulsar.CryptoKeyReader(public, private)

# -- ours to theirs ----------------------------------------------------------------------------------------------------

topic = fresh_topic()
consumer = client.subscribe(topic, "theirs", initial_position=pulsar.InitialPosition.Earliest,
                            crypto_key_reader=reader_of_keys)
lines = [f"secret {i}" for i in range(200)]
status, out, err = stargate("produce", topic, "-f", "-", "-k", "k", "-p", "a=b", "--encryption", f"right={public}",
                            stdin="\n".join(lines).encode())
check("encrypted messages are produced", status == 0, (status, err))
received = []
for _ in lines:
    message = consumer.receive(timeout_millis=30_000)
    received.append((message.data().decode(), message.partition_key(), dict(message.properties())))
check("the official client decrypts what we encrypt", received == [(line, "k", {"a": "b"}) for line in lines], received[:2])
consumer.close()

status, out, err = stargate("consume", topic, "-s", "mine", "--position", "earliest", "-n", "200", "--timeout", "30s",
                            "--decryption-keys", f"other={other_private}", "--decryption-keys", f"right={private}")
check("we decrypt it ourselves", status == 0 and out.decode().splitlines() == lines, (status, err))

# What lies on the broker is seen by who takes it as it is.
for command in (("consume", topic, "-s", "raw", "--position", "earliest"), ("read", topic, "--from", "earliest")):
    status, out, err = stargate(*command, "-n", "200", "--timeout", "30s", "--format", "json", "--crypto-failure-action",
                                "consume")
    shown = [json.loads(line) for line in out.splitlines()]
    plain = [m for m in shown if "secret" in m.get("payload", "") or b"secret" in base64.b64decode(m.get("payloadBase64", ""))]
    check(f"{command[0]}: the broker has no plain text", status == 0 and len(shown) == 200 and not plain
          and (command[0] == "read" or all(m["encrypted"] for m in shown)), (status, out[:300], err))

# -- theirs to ours ----------------------------------------------------------------------------------------------------

topic = fresh_topic()
producer = client.create_producer(topic, encryption_key="right", crypto_key_reader=reader_of_keys)
for line in lines:
    producer.send(line.encode(), partition_key="k")
producer.close()
status, out, err = stargate("consume", topic, "-s", "ours", "--position", "earliest", "-n", "200", "--timeout", "30s",
                            "--decryption-keys", f"right={private}")
check("we decrypt what the official client encrypts", status == 0 and out.decode().splitlines() == lines, (status, err))

# -- keys that are missing or wrong ------------------------------------------------------------------------------------

for keys, why in ((("--decryption-keys", f"other={private}"), "no private key of that name"), (("--decryption-keys", f"right={other_private}"), "does not fit"),
                  (("--decryption-keys", "right=/no/such/file"), "/no/such/file"),
                  (("--decryption-keys", f"right={public}"), "not a key")):
    status, out, err = stargate("consume", topic, "-s", "fail", "--position", "earliest", "-n", "1", "--timeout", "2s", *keys)
    check(f"fail: nothing is handled and the reason is told ({why})", status == 1 and not out and why in err, (status, out, err))
status, out, err = stargate("consume", topic, "-s", "fail", "-n", "200", "--timeout", "30s", "--decryption-keys",
                            f"right={private}")
check("fail: nothing was acknowledged", status == 0 and out.decode().splitlines() == lines, (status, len(out), err))
status, out, err = stargate("consume", topic, "-s", "discard", "--position", "earliest", "-n", "1", "--timeout", "3s",
                            "--crypto-failure-action", "discard", "--decryption-keys", f"right={other_private}")
check("discard: nothing is handled", status == 1 and not out, (status, out))
status, out, err = stargate("consume", topic, "-s", "discard", "-n", "1", "--timeout", "2s", "--decryption-keys",
                            f"right={private}")
check("discard: all was acknowledged", status == 1 and not out, (status, out))
status, out, err = stargate("--connect-timeout", "3s", "produce", fresh_topic(), "-m", "x", "--encryption", "right=/no/such/file")
check("a public key that is missing is named, and nothing is produced", status == 1 and "/no/such/file" in err, (status, err))
status, out, err = stargate("produce", fresh_topic(), "-m", "x", "--encryption", f"right={public}", "--encryption",
                            f"other={other_public}")
check("for several keys at once, the broker of 4.0.0 refuses the message (it forgets all names but one)",
      status == 1 and "rejected" in err and "NullPointerException" in err, (status, err))
status, out, err = stargate("produce", fresh_topic(), "-m", "x", "--encryption", f"right={public}", "--batching")
check("encryption and batching together are refused", status == 2 and "without batching" in err, (status, err))

client.close()
finish()
