"""The `stargate` command against a real broker: what it prints, and what it ends with."""
import json
import pathlib
import signal
import stat
import subprocess
import tempfile
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
status, out, err = stargate("--connect-timeout", "900ms", "produce", "t", "-m", "x", url="ws://127.0.0.1:1")
check("an unreachable host ends with 1, in time, and one line that names it",
      status == 1 and "127.0.0.1:1" in err and err.count("\n") == 1 and time.monotonic() - begin < 5, (status, err))
status, out, err = stargate("--connect-timeout", "5s", "read", "t", url="ws://no-such-host.invalid:8080")
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

status, out, err = stargate("read", topic, "--from", "earliest", "-n", "5", "--timeout", "30s")
check("read prints a line a message, from the earliest", status == 0 and out.split() == [b"one", b"two", b"one", b"two", b"three"],
      (status, out, err))
status, out, err = stargate("read", topic, "--from", "earliest", "-n", "5", "--timeout", "30s", "--format", "json")
lines = [json.loads(line) for line in out.splitlines()]
check("JSON lines carry everything", len(lines) == 5 and lines[0]["payload"] == "one" and lines[0]["key"] == "key"
      and lines[0]["properties"] == {"a": "1", "b": "x=y"} and lines[0]["publishTime"].endswith("Z")
      and lines[0]["redeliveryCount"] == 0 and lines[4]["messageId"] == printed[0] and lines[4]["key"] is None, lines)
status, out, err = stargate("read", topic, "--from", lines[3]["messageId"], "-n", "1", "--timeout", "30s")
check("read begins behind an id", out == b"three\n", (status, out, err))

status, out, err = stargate("consume", topic, "-s", "s", "--position", "earliest", "-n", "2", "--timeout", "30s")
check("consume ends after -n messages", status == 0 and out == b"one\ntwo\n", (status, out, err))
status, out, err = stargate("consume", topic, "-s", "s", "-n", "3", "--timeout", "30s")
check("what was not printed was not acknowledged", status == 0 and out == b"one\ntwo\nthree\n", (status, out, err))
begin = time.monotonic()
status, out, err = stargate("consume", topic, "-s", "s", "-n", "1", "--timeout", "1s")
check("--timeout ends with 1 when the messages do not come", status == 1 and "0 of 1" in err and time.monotonic() - begin < 10,
      (status, err))

raw = fresh_topic()
status, out, err = stargate("produce", raw, "-f", "-", stdin=b"\xff\xfe\nplain")
check("a last line without an end counts", err == "2 messages produced\n", err)
status, out, err = stargate("read", raw, "--from", "earliest", "-n", "2", "--timeout", "30s", "--format", "json")
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
    status, out, err = stargate("consume", topic, "-s", "s s", "--position", "earliest", "-n", "1", "--timeout", "30s")
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
    status, out, err = stargate("consume", topic, "-s", "s", "-n", "1", "--timeout", "1s")
    check("what it printed is acknowledged", status == 1 and out == b"", (status, out))

topic = fresh_topic()
stargate("produce", topic, "-f", "-", stdin=b"\n".join(b"line %d" % i for i in range(2000)))
consumer = start("consume", topic, "-s", "s", "--position", "earliest")
consumer.stdout.readline()
consumer.stdout.close()
consumer.stderr.read()
check("a reader of the output that goes away ends it, without a hang", consumer.wait(timeout=30) != 0, consumer.returncode)

# -- all options --------------------------------------------------------------------------------------------------------

status, out, err = stargate("produce", fresh_topic(), "-m", "x", "--batching", "--batch-size", "10", "--batch-delay", "5ms",
                            "--compression", "zstd", "--routing", "round_robin", "--hashing", "murmur3_32_hash",
                            "--producer-name", "me", "--initial-sequence-id", "5", "--max-pending", "100",
                            "--broker-max-pending", "100", "--event-time", "2026-01-31T12:00:00Z", "--backoff", "50ms,1s,5s")
check("produce takes every option of a producer", status == 0, (status, err))
topic = fresh_topic()
stargate("produce", topic, *(part for i in range(20) for part in ("-m", str(i))), "--event-time", "2026-01-31T12:00:00Z")
status, out, err = stargate("consume", topic, "-s", "s", "-t", "key_shared", "-p", "earliest", "-n", "20", "--timeout", "30s",
                            "--pull-mode", "--max-demand", "5", "--min-demand", "2", "--rate-limit", "1000", "--consumer-name",
                            "me", "--ack-timeout", "5000ms", "--max-redeliver-count", "3", "--subscription-mode", "durable",
                            "--partition-by-key", "--processors", "3", "--format", "json")
check("consume takes every option of a consumer", status == 0 and len(out.splitlines()) == 20
      and json.loads(out.splitlines()[0])["eventTime"] == "2026-01-31T12:00:00.000Z", (status, err))
