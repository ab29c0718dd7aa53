"""`dfs.hosts`: what Hadoop would silently take for an empty list is refused, and what we write comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.dfs_hosts import HostEntry, hosts_text, read_hosts
from agent.core.document import DocumentError

ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.lists(st.integers(1, 0xFFFE), min_size=8, max_size=8).map(lambda words: ":".join(f"{word:x}" for word in words)),
)
ENTRIES = st.builds(
    HostEntry,
    address=ADDRESSES,
    port=st.integers(0, 65_535),
    upgrade_domain=st.none() | st.text(min_size=1).filter(lambda text: text.isprintable()),
    state=st.sampled_from(["NORMAL", "IN_MAINTENANCE", "DECOMMISSIONED"]),
    until=st.none() | st.integers(0, 2**53),
)


@given(st.lists(ENTRIES, unique_by=lambda each: (each.address, each.port)))
def test_what_is_written_reads_back_the_same(entries):
    back = read_hosts(hosts_text(entries))
    assert sorted(back, key=str) == sorted(entries, key=str)
    assert hosts_text(back) == hosts_text(entries)


def test_the_file_has_a_line_for_each_host_and_only_hadoops_fields():
    entries = [
        HostEntry(address="10.0.0.10", upgrade_domain="ud1", state="IN_MAINTENANCE", until=1_795_334_400_000),
        HostEntry(address="10.0.0.9", port=9866, upgrade_domain="ud0"),
    ]
    assert hosts_text(entries) == (
        "[\n"
        '{"hostName": "10.0.0.9", "port": 9866, "upgradeDomain": "ud0"},\n'
        '{"hostName": "10.0.0.10", "upgradeDomain": "ud1", "adminState": "IN_MAINTENANCE", "maintenanceExpireTimeInMS": 1795334400000}\n'
        "]\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"\$: expected JSON, found an empty body"),
        ('[{"hostName": "10.0.0.4"}, {"hostNa', r"\$: expected JSON"),
        ("null", r"\$: expected an array of hosts"),
        ('{"hostName": "10.0.0.4"}', r"\$: expected an array"),
        ('[{"hostName": "10.0.0.4", "zone": "1"}]', r"\$\[0\]\.zone: expected no such field"),
        ('[{"hostName": "vm-1"}]', r"\$\[0\]\.hostName: expected an IP address"),
        ('[{"hostName": "10.0.0.4", "adminState": "in_maintenance"}]', r"adminState: expected NORMAL"),
        ('[{"hostName": "10.0.0.4", "port": 65536}]', r"port: expected a port"),
        ('[{"hostName": "10.0.0.4"}, {"hostName": "10.0.0.4"}]', r"\$\[1\]\.hostName: expected a host once"),
    ],
)
def test_what_hadoop_would_take_for_an_empty_list_is_refused(text, said):
    with pytest.raises(DocumentError, match=said):
        read_hosts(text)
