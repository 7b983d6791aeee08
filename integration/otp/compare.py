"""Runs scenarios on our supervisor and on Erlang's, and compares the traces.   compare.py OTP_SCENARIO [SEED [COUNT]]

All hand-written scenarios and COUNT random ones (1500 by default). A disagreement is shrunk to the fewest lines that
still disagree, and printed with both traces.
"""
import difflib
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
OURS = sys.argv[1]
SEED = sys.argv[2] if len(sys.argv) > 2 else "1"
COUNT = sys.argv[3] if len(sys.argv) > 3 else "1500"


def traces(command, files, complete=True):
    """The traces by file; nothing for an attempt that fails or waits for ever."""
    try:
        ran = subprocess.run([command, *map(str, files)], capture_output=True, text=True, timeout=110 if complete else 5)
    except subprocess.TimeoutExpired:
        if complete:
            sys.exit(f"{command} did not come to an end with {len(files)} scenarios")
        return None
    if ran.returncode != 0 and complete:
        sys.exit(f"{command} ended with {ran.returncode}: {ran.stderr}{ran.stdout[-2000:]}")
    parts = ran.stdout.split("== ")[1:]
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in parts} if ran.returncode == 0 else None


def disagrees(lines, folder):
    file = folder / "shrunk.txt"
    file.write_text("\n".join(lines) + "\n")
    ours, erlangs = traces(OURS, [file], False), traces(HERE / "oracle", [file], False)
    return ours is not None and erlangs is not None and ours != erlangs


def shrink(lines, folder):
    """Leaves out lines, in halves first, as long as the traces still differ. A child whose parent went is an error in
    both, so that such an attempt does not count."""
    size = len(lines) // 2
    while size >= 1:
        at = 0
        while at < len(lines):
            shorter = lines[:at] + lines[at + size:]
            if disagrees(shorter, folder):
                lines = shorter
            else:
                at += size
        size //= 2
    return lines


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        subprocess.run([HERE / "generate", "--seed", SEED, "--count", COUNT, "--out", folder / "random"], check=True)
        written = sorted((HERE / "scenarios").glob("*.txt"))
        files = written + sorted((folder / "random").glob("*.txt"))
        ours, erlangs = traces(OURS, files), traces(HERE / "oracle", files)
        assert len(ours) == len(erlangs) == len(files), (len(ours), len(erlangs), len(files))
        wrong = [f for f in files if ours[str(f)] != erlangs[str(f)]]
        steps = sum(len(t.splitlines()) for t in erlangs.values())
        events = sum(t.count(word) for t in erlangs.values() for word in ("start root", "stop root", "fail root"))
        print(f"otp: {len(written)} hand-written and {len(files) - len(written)} random scenarios (seed {SEED}), "
              f"{steps} lines of trace, {events} starts and stops, {len(wrong)} disagreements")
        for file in wrong[:0 if os.environ.get("STARGATE_OTP_NO_SHRINK") else 3]:
            lines = shrink(file.read_text().splitlines(), folder)
            file = folder / "shrunk.txt"
            file.write_text("\n".join(lines) + "\n")
            a, b = traces(HERE / "oracle", [file])[str(file)], traces(OURS, [file])[str(file)]
            print("\n-- the shrunk scenario:\n" + "\n".join(lines))
            print("\n".join(difflib.unified_diff(a.splitlines(), b.splitlines(), "Erlang", "ours", lineterm="", n=99)))
        sys.exit(1 if wrong else 0)


main()