other = fresh_topic()
stargate("produce", other, "-m", "other")
status, out, err = stargate("consume", "--topics", topic, "--topics", other, "-s", "both", "-p", "earliest", "-n", "21",
                            "--timeout", "30s")
check("consume takes several topics", status == 0 and b"other" in out, (status, err))
for arguments, word in [
    (("consume", "t", "-s", "s", "--ack-timeout", "500ms"), "not 1ms to 999ms"),
    (("consume", "t", "-s", "s", "--ack-timeout", "soon"), "'soon' is not a duration with its unit"),
    (("consume", "t", "-s", "s", "--ack-timeout", "5000"), "such as 500ms, 10s"),
    (("consume", "t", "-s", "s", "--timeout", "30"), "'30' is not a duration with its unit"),
    (("--connect-timeout", "0", "consume", "t", "-s", "s"), "not between 1ms and"),
    (("--backoff", "50,1000,5000", "consume", "t", "-s", "s"), "100ms,30s,10s"),
    (("produce", "t", "-m", "x", "--batch-size", "5"), "needs batching"),
    (("produce", "t", "-m", "x", "--compression", "rar"), "zstd"),
    (("produce", "t", "-m", "x", "--event-time", "yesterday"), "2026-01-31T12:00:00Z"),
    (("--token", "a", "--token-file", "b", "read", "t"), "excludes"),
]:
    status, out, err = stargate(*arguments)
    check(f"a wrong option is wrong usage, and says what is allowed: {arguments}", status == 2 and word in err, (status, err))

# -- a configuration file ----------------------------------------------------------------------------------------------

directory = pathlib.Path(tempfile.mkdtemp())
(directory / "stargate.toml").write_text('connect-timeout = "20s"\n[read]\nfrom = "earliest"\nnum-messages = 3\ntimeout = "30s"\n')
status, out, err = stargate("--config", str(directory / "stargate.toml"), "read", topic)
check("options come from a file", status == 0 and out == b"0\n1\n2\n", (status, out, err))
status, out, err = stargate("--config", str(directory / "stargate.toml"), "read", topic, "-n", "1")
check("and the command line goes before it", status == 0 and out == b"0\n", (status, out, err))

(directory / "bare.toml").write_text('connect-timeout = 20\n')
status, out, err = stargate("--config", str(directory / "bare.toml"), "read", topic, "-n", "1")
check("a duration without its unit is refused in a file as well", status == 2 and "'20' is not a duration with its unit" in err,
      (status, err))

# -- run ---------------------------------------------------------------------------------------------------------------

source, sink, bad = fresh_topic("source"), fresh_topic("sink"), fresh_topic("bad")
tree = directory / "tree.json"
tree.write_text(json.dumps({
    "backoff": "50ms, 1s, 5s",
    "consumers": [
        {"topic": source, "subscription": "upper", "type": "shared", "position": "earliest", "processors": 2,
         "command": "tr a-z A-Z", "produce_to": sink},
        {"topic": bad, "subscription": "fails", "type": "shared", "position": "earliest", "on_failure": "dead_letter",
         "command": "exit 3"}],
    "readers": [{"topic": source, "start": "earliest",
                 "command": f'printf "%s %s %s\\n" "$STARGATE_TOPIC" "$STARGATE_KEY" "$(cat)" >> {directory}/seen'}]}))
status, out, err = stargate("run", "--config", str(tree), "--check")
check("run --check says that a description is right", status == 0 and "2 consumers, 1 readers" in err, (status, err))
stargate("produce", source, "-m", "one", "-m", "two", "-k", "key")
stargate("produce", bad, "-m", "poison")
inspection = directory / "inspection"
running = start("--inspection-socket", str(inspection), "run", "--config", str(tree))
status, out, err = stargate("read", sink, "--from", "earliest", "-n", "2", "--timeout", "30s")
check("run: what a command prints is produced", status == 0 and sorted(out.split()) == [b"ONE", b"TWO"], (status, out, err))
status, out, err = stargate("read", f"{bad}-fails-DLQ", "--from", "earliest", "-n", "1", "--timeout", "30s", "--format", "json")
check("run: what a command fails on is on the dead-letter topic, and why",
      status == 0 and "status 3" in json.loads(out)["properties"]["EXCEPTION"], (status, out, err))
deadline = time.monotonic() + 20
seen = directory / "seen"
while time.monotonic() < deadline and not (seen.exists() and len(seen.read_text().splitlines()) == 2):
    time.sleep(0.05)
check("run: a command gets topic, key and message",
      seen.read_text().splitlines() == [f"persistent://public/default/{source} key {word}" for word in ("one", "two")], seen.read_text())
status, out, err = stargate("tree", str(inspection))
check("tree shows what runs, with its keys, states and connections", status == 0 and b"sup_cli" in out
      and f"processor/upper/1  persistent://public/default/{source}".encode() in out and b"running, connected" in out, (status, out, err))
