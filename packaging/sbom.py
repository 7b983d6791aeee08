"""Lists what Stargate's packages are made of, as SPDX 2.3 in JSON.   sbom.py BUILD

What the command is linked with is asked of `ldd`, what was only compiled in of its headers, and both of dpkg.
"""
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

build = pathlib.Path(sys.argv[1])
root = pathlib.Path(__file__).parent.parent
version = re.search(r'STARGATE_VERSION "([^"]+)"', (root / "libstargate/include/stargate/version.hpp").read_text(encoding="utf-8"))[1]
HEADERS = {"/usr/include/rapidjson/document.h": "rapidjson-dev", "/usr/include/CLI/CLI.hpp": "libcli11-dev"}
LICENSES = {"libcaf-core": "BSD-3-Clause", "libwebsockets": "MIT", "libssl": "Apache-2.0", "libcurl": "curl", "rapidjson-dev": "MIT",
            "libcli11-dev": "BSD-3-Clause", "libc6": "LGPL-2.1-or-later", "libstdc++6": "GPL-3.0-or-later WITH GCC-exception-3.1",
            "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1", "libjemalloc": "BSD-2-Clause"}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(file):
    """The libraries that a file names itself, and not those which these need."""
    names = set(re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", file)))
    return {path for name, path in re.findall(r"(\S+) => (/\S+)", output("ldd", file)) if name in names}


def package_of(path):
    for candidate in (path, os.path.realpath(path), path.replace("/lib/", "/usr/lib/", 1)):
        ran = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True)
        if ran.returncode == 0:
            return ran.stdout.split(":")[0]
    return None


files = [build / "stargate", *sorted(build.glob("libstargate*.so"))]
names = {package_of(path) for file in files for path in needed(file) if not path.startswith(str(build))}
names |= {name for header, name in HEADERS.items() if os.path.exists(header)}
packages = [{
    "SPDXID": "SPDXRef-stargate", "name": "stargate", "versionInfo": version, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
    "licenseConcluded": "Apache-2.0", "licenseDeclared": "Apache-2.0", "copyrightText": "NOASSERTION", "primaryPackagePurpose": "LIBRARY"}]
relations = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-stargate"}]
for name in sorted(n for n in names if n):
    found, architecture = output("dpkg-query", "-W", "-f=${Version} ${Architecture}", name).split()[:2]
    identity = "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)
    license_ = next((l for prefix, l in LICENSES.items() if name.startswith(prefix)), "NOASSERTION")
    packages.append({
        "SPDXID": identity, "name": name, "versionInfo": found, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": license_, "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": f"pkg:deb/debian/{name.replace('+', '%2B')}@{found.replace('+', '%2B').replace(':', '%3A')}?arch={architecture}"}]})
    kind = "BUILD_DEPENDENCY_OF" if name.endswith("-dev") else "DYNAMIC_LINK"
    ends = (identity, "SPDXRef-stargate") if name.endswith("-dev") else ("SPDXRef-stargate", identity)
    relations.append({"spdxElementId": ends[0], "relationshipType": kind, "relatedSpdxElement": ends[1]})
created = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
content = json.dumps([packages, relations], sort_keys=True)
document = {
    "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"stargate-{version}",
    "documentNamespace": f"https://spdx.org/spdxdocs/stargate-{version}-{hashlib.sha256(content.encode()).hexdigest()[:32]}",
    "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: stargate-sbom"]},
    "packages": packages, "relationships": relations}
(build / f"stargate-{version}.spdx.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
