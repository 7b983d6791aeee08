"""Runs random scenarios on our registry and on Elixir's, and compares the answers.   compare.py REGISTRY_SCENARIO [SEED [COUNT]]

COUNT scenarios of 60 steps (300 by default), half of them on registries of unique keys, half on duplicate ones.
"""
import pathlib
import random
import subprocess
import sys
import tempfile

OURS = sys.argv[1]
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 300
STEPS = 60


def step(rng, kind):
    who, key = f"p{rng.randrange(4)}", f"k{rng.randrange(4)}"
    value = f"v{rng.randrange(1000)}"
    ways = [(10, f"register {who} {key} {value}"), (4, f"unregister {who} {key}"), (2, f"lookup {key}"), (2, f"keys {who}"),
            (2, f"values {who} {key}"), (1, "count"), (2, "select"), (1, f"dispatch {key}"), (2, f"kill {who}"),
            (1, f"put_meta {key} {value}"), (1, f"meta {key}")]
    if kind == "unique":  # Elixir has it for these only
        ways.append((3, f"update {who} {key} {value}"))
    return rng.choices([w for _, w in ways], [n for n, _ in ways])[0]


def main():
    rng = random.Random(SEED)
    lines = []
    for n in range(COUNT):
        kind = ["unique", "duplicate"][n % 2]
        lines.append(f"scenario {kind}")
        lines += [step(rng, kind) for _ in range(STEPS)]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "scenarios.txt"
        file.write_text("\n".join(lines) + "\n")
        ran = [subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
               for command in ([OURS, str(file)], ["elixir", str(pathlib.Path(__file__).parent / "oracle.exs"), str(file)])]
    for who, done in zip(("ours", "Elixir's"), ran):
        if done.returncode != 0:
            sys.exit(f"{who} ended with {done.returncode}: {done.stderr[-2000:]}")
    # Elixir tells listeners of the names of who has ended from 1.15 on, and so do we: there, only the answer is compared.
    ours, theirs = ([line.split(" -> ")[0] + " -> ok" if line.startswith("kill") else line
                     for line in done.stdout.splitlines()] for done in ran)
    begin, differences = 0, 0
    for n, (a, b) in enumerate(zip(ours, theirs)):
        if a.startswith("scenario"):
            begin = n
        if a != b:
            differences += 1
            if differences <= 5:
                print("\n".join(ours[begin:n]), f"\n  ours:     {a}\n  Elixir's: {b}\n")
    differences += abs(len(ours) - len(theirs))
    print(f"registry: {COUNT} random scenarios (seed {SEED}), {len(lines) - COUNT} steps, {differences} answers differ")
    sys.exit(1 if differences else 0)


main()
