"""Holds the simulation itself: a seed gives the same trace to the letter, and what was found once stays away."""
import pathlib
import subprocess
import sys

simulate, found = sys.argv[1], pathlib.Path(__file__).with_name("found.txt")
failures = 0


def run(*words):
    return subprocess.run([simulate, *words], capture_output=True, text=True, check=False, timeout=120)


for seed in ("7", "44", "309"):
    first, second = run("--seed", seed, "--trace"), run("--seed", seed, "--trace")
    lines = first.stdout.count("\n")
    same = first.stdout == second.stdout and lines > 300
    print(f"seed {seed}: {lines} lines of trace, {'the same twice' if same else 'NOT the same twice'}")
    failures += not same
for line in found.read_text(encoding="utf-8").splitlines():
    if line.startswith("#") or not line.strip():
        continue
    seed, messages, what = line.split(maxsplit=2)
    answer = run("--seed", seed, "--messages", messages, "--no-shrink")
    print(f"seed {seed}: {'kept' if answer.returncode == 0 else answer.stdout.splitlines()[-1]} ({what})")
    failures += answer.returncode != 0
wrong = run("--seeds", "x..y")
print(f"wrong usage: exit status {wrong.returncode}")
failures += wrong.returncode != 2
sys.exit(1 if failures else 0)
