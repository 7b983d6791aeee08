"""The demo's promise: its last line, and its exit status."""
import os
import re
import subprocess
import sys
from urllib.parse import urlparse

demo = sys.argv[1]
url = urlparse(os.environ["STARGATE_URL"])
done = subprocess.run([demo, "--host", url.hostname, "--port", str(url.port), "--messages", "20000"], capture_output=True,
                      text=True, timeout=300, check=False)
print(done.stdout, done.stderr)
last = done.stdout.splitlines()[-1] if done.stdout else ""
found = re.fullmatch(r"demo: 20000 produced, 20000 receipted, 20000 processed, 0 lost, (\d+) restarts", last)
good = done.returncode == 0 and found is not None and int(found[1]) >= 2
wrong = subprocess.run([demo, "--messages", "none"], capture_output=True, timeout=60, check=False)
print(f"{int(good) + int(wrong.returncode == 2)} passed, {int(not good) + int(wrong.returncode != 2)} failed")
sys.exit(0 if good and wrong.returncode == 2 else 1)
