"""What the Python tests share: running the command, naming topics, checking."""
import ctypes
import os
import signal
import subprocess
import sys
import time

URL = os.environ.get("STARGATE_URL") or sys.exit(
    "STARGATE_URL is not set: start a broker with scripts/broker and set it to ws://127.0.0.1:PORT"
)
COMMAND = sys.argv[1]
_count = 0
_passed = 0
_failed = 0


_set_death_signal = 1  # PR_SET_PDEATHSIG
_libc = ctypes.CDLL(None)


class Popen(subprocess.Popen):
    """A program that ends with the test, however that ends; to be started by the main thread."""

    def __init__(self, *arguments, **how):
        super().__init__(*arguments, preexec_fn=lambda: _libc.prctl(_set_death_signal, signal.SIGKILL), **how)


def fresh_topic(name="topic"):
    global _count
    _count += 1
    return f"{name}-{os.getpid()}-{_count}-{int(time.time())}"


def stargate(*arguments, stdin=b"", url=URL, timeout=120):
    """Runs the command; gives its exit status, standard output and standard error."""
    environment = {k: v for k, v in os.environ.items() if k != "STARGATE_URL"}
    done = subprocess.run([COMMAND, "--url", url, *arguments], input=stdin, capture_output=True, timeout=timeout,
                          env=environment, check=False)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def start(*arguments, url=URL):
    return Popen([COMMAND, "--url", url, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def check(what, condition, seen=None):
    """One behaviour, as a sentence."""
    global _passed, _failed
    if condition:
        _passed += 1
    else:
        _failed += 1
        print(f"FAILED: {what}" + (f"\n  seen: {seen!r}" if seen is not None else ""))


def finish():
    print(f"{_passed} passed, {_failed} failed")
    sys.exit(1 if _failed else 0)
