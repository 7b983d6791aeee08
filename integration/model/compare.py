#!/usr/bin/env python3
"""Plays random scenarios on a Pulsar and on the broker in a box, and compares what came of them.

compare.py BOX [--pulsar URL] [--seeds FIRST LAST] [--at-once N] [--quiet SECONDS] [--show SEED]

BOX is the command, whose `standalone` is started, or the URL of one that runs. A scenario whose transcripts differ is played again, alone and slowly;
if they differ still, it is made as small as it can be, and shown. Exit status: 0 they agree, 1 they do not, 2 wrong usage.
"""
import argparse
import asyncio
import difflib
import json
import os
import re
import subprocess
import sys
import time

from generate import generate
from player import Player, shown

SLOWLY = 3


def in_order(frames):
    """Of several topics by one connection, each has its order, and there is none between them."""
    def ledger(frame):
        found = re.search(r'"messageId": "ledger=(-?\d+)', frame)
        return int(found.group(1)) if found and '"payload"' in frame else -1
    return sorted(frames, key=ledger)


def comparable(transcript):
    several = {step["step"][1] for step in transcript if step["step"][0] in ("consume_many", "consume_pattern")}
    if any(step["step"][0] == "rest" and "/partitions" in step["step"][3:4] and step["step"][1] == "PUT" for step in transcript):
        several = None  # all of them
    for step in transcript:
        for name, frames in step.get("seen", {}).items():
            if several is None or name in several:
                step["seen"][name] = in_order(frames)
            if step["step"][0] == "wait_loosely":  # how often, depends on when
                step["seen"][name] = sorted({re.sub(r'"redeliveryCount": \d+', '"redeliveryCount": N', f) for f in frames})
        said = step.get("said", "")
        if said.startswith("200 [") and step["step"][0] == "rest":
            step["said"] = "200 " + json.dumps(sorted(json.loads(said[4:])))
    return transcript


class Comparison:
    def __init__(self, urls, quiet):
        self.urls, self.quiet, self.played = urls, quiet, 0

    async def play(self, url, scenario, number, quiet):
        player = Player(url, f"{os.getpid()}x{number}", quiet)
        try:
            return shown(comparable(await player.play(scenario)))
        finally:
            await player.tidy()

    async def difference(self, scenario, slowly=1):
        """Nothing where they agree; otherwise what to look at."""
        self.played += 1
        number = self.played  # topics' names are the same on both, and nobody else's
        pulsar, box = await asyncio.gather(*(self.play(url, scenario, number, self.quiet * slowly) for url in self.urls))
        if pulsar == box:
            return None
        return "\n".join(difflib.unified_diff(pulsar.splitlines(), box.splitlines(), "Pulsar", "the box", n=100, lineterm=""))

    async def shrink(self, scenario):
        """Leaves out steps as long as they differ."""
        what = await self.difference(scenario, SLOWLY)
        size = max(len(scenario) // 2, 1)
        while size >= 1 and what:
            at = 0
            while at < len(scenario) and len(scenario) > 1:
                smaller = scenario[:at] + scenario[at + size:]
                differs = await self.difference(smaller, SLOWLY) if smaller else None
                if differs:
                    scenario, what = smaller, differs
                else:
                    at += size
            size //= 2
        return scenario, what


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("box", metavar="BOX")
    parser.add_argument("--pulsar", default=os.environ.get("STARGATE_URL"), help="default: $STARGATE_URL")
    parser.add_argument("--seeds", nargs=2, type=int, default=(1, 100), metavar=("FIRST", "LAST"))
    parser.add_argument("--at-once", type=int, default=60)
    parser.add_argument("--quiet", type=float, default=0.3, help="how long a broker says nothing when it has said all")
    parser.add_argument("--show", type=int, metavar="SEED", help="play one, and show both transcripts' differences")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--first", action="store_true", help="end with the first that disagrees for sure")
    parser.add_argument("--stop-after", type=int, default=5, help="so many disagreements are enough")
    o = parser.parse_args()
    if not o.pulsar:
        parser.error("STARGATE_URL is not set, and there is no --pulsar")
    if "://" in o.box:
        return await compare(o, o.box)
    box = subprocess.Popen([o.box, "standalone", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        return await compare(o, box.stdout.readline().split()[-1])
    finally:
        status = box.poll()
        box.terminate()
        if status is not None or box.wait(20) != 0:
            print(f"the box ended by itself, with {status}")
            sys.exit(1)


async def first_that_differs(comparison, o):
    """Some at a time, and those that differ again, a few at a time and alone: a broker under load is late."""
    for begin in range(o.seeds[0], o.seeds[1] + 1, o.at_once):
        seeds = list(range(begin, min(begin + o.at_once, o.seeds[1] + 1)))
        for slowly, at_once in ((1, o.at_once), (2, 8), (SLOWLY, 1)):
            differing = []
            for at in range(0, len(seeds), at_once):
                some = seeds[at:at + at_once]
                differ = await asyncio.gather(*(comparison.difference(generate(seed), slowly) for seed in some))
                differing += [seed for seed, what in zip(some, differ) if what]
                if differing and at_once == 1:
                    print(f"seed {differing[0]} disagrees")
                    return 1
            seeds = differing
    print("they agree")
    return 0


async def compare(o, box):
    comparison = Comparison((o.pulsar, box), o.quiet)
    if o.show is not None:
        differs = await comparison.difference(generate(o.show), SLOWLY)
        print(differs or "they agree")
        return 1 if differs else 0
    if o.first:
        return await first_that_differs(comparison, o)
    begin = time.monotonic()
    seeds, suspects, done = iter(range(o.seeds[0], o.seeds[1] + 1)), [], 0

    async def work():
        nonlocal done
        for seed in seeds:
            if await comparison.difference(generate(seed)):
                suspects.append(seed)
            done += 1
            if sys.stderr.isatty():
                print(f"\r{done} scenarios, {len(suspects)} to look at", end="", file=sys.stderr)

    await asyncio.gather(*(work() for _ in range(o.at_once)))
    twice, suspects = sorted(suspects), []
    again = iter(twice)

    async def look_again():
        for seed in again:
            if await comparison.difference(generate(seed), 2):
                suspects.append(seed)

    await asyncio.gather(*(look_again() for _ in range(max(o.at_once // 4, 1))))
    wrong = []
    for seed in sorted(suspects):
        if len(wrong) >= o.stop_after:
            break
        scenario = generate(seed)
        differs = await comparison.difference(scenario, SLOWLY)
        if not differs:
            continue
        wrong.append(seed)
        if not o.no_shrink:
            scenario, differs = await comparison.shrink(scenario)
        print(f"seed {seed} disagrees:\n{differs}\n")
    print(f"{done} scenarios, {len(wrong)} disagree" + (f" ({', '.join(map(str, wrong))})" if wrong else "")
          + f"; {len(twice)} were played twice; after {time.monotonic() - begin:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