status, out, err = stargate("tree", str(inspection), "--format", "json")
check("or as JSON", status == 0 and any(e["component"] == "consumer/upper" and e["connection"] == "connected"
                                        for e in json.loads(out)["entries"] if "component" in e), (status, out, err))
check("only this user may look", stat.S_IMODE(inspection.stat().st_mode) == 0o600, oct(inspection.stat().st_mode))
running.send_signal(signal.SIGTERM)
_, said = running.communicate(timeout=30)
check("the socket goes with the program", not inspection.exists())
status, out, err = stargate("tree", str(inspection))
check("where nobody listens, tree says so", status == 1 and str(inspection) in err, (status, err))
check("run ends with 0 when it is asked to end", running.returncode == 0 and b"stopping" in said, (running.returncode, said))
status, out, err = stargate("consume", source, "-s", "upper", "-t", "shared", "-n", "1", "--timeout", "1s")
check("run: what was handled is acknowledged", status == 1 and not out, (status, out))
tree.write_text('{"consumers": [{"topic": "t", "subscription": "", "processors": "many", "speed": 3}], "colour": "red"}')
status, out, err = stargate("run", "--config", str(tree))
check("run: every mistake in a description is named", status == 2 and all(
    word in err for word in ("no option 'colour'", "no option 'speed'", "'many'", "command is missing")), (status, err))
tree.write_text(json.dumps({"hosts": ["127.0.0.1:1"], "readers": [{"topic": source, "command": "cat"}]}))
status, out, err = stargate("--connect-timeout", "2s", "run", "--config", str(tree))
check("run: hosts in a description stand instead of --url", status == 1 and "127.0.0.1:1" in err, (status, err))
tree.write_text("{")
status, out, err = stargate("run", "--config", str(tree))
check("run: what is not JSON is wrong usage", status == 2 and "not a JSON object" in err, (status, err))

# -- admin -------------------------------------------------------------------------------------------------------------

tenant = fresh_topic("tenant")
made = f"persistent://{tenant}/ns/made"
for arguments, expected in [
    (("health",), "ok\n"),
    (("tenants", "create", tenant), ""),
    (("namespaces", "create", f"{tenant}/ns"), ""),
    (("namespaces", "list", tenant), f"{tenant}/ns\n"),
    (("namespaces", "deduplication", f"{tenant}/ns", "--set", "true"), ""),
    (("namespaces", "deduplication", f"{tenant}/ns"), "true\n"),
    (("topics", "create", made), ""),
    (("topics", "list", f"{tenant}/ns"), f"{made}\n"),
    (("subscriptions", "create", made, "-s", "s"), ""),
    (("subscriptions", "list", made), "s\n"),
    (("subscriptions", "skip", made, "-s", "s", "--all"), ""),
    (("subscriptions", "reset", made, "-s", "s", "--time", "1min"), ""),
    (("subscriptions", "delete", made, "-s", "s"), ""),
    (("topics", "terminate", made), ""),
    (("topics", "delete", made, "--force"), ""),
]:
    status, out, err = stargate("admin", *arguments)
    check(f"admin {' '.join(arguments)}", status == 0 and out.decode() == expected, (status, out, err))
status, out, err = stargate("admin", "topics", "stats", "persistent://public/default/" + fresh_topic())
check("admin tells the status and Pulsar's reason", status == 1 and "404" in err and "not found" in err.lower(), (status, err))

# -- documents ---------------------------------------------------------------------------------------------------------

status, out, err = stargate("completion")
(directory / "completion").write_bytes(out)


def completed(*words):
    line = " ".join(f"'{w}'" for w in words)
    script = f"source {directory}/completion; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _stargate; echo \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()


check("the completion knows the subcommands", set(completed("stargate", "con")) == {"consume"}, completed("stargate", "con"))
check("their flags, and the global ones", completed("stargate", "consume", "topic", "--pull") == ["--pull-mode"]
      and "--tls-ca" in completed("stargate", "read", "--tls"), completed("stargate", "consume", "topic", "--pull"))
check("and what is below them", completed("stargate", "admin", "sub") == ["subscriptions"]
      and "reset" in completed("stargate", "admin", "subscriptions", ""), completed("stargate", "admin", "subscriptions", ""))
status, out, err = stargate("manual")
check("the manual page has every option", status == 0 and out.startswith(b".TH STARGATE 1")
      and all(w in out for w in (b"negative\\-ack\\-redelivery\\-delay", b"stargate admin topics create", b"tls\\-ca")), out[:200])

environment_url = subprocess.run([COMMAND, "produce", fresh_topic(), "-m", "x"], capture_output=True, timeout=60, check=False)
check("STARGATE_URL names the broker", environment_url.returncode == 0 and URL, environment_url.stderr)
finish()
