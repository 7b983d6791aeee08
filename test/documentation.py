"""Holds the documentation against the code: the table of options, the example, the files and links it names."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1])
OPTIONS = sys.argv[2]
mistakes = []

readme = (ROOT / "README.md").read_text(encoding="utf-8")
table = subprocess.run([OPTIONS], capture_output=True, text=True, check=True).stdout
if table.strip() not in (ROOT / "docs/options.md").read_text(encoding="utf-8"):
    mistakes.append("docs/options.md: the table of options is not the code's; put in what build/test/stargate-options prints")
example = (ROOT / "examples/orders.cpp").read_text(encoding="utf-8")
if f"```cpp\n{example}```" not in readme:
    mistakes.append("README.md: the example is not examples/orders.cpp as it stands")

pages = [p for p in ROOT.rglob("*.md") if not p.relative_to(ROOT).parts[0].startswith("build")]
for page in pages:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if "://" not in target and not (page.parent / target).exists():
            mistakes.append(f"{page.relative_to(ROOT)}: {target} is not there")
    for script in set(re.findall(r"\bscripts/[a-z]+", text)):
        if not (ROOT / script).exists():
            mistakes.append(f"{page.relative_to(ROOT)}: {script} is not there")

print("\n".join(mistakes) if mistakes else f"{len(pages)} pages agree with the code")
sys.exit(1 if mistakes else 0)
