"""The rack script as one file: `core/rack_table.py` as it is, and a few lines that read the table and answer."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from agent import __version__

DEADLINE = (
    2  # seconds, whole ones: then the script is gone, since Hadoop waits for it without end, its namesystem locked
)
_MADE = re.compile(r"#!(\S+) -IS\n# hdfs-rack of imds-agent ([^\s:]+): ")
_CARRIED = re.compile(r"^TABLE, DEPTH, STRICT, DEADLINE = (.+)$", re.MULTILINE)
_DOCSTRING = re.compile(r'\A""".*?"""\n', re.DOTALL)

HEAD = """#!{python} -IS
# hdfs-rack of imds-agent {version}: net.topology.script.file.name. Made by `imds-agent hdfs-rack --install`; change nothing here.
# One line for each argument, in order, all of one depth. Reads one file, opens no socket, runs on Python 3.8 and newer.
"""

TAIL = """
TABLE, DEPTH, STRICT, DEADLINE = {table!r}, {depth}, {strict}, {deadline}


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST + 1)
    except OSError:
        return ""


def main(names):
    import sys

    try:
        from _signal import alarm  # the module behind `signal`, which would cost more than all the rest

        alarm(DEADLINE)  # a file system that hangs must not hang Hadoop
    except ImportError:
        pass
    texts = [read(TABLE)]
    if read_table(texts[0], DEPTH) is None:
        texts.append(read(TABLE + ".prev"))
    found = answers(names, texts, DEPTH, STRICT)
    if found is None:
        sys.stderr.write("hdfs-rack: a host of ours is not known yet: ask again\\n")
        return 1
    if found:
        sys.stdout.write("\\n".join(found) + "\\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
"""


def script(table: Path, depth: int, *, strict: bool, python: str, deadline: int = DEADLINE) -> str:
    """Return the whole script.

    Args:
        table: where it is at run time; the one before it beside it, with `.prev`.
        python: the interpreter, absolute: what a name on the PATH leads to may take longer to start than to answer.
        deadline: in seconds.
    """
    source = files("agent.core").joinpath("rack_table.py").read_text(encoding="utf-8")
    body = _DOCSTRING.sub("", source)
    tail = TAIL.format(table=str(table), depth=depth, strict=strict, deadline=deadline)
    return HEAD.format(python=python, version=__version__) + body + tail


def usual_python() -> str:
    """Return the interpreter that a script should begin with: the system's, else the one that runs this."""
    return "/usr/bin/python3" if shutil.which("/usr/bin/python3") else sys.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What a script says of itself.

    Attributes:
        version: of the imds-agent that made it.
        is_ours: it is, letter for letter, what this version would put there.
    """

    version: str
    python: str
    table: str
    depth: int
    strict: bool
    is_ours: bool


def read_script(text: str) -> Installed | None:
    """Read the settings that an installed script carries; None for a script of others."""
    made, carried = _MADE.match(text), _CARRIED.search(text)
    if made is None or carried is None:
        return None
    try:
        found: object = ast.literal_eval(carried[1])
    except (ValueError, SyntaxError):
        return None
    match found:
        case (str(table), int(depth), bool(strict), int()):
            same = script(Path(table), depth, strict=strict, python=made[1]) == text
            return Installed(version=made[2], python=made[1], table=table, depth=depth, strict=strict, is_ours=same)
        case _:
            return None
