"""Holds the directions in which the sources may include each other, as ARCHITECTURE.md draws them."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
BELOW_ACTORS = {"libstargate/include", "libstargate/base", "libstargate/protocol", "libstargate/connection"}
# Each may include those before it.
ACTORS = ["actors/shared", "actors/producer", "actors/socket", "actors/receiver", "actors/tree"]
# What the files below a folder may include, besides the system's and other libraries' headers.
ALLOWED = {
    "libstargate/include": {"libstargate/include"},
    "libstargate/base": {"libstargate/include", "libstargate/base"},
    "libstargate/protocol": {"libstargate/include", "libstargate/protocol"},
    "libstargate/connection": {"libstargate/protocol", "libstargate/connection"},
    "libstargate/rest": {"libstargate/include", "libstargate/protocol", "libstargate/rest"},
    "libstargate/temporary": {"libstargate/include", "libstargate/protocol"},
    "registry": {"libstargate/include", "registry"},
    "supervisor": {"libstargate/include", "libstargate/base", "registry", "supervisor"},
    **{room: BELOW_ACTORS | set(ACTORS[:at + 1]) for at, room in enumerate(ACTORS)},
    "actors/tree": BELOW_ACTORS | {"web", *ACTORS},
    "web": {"web"},
    "box": {"libstargate/include", "libstargate/protocol", "web", "box"},
    "testing": BELOW_ACTORS | {"libstargate/rest", "web", "box", "testing", *ACTORS},
    "cli": {"libstargate/include", "libstargate/protocol", "box", "cli"},
    "simulation": {"libstargate/include", "libstargate/protocol", "libstargate/connection", "registry", "supervisor", "simulation", "testing", *ACTORS},
    "integration": {"libstargate/include", "libstargate/protocol", "libstargate/connection", "supervisor", "integration", "test", "actors/shared"},
    "examples": {"libstargate/include"},
    "test": {"libstargate/include", "libstargate/base", "libstargate/protocol", "libstargate/connection", "registry", "supervisor", "test", "testing", "box", "cli", "web", *ACTORS},
}
# Of CAF, only one header may know that there are two generations; the connection knows no CAF at all.
FORBIDDEN = {
    "web": r"<(caf|stargate)/",
    "libstargate/connection": r"<(caf|stargate)/|libstargate/protocol/(?!(base64|frame_text)\.hpp)",
    "registry": r"<(libwebsockets|rapidjson)",
    "supervisor": r"<(libwebsockets|rapidjson)",
}
PULSAR_FREE = {"registry.hpp", "supervisor.hpp", "vitals.hpp", "caf.hpp", "error.hpp", "export.hpp", "init.hpp", "log.hpp", "partitions.hpp", "task.hpp", "version.hpp"}

mistakes = []


def folder_of(path):
    text = path.as_posix()
    return next((f for f in ALLOWED if text.startswith(f + "/")), None)


for path in sorted(ROOT.rglob("*.[ch]pp")):
    name = path.relative_to(ROOT)
    folder = folder_of(name)
    if folder is None or name.parts[0].startswith("build") or name.parts[:2] == ("examples", "tested"):  # a project of its own
        continue
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}"
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not found:
            if "CAF_MAJOR_VERSION" in line and name.name != "caf.hpp":
                mistakes.append(f"{where}: only caf.hpp asks for CAF's version")
            continue
        header = found[2]
        target = "libstargate/include" if header.startswith("stargate/") else folder_of(pathlib.PurePosixPath(header))
        if found[1] == '"' and target is None:
            mistakes.append(f'{where}: "{header}" is not named from the top of the project')
        elif target is not None and target not in ALLOWED[folder]:
            mistakes.append(f"{where}: {folder} may not include {header}")
        elif folder in FORBIDDEN and re.search(FORBIDDEN[folder], f"<{header}"):
            mistakes.append(f"{where}: {folder} may not include <{header}>")
        if name.parts[:3] == ("libstargate", "include", "stargate") and name.name in PULSAR_FREE:
            if header.startswith("stargate/") and header.removeprefix("stargate/") not in PULSAR_FREE:
                mistakes.append(f"{where}: {name.name} is for programs without Pulsar and may not include {header}")
        if folder in ("registry", "supervisor") and header.startswith("stargate/"):
            if header.removeprefix("stargate/") not in PULSAR_FREE:
                mistakes.append(f"{where}: {folder} knows nothing of Pulsar and may not include {header}")

print("\n".join(mistakes) if mistakes else "all includes go where they may")
sys.exit(1 if mistakes else 0)
