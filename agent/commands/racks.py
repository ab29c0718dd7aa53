"""`rack` and `hdfs-rack`: where this VM stands for systems that know racks, and the script that Hadoop asks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from agent.clients.files import write_whole
from agent.commands.output import say, say_json
from agent.core.document import DocumentError
from agent.core.rack import rack, update_group, zone
from agent.core.rack_table import answers
from agent.core.racks import path_of, read_form
from agent.daemon.partners import imds_client
from agent.hdfs.script import script, usual_python
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.core.instance import Instance
    from agent.core.racks import RackForm
    from agent.settings import Settings

DEADLINE = 6.0  # seconds a person, or a service that starts, waits for IMDS


def own_rack(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print this VM's rack: a path, lines for an environment file, or JSON."""
    form = read_form_or_tell(arguments.form)
    with imds_client(settings) as client:
        facts = rack_facts(client.instance(deadline=DEADLINE).value, form)
    if not facts["RACK"]:
        raise Told(f"no rack: IMDS lacks a part that {form.template!r} asks for")
    if arguments.format == "json":
        say_json(facts)
    elif arguments.format == "env":
        for name, value in facts.items():
            say(f"{name}={shlex.quote(value)}")
    else:
        say(facts["RACK"])
    return 0


def rack_facts(instance: Instance, form: RackForm) -> dict[str, str]:
    """Return what other systems are told of a VM; an empty text for what is not known."""
    placed = instance.placement
    return {
        "RACK": path_of(placed, form) or "",
        "REGION": placed.location or "",
        "ZONE": zone(placed),
        "FAULT_DOMAIN": "" if placed.fault_domain is None else str(placed.fault_domain),
        "UPDATE_DOMAIN": "" if placed.update_domain is None else str(placed.update_domain),
        "UPDATE_GROUP": update_group(placed),
        "TOPOLOGY": rack(placed),
    }


def hdfs_rack(_settings: Settings, arguments: argparse.Namespace) -> int:
    """Put the script in place, or answer as it would."""
    form, table = read_form_or_tell(arguments.form), Path(arguments.table).absolute()
    strict = arguments.unknown == "strict"
    if arguments.install is None:
        return _answer(arguments.host, table, form, strict=strict)
    if arguments.host:
        raise Told("--install and hosts: expected one of the two")
    path = Path(arguments.install)
    python = arguments.python or usual_python()
    if not Path(python).is_absolute():
        raise Told(f"--python: expected an absolute path, found {python!r}")
    write_whole(path, script(table, form.depth, strict=strict, python=python).encode(), 0o755)
    say(f"wrote {path}: racks of depth {form.depth} from {table}, unknown hosts: {arguments.unknown}")
    return 0


def _answer(names: list[str], table: Path, form: RackForm, *, strict: bool) -> int:
    texts = [_text(table), _text(table.with_name(f"{table.name}.prev"))]
    found = answers(names, texts, form.depth, strict)
    if found is None:
        raise Told("a host of ours is not known yet: Hadoop asks again")
    for path in found:
        say(path)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def read_form_or_tell(text: str) -> RackForm:
    """Read `--form`.

    Raises:
        Told: it is none.
    """
    try:
        return read_form(text)
    except DocumentError as error:
        raise Told(f"--form: {error}") from error
