"""The `stargate` command against a real broker: what it prints, and what it ends with."""
import json
import signal
import subprocess
import time

from support import COMMAND, URL, check, finish, fresh_topic, start, stargate

# -- usage -------------------------------------------------------------------------------------------------------------

status, out, err = stargate("--help")
check("--help explains the subcommands", status == 0 and all(w in out for w in (b"produce", b"consume", b"read")), out)
status, out, err = stargate("--version")
check("--version tells the version", status == 0 and out.startswith(b"stargate "), out)
for arguments, word in [
    ((), "subcommand"),
    (("produce",), "TOPIC"),
    (("produce", "t"), "-m"),
    (("produce", "t", "-m", "x", "--no-such-option"), "no-such-option"),
    (("produce", "", "-m", "x"), "empty"),
    (("produce", "kafka://a/b/c", "-m", "x"), "scheme"),
    (("produce", "t", "-m", "x", "-p", "novalue"), "NAME=VALUE"),
    (("consume", "t"), "subscription"),
    (("consume", "t", "-s", ""), "subscription"),
    (("consume", "t", "-s", "s", "-t", "sometimes"), "sometimes"),
    (("consume", "t", "-s", "s", "--format", "xml"), "xml"),
    (("read", "t", "--from", ""), "--from"),
    (("read", "t", "-n", "many"), "many"),
]:
    status, out, err = stargate(*arguments)
    check(f"wrong usage ends with 2 and names it: {arguments}", status == 2 and word in err and not out, (status, err))
status, out, err = stargate("produce", "t", "-m", "x", url="http://localhost")
check("a URL of another scheme is wrong usage", status == 2 and "ws://" in err, (status, err))

# -- failures at run time ----------------------------------------------------------------------------------------------

begin = time.monotonic()
status, out, err = stargate("--connect-timeout", "1", "produce", "t", "-m", "x", url="ws://127.0.0.1:1")
check("an unreachable host ends with 1, in time, and one line that names it",
      status == 1 and "127.0.0.1:1" in err and err.count("\n") == 1 and time.monotonic() - begin < 5, (status, err))
status, out, err = stargate("--connect-timeout", "5", "read", "t", url="ws://no-such-host.invalid:8080")
check("a host that does not resolve is named", status == 1 and "does not resolve" in err, (status, err))
status, out, err = stargate("consume", "persistent://public/nowhere/t", "-s", "s")
check("a namespace that does not exist is refused at once, by name",
      status == 1 and "not found" in err and "public/nowhere" in err, (status, err))
status, out, err = stargate("produce", fresh_topic(), "-f", "/no/such/file")
check("a file that is not there is named", status == 1 and "/no/such/file" in err, (status, err))
status, out, err = stargate("produce", fresh_topic(), "-f", "-", stdin=b"x" * 1_000_000)
check("a message that is too large is refused, and says so", status == 1 and "too large" in err, (status, err))

# -- produce, consume, read --------------------------------------------------------------------------------------------

topic = fresh_topic()
status, out, err = stargate("produce", topic, "-m", "one", "-m", "two", "-k", "key", "-p", "a=1", "-p", "b=x=y", "-n", "2")
check("produce prints nothing but a count on standard error", status == 0 and out == b"" and err == "4 messages produced\n",
      (status, out, err))
status, out, err = stargate("produce", topic, "-m", "three", "--print-ids")
printed = out.decode().split()
check("--print-ids prints the ids", status == 0 and len(printed) == 1, out)

status, out, err = stargate("read", topic, "--from", "earliest", "-n", "5", "--timeout", "30")
check("read prints a line a message, from the earliest", status == 0 and out.split() == [b"one", b"two", b"one", b"two", b"three"],
      (status, out, err))
