"""Measures us beside the floor and beside other clients, on one broker, in turn.   bench.py BUILD [--runs N] [--quick]

Each round runs every contestant of a row once, one after the other, so that what drifts drifts for all; medians over the
rounds are printed as a table, and written as JSON and as a plot to BUILD/bench. Times are only ever compared within a
run: none passes or fails anything.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).parent
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
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


def ours(*words):
    return run(arguments.build / "stargate", "--url", URL, "--connect-timeout", "120", "perf", *words, "--format", "json")


def peer(name, topic, count, size=100):
    return run(sys.executable, HERE / "peers.py", name, PORT, BINARY_PORT, topic, count, size)


def producer(topic, query=""):
    return f"/ws/v2/producer/persistent/public/default/{topic}{query}"


# -- the rows: a name, and contestants with what each runs in round i

def rows():
    n = 50_000 // SCALE
    produce = f"bench-produce-{STAMP}"

    def sizes(size, count):
        topic = f"bench-{size}-{STAMP}"
        return {
            "floor": lambda i: floor("produce", producer(topic), count, size, 300),
            "ours": lambda i: ours("produce", topic, "-m", count, "-s", size, "-o", 300),
        }

    yield "produce, 100 bytes", {
        "floor": lambda i: floor("produce", producer(produce), n),
        "ours": lambda i: ours("produce", produce, "-m", n, "-s", 100),
        "pulsar-client": lambda i: peer("pulsar-client", produce, n),
        "websockets": lambda i: peer("websockets", produce, n),
        "websocket-client": lambda i: peer("websocket-client", produce, n // 5),
    }
    yield "produce, batching", {
        "floor": lambda i: floor("produce", producer(produce, "?batchingEnabled=true"), n),
        "ours": lambda i: ours("produce", produce, "-m", n, "-s", 100, "--batching"),
    }
    yield "produce, 100,000 at once against 1,000", {
        "ours, 1,000": lambda i: ours("produce", produce, "-m", 2 * n, "-s", 100, "-o", 1000),
        "ours": lambda i: ours("produce", produce, "-m", 2 * n, "-s", 100, "-o", 100_000),
    }
    yield "produce, 10 bytes", sizes(10, n)
    yield "produce, 1 KB", sizes(1_000, n // 2)
    yield "produce, 100 KB", sizes(100_000, n // 50)
    yield "produce, blocking", {
        "floor": lambda i: floor("pingpong", producer(produce), n // 50),
        "ours": lambda i: ours("produce", produce, "-m", n // 50, "-s", 100, "--blocking"),
    }
    source = f"bench-source-{STAMP}"
    ours("produce", source, "-m", n, "-s", 100, "--batching")
    yield "consume and acknowledge", {
        "floor": lambda i: floor("consume", f"/ws/v2/consumer/persistent/public/default/{source}/f{i}"
                                            "?subscriptionInitialPosition=Earliest", n),
        "ours": lambda i: ours("consume", source, "-m", n, "-s", f"o{i}", "--position", "earliest"),
        "ours, 4 processors": lambda i: ours("consume", source, "-m", n, "-s", f"p{i}", "--position", "earliest",
                                             "--processors", 4),
        "pulsar-client": lambda i: peer("pulsar-client-consume", f"{source}:c{i}", n),
    }
    yield "read", {
        "floor": lambda i: floor("read", f"/ws/v2/reader/persistent/public/default/{source}?messageId=earliest", n),
        "ours": lambda i: ours("read", source, "-m", n, "--from", "earliest"),
    }
    for count in (1, 10, 100, 1000):
        yield f"produce to {count} topics", {
            "ours": lambda i, c=count: ours("produce", f"bench-{c}-topics-{STAMP}", "-m", n, "-s", 100, "-n", c,
                                            "--warm-up", c)}


def plot(results, file):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    compared = {row: who for row, who in results.items() if "floor" in who}
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 5))
    for axis, key, title in ((left, "processorMicros", "processor time a message, us"), (right, "rate", "messages a second")):
        for offset, name, colour in ((-0.2, "floor", "#999999"), (0.2, "ours", "#1f77b4")):
            axis.barh([i + offset for i in range(len(compared))], [w[name][key] for w in compared.values()], 0.38,
                      label=name, color=colour)
        axis.set_yticks(range(len(compared)), compared)
        axis.set_title(title)
        axis.set_xscale("log")
        axis.legend()
    right.set_yticklabels([])
    figure.tight_layout()
    figure.savefig(file, format="svg", metadata={"Date": None})


def main():
    results = {}
    for row, contestants in rows():
        runs = {name: [] for name in contestants}
        for i in range(arguments.runs):
            for name, contestant in contestants.items():
                runs[name].append(contestant(i))
            print(f"\rbench: {row}, round {i + 1} of {arguments.runs}   ", end="", file=sys.stderr, flush=True)
        results[row] = {name: {key: statistics.median(r[key] for r in list_) for key in list_[0]
                               if isinstance(list_[0][key], (int, float))} for name, list_ in runs.items()}
    print("", file=sys.stderr)
    print("| | contestant | messages/s | against the floor | processor time, us | against the floor | median latency, us |")
    print("|---|---|---|---|---|---|---|")
    for row, contestants in results.items():
        base = contestants.get("floor") or contestants.get("ours, 1,000")
        for name, r in contestants.items():
            rate = f"{r['rate'] / base['rate']:.2f}" if base and r is not base else ""
            used = f"{r['processorMicros'] / base['processorMicros']:.2f}" if base and r is not base else ""
            median = f"{r['medianMicros']:.0f}" if r.get("medianMicros") and row.startswith("produce") else ""
            print(f"| {row} | {name} | {r['rate']:,.0f} | {rate} | {r['processorMicros']:.1f} | {used} | {median} |")
    out = arguments.build / "bench"
    out.mkdir(exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    plot(results, out / "plot.svg")
    print(f"\nas JSON: {out / 'results.json'}; as a plot: {out / 'plot.svg'}")


main()
