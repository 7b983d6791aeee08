"""Measures us beside the limit, the floor and other clients, on one broker, in turn, and how we grow.   bench.py --help

The limit is a bare socket that does the work and nothing else; the floor a plain client on libwebsockets. Each round runs every contestant of a row once, one after the other, so that what drifts drifts for all; medians over the
rounds are printed as a table. Then come the costs against size: pipelines in one process, a restart of the broker under
them, the registry and the supervisor by themselves. All of it is written as JSON and as plots to BUILD/bench. Times are
only ever compared within a run: none passes or fails anything.
"""
import argparse
import contextlib
import itertools
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--quick", action="store_true", help="a tenth of the messages and of the pipelines")
parser.add_argument("--only", choices=("comparison", "latency", "scale", "idle"), help="one of the parts")
arguments = parser.parse_args()
URL = os.environ["STARGATE_URL"]
PORT = str(urllib.parse.urlsplit(URL).port)
BINARY_PORT = str(int(PORT) - 1430)
SCALE = 10 if arguments.quick else 1
STAMP = f"{os.getpid()}-{int(time.time())}"


def run(*command):
    ran = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {ran.returncode}: {ran.stderr[-500:]}")
    return json.loads(ran.stdout.splitlines()[-1])


def floor(mode, path, count, size=100, outstanding=1000):
    return run(arguments.build / "stargate-floor", mode, PORT, path, count, size, outstanding)


def limit(mode, path, count, size=100, outstanding=1000, port=PORT, sockets=1):
    return run(arguments.build / "stargate-limit", mode, port, path, count, size, outstanding, sockets)


def ours(*words, url=URL, tree=()):
    return run(arguments.build / "stargate", "--url", url, "--connect-timeout", "120s", *tree, "perf", *words, "--format", "json")


def peer(name, topic, count, size=100):
    return run(sys.executable, HERE / "peers.py", name, PORT, BINARY_PORT, topic, count, size)


RIVALS = arguments.build / "bench-rivals"  # what scripts/bench could build of them


def rivals(mode, path, topic, count, size, outstanding=1000):
    """Clients of others, in their own languages; each where there is a compiler for it."""
    found = {}
    if (RIVALS / "rust").exists():
        found["tokio-tungstenite"] = lambda i: run(RIVALS / "rust", mode, PORT, path(i), count, size, outstanding)
    if (RIVALS / "rust-native").exists():
        found["pulsar-rs"] = lambda i: run(RIVALS / "rust-native", mode, BINARY_PORT, topic, count, size, outstanding, f"n{i}")
    if (RIVALS / "go").exists():
        found["gorilla"] = lambda i: run(RIVALS / "go", f"gorilla-{mode}", PORT, path(i), count, size, outstanding)
        found["pulsar-client-go"] = lambda i: run(RIVALS / "go", f"native-{mode}", BINARY_PORT, topic, count, size, outstanding, f"g{i}")
    if (RIVALS / "node").exists():
        found["Node's ws"] = lambda i: run("node", HERE / "rivals/node/client.mjs", mode, PORT, path(i), count, size, outstanding)
    return found


def consumed(command, subscription, produce):
    """What a consumer prints that gets what is produced meanwhile. It ends with this, whatever happens."""
    there = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    try:
        produce()
        result = json.loads(there.communicate(timeout=300)[0].splitlines()[-1])
    finally:
        there.kill()
        there.wait()
    # What nobody reads would otherwise be kept for it, and be the next one's burden.
    urllib.request.urlopen(urllib.request.Request(
        f"http://127.0.0.1:{PORT}/admin/v2/namespaces/public/default/unsubscribe/{subscription}", method="POST"), timeout=120).close()
    return result


def producer(topic, query=""):
    return f"/ws/v2/producer/persistent/public/default/{topic}{query}"


def subscribed(topic, subscription):
    return f"/ws/v2/consumer/persistent/public/default/{topic}/{subscription}?subscriptionInitialPosition=Earliest"


# -- the rows: a name, and contestants with what each runs in round i

