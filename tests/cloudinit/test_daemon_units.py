"""The daemon's units: systemd understands them, they are hardened, and what they start is what the program knows."""

import re
from pathlib import Path

import pytest

from agent.cli import _parser
from agent.settings import FIELDS, variable
from agent.settings_sources import ALSO
from tests.cloudinit.units import analyzed

UNITS = Path(__file__).resolve().parents[2] / "cloudinit" / "units"
DAEMONS = ("imds-agent.service", "imds-agent-host.service")
PROGRAM = "/opt/imds-agent/bin/imds-agent"
# As systemd 252 judges them; the host's must leave hooks room.
EXPOSED = {"imds-agent.service": 2.0, "imds-agent-host.service": 3.5}


def lines(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), re.MULTILINE)


@pytest.fixture
def copies(tmp_path):
    """The units with a program that is there."""
    for name in DAEMONS:
        (tmp_path / name).write_text((UNITS / name).read_text().replace(PROGRAM, "/bin/true"))
    return tmp_path


@pytest.mark.parametrize("name", DAEMONS)
def test_systemd_has_nothing_to_say_against_it(copies, name):
    assert analyzed("verify", copies / name) == ""


@pytest.mark.parametrize("name", DAEMONS)
def test_it_is_hardened(copies, name):
    said = analyzed("security", "--offline=true", "--no-pager", copies / name)
    assert float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1]) <= EXPOSED[name], said


@pytest.mark.parametrize("name", DAEMONS)
def test_what_it_starts_and_sets_is_known(name):
    [command] = lines(name, "ExecStart")
    program, *arguments = command.split()
    assert program == PROGRAM
    assert _parser().parse_args(arguments).command == "run"
    known = {*map(variable, FIELDS), *ALSO}
    assert {pair.partition("=")[0] for line in lines(name, "Environment") for pair in line.split()} <= known


def test_the_places_of_the_host_s_are_those_that_systemd_makes():
    name = "imds-agent-host.service"
    assert lines(name, "RuntimeDirectory") == [FIELDS["events_file"].default.parent.name]
    assert FIELDS["events_file"].default.parent.parent == Path("/run")
    assert lines(name, "StateDirectory") == [FIELDS["host_state"].default.parent.name]
    assert FIELDS["host_state"].default.parent.parent == Path("/var/lib")
