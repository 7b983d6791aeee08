"""The monitor of a running tree: what it answers, what a parser of Prometheus' makes of it, whom it refuses, and the page in
a real browser.   monitor.py COMMAND [--screenshots DIRECTORY]"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

os.environ.setdefault("STARGATE_URL", "ws://localhost:1")  # the tests of others need a broker; these bring their own
from browser import Browser
from support import COMMAND, Popen, check, finish

pictures = pathlib.Path(sys.argv[sys.argv.index("--screenshots") + 1]) if "--screenshots" in sys.argv else None
MANY = 1_000
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
scratch = pathlib.Path(tempfile.mkdtemp())

box = Popen([COMMAND, "standalone", "--port", "0"], stdout=subprocess.PIPE, text=True)
url = box.stdout.readline().split()[-1]


class Running:
    """`stargate run` with a monitor."""

    def __init__(self, description, *flags, env=None, monitor="0"):
        path = scratch / f"tree-{time.monotonic_ns()}.json"
        path.write_text(json.dumps(description), encoding="utf-8")
        self.process = Popen([COMMAND, "--url", url, "--monitor", monitor, *flags, "run", "--config", path],
                                        stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
        self.lines, self.at = [], ""
        for line in self.process.stderr:
            self.lines.append(line)
            if "the monitor is at" in line:
                self.at = line[line.index("http://"):].split("/\"")[0].strip().rstrip("/")
            if "running" in line:
                break
        else:
            sys.exit(f"stargate run did not begin: {self.lines}")

    def ask(self, path, method="GET", body=None, **headers):
        request = urllib.request.Request(self.at + path, data=body, method=method,
                                         headers={k.replace("_", "-"): v for k, v in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as why:
            return why.code, why.read().decode(), why.headers

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.stderr.read()
        return self.process.wait(30), rest


def produce(topic, *texts):
    for text in texts:
        subprocess.run([COMMAND, "--url", url, "produce", topic, "-m", text], check=True, capture_output=True, timeout=30)


def metrics(of):
    status, text, headers = of.ask("/metrics")
    assert status == 200, text
    check("metrics are of Prometheus' type", headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers["Content-Type"])
    return {f.name: f for f in text_string_to_metric_families(text)}


def value(family, suffix="", **labels):
    return sum(s.value for s in family.samples if s.name == family.name + suffix and all(s.labels.get(k) == v for k, v in labels.items()))


# -- answers, without a browser -----------------------------------------------------------------------------------------

tree = Running({"producers": [{"topic": "out"}],
                "consumers": [{"topic": "in", "subscription": "s", "command": "cat", "produce_to": "out"},
                              {"topic": "frail", "subscription": "s", "command": f"cat >'{scratch}/came'; test -e '{scratch}/died' || {{ touch '{scratch}/died'; exit 1; }}", "on_failure": "crash"}]},
               "--monitor-control")
check("it says where the monitor is", tree.at.startswith("http://127.0.0.1:"), tree.lines)
check("it is in health", tree.ask("/healthz")[:2] == (200, "ok\n"))
check("it is ready", tree.ask("/readyz")[:2] == (200, "ok\n"))
produce("in", *[f"message {i}" for i in range(5)])
deadline = time.monotonic() + 20
while value(metrics(tree)["stargate_acknowledged_messages"], "_total", subscription="s") < 5 and time.monotonic() < deadline:
    time.sleep(0.1)
seen = metrics(tree)
check("messages are counted: delivered, stored, acknowledged",
      [value(seen[f"stargate_{n}_messages"], "_total") for n in ("delivered", "stored", "acknowledged")] == [5, 5, 5],
      {k: v.samples for k, v in seen.items() if k.endswith("_messages")})
check("… by topic and subscription", value(seen["stargate_delivered_messages"], "_total", subscription="s", topic="persistent://public/default/in") == 5)
for name in ("stargate_receipt_seconds", "stargate_handler_seconds"):
    check(f"{name} is a whole histogram", value(seen[name], "_count") == 5 and value(seen[name], "_bucket", le="+Inf") == 5
          and value(seen[name], "_sum") > 0, seen[name].samples)
check("the actors' state is there", {"stargate_mailbox_messages", "stargate_in_flight_messages", "stargate_demand_messages"} <= set(seen))
check("every family has help, and no sample comes twice",
      all(f.documentation for f in seen.values())
      and all(len({(s.name, tuple(s.labels.items())) for s in f.samples}) == len(f.samples) for f in seen.values()))
status, text, _ = tree.ask("/tree.json")
check("the tree is JSON", status == 200 and any(e["key"].startswith("topics_") for e in json.loads(text)["entries"]), text[:200])
status, text, headers = tree.ask("/")
check("the page needs no other host", status == 200 and "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text)
check("… and may not be framed, nor run what is not its own", "frame-ancestors 'none'" in headers["Content-Security-Policy"])
check("what is not there is 404", tree.ask("/nothing")[0] == 404)
check("what is too long is refused", tree.ask("/restart", "POST", b"x" * 100_000)[0] == 413)
check("another site's name is refused", tree.ask("/tree.json", Host="evil.example:80")[0] == 403)
check("what changes something has to say so", tree.ask("/restart", "POST", b"producer/persistent/public/default/out")[0] == 403)
check("a key that is none is told", tree.ask("/restart", "POST", b"nonsense", X_Stargate_Intent="restart")[0] == 400)

# -- in the browser -----------------------------------------------------------------------------------------------------

browser = Browser()
browser.open(tree.at)
check("the page is live", browser.until("document.getElementById('link')?.textContent === 'live'") is not None)
check("it shows the actors", browser.until("document.querySelectorAll('.row').length > 10") is not None)
check("it counts the sockets", browser.until("/3 of 3/.test(document.getElementById('sockets').textContent)") is not None,
      browser.run("document.getElementById('sockets').textContent"))
produce("frail", "die")
took = browser.until("/handler_failed|restarted/.test(document.getElementById('events').textContent) && +document.getElementById('restarts').textContent >= 1 "
                     "&& [...document.querySelectorAll('.row')].some(r => /restart/.test(r.textContent))", 10)
check("an actor that dies is seen", took is not None, browser.run("document.getElementById('events').textContent"))
print(f"seen {took or 0:.2f} s after `stargate produce` had ended")
browser.run("document.getElementById('rows').focus()")
browser.key("ArrowDown")
check("arrow keys choose an actor", browser.until("!document.getElementById('details').hidden && document.querySelectorAll('.row.on').length === 1") is not None)
browser.key("End")
browser.key("ArrowUp")
browser.key("ArrowLeft")
check("… and whoever listens is told which", browser.until("document.getElementById(document.getElementById('rows').getAttribute('aria-activedescendant'))?.getAttribute('aria-selected') === 'true'") is not None)
browser.run("[...document.querySelectorAll('.row')].find(r => /^.?.?producer *public/.test(r.textContent.replace(/[●◐✕▾▸]/g, '')))?.querySelector('.name').click()")
check("a click shows the details, with counters", browser.until("/stored/.test(document.getElementById('facts').textContent)") is not None,
      browser.run("document.getElementById('details').textContent"))
check("where it may, it offers to restart", browser.until("!document.getElementById('actions').hidden") is not None)
browser.run("document.getElementById('restart').click()")
check("… but asks first", browser.until("document.getElementById('ask').open && /anew/.test(document.getElementById('question').textContent)") is not None)
browser.run("document.getElementById('yes').click()")
check("… and then does it", browser.until("/to restart producer.*: done/.test(document.getElementById('log').textContent)") is not None,
      browser.run("document.getElementById('log').textContent"))
check("what is drained is gone, and not waited for", tree.ask("/drain", "POST", b"producer/persistent/public/default/out", X_Stargate_Intent="drain")[0] == 202
      and browser.until("[...document.querySelectorAll('.row')].some(r => /drained/.test(r.textContent)) && /2 of 2/.test(document.getElementById('sockets').textContent)") is not None
      and tree.ask("/readyz")[0] == 200 and 'stargate_connected{' in tree.ask("/metrics")[1]
      and not re.search(r'stargate_connected\{[^}]*kind="producer"', tree.ask("/metrics")[1]),
      browser.run("document.getElementById('sockets').textContent"))
check("… and is there again once it is restarted", tree.ask("/restart", "POST", b"producer/persistent/public/default/out", X_Stargate_Intent="restart")[0] == 202
      and browser.until("/3 of 3/.test(document.getElementById('sockets').textContent) && ![...document.querySelectorAll('.row')].some(r => /drained/.test(r.textContent))") is not None)
if pictures:
    Popen([COMMAND, "--url", url, "perf", "produce", "in", "-m", "3000", "-s", "100", "-r", "100"],
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(28)
    for name, look in (("monitor", {}), ("monitor-dark", {"dark": True}), ("monitor-phone", {"width": 400, "height": 860})):  # for docs/monitor.md
        browser.emulate(**look)
        browser.run("paint()")
        browser.screenshot(pictures / f"{name}.png")
    browser.emulate(width=1200, height=1000)
box.terminate()
box.wait(20)
check("a broker that is gone is told by /readyz", browser.until("document.getElementById('sockets').className !== 'good'") is not None
      and tree.ask("/readyz")[0] == 503 and "frail" in tree.ask("/readyz")[1], tree.ask("/readyz"))
check("… while the tree is in health", tree.ask("/healthz")[0] == 200)
check("… and who waits can be read, and why", browser.until(
    "(rows => rows.length > 0 && rows.every(r => r.querySelector('.name').offsetWidth > 100 && r.querySelector('.more').offsetWidth > 100))"
    "([...document.querySelectorAll('.row')].filter(r => /waiting to reconnect/.test(r.textContent)))") is not None)
status, rest = tree.stop()
check("it ends while somebody watches", status == 0 and "stopping" in rest, (status, rest))
check("… which the page says", browser.until("/no answer/.test(document.getElementById('link').textContent)") is not None)

# -- many topics, hostile ones, and a token -------------------------------------------------------------------------------

box = Popen([COMMAND, "standalone", "--port", url.rsplit(":", 1)[1]], stdout=subprocess.PIPE, text=True)
box.stdout.readline()
tree = Running({"producers": [{"topic": f"many-{i}"} for i in range(MANY - 1)] + [{"topic": HOSTILE}],
                "consumers": [{"topic": "many-0", "subscription": "s", "command": "cat"}]},
               "--connect-timeout", "60s", env={"STARGATE_MONITOR_TOKEN": "let me see"}, monitor="0.0.0.0:0")
tree.at = tree.at.replace("0.0.0.0", "127.0.0.1")
check("without the token, nothing is shown", tree.ask("/metrics")[0] == 401 and tree.ask("/tree.json")[0] == 401 and tree.ask("/events")[0] == 401
      and tree.ask("/metrics", Authorization="Bearer let me sea")[0] == 401)
check("… but the probes answer", tree.ask("/healthz")[0] == 200 and tree.ask("/readyz")[0] == 200)
check("with it, it is", tree.ask("/metrics", Authorization="Bearer let me see")[0] == 200)
check("what is not allowed is refused", tree.ask("/remove", "POST", b"x", X_Stargate_Intent="remove", Authorization="Bearer let me see")[0] == 403)
browser.open(tree.at)
check("the page asks for the token", browser.until("document.getElementById('login')?.open") is not None)
browser.run("document.getElementById('token').value = 'let me see'; document.querySelector('#login button').click()")
opened = browser.until(f"parseInt(document.getElementById('count').textContent) >= {3 * MANY} && document.querySelectorAll('.row').length > 5")
check(f"a tree of {MANY} topics is shown", opened is not None, browser.run("document.getElementById('count').textContent"))
print(f"a tree of {MANY} topics was shown {opened or 0:.2f} s after the token was given")
browser.run("document.getElementById('filter').value = 'onerror'; document.getElementById('filter').dispatchEvent(new Event('input'))")
check("a hostile name is shown", browser.until("document.getElementById('rows').textContent.includes('<img src=x')") is not None)
browser.run("[...document.querySelectorAll('.row .name')].at(-1).click()")
check("… and its details", browser.until("document.getElementById('details').textContent.includes('<img src=x')") is not None)
check("… and is not run", browser.run("document.title !== 'owned' && document.querySelectorAll('img').length === 0"))
browser.close()
check("its token is in no log", tree.stop()[0] == 0 and "let me see" not in "".join(tree.lines))

# -- where it listens, and what systemd is told -----------------------------------------------------------------------------

told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind(str(scratch / "notify"))
told.settimeout(10)
tree = Running({"consumers": [{"topic": "out", "subscription": "s", "command": "cat"}]}, monitor="localhost:0",
               env={"NOTIFY_SOCKET": str(scratch / "notify"), "WATCHDOG_USEC": "400000"})
tree.at = tree.at.replace("localhost", "127.0.0.1")
check("it listens on localhost by its name", tree.ask("/healthz")[0] == 200, tree.at)
check("systemd is told that it is ready", told.recv(1000).startswith(b"READY=1\n"))
check("… that it is alive", told.recv(1000) == b"WATCHDOG=1")
check("it ends", tree.stop()[0] == 0)
rest = b""
while not rest.startswith(b"STOPPING=1"):
    rest = told.recv(1000)
check("… which systemd is told", rest == b"STOPPING=1")
told.close()

# -- wrong uses -----------------------------------------------------------------------------------------------------------

for flags, text in ((["--monitor", "0.0.0.0:0"], "monitor.address"), (["--monitor", "none"], "--monitor"), (["--monitor", "1.2.3.4.5:1"], "token"),
                    (["--monitor", "70000"], "--monitor")):
    ran = subprocess.run([COMMAND, "--url", url, *flags, "run", "--config", next(scratch.glob("tree-*.json"))], capture_output=True, text=True, timeout=60)
    check(f"{' '.join(flags)} is refused in words", ran.returncode == 2 and text in ran.stderr, (ran.returncode, ran.stderr[-300:]))
tree = Running({"consumers": [{"topic": "out", "subscription": "s", "command": "cat"}]}, "--log-format", "json", "-v")
ran = subprocess.run([COMMAND, "--url", url, "--monitor", tree.at.rsplit(":", 1)[1], "run", "--config", next(scratch.glob("tree-*.json"))],
                     capture_output=True, text=True, timeout=60)
check("a port that is taken is told", ran.returncode != 0 and "port" in ran.stderr and "taken" in ran.stderr, (ran.returncode, ran.stderr))
status, rest = tree.stop()
lines = [json.loads(line) for line in tree.lines + rest.splitlines()]
check("as JSON, each line of the log is an object with time, level, source and text",
      len(lines) > 3 and all(set(line) == {"time", "level", "source", "text"} for line in lines), lines[:2])
box.terminate()
box.wait(20)
finish()