status, out, err = stargate("read", topic, "--from", "earliest", "-n", "5", "--timeout", "30", "--format", "json")
lines = [json.loads(line) for line in out.splitlines()]
check("JSON lines carry everything", len(lines) == 5 and lines[0]["payload"] == "one" and lines[0]["key"] == "key"
      and lines[0]["properties"] == {"a": "1", "b": "x=y"} and lines[0]["publishTime"].endswith("Z")
      and lines[0]["redeliveryCount"] == 0 and lines[4]["messageId"] == printed[0] and lines[4]["key"] is None, lines)
status, out, err = stargate("read", topic, "--from", lines[3]["messageId"], "-n", "1", "--timeout", "30")
check("read begins behind an id", out == b"three\n", (status, out, err))

status, out, err = stargate("consume", topic, "-s", "s", "--position", "earliest", "-n", "2", "--timeout", "30")
check("consume ends after -n messages", status == 0 and out == b"one\ntwo\n", (status, out, err))
status, out, err = stargate("consume", topic, "-s", "s", "-n", "3", "--timeout", "30")
check("what was not printed was not acknowledged", status == 0 and out == b"one\ntwo\nthree\n", (status, out, err))
begin = time.monotonic()
status, out, err = stargate("consume", topic, "-s", "s", "-n", "1", "--timeout", "1")
check("--timeout ends with 1 when the messages do not come", status == 1 and "0 of 1" in err and time.monotonic() - begin < 10,
      (status, err))

raw = fresh_topic()
status, out, err = stargate("produce", raw, "-f", "-", stdin=b"\xff\xfe\nplain")
check("a last line without an end counts", err == "2 messages produced\n", err)
status, out, err = stargate("read", raw, "--from", "earliest", "-n", "2", "--timeout", "30", "--format", "json")
lines = [json.loads(line) for line in out.splitlines()]
check("what is not UTF-8 stands in payloadBase64",
      lines[0].get("payloadBase64") == "//4=" and "payload" not in lines[0] and lines[1]["payload"] == "plain", lines)

begin = time.monotonic()
status, out, err = stargate("produce", fresh_topic(), "-m", "x", "-n", "20", "--rate", "20")
check("--rate holds the rate back", status == 0 and time.monotonic() - begin > 0.9, time.monotonic() - begin)

for name in ("with space", "with/slash", "ümlaut"):
    topic = f"persistent://public/default/{fresh_topic(name)}"
    status, out, err = stargate("produce", topic, "-m", "x")
    check(f"a topic {name!r} can be produced to", status == 0, err)
    status, out, err = stargate("consume", topic, "-s", "s s", "--position", "earliest", "-n", "1", "--timeout", "30")
    check(f"a topic {name!r} can be consumed", status == 0 and out == b"x\n", (status, err))

# -- interrupting ------------------------------------------------------------------------------------------------------

for number in (signal.SIGINT, signal.SIGTERM):
    topic = fresh_topic()
    stargate("produce", topic, "-m", "first")
    consumer = start("consume", topic, "-s", "s", "--position", "earliest")
    line = consumer.stdout.readline()
    consumer.send_signal(number)
    rest, err = consumer.communicate(timeout=30)
    check(f"consume runs until {number.name}, then drains and ends with 0", consumer.returncode == 0 and line == b"first\n",
          (consumer.returncode, line, err))
    status, out, err = stargate("consume", topic, "-s", "s", "-n", "1", "--timeout", "1")
    check("what it printed is acknowledged", status == 1 and out == b"", (status, out))

topic = fresh_topic()
stargate("produce", topic, "-f", "-", stdin=b"\n".join(b"line %d" % i for i in range(2000)))
consumer = start("consume", topic, "-s", "s", "--position", "earliest")
consumer.stdout.readline()
consumer.stdout.close()
consumer.stderr.read()
check("a reader of the output that goes away ends it, without a hang", consumer.wait(timeout=30) != 0, consumer.returncode)

environment_url = subprocess.run([COMMAND, "produce", fresh_topic(), "-m", "x"], capture_output=True, timeout=60, check=False)
check("STARGATE_URL names the broker", environment_url.returncode == 0 and URL, environment_url.stderr)
finish()
