"""Counts the instructions that a message takes to encode and decode, and holds them against what is recorded.

    instructions.py STARGATE_STEPS [--record]

Callgrind counts the same whatever else the machine does. More than a tenth above the record fails; --record writes a new
one, which belongs into the commit that explains it. Base64 by vectors has a record of its own, since not every processor
has them.
"""
import json
import pathlib
import re
import subprocess
import sys

RECORD = pathlib.Path(__file__).with_name("instructions.json")
STEPS = ["encode", "decode_receipt", "decode_delivery"]


def counted(program, step, times):
    ran = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, step, str(times)],
                         capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{step} ended with {ran.returncode}: {ran.stderr[-1000:]}")
    return int(re.search(r"Collected : (\d+)", ran.stderr)[1])


def per_message(program, step):
    return (counted(program, step, 3000) - counted(program, step, 1000)) // 2000


program = sys.argv[1]
now = {step: per_message(program, step) for step in STEPS}
records = json.loads(RECORD.read_text())
which = "with AVX2" if " avx2 " in pathlib.Path("/proc/cpuinfo").read_text() else "without"
if "--record" in sys.argv:
    records[which] = now
    RECORD.write_text(json.dumps(records, indent=2) + "\n")
recorded = records[which]
worse = [step for step in STEPS if now[step] > recorded[step] * 1.1]
for step in STEPS:
    print(f"{step}: {now[step]} instructions a message, recorded {recorded[step]}")
if worse:
    sys.exit(f"more than a tenth above the record: {', '.join(worse)}")
