"""Placements become paths of one form and one depth, or none at all."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.document import DocumentError
from agent.core.instance import OsProfile
from agent.core.network import Address, NetworkInterface
from agent.core.rack_table import answers, read_table, right_path
from agent.core.racks import RackedHost, host_of, path_of, read_form, read_overrides, table_of, table_text
from tests.core.builders import instance


@dataclass(frozen=True)
class Placed:
    location: str | None = "westeurope"
    zone: str | None = None
    fault_domain: int | None = None
    update_domain: int | None = None


ZONAL, REGIONAL = Placed(zone="1", fault_domain=0), Placed(fault_domain=2, update_domain=3)
AUTO = read_form("auto")


def host(name: str, placement: Placed = ZONAL, *networks: str) -> RackedHost:
    return RackedHost(names=(name,), placement=placement, networks=networks)


@pytest.mark.parametrize(
    ("form", "placement", "path"),
    [
        ("auto", ZONAL, "/westeurope-1"),
        ("auto", REGIONAL, "/fd2"),
        ("auto", Placed(), None),
        ("auto", Placed(location=None, fault_domain=1), "/fd1"),
        ("zone/fd", ZONAL, "/westeurope-1/fd0"),
        ("zone/fd", REGIONAL, "/westeurope/fd2"),
        ("zone/fd", Placed(zone="1"), None),
        ("/{zone}", ZONAL, "/westeurope-1"),
        ("/{zone}", REGIONAL, None),
        ("/{region}/{zone}/ud{ud}", Placed(zone="2", update_domain=4), "/westeurope/westeurope-2/ud4"),
        ("/r-{fd}", REGIONAL, "/r-2"),
        ("/{zone}", Placed(location="west europe", zone="1"), None),
        ("/{region}", Placed(location="../x"), None),
    ],
)
def test_a_path_is_made_of_what_is_known_and_never_guessed(form, placement, path):
    assert path_of(placement, read_form(form)) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "zone",
        "{zone}",
        "/",
        "/{zone}/",
        "/{nothing}",
        "/{0}",
        "/{zone",
        "/a b{zone}",
        "//{zone}",
        "/fixed",
        "/{zone}/Upper",
        "/{}",
    ],
)
def test_a_form_that_could_not_give_one_depth_is_refused(text):
    with pytest.raises(DocumentError, match="rack form: expected auto, zone/fd, or a template"):
        read_form(text)


def test_a_table_has_every_name_and_network_of_every_host():
    hosts = [
        RackedHost(names=("10.0.0.4", "Node-A.", "fd00::4"), placement=ZONAL, networks=("10.244.1.0/24",)),
        host("10.0.0.5", Placed(zone="2")),
    ]
    table = table_of(hosts, AUTO)
    assert table.rows == {
        "10.0.0.4": "/westeurope-1",
        "node-a": "/westeurope-1",
        "fd00:0:0:0:0:0:0:4": "/westeurope-1",
        "10.244.1.0/24": "/westeurope-1",
        "10.0.0.5": "/westeurope-2",
    }
    assert table.warnings == ()


def test_what_is_odd_is_said():
    hosts = [host("a", ZONAL), host("b", REGIONAL), host("a", Placed(zone="2")), host("c", Placed())]
    said = table_of(hosts, AUTO, {"d": "/x", "e": "/x/y"})
    assert said.rows == {"a": "/westeurope-1", "b": "/fd2", "d": "/x"}
    assert said.warnings == (
        "a: two hosts have it, in /westeurope-1 and in /westeurope-2; the first one counts",
        "c: no rack: a part that 'auto' asks for is missing",
        "2 hosts in zones and 1 without: racks of both kinds stand side by side; choose zone/fd",
        "override e: expected a path of depth 1, found '/x/y'",
    )


def test_an_override_wins():
    assert table_of([host("a")], AUTO, {"a": "/mine"}).rows == {"a": "/mine"}
    found, wrong = read_overrides("# ours\nNODE-A /x  # moved\n\nFD00::1 /y\n10.0.0.0/8 /z\none\na b c\n")
    assert found == {"node-a": "/x", "fd00:0:0:0:0:0:0:1": "/y", "10.0.0.0/8": "/z"}
    assert wrong == (
        "line 6: expected a host and a path, found 1 words",
        "line 7: expected a host and a path, found 3 words",
    )


def test_the_file_is_sorted_and_says_that_it_is_whole():
    text = table_text({"b": "/2", "a": "/1"}, AUTO, ["10.0.0.0/16", "nonsense"])
    assert text == "# racks 1 depth=1 own=10.0.0.0/16\na /1\nb /2\n# end 2\n"
    assert table_text({}, AUTO) == "# racks 1 depth=1\n# end 0\n"


PLACED = st.builds(
    Placed,
    location=st.sampled_from(["westeurope", "eastus", None]),
    zone=st.sampled_from(["1", "2", None]),
    fault_domain=st.none() | st.integers(0, 4),
    update_domain=st.none() | st.integers(0, 4),
)


@given(
    st.lists(st.tuples(st.ip_addresses().map(str), PLACED), max_size=8),
    st.sampled_from(["auto", "zone/fd", "/{zone}", "/{region}/ud{ud}"]),
)
def test_what_is_written_is_read_and_answered(placed, text):
    form = read_form(text)
    table = table_of([host(name, placement) for name, placement in placed], form)
    written = table_text(table.rows, form)
    assert read_table(written, form.depth) == (dict(table.rows), [])
    names = [name for name, _ in placed]
    found = answers(names, [written], form.depth, True)
    assert len(found) == len(names)
    assert all(right_path(path, form.depth) for path in found)


def test_a_vm_is_a_host_by_all_its_addresses_and_names_each_once():
    nic = NetworkInterface(ipv4=(Address(private="10.0.0.4"), Address()), ipv6=("fd00::4",))
    vm = instance(network=(nic,), name="web", os_profile=OsProfile(computer_name="web"))
    assert host_of(vm) == RackedHost(names=("10.0.0.4", "fd00::4", "web"), placement=vm.placement)
    assert host_of(instance(name=None)) is None
