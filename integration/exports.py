"""Holds that a shared library of Stargate exports its public face only.   exports.py NM LIBRARY

What is in the namespaces that have no public header must not be exported. Two things are the exception: what is behind
the task templates, which a program makes of its own types, and what our one library needs of the other.
"""
import re
import subprocess
import sys

nm, library = sys.argv[1:]
lines = subprocess.run([nm, "-DC", "--defined-only", library], check=True, capture_output=True, text=True).stdout.splitlines()
symbols = [line.split(" ", 2)[2] for line in lines]
ours = [s for s in symbols if "stargate::" in s]
inside = re.compile(r"^(?:(?:vtable|typeinfo(?: name)?|guard variable) for )?stargate::(internal|protocol|connection|rest|temporary|compat)::")
but_for = re.compile(r"stargate::internal::(task_|begin_task|may_wait_for_task|is_scheduler_thread)")
wrong = [s for s in ours if inside.search(s) and not but_for.search(s)]
for s in wrong[:40]:
    print("exported, but not public:", s)
if not any(s.startswith("stargate::start(") for s in ours):
    sys.exit("stargate::start is not exported")
print(f"{len(symbols)} symbols are exported, {len(ours)} of them name ours, {len(wrong)} of them are not public")
sys.exit(1 if wrong else 0)
