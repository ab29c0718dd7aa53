"""What the rack script answers, as values: one path for each name, in order, all of one depth, never a wrong one."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.rack_table import (
    answers,
    bits_of,
    canonical,
    fallback,
    longest,
    network_of,
    networks_of,
    read_table,
    right_path,
    within,
)

TABLE = """# racks 1 depth=1 own=10.224.0.0/16,fd00::/8
10.224.0.4 /westeurope-1
10.224.0.5 /westeurope-2
node-a /westeurope-1
node-a.example.com /westeurope-1
fd00:0:0:0:0:0:0:4 /westeurope-3
10.244.3.0/24 /westeurope-1
10.244.0.0/16 /westeurope-2
fd01::/16 /westeurope-3
# end 8
"""
WHOLE = "# racks 1 depth=1\n# end 0\n"


def ask(*names: str, texts=(TABLE,), depth=1, strict=False):
    return answers(list(names), list(texts), depth, strict)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("10.224.0.4", "/westeurope-1"),
        ("10.224.0.5", "/westeurope-2"),
        ("NODE-A", "/westeurope-1"),
        ("node-a.", "/westeurope-1"),
        ("node-a.example.com", "/westeurope-1"),
        ("node-a.other.example", "/westeurope-1"),
        ("fd00:0:0:0:0:0:0:4", "/westeurope-3"),
        ("fd00::4", "/westeurope-3"),
        ("FD00::0004%eth0", "/westeurope-3"),
        ("::ffff:10.224.0.4", "/westeurope-1"),
        ("0:0:0:0:0:ffff:ae0:4", "/westeurope-1"),
        ("10.244.3.77", "/westeurope-1"),
        ("10.244.4.77", "/westeurope-2"),
        ("fd01::9", "/westeurope-3"),
        ("10.245.0.1", "/default-rack"),
        ("node-b", "/default-rack"),
        ("", "/default-rack"),
        ("1.2.3", "/default-rack"),
        ("::1::2", "/default-rack"),
        ("a:b", "/default-rack"),
        ("::300.1.1.1", "/default-rack"),
        ("10.244.3.0/24", "/westeurope-1"),
    ],
)
def test_hosts_are_found_by_address_name_and_network(name, path):
    assert ask(name) == [path]


def test_every_argument_has_its_line_in_order():
    names = ["10.224.0.5", "x", "10.224.0.4", "10.244.3.1", "10.224.0.5"]
    assert ask(*names) == ["/westeurope-2", "/default-rack", "/westeurope-1", "/westeurope-1", "/westeurope-2"]
    assert ask() == []


def test_a_host_of_our_own_that_is_not_known_yet_has_no_answer_where_that_was_asked_for():
    assert ask("10.224.0.9", strict=True) is None
    assert ask("10.224.0.4", "10.224.0.9", strict=True) is None
    assert ask("fd00::9", strict=True) is None
    assert ask("192.0.2.1", "stranger", strict=True) == ["/default-rack"] * 2
    assert ask("10.224.0.4", strict=True) == ["/westeurope-1"]


@pytest.mark.parametrize(
    "torn",
    [
        "", "\n", "x", TABLE[:-1], TABLE[:100], TABLE.replace("# end 8", "# end 7"), TABLE.replace("racks 1", "racks 2"),
        TABLE.replace("10.224.0.4 ", "10.224.0.4"), TABLE.replace("/westeurope-1\n", "/westeurope-1 x\n", 1), TABLE + TABLE,
        TABLE.partition("\n")[2], TABLE.replace("depth=1", "depth=2"), TABLE + "x" * (16 * 1024 * 1024), "# racks 1 depth=1\n",
        TABLE.replace("\n10.224.0.5", "\n\n10.224.0.5"),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_table_that_is_not_whole_is_none_and_the_one_before_it_counts(torn):
    assert ask("10.224.0.4", texts=[torn]) == ["/default-rack"]
    assert ask("10.224.0.4", texts=[torn], strict=True) is None
    assert ask("10.224.0.4", texts=[torn, TABLE]) == ["/westeurope-1"]


def test_a_table_of_another_depth_is_none():
    assert ask("10.224.0.4", depth=2) == ["/default-rack/default-rack"]
    assert read_table(WHOLE, 1) == ({}, [])


@pytest.mark.parametrize("path", ["/a/b", "a", "/", "//", "/a/", "", "/a\x0bb"])
def test_a_row_with_a_path_that_hadoop_would_not_take_is_as_good_as_none(path):
    assert not right_path(path, 1)
    table = f"# racks 1 depth=1\n10.0.0.1 {path}\n# end 1\n"
    assert ask("10.0.0.1", texts=[table]) == ["/default-rack"]


@given(st.ip_addresses(v=6))
def test_ipv6_is_written_as_java_does(address):
    mapped = address.ipv4_mapped
    expected = str(mapped) if mapped else ":".join(f"{int(word, 16):x}" for word in address.exploded.split(":"))
    assert canonical(str(address)) == canonical(address.exploded.upper()) == canonical(expected) == expected
    assert bits_of(expected) == ((int(mapped), 32) if mapped else (int(address), 128))


@given(st.ip_addresses(), st.data())
def test_an_address_is_within_exactly_the_networks_that_python_says(address, data):
    bits = address.max_prefixlen
    prefix = data.draw(st.integers(0, bits))
    other = data.draw(st.ip_addresses(v=address.version))
    network = ipaddress.ip_network(f"{other}/{prefix}", strict=False)
    if getattr(other, "ipv4_mapped", None) or getattr(address, "ipv4_mapped", None):
        return
    ours = network_of(f"{other}/{prefix}")
    assert ours == (int(network.network_address), prefix, bits)
    assert within((int(address), bits), ours) is (address in network)
    assert (longest(networks_of({str(network): "/a"}), (int(address), bits)) == "/a") is (address in network)


@pytest.mark.parametrize(
    "text", ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/x", "x/8", "10.0.0/8", "300.0.0.0/8", "::/129", "/8", "12345::/8"]
)
def test_what_is_no_network_is_none(text):
    assert network_of(text) is None
    assert networks_of({text: "/a", "name": "/b"}) == []


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=5), st.booleans(), st.integers(1, 3))
def test_whatever_stands_in_the_file_each_name_has_a_path_of_the_right_depth_or_nobody_has(text, names, strict, depth):
    for texts in ([text], [text, TABLE], [TABLE]):
        found = answers(names, texts, depth, strict)
        if found is not None:
            assert len(found) == len(names)
            assert all(right_path(path, depth) for path in found)


def test_the_fallback_is_of_the_depth_of_all_others():
    assert [fallback(depth) for depth in (1, 2, 3)] == [
        "/default-rack",
        "/default-rack/default-rack",
        "/default-rack" * 3,
    ]
