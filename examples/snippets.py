"""Makes a source file of the pieces of C++ in a page, so that they are compiled.   snippets.py PAGE OUTPUT

Each becomes the body of a function with what snippets.hpp declares around it; whole programs are compiled elsewhere.
"""
import pathlib
import re
import sys

page, output = map(pathlib.Path, sys.argv[1:])
pieces = [p for p in re.findall(r"```cpp\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL) if "int main(" not in p]
if not pieces:
    sys.exit(f"{page} has no pieces of C++")
text = f'// Made of {page.name}.\n#include "examples/snippets.hpp"\n'
for number, piece in enumerate(pieces):
    text += f"\n[[maybe_unused]] static void piece_{number}(stargate::options o, caf::actor_system& system) {{\n"
    text += f"  static_cast<void>(o), static_cast<void>(system);\n{piece}}}\n"
output.write_text(text, encoding="utf-8")
