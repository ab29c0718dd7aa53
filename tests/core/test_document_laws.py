"""Whatever stands in a document: a value or a DocumentError comes of it, and every documented field is read."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.attested import read_attested, read_envelope
from agent.core.document import DocumentError, read_json
from agent.core.events import read_events
from agent.core.identity import read_tenant, read_token
from agent.core.instance import read_instance
from agent.core.labels import LabelPolicy, fact_labels
from agent.core.load_balancer import read_load_balancer

DOCUMENTS = Path(__file__).parent.parent / "documents" / "imds"
VERSION = "2025-04-07"


def sample(name: str):
    return json.loads((DOCUMENTS / name).read_bytes())


COMPUTE = {
    **sample("instance-compute-2025-04-07-linux.json"),
    # Not in Azure's sample of this version, but in its table of fields, its older samples or recorded answers.
    "customData": "",
    "host": {"id": "host-1"},
    "isVmInStandbyPool": "",
    "plan": {"name": "n", "product": "p", "publisher": "q"},
    "platformSubFaultDomain": "15",
    "provider": "Microsoft.Compute",
    "tagsList": [{"name": "Department", "value": "IT"}],
    "userData": "Zm9vYmFy",
}
WHOLE = {
    "compute": COMPUTE,
    "network": sample("instance-network-2025-04-07.json"),
    "extended": {"compute": {"hasCustomData": False, "ppsType": "None"}},
}
EVENTS = sample("scheduledevents/live-migration-2-scheduled.json")


def places(node, path=()):
    """Return the path of every node below one, itself included."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def at(document, path):
    for key in path:
        document = document[key]
    return document


def replaced(document, path, value):
    if not path:
        return value
    changed = copy.deepcopy(document)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def other(leaf):
    """Return another leaf of the same kind."""
    if isinstance(leaf, bool):
        return not leaf
    if leaf in ("true", "false"):
        return "true" if leaf == "false" else "false"
    return str(int(leaf) + 1) if leaf.isdigit() else f"{leaf}x"


# `tags` is read only where tagsList is empty, and Priority only tells spot from the rest.
LEAVES = [
    path
    for path in places(WHOLE)
    if not isinstance(at(WHOLE, path), dict | list) and path[1] not in ("tags", "Priority")
]


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_every_documented_field_is_read(path):
    changed = replaced(WHOLE, path, other(at(WHOLE, path)))
    assert read_instance(json.dumps(changed), VERSION) != read_instance(json.dumps(WHOLE), VERSION)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def outcome(read, body):
    """Return what is read, or the error."""
    try:
        return read(body)
    except DocumentError as error:
        return error


@given(st.sampled_from(list(places(WHOLE))), anything)
def test_an_instance_with_anything_anywhere_gives_labels_or_says_what_is_wrong(path, value):
    read = outcome(lambda body: read_instance(body, VERSION), json.dumps(replaced(WHOLE, path, value)))
    if isinstance(read, DocumentError):
        assert read.path.startswith("$")
    else:
        written = fact_labels(read, LabelPolicy(include=("*",)))
        assert json.dumps([written.labels, written.annotations], ensure_ascii=False).encode()


@given(st.sampled_from(list(places(EVENTS))), anything)
def test_events_with_anything_anywhere_are_read_or_said_to_be_wrong(path, value):
    read = outcome(read_events, json.dumps(replaced(EVENTS, path, value)))
    if isinstance(read, DocumentError):
        assert (read.path, path) in (("$", ()), ("$.Events", ()), ("$.Events", ("Events",)))
    else:
        assert read.events or read.unreadable or path in ((), ("Events",))


OTHERS = {
    "attested": (read_attested, sample("attested-decoded-2020-09-01.json")),
    "envelope": (read_envelope, sample("attested-document.json")),
    "load balancer": (read_load_balancer, sample("loadbalancer-2020-10-01.json")),
    "token": (read_token, sample("identity-token.json")),
    "tenant": (read_tenant, {"tenantId": "t"}),
}


@pytest.mark.parametrize("name", OTHERS)
@given(data=st.data())
def test_every_other_document_with_anything_anywhere_is_read_or_said_to_be_wrong(name, data):
    read, whole = OTHERS[name]
    path = data.draw(st.sampled_from(list(places(whole))))
    found = outcome(read, json.dumps(replaced(whole, path, data.draw(anything))).encode())
    if isinstance(found, DocumentError):
        assert found.path.startswith("$")


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_json_or_said_not_to_be(body):
    assert outcome(read_json, body).path == "$"
