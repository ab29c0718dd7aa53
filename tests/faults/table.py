"""The table of docs/faults.md: `python -m tests.faults.table FILE…` makes it from what the cells wrote."""

import json
import os
import sys
from pathlib import Path

from tests.faults.cell import PHASES

DOCS = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
INTRO = """# What the agent does while something fails

Made by the tests (`tests/faults`): a real node of a real API server, the emulator over HTTP, an injected clock; a minute of each fault in each phase of an
event, then none. In every cell these were looked at and held: while it lasts no label goes, a cordon and its mark stand, nothing is released, nothing is evicted past
a budget; afterwards the node has its labels and is given back. What stands in the cells is what the agent said meanwhile (its log events; a dash is silence).

Write it anew: `IMDS_AGENT_MATRIX=DIR .venv/bin/python -m pytest tests/faults && .venv/bin/python -m tests.faults.table DIR > docs/faults.md`
"""


def record(kind: str, fault: str, phase: str, said: list[str]) -> None:
    """Write one cell down, where somebody asks for it."""
    if folder := os.environ.get("IMDS_AGENT_MATRIX"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"{kind}-{fault}-{phase}".replace(" ", "_").replace("/", "_")
        (Path(folder) / f"{name}.json").write_text(
            json.dumps({"kind": kind, "fault": fault, "phase": phase, "said": said})
        )


def table(folder: Path) -> str:
    """Return the document."""
    cells = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    parts = [INTRO]
    for kind, title in (("imds", "IMDS"), ("api", "The API server")):
        found = {(cell["fault"], cell["phase"]): cell["said"] for cell in cells if cell["kind"] == kind}
        faults = sorted({fault for fault, _ in found})
        rows = [f"| {title} | " + " | ".join(PHASES) + " |", "|---|" + "---|" * len(PHASES)]
        for fault in faults:
            said = [", ".join(f"`{name}`" for name in found.get((fault, phase), [])) or "-" for phase in PHASES]
            rows.append(f"| {fault} | " + " | ".join(said) + " |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1])))
