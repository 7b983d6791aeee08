"""Messages to and from a client written by others: the official one, PyPI's pulsar-client, over the binary protocol."""
import json
import os
import re

import pulsar
from support import URL, check, finish, fresh_topic, stargate

COUNT = 20_000
web_port = int(re.search(r":(\d+)$", URL)[1])
client = pulsar.Client(os.environ.get("STARGATE_PULSAR_URL") or f"pulsar://127.0.0.1:{web_port - 1430}",
                       logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))

# -- ours to theirs ----------------------------------------------------------------------------------------------------

topic = fresh_topic()
consumer = client.subscribe(topic, "theirs", initial_position=pulsar.InitialPosition.Earliest)
lines = [f"{i:06d} " + "x" * 93 for i in range(COUNT)]
assert all(len(line) == 100 for line in lines)
status, out, err = stargate("produce", topic, "-f", "-", "-k", "the key", "-p", "colour=blue", "-p", "ü=ö",
                            stdin="\n".join(lines).encode())
check(f"{COUNT} messages are produced", status == 0 and err == f"{COUNT} messages produced\n", (status, err))
received = []
for _ in range(COUNT):
    message = consumer.receive(timeout_millis=30_000)
    consumer.acknowledge(message)
    received.append((message.data().decode(), message.partition_key(), dict(message.properties())))
check("they arrive complete and in order", [m[0] for m in received] == lines)
check("with their keys", all(m[1] == "the key" for m in received))
check("and properties", all(m[2] == {"colour": "blue", "ü": "ö"} for m in received))
try:
    consumer.receive(timeout_millis=300)
    check("and nothing comes twice", False)
except pulsar.Timeout:
    check("and nothing comes twice", True)
consumer.close()

# -- theirs to ours ----------------------------------------------------------------------------------------------------

for batching in (False, True):
    topic = fresh_topic()
    producer = client.create_producer(topic, batching_enabled=batching, block_if_queue_full=True,
                                      batching_type=pulsar.BatchingType.Default)
    for i, line in enumerate(lines):
        producer.send_async(line.encode(), lambda result, id: None, partition_key=f"key {i % 7}", properties={"n": str(i)})
    producer.flush()
    producer.close()
    for command in (("consume", topic, "-s", "ours", "--position", "earliest"), ("read", topic, "--from", "earliest")):
        status, out, err = stargate(*command, "-n", str(COUNT), "--format", "json", "--timeout", "60s")
        got = [json.loads(line) for line in out.splitlines()]
        name = f"{command[0]}, {'batches' if batching else 'single messages'}"
        check(f"{name}: all come", status == 0 and len(got) == COUNT, (status, len(got), err))
        check(f"{name}: complete and in order", [m["payload"] for m in got] == lines)
        check(f"{name}: with their keys", all(m["key"] == f"key {i % 7}" for i, m in enumerate(got)))
        check(f"{name}: and properties", all(m["properties"] == {"n": str(i)} for i, m in enumerate(got)))

# -- a message that is larger than ours take: theirs send it in chunks, and the broker gives it in one frame -------------

topic = fresh_topic()
client.subscribe(topic, "ours").close()
producer = client.create_producer(topic, chunking_enabled=True, batching_enabled=False)
large = os.urandom(14_000_000)
for content in (b"before", large, b"after"):
    producer.send(content)
producer.close()
status, out, err = stargate("consume", topic, "-s", "ours", "-n", "2", "--format", "json", "--timeout", "60s")
check("those around a message that is too large come", status == 0
      and [json.loads(line)["payload"] for line in out.splitlines()] == ["before", "after"], (status, out[:300], err))
check("it is named, with what to do", re.search(r"message too large: message \S+ of \S+ comes in 18\d{6} bytes, "
                                               r"which is more than max_frame_size \(8388608\)", err), err)
status, out, err = stargate("--max-frame-size", "32000000", "consume", topic, "-s", "ours", "-n", "1",
                            "--timeout", "60s")
check("and it stays, and comes to whom it is not too large for", status == 0 and out == large + b"\n",
      (status, len(out), err))

client.close()
finish()
