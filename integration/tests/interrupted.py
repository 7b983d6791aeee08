"""SIGTERM to the command at any moment: it drains in time, and what it printed is exactly what counts as handled.

Fifty tries of consuming and some of producing; a thousand with STARGATE_LONG=1.
"""
import json
import os
import random
import signal
import threading
import time

from support import check, finish, fresh_topic, start, stargate

TRIES = 1000 if os.environ.get("STARGATE_LONG") else 50
WITHIN = 10.0  # seconds; the tree's own limit for an orderly end is longer than anything here takes
random.seed(5)


def interrupt(process, after):
    """Ends a process by SIGTERM; gives what it printed, what it said, its status, and how long it took to end."""
    time.sleep(after)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    return out.split(), err.decode(errors="replace"), process.returncode, time.monotonic() - began


# -- consuming ---------------------------------------------------------------------------------------------------------

topic, count = fresh_topic(), 150 * TRIES
status, _, err = stargate("produce", topic, "-f", "-", stdin=b"\n".join(b"%d" % i for i in range(count)))
check("the messages are stored", status == 0, err)
seen, again, longest, early, said = {}, 0, 0.0, 0, set()
for number in range(TRIES):
    out, err, status, took = interrupt(start("consume", topic, "-s", "s", "-t", "shared", "-p", "earliest",
                                             "--receiver-queue-size", "20", "--rate-limit", "500"),
                                       random.random() * 0.25)
    longest = max(longest, took)
    if status == -signal.SIGTERM:  # it came before the command could ask for it
        early += 1
        check("what did not begin did not print", not out, out)
        continue
    check("interrupted, consume ends with 0", status == 0, (number, status, err))
    said.update(err.splitlines())
    for line in out:
        again += seen.setdefault(line, number) != number
check("most were interrupted while they ran", early < TRIES / 2, early)
check(f"each ended within {WITHIN} s", longest < WITHIN, longest)
check("what was printed before an interruption does not come again", again == 0, again)
left = count - len(seen)
status, out, err = stargate("consume", topic, "-s", "s", "-t", "shared", "-n", str(max(left, 1)), "--timeout", "60")
check("and all the rest comes", status == 0 and len(set(out.split()) | set(seen)) == count and not set(out.split()) & set(seen),
      (status, left, len(set(out.split()) & set(seen)), err))
print(f"{TRIES} interruptions, {len(seen)} messages in between; the longest took {longest * 1000:.0f} ms, {early} came before "
      f"the command had begun; it said {sorted(said)}")

# -- producing ---------------------------------------------------------------------------------------------------------

topic, printed, longest = fresh_topic(), [], 0.0
for number in range(max(TRIES // 10, 5)):
    producer = start("produce", topic, "-m", f"{number}", "-n", "1000000", "--print-ids", "--rate", "2000")
    lines = []
    reading = threading.Thread(target=lambda: lines.extend(producer.stdout))
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
status, out, err = stargate("read", topic, "--from", "earliest", "-n", str(len(printed)), "--timeout", "60", "--format", "json")
stored = [json.loads(line)["messageId"] for line in out.splitlines()]
check("what has an id is stored, once", status == 0 and len(printed) > 0 and len(set(printed)) == len(printed)
      and set(printed) <= set(stored), (status, len(printed), len(stored), err))
print(f"{len(printed)} messages produced between interruptions; the longest took {longest * 1000:.0f} ms")
finish()
