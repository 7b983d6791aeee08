"""SIGTERM to the command at any moment: it drains in time, and what it printed is exactly what it acknowledged.

Fifty tries of consuming and some of producing; a thousand with STARGATE_LONG=1.
"""
import collections
import json
import os
import random
import signal
import threading
import time
import urllib.parse

from relay import Relay
from support import URL, check, finish, fresh_topic, start, stargate

TRIES = 1000 if os.environ.get("STARGATE_LONG") else 50
WITHIN = 10.0  # seconds; the tree's own limit for an orderly end is longer than anything here takes
random.seed(5)


def interrupt(process, after):
    """Ends a process by SIGTERM; gives what it printed, what it said, its status, and how long it took to end."""
    time.sleep(after)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    return out.splitlines(), err.decode(errors="replace"), process.returncode, time.monotonic() - began


# -- consuming ---------------------------------------------------------------------------------------------------------

topic, count = fresh_topic(), 150 * TRIES
status, _, err = stargate("produce", topic, "-f", "-", stdin=b"\n".join(b"%d" % i for i in range(count)))
check("the messages are stored", status == 0, err)
relay = Relay(urllib.parse.urlsplit(URL).port)
seen, again, longest, early = collections.Counter(), 0, 0.0, 0
for number in range(TRIES):
    connections = len(relay.sent)
    process = start("consume", topic, "-s", "s", "-t", "shared", "-p", "earliest", "--receiver-queue-size", "20", "--rate-limit",
                    "500", "--format", "json", url=f"ws://127.0.0.1:{relay.port}")
    out, err, status, took = interrupt(process, random.random() * 0.25)
    longest = max(longest, took)
    if status == -signal.SIGTERM:  # it came before the command could ask for it
        early += 1
        check("what did not begin did not print", not out, out)
        continue
    check("interrupted, consume ends with 0, and says nothing", status == 0 and not err, (number, status, err))
    messages = [json.loads(line) for line in out]
    acknowledged = collections.Counter()
    for sent in relay.sent[connections:]:
        check("the connection ends", sent.ended.wait(10))
        texts, closed = sent.texts()
        check("with a close frame behind all that was to be sent", closed or not texts, texts[-3:])
        acknowledged.update(json.loads(text)["messageId"] for text in texts)
    check("what was printed is exactly what was acknowledged",
          acknowledged == collections.Counter(m["messageId"] for m in messages), (number, len(messages), acknowledged.total()))
    again += sum(m["payload"] in seen for m in messages)
    seen.update(m["payload"] for m in messages)
check("most were interrupted while they ran", early < TRIES / 2, early)
check(f"each ended within {WITHIN} s", longest < WITHIN, longest)
left = count - len(seen)
status, out, err = stargate("consume", topic, "-s", "s", "-t", "shared", "-n", str(max(left, 1)), "--timeout", "60s")
check("and all the rest comes", status == 0 and len({line.decode() for line in out.split()} | set(seen)) >= count - again,
      (status, left, err))
# When a consumer closes, the broker at times forgets acknowledgements that it has, or gives what it had for the one twice
# to the next: so it may deliver again what was acknowledged, which is rare, and more often so on a busy machine.
print(f"{TRIES} interruptions, {len(seen)} messages in between, {again} of them delivered again although acknowledged; "
      f"the longest took {longest * 1000:.0f} ms, {early} came before the command had begun")

# -- producing ---------------------------------------------------------------------------------------------------------

topic, printed, longest = fresh_topic(), [], 0.0
for number in range(max(TRIES // 10, 5)):
    producer = start("produce", topic, "-m", f"{number}", "-n", "1000000", "--print-ids", "--rate", "2000")
    lines = []
    reading = threading.Thread(target=lambda: lines.extend(producer.stdout), daemon=True)
    reading.start()
    time.sleep(random.random() * 0.5)
    began = time.monotonic()
    producer.send_signal(signal.SIGTERM)
    status = producer.wait(timeout=60)
    longest = max(longest, time.monotonic() - began)
    reading.join()
    err = producer.stderr.read().decode(errors="replace")
    check("interrupted, produce ends in time and says how far it came", status in (0, 1, -signal.SIGTERM)
          and (status < 0 or "produced" in err), (status, err))
    printed += [line.strip().decode() for line in lines]
check(f"each ended within {WITHIN} s", longest < WITHIN, longest)
status, out, err = stargate("read", topic, "--from", "earliest", "-n", str(len(printed)), "--timeout", "60s", "--format", "json")
stored = [json.loads(line)["messageId"] for line in out.splitlines()]
check("what has an id is stored, once", status == 0 and len(printed) > 0 and len(set(printed)) == len(printed)
      and set(printed) <= set(stored), (status, len(printed), len(stored), err))
print(f"{len(printed)} messages produced between interruptions; the longest took {longest * 1000:.0f} ms")
finish()
