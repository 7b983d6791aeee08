"""Makes a source file of the pieces of C++ in pages, so that they are compiled.   snippets.py PAGE… OUTPUT

Each becomes the body of a function with what snippets.hpp declares around it; whole programs are compiled elsewhere.
"""
import pathlib
import re
import sys

*pages, output = map(pathlib.Path, sys.argv[1:])
text = '#include "examples/snippets.hpp"\n'
number = 0
for page in pages:
    pieces = [p for p in re.findall(r"```cpp\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL) if "int main(" not in p]
    if not pieces:
        sys.exit(f"{page} has no pieces of C++")
    text += f"\n// Made of {page.name}.\n"
    for piece in pieces:
        text += f"\n[[maybe_unused]] static void piece_{number}(stargate::options o, caf::actor_system& system,\n"
        text += "                                const caf::expected<stargate::tree>& tree) {\n"
        text += f"  static_cast<void>(o), static_cast<void>(system), static_cast<void>(tree);\n  {{\n{piece}}}\n}}\n"
        number += 1
output.write_text(text, encoding="utf-8")
