"""A NameNode's JMX as values."""

import json

import pytest

from agent.core.datanodes import DataNode, read_datanodes
from agent.core.document import DocumentError, Place

# Of a NameNode of Hadoop 3.5.0 with two DataNodes and three hosts in dfs.hosts, on 2026-11-27; what is not read is left out.
LIVE = {
    "vm-2:9866": {
        "infoAddr": "127.0.1.2:33829",
        "xferaddr": "127.0.1.2:33673",
        "location": "/westeurope-2",
        "uuid": "8a505891-7389-428a-b971-34ac48f64922",
        "adminState": "In Maintenance",
        "upgradeDomain": "u2",
    },
    "[::1]:9867": {"xferaddr": "[::1]:9867", "location": "/westeurope-1", "uuid": "f0", "adminState": "In Service"},
}
DEAD = {
    "127.0.1.3:9866": {
        "lastContact": 39378,
        "decommissioned": False,
        "adminState": "In Service",
        "xferaddr": "127.0.1.3:9866",
        "location": "/default-rack",
        "uuid": "",
    }
}


def bean(live: object, dead: object) -> Place:
    return Place(path="$.beans[0]", value={"LiveNodes": json.dumps(live), "DeadNodes": json.dumps(dead)})


def test_live_and_dead_datanodes_are_read_and_those_that_never_came_are_told_apart():
    assert read_datanodes(bean(LIVE, DEAD)) == (
        DataNode(
            address="0:0:0:0:0:0:0:1", port=9867, name="[::1]", rack="/westeurope-1", state="In Service",
            upgrade_domain=None, live=True,
        ),
        DataNode(
            address="127.0.1.2", port=33673, name="vm-2", rack="/westeurope-2", state="In Maintenance",
            upgrade_domain="u2", live=True,
        ),
        DataNode(
            address="127.0.1.3", port=9866, name="127.0.1.3", rack="/default-rack", state="In Service",
            upgrade_domain=None, live=False, seen=False,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, r"\$\.beans\[0\]\.LiveNodes: expected a JSON object as a text, found nothing"),
        ({"LiveNodes": "{"}, r"\$\.beans\[0\]\.LiveNodes: expected JSON"),
        ({"LiveNodes": "[]", "DeadNodes": "{}"}, r"LiveNodes: expected an object"),
        ({"LiveNodes": '{"a:1": {"xferaddr": "vm-1:9866"}}', "DeadNodes": "{}"}, r"a:1\.xferaddr: expected ADDRESS"),
        ({"LiveNodes": '{"a:1": {"xferaddr": "10.0.0.4"}}', "DeadNodes": "{}"}, r"a:1\.xferaddr: expected ADDRESS"),
        ({"LiveNodes": f'{{"a:1": {{"xferaddr": "10.0.0.4:{"9" * 5000}"}}}}', "DeadNodes": "{}"}, r"expected ADDRESS"),
    ],
)
def test_what_is_no_namenode_says_where(value, said):
    with pytest.raises(DocumentError, match=said):
        read_datanodes(Place(path="$.beans[0]", value=value))
