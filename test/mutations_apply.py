"""The mistakes on purpose, */mutations/*.patch, still fit the sources: one that does not judges nothing.   mutations_apply.py ROOT"""
import pathlib
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
patches = sorted(root.glob("*/mutations/*.patch"))
stale = [p for p in patches
         if subprocess.run(["patch", "--dry-run", "-s", "-f", "-p1", "-d", root, "-i", p], capture_output=True).returncode != 0]
for p in stale:
    print(f"{p.relative_to(root)} does not apply any more: make the same mistake in what the code is now")
if not patches:
    sys.exit("there are none")
print(f"{len(patches) - len(stale)} of {len(patches)} mistakes on purpose fit the sources")
sys.exit(1 if stale else 0)