def rows():
    n = 50_000 // SCALE
    ours("produce", f"bench-warm-{STAMP}", "-m", n, "-s", 100)  # the broker is slower before its code is compiled
    produce = f"bench-produce-{STAMP}"

    def sizes(size, count):
        topic = f"bench-{size}-{STAMP}"
        return {
            "limit": lambda i: limit("produce", producer(topic), count, size, 300),
            "limit, kept": lambda i: limit("kept", producer(topic), count, size, 300),
            "floor": lambda i: floor("produce", producer(topic), count, size, 300),
            "ours": lambda i: ours("produce", topic, "-m", count, "-s", size, "-o", 300),
            "ours, own payloads": lambda i: ours("produce", topic, "-m", count, "-s", size, "-o", 300, "--own-payloads"),
        } | ({"pulsar-client": lambda i: peer("pulsar-client", topic, count, size)}
             | rivals("produce", lambda i: producer(topic), topic, count, size, 300) if size > 10_000 else {})

    yield "produce, 100 bytes", {
        "limit": lambda i: limit("produce", producer(produce), n),
        "floor": lambda i: floor("produce", producer(produce), n),
        "ours": lambda i: ours("produce", produce, "-m", n, "-s", 100),
        "pulsar-client": lambda i: peer("pulsar-client", produce, n),
        "websockets": lambda i: peer("websockets", produce, n),
        "websocket-client": lambda i: peer("websocket-client", produce, n // 5),
    } | rivals("produce", lambda i: producer(produce), produce, n, 100)
    yield "produce, batching", {
        "limit": lambda i: limit("produce", producer(produce, "?batchingEnabled=true"), n),
        "floor": lambda i: floor("produce", producer(produce, "?batchingEnabled=true"), n),
        "ours": lambda i: ours("produce", produce, "-m", n, "-s", 100, "--batching"),
    }
    yield "produce, 300 outstanding", {
        "limit": lambda i: limit("produce", producer(produce), n, 100, 300),
        "floor": lambda i: floor("produce", producer(produce), n, 100, 300),
        "ours": lambda i: ours("produce", produce, "-m", n, "-s", 100, "-o", 300),
    }
    yield "produce, batching, 300 outstanding", {
        "limit": lambda i: limit("produce", producer(produce, "?batchingEnabled=true"), n, 100, 300),
        "floor": lambda i: floor("produce", producer(produce, "?batchingEnabled=true"), n, 100, 300),
        "ours": lambda i: ours("produce", produce, "-m", n, "-s", 100, "-o", 300, "--batching"),
    }
    yield "produce, 100,000 at once against 1,000", {
        "ours, 1,000": lambda i: ours("produce", produce, "-m", 2 * n, "-s", 100, "-o", 1000),
        "ours": lambda i: ours("produce", produce, "-m", 2 * n, "-s", 100, "-o", 100_000),
    }
    yield "produce, 10 bytes", sizes(10, n)
    yield "produce, 1 KB", sizes(1_000, n // 2)
    yield "produce, 100 KB", sizes(100_000, n // 25)
    yield "produce, blocking", {
        # 2,500 calls: what a process does once, at its beginning, was a sixth of what 1,000 cost ours
        "limit": lambda i: limit("pingpong", producer(produce), n // 20),
        "floor": lambda i: floor("pingpong", producer(produce), n // 20),
        "ours": lambda i: ours("produce", produce, "-m", n // 20, "-s", 100, "--blocking"),
    }

    def stored(size, count):
        topic = f"bench-source-{size}-{STAMP}"
        ours("produce", topic, "-m", count, "-s", size, "-o", 300, *(("--batching",) if size < 10_000 else ()))
        return topic

    def consuming(topic, count):
        return {
            "limit": lambda i: limit("consume", subscribed(topic, f"l{i}"), count),
            "floor": lambda i: floor("consume", subscribed(topic, f"f{i}"), count),
            "ours": lambda i: ours("consume", topic, "-m", count, "-s", f"o{i}", "--position", "earliest"),
        }

    source = stored(100, n)
    yield "consume and acknowledge, 100 bytes", consuming(source, n) | {
        "ours, 4 processors": lambda i: ours("consume", source, "-m", n, "-s", f"p{i}", "--position", "earliest",
                                             "--processors", 4),
        "pulsar-client": lambda i: peer("pulsar-client-consume", f"{source}:c{i}", n),
    } | rivals("consume", lambda i: subscribed(source, f"r{i}{time.monotonic_ns()}"), source, n, 100)
    for name, size, count in (("10 bytes", 10, n), ("1 KB", 1_000, n // 2), ("100 KB", 100_000, n // 25)):
        topic = stored(size, count)
        yield f"consume and acknowledge, {name}", consuming(topic, count) | (
            {"pulsar-client": lambda i, t=topic: peer("pulsar-client-consume", f"{t}:c{i}", count, size)}
            | rivals("consume", lambda i, t=topic: subscribed(t, f"r{i}{time.monotonic_ns()}"), topic, count, size) if size > 10_000 else {})
    yield "read", {
        "limit": lambda i: limit("read", f"/ws/v2/reader/persistent/public/default/{source}?messageId=earliest", n),
        "floor": lambda i: floor("read", f"/ws/v2/reader/persistent/public/default/{source}?messageId=earliest", n),
        "ours": lambda i: ours("read", source, "-m", n, "--from", "earliest"),
    }


# -- a broker that costs little

def box_rows(port):
    """`stargate standalone`, which keeps what it stores in memory: what the clients themselves can do."""
    n = 200_000 // SCALE
    url, topic, path = f"ws://127.0.0.1:{port}", f"bench-{STAMP}", producer(f"bench-{STAMP}")
    tungstenite = RIVALS / "rust"
    yield "produce to the box, 100 bytes", {
        "limit": lambda i: limit("produce", path, n, port=port),
        "ours": lambda i: ours("produce", topic, "-m", n, "-s", 100, url=url),
    } | ({"tokio-tungstenite": lambda i: run(tungstenite, "produce", port, path, n, 100, 1000)} if tungstenite.exists() else {})
    yield "produce to the box, blocking", {
        "limit": lambda i: limit("pingpong", path, n // 20, port=port),
        "ours": lambda i: ours("produce", topic, "-m", n // 20, "-s", 100, "--blocking", url=url),
    }
    source = f"bench-source-{STAMP}"
    ours("produce", source, "-m", n, "-s", 100, url=url)
    yield "consume from the box, 100 bytes", {
        "limit": lambda i: limit("consume", subscribed(source, f"l{i}"), n, port=port),
        "ours": lambda i: ours("consume", source, "-m", n, "-s", f"o{i}", "--position", "earliest", url=url),
    } | ({"tokio-tungstenite": lambda i: run(tungstenite, "consume", port, subscribed(source, f"t{i}"), n, 100, 1000)}
         if tungstenite.exists() else {})


@contextlib.contextmanager
def box():
    process = subprocess.Popen([arguments.build / "stargate", "standalone", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().rsplit(":", 1)[1].strip()
    finally:
        process.terminate()
        process.wait(timeout=30)


# -- how long a receipt takes, when there is time

def latencies(box_port):
    """At a rate that keeps nobody busy: from when a message was due to its receipt, and from the broker's stamp, in whole
    milliseconds, until a handler has it; ours also without what gathering adds to that, which is less than a broker's 99th
    percentile swings, so at the box, too."""
    topic, seen = f"bench-latency-{STAMP}", {}
    at_once = ("--gather-time", "0")

    def handled(*command):
        def measure(rate, n, i):
            subscription = f"h{rate}-{i}-{time.monotonic_ns()}"
            subprocess.run([arguments.build / "stargate", "--url", URL, "admin", "subscriptions", "create", topic, "-s", subscription],
                           check=True, capture_output=True, timeout=60)  # so that no message is missed
            return consumed([str(word).replace("SUBSCRIPTION", subscription).replace("COUNT", str(n)) for word in command], subscription,
                            lambda: ours("produce", topic, "-m", n, "-s", 100, "-r", rate))
        return measure

    perf = ("perf", "consume", topic, "-m", "COUNT", "-s", "SUBSCRIPTION", "--format", "json")
    contestants = {
        "limit": lambda rate, n, i: limit("paced", producer(topic), n, 100, rate),
        "ours": lambda rate, n, i: ours("produce", topic, "-m", n, "-s", 100, "-r", rate),
        "ours, not gathering": lambda rate, n, i: ours("produce", topic, "-m", n, "-s", 100, "-r", rate, tree=at_once),
        "limit, to a handler": handled(arguments.build / "stargate-limit", "receive", PORT, subscribed(topic, "SUBSCRIPTION"), "COUNT",
                                       100, 1000),
        "ours, to a handler": handled(arguments.build / "stargate", "--url", URL, *perf),
        "ours, not gathering, to a handler": handled(arguments.build / "stargate", "--url", URL, *at_once, *perf),
    }
    at_box = f"ws://127.0.0.1:{box_port}"
    contestants |= {
        "limit, at the box": lambda rate, n, i: limit("paced", producer(topic), n, 100, rate, port=box_port),
        "ours, at the box": lambda rate, n, i: ours("produce", topic, "-m", n, "-s", 100, "-r", rate, url=at_box),
        "ours, not gathering, at the box": lambda rate, n, i: ours("produce", topic, "-m", n, "-s", 100, "-r", rate, url=at_box,
                                                                   tree=at_once),
    }
    for rate in (2_000, 20_000):
        n = 3 * rate // SCALE
        for i in range(arguments.runs + 1):
            print(f"\rbench: {rate:,} a second, round {i} of {arguments.runs}      ", end="", file=sys.stderr, flush=True)
            for name, measure in contestants.items():
                measured = measure(rate, n, i)
                if i > 0:  # the broker is slower before its code is compiled
                    seen.setdefault((rate, name), []).append(measured)
    print("", file=sys.stderr)
    print("| messages a second | contestant | p50, us | p99, us | p99.9, us | processor time, us |")
    print("|---|---|---|---|---|---|")
    result = {}
    for (rate, name), runs in seen.items():
        keys = ("medianMicros", "p99Micros", "p999Micros", "processorMicros")
        medians = result[f"{rate} {name}"] = {key: statistics.median(r[key] for r in runs) for key in keys}
        print(f"| {rate:,} | {name} | " + " | ".join(f"{medians[key]:,.0f}" for key in keys) + " |")
    print()
    return result


# -- how the cost grows

SIZES = (1, 10, 100) if arguments.quick else (1, 10, 100, 1000)
TOPICS = SIZES if arguments.quick else (*SIZES, 5000)  # over so many, what a message costs
FEW = 3  # rounds of what takes minutes each


PRODUCED, PRODUCED_LIMIT = "produce, us of processor over so many topics", "the limit's, over so many sockets"
CONSUMED, CONSUMED_LIMIT = "consume as produced, us of processor over so many topics", "the limit's, consumed over so many sockets"
ON_SCHEDULER = "the same, handlers on the scheduler"
MEASURED = (PRODUCED, PRODUCED_LIMIT, CONSUMED, ON_SCHEDULER, CONSUMED_LIMIT)  # as they are printed


def broker(*words):
    subprocess.run([HERE.parent.parent / "scripts" / "broker", *words, "--port", PORT], check=True, capture_output=True,
                   timeout=300)


def what_they_took(process):
    """The first line of a stargate-scale, which says on its standard error why there is none."""
    line = process.stdout.readline()
    if not line:
        sys.exit(f"{' '.join(map(str, process.args))} ended with {process.wait(timeout=120)}")
    return json.loads(line)


def pipelines(count, *words, restart=False):
    """Starts so many producers and consumers; restarts the broker under them if that is wanted."""
    process = subprocess.Popen([arguments.build / "stargate-scale", PORT, str(count), f"scale-{count}-{STAMP}", *words],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    result = what_they_took(process)
    if restart:
        broker("stop")
        again = ""
        try:
            broker("start")
            process.stdin.write("it is back\n")
            process.stdin.flush()
            again = process.stdout.readline()
        except subprocess.SubprocessError as e:
            print(f"bench: the broker did not start again: {e}", file=sys.stderr)
        if not again:
            process.kill()
            process.wait()
            print(f"bench: {count} pipelines did not come back after the broker's restart, for the reason above; "
                  "its log says whether it took any client at all", file=sys.stderr)
            return None
        result |= json.loads(again)
    process.stdin.close()
    if process.wait(timeout=120) != 0:
        sys.exit(f"stargate-scale {count} ended with {process.returncode}")
    return result


def spent(process):
    """Milliseconds of processor, and context switches, since it began."""
    here = pathlib.Path("/proc") / str(process.pid)
    used = sum(map(int, (here / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]))
    switches = sum(int(line.split()[1]) for status in here.glob("task/*/status")
                   for line in status.read_text(encoding="ascii").splitlines() if "ctxt_switches" in line)
    return used * 1000 / os.sysconf("SC_CLK_TCK"), switches


def idle():
    """What many pipelines take, and cost while nothing comes, at a box that has nothing else."""
    count, watched = 5_000 // SCALE, 10
    result = {}
    print(f"| {count:,} pipelines that do nothing, at the box | memory of each, KiB | start, s | until connected, s | processor, ms a second "
          "| context switches a second |\n|---|---|---|---|---|---|")
    for name, words in (("handlers share threads", ()), ("handlers on the scheduler", ("--scheduler",))):
        runs = []
        for i in range(min(FEW, arguments.runs)):
            print(f"\rbench: {count} idle pipelines, {name}, round {i + 1}     ", end="", file=sys.stderr, flush=True)
            with box() as port, subprocess.Popen([arguments.build / "stargate-scale", port, str(count), f"idle-{i}", *words],
                                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
                first = what_they_took(process)
                time.sleep(watched)  # what connecting left behind
                before = spent(process)
                time.sleep(watched)
                after = spent(process)
                process.stdin.close()
                if process.wait(timeout=120) != 0:
                    sys.exit(f"stargate-scale {count} {' '.join(words)} ended with {process.returncode}")
            runs.append([first["connectedKiB"], first["standSeconds"], first["connectSeconds"],
                         *((b - a) / watched for a, b in zip(before, after))])
        kib, stand, connect, used, switches = result[name] = [statistics.median(values) for values in zip(*runs)]
        print(f"| {name} | {kib:.1f} | {stand:.1f} | {connect:.1f} | {used:.0f} | {switches:,.0f} |")
    print("", flush=True)
    return result


def by_themselves():
    """What needs no broker, from the micro-benchmarks: name, then size, then microseconds."""
    names = "registry_look_up|restart_decision|restart_of_a_child"
    ran = subprocess.run([arguments.build / "stargate-micro", f"--benchmark_filter={names}", "--benchmark_format=json"],
                         capture_output=True, text=True, check=True)
    result = {}
    for one in json.loads(ran.stdout)["benchmarks"]:
        name, size = one["name"].split("/")[:2]
        result.setdefault(name, {})[int(size)] = one["real_time"] / 1000
    return result


def cores():
    """What more processors and more event loops change, with 100 topics at the box, which has a processor of its own."""
    n, topics = 400_000 // SCALE, 100
    seen = {}
    with box() as port:
        here = os.sched_getaffinity(0)
        shapes = [(c, l) for c in (1, 2, 4, 8) for l in (1, 2, 4) if c <= len(here) and l <= c]
        for i in range(arguments.runs):
            for count, loops in shapes:
                print(f"\rbench: {count} processors, {loops} event loops, round {i + 1} of {arguments.runs}    ", end="", file=sys.stderr, flush=True)
                common = ("-m", n, "-n", topics, "--event-loops", loops, "--warm-up", 10 * topics)
                topic = f"bench-cores-{STAMP}-{i}-{count}-{loops}"
                os.sched_setaffinity(0, sorted(here)[:count])  # what is started from here has these
                try:
                    produced = ours("produce", topic, "-s", 100, *common, url=f"ws://127.0.0.1:{port}")
                    consumed = ours("consume", topic, "-s", "s", "--position", "earliest", *common, url=f"ws://127.0.0.1:{port}")
                finally:
                    os.sched_setaffinity(0, here)
                seen.setdefault((count, loops), []).append((produced, consumed))
    print("", file=sys.stderr)
    print("| processors | event loops | produced/s | processor time, us | consumed/s | processor time, us |\n|---|---|---|---|---|---|")
    result = {}
    for (count, loops), runs in seen.items():
        cells = [statistics.median(r[which][key] for r in runs) for which in (0, 1) for key in ("rate", "processorMicros")]
        result[f"{count} processors, {loops} event loops"] = cells
        print(f"| {count} | {loops} | {cells[0]:,.0f} | {cells[1]:.2f} | {cells[2]:,.0f} | {cells[3]:.2f} |")
    print()
    return result


def slope(points):
    """Of a line through the logarithms: 0 is a cost that does not grow, 1 one that grows as the size does."""
    logs = [(math.log(size), math.log(cost)) for size, cost in points.items()]
    mean_x, mean_y = (sum(v) / len(logs) for v in zip(*logs))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def consumed_as_produced(topic, subscription, n, count, command):
    """Consumers that are connected before the first message comes: what a message costs them, and not their start."""
    listing = (arguments.build / "stargate", "--url", URL, "admin", "subscriptions", "list")

    def produce():
        # Each has its subscription. The limit connects one after the other, and reads nothing before the last one is there.
        for which in sorted({*range(0, count, max(1, count // 10)), count - 1}):
            name = topic if count == 1 else f"{topic}-{which}"
            while subscription.encode() not in subprocess.run([*listing, name], capture_output=True, timeout=60).stdout.split():
                time.sleep(0.05)
        ours("produce", topic, "-s", 100, "-m", n, "-n", count)

    return consumed(command, subscription, produce)


def over_topics(topic, count, n, i):
    """What a message costs over so many topics: ours, and the limit with as many sockets, on the same topics, in another order
    each time.

    All of them write a hundred messages to a topic and go on to the next. So many warm up that each topic has had some."""
    n = max(n, 50 * count)
    warm = max(n // 2, 100 * count)
    path = f"{topic}-{{}}" if count > 1 else topic

    def consuming(who, *words):
        command = (arguments.build / "stargate", "--url", URL, "--connect-timeout", "120s", "perf", "consume", topic, "-s",
                   f"{who}{i}", "-m", n, "-n", count, "--warm-up", warm, "--format", "json", *words)
        if who == "limit":
            command = (arguments.build / "stargate-limit", "consume", PORT,
                       f"/ws/v2/consumer/persistent/public/default/{path}/limit{i}", n + warm, 100, 1000, count)
        return consumed_as_produced(topic, f"{who}{i}", n + warm, count, command)

    measures = [
        (PRODUCED, lambda: ours("produce", topic, "-s", 100, "-m", n, "-n", count, "--warm-up", warm)),
        (PRODUCED_LIMIT, lambda: limit("produce", producer(path), n + warm, sockets=count)),
        (CONSUMED, lambda: consuming("own")),
        (ON_SCHEDULER, lambda: consuming("scheduler", "--run-on", "scheduler")),
        (CONSUMED_LIMIT, lambda: consuming("limit")),
    ]
    return {name: measure() for name, measure in (measures[i % len(measures):] + measures[:i % len(measures)])}


def scale():
    n = 50_000 // SCALE
    seen = {}
    for count in SIZES:
        print(f"\rbench: {count} pipelines                ", end="", file=sys.stderr, flush=True)
        seen[count] = pipelines(count)
    on_scheduler = pipelines(SIZES[-1], "--scheduler")
    many = {name: {count: [] for count in TOPICS} for name in MEASURED}  # over so many topics, in each round
    for i in range(arguments.runs + 1):
        for count in TOPICS:
            if count > SIZES[-1] and i > FEW:
                continue
            print(f"\rbench: {count} topics, round {i} of {arguments.runs}    ", end="", file=sys.stderr, flush=True)
            for name, measured in over_topics(f"bench-{count}-topics-{STAMP}", count, n, i).items():
                if i > 0:  # the broker is slower before its code is compiled, and has its topics in memory
                    many[name][count].append(measured["processorMicros"])
    print("\rbench: without a broker              ", file=sys.stderr, flush=True)
    alone = by_themselves()
    grown = {
        "memory of a pipeline, KiB": {c: r["connectedKiB"] for c, r in seen.items()},
        "start of a pipeline until it stands, us": {c: r["standSeconds"] * 1e6 / c for c, r in seen.items()},
        "start of a pipeline until it is connected, us": {c: r["connectSeconds"] * 1e6 / c for c, r in seen.items()},
        **{name: {c: statistics.median(l) for c, l in costs.items()} for name, costs in many.items()},
        "look-up in the registry, us": alone["registry_look_up"],
        "decision about a restart, us": alone["restart_decision"],
        "restart of a child, us": alone["restart_of_a_child"],
    }
    sizes = sorted({size for points in grown.values() for size in points})
    print("| cost against size | " + " | ".join(f"{size:,}" for size in sizes) + " | slope |")
    print("|---" * (len(sizes) + 2) + "|")
    for name, points in grown.items():
        cells = [f"{points[size]:,.3g}" if points.get(size, 1e9) < 1000 else f"{points[size]:,.0f}" if size in points else ""
                 for size in sizes]
        print(f"| {name} | " + " | ".join(cells) + f" | {slope(points):+.2f} |")
    print("\n| over so many topics | " + " | ".join(f"{size:,}" for size in TOPICS) + " |")
    print("|---" * (len(TOPICS) + 1) + "|")
    for what, name, base in (("produce", PRODUCED, PRODUCED_LIMIT), ("consume as produced", CONSUMED, CONSUMED_LIMIT)):
        points, limits = grown[name], grown[base]
        print(f"| {what}, of one topic | " + " | ".join(f"{points[size] / points[1]:.2f}" for size in TOPICS) + " |")
        print("| … of the limit | " + " | ".join(f"{points[size] / limits[size]:.2f}" for size in TOPICS) + " |")
    print(f"\nWith handlers on the scheduler's threads: {on_scheduler['connectedKiB']:.0f} KiB a pipeline. "
          f"Over {TOPICS[-1]:,} topics: {min(FEW, arguments.runs)} rounds.\n")
    print("\rbench: a restart of the broker         ", file=sys.stderr, flush=True)
    after = pipelines(SIZES[-1], restart=True)
    result = {"grown": grown, "broker restart": after, "handlers on the scheduler": on_scheduler}
    if after is None:
        return result
    print(f"\nA restart of the broker under {SIZES[-1]:,} producers and {SIZES[-1]:,} consumers: half are connected again "
          f"{after['medianSeconds']:.1f} s after the first, all after {after['allSeconds']:.1f} s, at most "
          f"{after['mostIn100ms']} of them within 100 ms; {after['attemptsFailed']:,} attempts had failed meanwhile, "
          f"{after['restarts']} actors were restarted.\n")
    return result


# -- plots

def pyplot():
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "stargate", "svg.fonttype": "none"})
    from matplotlib import pyplot as plots
    return plots


COLOURS = {"limit": "#bbbbbb", "floor": "#777777", "ours": "#1f77b4", "tokio-tungstenite": "#d62728", "gorilla": "#17becf",
           "Node's ws": "#bcbd22", "websockets": "#2ca02c", "websocket-client": "#9467bd", "pulsar-client": "#ff7f0e",
           "pulsar-client-go": "#8c564b", "pulsar-rs": "#e377c2"}


def plot_comparison(results, file):
    """Processor time as a ratio to the limit's, linear from zero; what is off the picture says by how much."""
    plots = pyplot()
    compared = {row: who for row, who in results.items() if "limit" in who}
    figure, axis = plots.subplots(figsize=(11, 0.9 * len(compared) + 1))
    most, labelled = 12, set()
    for i, who in enumerate(compared.values()):
        shown = [name for name in COLOURS if name in who]
        height = 0.84 / len(shown)
        for k, name in enumerate(shown):
            ratio = who[name]["processorMicros"] / who["limit"]["processorMicros"]
            axis.barh(i + (k - (len(shown) - 1) / 2) * height, min(ratio, most), height, color=COLOURS[name],
                      label=None if name in labelled else name)
            axis.text(min(ratio, most) + 0.05, i + (k - (len(shown) - 1) / 2) * height, f"{ratio:.1f}", va="center", fontsize=6)
            labelled.add(name)
    axis.set_yticks(range(len(compared)), compared)
    axis.set_xlim(0, most)
    axis.set_ylim(len(compared) - 0.4, -0.6)
    axis.set_title("processor time a message, as a ratio to the limit's")
    axis.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(file, format="svg", metadata={"Date": None})


def plot_scale(grown, file):
    plots = pyplot()
    figure, axes = plots.subplots(2, -(-len(grown) // 2), figsize=(2 * len(grown) + 2, 7))
    for axis, (name, points) in zip(axes.flat, grown.items()):
        axis.plot(list(points), list(points.values()), "o-", color="#1f77b4")
        axis.set_xscale("log")
        axis.set_yscale("log")
        middle = math.sqrt(min(points.values()) * max(points.values()))
        axis.set_ylim(min(middle / 10, min(points.values()) / 2), max(middle * 10, max(points.values()) * 2))
        axis.set_title(f"{name}\nslope {slope(points):+.2f}", fontsize=9)
    figure.tight_layout()
    figure.savefig(file, format="svg", metadata={"Date": None})


def compare(boxed):
    results = {}
    for row, contestants in itertools.chain(rows(), boxed):
        runs = {name: [] for name in contestants}
        for i in range(arguments.runs):
            for name, contestant in contestants.items():
                runs[name].append(contestant(i))
            print(f"\rbench: {row}, round {i + 1} of {arguments.runs}   ", end="", file=sys.stderr, flush=True)
        results[row] = {name: {key: statistics.median(r[key] for r in list_) for key in list_[0]
                               if isinstance(list_[0][key], (int, float))} for name, list_ in runs.items()}
    print("", file=sys.stderr)
    print("| | contestant | messages/s | against the limit | processor time, us | against the limit | median latency, us |")
    print("|---|---|---|---|---|---|---|")
    for row, contestants in results.items():
        base = contestants.get("limit") or contestants.get("ours, 1,000")
        for name, r in contestants.items():
            rate = f"{r['rate'] / base['rate']:.2f}" if base and r is not base else ""
            used = f"{r['processorMicros'] / base['processorMicros']:.2f}" if base and r is not base else ""
            median = f"{r['medianMicros']:.0f}" if r.get("medianMicros") and row.startswith("produce") else ""
            print(f"| {row} | {name} | {r['rate']:,.0f} | {rate} | {r['processorMicros']:.1f} | {used} | {median} |")
    print()
    return results


def main():
    # So that each of thousands of connections has its descriptor, here and in what is started from here.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    out = arguments.build / "bench"
    out.mkdir(exist_ok=True)
    results = {}
    try:
        if arguments.only in (None, "comparison"):
            with box() as port:
                results["comparison"] = compare(box_rows(port))
            plot_comparison(results["comparison"], out / "comparison.svg")
        if arguments.only in (None, "comparison", "latency"):
            with box() as port:
                results["latencies"] = latencies(port)
        if arguments.only in (None, "idle", "scale"):
            results["idle"] = idle()
        if arguments.only in (None, "scale"):
            results["cores"] = cores()
            results["scale"] = scale()
            plot_scale(results["scale"]["grown"], out / "scale.svg")
    finally:  # what was measured is kept, whatever comes after it
        (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"as JSON and as plots: {out}")
    if "scale" in results and results["scale"]["broker restart"] is None:
        sys.exit(1)


main()
