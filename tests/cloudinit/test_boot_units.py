"""The units of an image: systemd understands them, they are hardened, and they come in time for kubelet."""

import re

import pytest

from agent.cli import _parser
from tests.cli.running import ROOT
from tests.cloudinit.units import analyzed

UNITS = ROOT / "cloudinit" / "units"
NAMES = ("imds-agent-every-boot.service", "imds-agent-first-boot.service")
PYTHON = "/usr/bin/python3"
# systemd 252 gives 2.3: root, an IP address and writing below /etc are the task itself; the next tenths are its to lose.
EXPOSED = 2.4


def values(name, key):
    return [
        word for line in re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), re.MULTILINE) for word in line.split()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_systemd_has_nothing_to_say_against_it(tmp_path, name):
    text = (UNITS / name).read_text()
    (tmp_path / name).write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    assert analyzed("verify", tmp_path / name) == ""


@pytest.mark.parametrize("name", NAMES)
def test_it_is_hardened(name):
    said = analyzed("security", "--offline=true", "--no-pager", UNITS / name)
    assert float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1]) <= EXPOSED, said


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_before_each_kubelet_and_waits_for_the_network_alone(name):
    assert values(name, "After") == values(name, "Wants") == ["network-online.target"]
    assert {"kubelet.service", "k3s.service", "rke2-agent.service"} <= set(values(name, "Before"))
    assert values(name, "Requires") == values(name, "RequiredBy") == []


@pytest.mark.parametrize("name", NAMES)
def test_what_it_starts_is_known(name):
    words = values(name, "ExecStart")
    arguments = words[words.index("/usr/lib/imds-agent") + 1 :]
    assert _parser().parse_args(arguments).command == "first-boot"


def test_the_two_differ_in_how_often_they_run_and_in_nothing_else():
    every, once = (
        {line for line in (UNITS / name).read_text().splitlines() if not line.startswith("#")} for name in NAMES
    )
    assert {line.partition("=")[0] for line in every ^ once} == {"Description", "ExecStart", "ReadWritePaths"}
    assert values(NAMES[1], "ExecStart")[3:] == values(NAMES[0], "ExecStart")
