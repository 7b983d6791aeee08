"""Reads what cannot be run where this is built: recipes for other packagers, the unit, the Kubernetes example. Each has to be
what its format says, and to agree with the sources."""
import ast
import configparser
import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).parent.parent
PACKAGING = ROOT / "packaging"
version = re.search(r'STARGATE_VERSION "([^"]+)"', (ROOT / "libstargate/include/stargate/version.hpp").read_text(encoding="utf-8"))[1]
mistakes = []


def expect(what, condition):
    if not condition:
        mistakes.append(what)


port = json.loads((PACKAGING / "vcpkg/vcpkg.json").read_text(encoding="utf-8"))
expect("vcpkg.json has another version", port["version"] == version)
names = {d if isinstance(d, str) else d["name"] for d in port["dependencies"]}
expect("vcpkg.json misses a dependency", {"caf", "curl", "libwebsockets", "openssl", "rapidjson"} <= names)
portfile = (PACKAGING / "vcpkg/portfile.cmake").read_text(encoding="utf-8")
expect("portfile.cmake has unbalanced parentheses", portfile.count("(") == portfile.count(")"))

recipe = ast.parse((PACKAGING / "conan/conanfile.py").read_text(encoding="utf-8"))
made = next(n for n in recipe.body if isinstance(n, ast.ClassDef))
methods = {n.name for n in made.body if isinstance(n, ast.FunctionDef)}
expect("conanfile.py misses a method", {"set_version", "requirements", "generate", "build", "package", "package_info"} <= methods)
folders = {ast.literal_eval(n.iter) for n in ast.walk(recipe) if isinstance(n, ast.For) and isinstance(n.iter, ast.Tuple)}
exported = {f for t in folders for f in t}
expect("conanfile.py exports what is not there", all((ROOT / f).exists() for f in exported))
expect("conanfile.py misses a folder of sources",
       {p.relative_to(ROOT).parts[0] for pattern in ("actors", "box", "libstargate", "registry", "supervisor", "testing", "web", "packaging", "cmake")
        for p in [ROOT / pattern]} <= exported)

unit = configparser.ConfigParser(strict=False, interpolation=None)
unit.optionxform = str
unit.read(PACKAGING / "stargate@.service", encoding="utf-8")
expect("the unit does not notify", unit["Service"]["Type"] == "notify")
expect("the unit runs another command", unit["Service"]["ExecStart"].startswith("/usr/bin/stargate ") and " run --config " in unit["Service"]["ExecStart"])

documents = list(yaml.safe_load_all((PACKAGING / "kubernetes.yaml").read_text(encoding="utf-8")))
expect("kubernetes.yaml has other kinds", [d["kind"] for d in documents] == ["ConfigMap", "Deployment"])
json.loads(documents[0]["data"]["tree.json"])
container = documents[1]["spec"]["template"]["spec"]["containers"][0]
expect("kubernetes.yaml names another version", container["image"].endswith(":" + version))
for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"), ("startupProbe", "/readyz")):
    expect(f"kubernetes.yaml has another {probe}", container[probe]["httpGet"]["path"] == path)

containerfile = (PACKAGING / "Containerfile").read_text(encoding="utf-8")
for instruction in ("FROM", "COPY", "RUN", "USER", "ENTRYPOINT"):
    expect(f"the Containerfile has no {instruction}", re.search(rf"^{instruction} ", containerfile, re.MULTILINE))
for script in re.findall(r"scripts/[a-z]+", containerfile):
    expect(f"the Containerfile runs {script}, which is not there", (ROOT / script).exists())

print("\n".join(mistakes) if mistakes else "the recipes are what they should be")
sys.exit(1 if mistakes else 0)
