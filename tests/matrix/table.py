"""What the cells did, in a few words each, and the tables of faults.md that are made of them.

`python -m tests.matrix.table` runs the cells and writes the document anew.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.matrix.api_faults import API_FAULTS
from tests.matrix.imds_faults import IMDS_FAULTS, INCARNATIONS
from tests.matrix.phases import PHASES, PROMISES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "faults.md"
RECORD = "IMDS_AGENT_MATRIX"  # a folder: what the cells did is written there, and compared with nothing
END_TO_END = "end to end"
ROWS = {"IMDS": (*IMDS_FAULTS, *INCARNATIONS), "API server": tuple(API_FAULTS)}

Said = Iterable[Mapping[str, object]]  # log events

# What the agent says, in the order in which it is told here: log event, and in short what the agent does then.
WORDS = {
    "agent.faulted": "fails itself",
    "imds.failed": "warns of IMDS",
    "imds.failed as an error": "calls for a person",
    "cluster.unavailable": "warns of the API server",
    "node.refused": "calls for a person",
    "node.contended": "warns of another writer",
    "instance.changed": "notes that facts differ",
    "imds.recovered": "hears IMDS again",
    "cluster.recovered": "goes on",
    "node.cordon_wanted": "tries to cordon",
    "node.cordoned": "cordons",
    "drain.pod_refused": "is refused an eviction",
    "drain.pod_evicted": "evicts",
    "drain.finished": "has drained",
    "node.release_wanted": "tries to give back",
}
GAVE_BACK = "gives back"
TRIED = {"tries to cordon": "cordons", "tries to give back": GAVE_BACK}  # what came of it says more
# What goes without saying, or depends on how fast a pod ends.
UNSAID = {
    "drain.begun",
    "drain.pods_left",
    "event.seen",
    "instance.seen",
    "labels.applied",
    "node.reconciled",
    "node.release_waiting",
}

INTRO = """# What the agent does while something fails

Made by the tests (`tests/matrix`), which also compare it with what they see: a real node of a real API server with the real controllers, IMDS by the emulator over HTTP, a proxy
before the API server that misbehaves; an injected clock. Each fault lasts a minute (or as long as it says) in each phase of an event, then it ends.

The first row says what was looked at all the time and held, in every cell whose fault leaves nothing to be known or written. Where events are still heard and writes still arrive
(a partial document, an odd incarnation, a stale cache, a time-out of what was done, a renewed certificate, a token or an authority once it was replaced), the event is answered and the
node given back meanwhile, as it should be; with a stale cache it is not, since the node is not seen to be Ready. In all cells: no label of ours went, a cordon stood as long as its event, no pod went past its budget. Afterwards, in all cells: the
event is answered with a cordon, the drain comes to its end with one accepted eviction for each pod, and the node is given back with its labels.

The cells say what the agent did meanwhile and, after the semicolon, what it did when the fault was over, by its own log (the last table). The last column is one run with a process and
real time, scaled down: before IMDS fails there is an event, which ends meanwhile; while the API server fails one comes.

Write it anew: `.venv/bin/python -m tests.matrix.table`
"""


def words(said: Said, *, free: bool) -> str:
    """Return what the agent did.

    Args:
        free: whether the node was given back in the end.
    """
    names = {name_of(entry) for entry in said if not entry.get("already")}
    found = [text for name, text in WORDS.items() if name in names]
    if free and "node.release_wanted" in names:
        found.append(GAVE_BACK)
    shown = [text for text in found if TRIED.get(text) not in found]
    return (
        ", ".join([*dict.fromkeys(shown), *(f"`{name}`" for name in sorted(names - set(WORDS) - UNSAID))])
        or "says nothing"
    )


def name_of(entry: Mapping[str, object]) -> str:
    refused = entry["event"] == "imds.failed" and entry["level"] == "error"
    return f"{entry['event']}{' as an error' if refused else ''}"


def cell_text(during: str, after: str) -> str:
    return f"{during}; {after}"


def tables(text: str) -> dict[str, dict[str, dict[str, str]]]:
    """Read the document: partner, fault, column."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    heads: list[str] = []
    for line in text.splitlines():
        cells = [part.strip() for part in line.strip("|").split("|")]
        if not line.startswith("|"):
            heads = []
            continue
        if set(line) <= set("|- "):
            continue
        if cells[0] in ROWS:
            heads, rows = cells[1:], found.setdefault(cells[0], {})
        elif heads:
            rows[cells[0]] = dict(zip(heads, cells[1:], strict=True))
    return found


def check(partner: str, fault: str, did: Mapping[str, str]) -> None:
    """Compare cells of one row with the document, or write them down where somebody asks for it."""
    if folder := os.environ.get(RECORD):
        text = json.dumps({"partner": partner, "fault": fault, "did": dict(did)})
        (Path(folder) / f"{partner}-{fault}-{len(did)}.json").write_text(text)
        return
    row = tables(DOCS.read_text(encoding="utf-8"))[partner][fault]
    assert {column: row.get(column) for column in did} == dict(did), f"{DOCS.name} differs: {partner}, {fault}"


def document(folder: Path) -> str:
    """Return the document made of what the cells wrote down."""
    did: dict[tuple[str, str], dict[str, str]] = {}
    for path in folder.glob("*.json"):
        found = json.loads(path.read_text())
        did.setdefault((found["partner"], found["fault"]), {}).update(found["did"])
    columns = (*PHASES, END_TO_END)
    parts = [INTRO]
    for partner, faults in ROWS.items():
        promised = [*(PROMISES[phase] for phase in PHASES), "the same"]
        rows = [(partner, *columns), ("---",) * (len(columns) + 1), ("*always*", *promised)]
        rows += [(fault, *(did[partner, fault][column] for column in columns)) for fault in faults]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")
    legend = [("what it does", "its log event"), ("---", "---"), *((text, f"`{name}`") for name, text in WORDS.items())]
    parts.append("\n".join(f"| {' | '.join(row)} |" for row in legend) + "\n")
    return "\n".join(parts)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        files = [str(path) for path in Path(__file__).parent.glob("test_*.py") if path.name != "test_table.py"]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, RECORD: folder}, stdout=sys.stderr, check=False)
        if done.returncode:
            return done.returncode
        DOCS.write_text(document(Path(folder)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
