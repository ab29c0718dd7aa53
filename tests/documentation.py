"""The parts of README.md that are made from the code: `python -m tests.documentation` writes them."""

import ast
import re
from pathlib import Path

from agent.settings import FIELDS, flag, variable
from agent.settings_sources import default_text

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
EVENT = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")


def settings_table() -> str:
    """Return the table of settings, a row each."""
    rows = ["| flag | variable | default | what |", "|---|---|---|---|"]
    for name, entry in FIELDS.items():
        default = f"`{text}`" if (text := default_text(name)) else ""
        rows.append(f"| `{flag(name)}` | `{variable(name)}` | {default} | {entry.metadata['about']} |")
    return "\n".join(rows)


def section(name: str) -> str:
    """Return what stands between two markers of the README."""
    text = README.read_text(encoding="utf-8")
    return text.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0].strip()


def logged_events() -> set[str]:
    """Return the names of all log events in the code: texts of the right form that a log's methods get, or `_once`."""
    found: set[str] = set()
    for path in (ROOT / "agent").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            called = call.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("debug", "info", "warning", "error", "level", "_once"):
                texts = [node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant)]
                found |= {text for text in texts if isinstance(text, str) and EVENT.fullmatch(text)}
    return found


def write() -> None:
    """Put the table of settings into the README."""
    text = README.read_text(encoding="utf-8")
    table = f"<!-- settings -->\n{settings_table()}\n<!-- /settings -->"
    README.write_text(
        re.sub(r"<!-- settings -->.*<!-- /settings -->", lambda _: table, text, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    write()
