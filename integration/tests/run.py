"""`stargate run` against a real broker: its commands, what they find and leave behind, and descriptions that change."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from support import COMMAND, URL, Popen, check, finish, fresh_topic, stargate

directory = pathlib.Path(tempfile.mkdtemp(prefix="stargate-run-"))
description = directory / "tree.json"
errors = directory / "errors"


def run(parts, before=""):
    """Starts the command; what it says goes to a file."""
    description.write_text(json.dumps(parts))
    errors.write_text("")
    running = Popen(
        ["bash", "-c", before + 'exec 7</dev/null; exec "$@"', "bash", COMMAND, "--url", URL, "-v", "run", "--config", str(description)],
        stdout=subprocess.PIPE, stderr=errors.open("w"))
    return running


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def says(text):
    return lambda: text in errors.read_text()


def end(running, with_signal=signal.SIGTERM):
    """How many seconds it took to end."""
    begin = time.monotonic()
    running.send_signal(with_signal)
    running.communicate(timeout=60)
    return time.monotonic() - begin


def consumer(topic, command, **more):
    return {"topic": topic, "subscription": "s", "position": "earliest", "command": command, **more}


def alive(pid):
    try:
        return "zombie" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


# The C library's own two, 32 and 33, which every program that it spawns ignores until it uses them.
threads_own = 3 << 31

# -- what a command finds ----------------------------------------------------------------------------------------------

source, sink = fresh_topic("source"), fresh_topic("sink")
large = "x" * 70_000
stargate("produce", source, "-m", "m", "-k", "the key", "-p", f"a={large}", "-p", f"b={large}")
running = run({"consumers": [consumer(source, 'cat "$STARGATE_METADATA"', produce_to=sink)]})
status, out, err = stargate("read", sink, "--from", "earliest", "-n", "1", "--timeout", "30s")
found = json.loads(out) if status == 0 else {}
check("what is too large for a variable is in the file of metadata",
      found.get("properties") == {"a": large, "b": large} and found.get("key") == "the key"
      and found.get("topic") == f"persistent://public/default/{source}" and "payload" not in found, (status, out[:200], err))
end(running)

source, sink = fresh_topic("source"), fresh_topic("sink")
stargate("produce", source, "-m", "m", "-p", "a=1")
running = run({"consumers": [consumer(
    source, 'echo "$(ls /proc/self/fd | tr "\\n" " ")|$(grep -E "Sig(Ign|Blk)" /proc/self/status | tr -s "\\t\\n" " ")|$STARGATE_PROPERTIES|$STARGATE_TOKEN"',
    produce_to=sink)]}, before="export STARGATE_TOKEN=secret; trap '' PIPE USR1; ")
status, out, err = stargate("read", sink, "--from", "earliest", "-n", "1", "--timeout", "30s")
files, signals, properties, token = (out.decode().strip() + "|||").split("|")[:4]
check("a command finds the standard descriptors and 3, and no others", files.split() in (["0", "1", "2", "3"], ["0", "1", "2", "3", "4"]), out)
blocked, ignored = (int(word, 16) for word in signals.split()[1::2])
check("no signal is ignored or blocked for it", blocked == 0 and ignored & ~threads_own == 0, out)
check("small properties are in a variable, the token in none", properties == '{"a":"1"}' and token == "", out)
end(running)

# -- what it leaves behind ---------------------------------------------------------------------------------------------

source, sink = fresh_topic("source"), fresh_topic("sink")
stargate("produce", source, "-m", "m")
running = run({"consumers": [consumer(source, f"sleep 300 & echo $! >{directory}/left; echo done", produce_to=sink)]})
status, out, err = stargate("read", sink, "--from", "earliest", "-n", "1", "--timeout", "20s")
check("a child that is left behind and holds the output keeps nobody waiting", status == 0 and out.strip() == b"done", (status, out, err))
took = end(running)
left = int((directory / "left").read_text())
check("nor does it hold up the stop", running.returncode == 0 and took < 5, (running.returncode, took))
check("it is the command's own, and lives on", alive(left))
os.kill(left, signal.SIGKILL)

source = fresh_topic("source")
stargate("produce", source, "-m", "m")
running = run({"consumers": [consumer(source, f"sleep 300 & echo $! >{directory}/late; wait", type="shared",
                                      handler_timeout="700ms", on_failure="dead_letter")]})
status, out, err = stargate("read", f"{source}-s-DLQ", "--from", "earliest", "-n", "1", "--timeout", "20s", "--format", "json")
check("a command beyond its time is a failure", status == 0 and "handler_timeout" in out.decode(), (status, out, err))
late = int((directory / "late").read_text())
check("and is killed with all that it started", until(lambda: not alive(late), 5))
end(running)

source = fresh_topic("source")
stargate("produce", source, "-m", "m")
running = run({"shutdown": "500ms", "consumers": [consumer(source, f"sleep 300 & echo $! >{directory}/hung; wait")]})
until((directory / "hung").exists)
took = end(running)
hung = int((directory / "hung").read_text() or 0)
check("a command without a limit does not outlive the stop", took < 10 and until(lambda: not alive(hung), 5), (took, errors.read_text()))

(directory / "bare.json").write_text(json.dumps({"shutdown": 500, "consumers": [consumer(source, "cat", handler_timeout=5)]}))
status, out, err = stargate("run", "--config", str(directory / "bare.json"), "--check")
check("durations without their units are refused, all in one answer", status == 2
      and "shutdown is '500', which is not a duration with its unit" in err and "handler_timeout is '5'" in err, (status, err))

# -- a description that changes ----------------------------------------------------------------------------------------

kept, changed, gone, new = (fresh_topic(n) for n in ("kept", "changed", "gone", "new"))
out_file = directory / "out"


def writes(word):
    return f'echo "{word} $(cat)" >>{out_file}'


def lines():
    return sorted(out_file.read_text().split("\n")[:-1]) if out_file.exists() else []


first = {"consumers": [consumer(kept, writes("kept")), consumer(changed, writes("before")), consumer(gone, writes("gone"))]}
running = run(first)
check("run says how it is read again", until(says("SIGHUP")))
stargate("produce", kept, "-m", "1")
stargate("produce", changed, "-m", "1")
stargate("produce", gone, "-m", "1")
check("it runs as described", until(lambda: lines() == ["before 1", "gone 1", "kept 1"]), lines())
running.send_signal(signal.SIGHUP)
check("SIGHUP with the same description changes nothing", until(says("nothing is changed: " + str(description) + " says what runs")))
description.write_text('{"consumers": [{"topic": "t", "colour": "red"}]}')
running.send_signal(signal.SIGHUP)
check("a wrong one changes nothing, and says what is wrong", until(says("no option 'colour'")), errors.read_text())
description.write_text(json.dumps({"shutdown": "1234ms", **first}))
running.send_signal(signal.SIGHUP)
check("other options of the tree change nothing, and that is said", until(says("options of the tree itself")), errors.read_text())
before = errors.read_text().count(f"connected to persistent://public/default/{kept} ")
description.write_text(json.dumps({"consumers": [
    consumer(kept, writes("kept")), consumer(changed, writes("after")), consumer(new, writes("new"))]}))
running.send_signal(signal.SIGHUP)
check("a right one is taken up", until(says("is read again: 2 ended, 2 started")), errors.read_text())
for topic in (kept, changed, gone, new):
    stargate("produce", topic, "-m", "2")
check("what changed is changed, what is new runs, what is gone is not",
      until(lambda: lines() == ["after 2", "before 1", "gone 1", "kept 1", "kept 2", "new 2"]), lines())
check("what did not change kept its connection",
      errors.read_text().count(f"connected to persistent://public/default/{kept} ") == before == 1, errors.read_text())
took = end(running)
check("and it ends as ever", running.returncode == 0, errors.read_text())
status, out, err = stargate("consume", gone, "-s", "s", "-n", "1", "--timeout", "10s")
check("the subscription of what is gone kept its messages", status == 0 and out == b"2\n", (status, out, err))

finish()
