"""What goes into a support bundle is named; the rest stays out, and free text is masked."""

import json

import pytest

from agent.core.node import NodeView, Owner, Taint
from agent.core.support import EXTRAS, LOG_LINES, log_lines, masked, names_of, node_facts, vm_facts
from tests.doctor.builders import instance

P = "imds-agent.github.io"
PRIVATE = {
    "tagsList": [{"name": "Cost", "value": "s3cret-tag"}],
    "userData": "czNjcmV0LWRhdGE=",
    "publicKeys": [{"keyData": "ssh-rsa s3cret-key", "path": "/home/x"}],
    "resourceId": "/subscriptions/s3cret-subscription/x",
    "vmScaleSetName": "s3cret-set",
    "osProfile": {"adminUsername": "s3cret-admin", "computerName": "s3cret-computer"},
}
VM = instance(**PRIVATE)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("from 10.224.0.6 via 10.224.0.1", "from <address> via <address>"),
        ("route to 169.254.169.254/32 and 0.0.0.0", "route to 169.254.169.254/32 and 0.0.0.0"),
        ("eth0 00:0d:3a:f8:06:ec up", "eth0 <mac> up"),
        ("ace:cab:deca:deed::4, fe80::1 and ::1", "<address>, <address> and <address>"),
        ("at 12:30:45Z, 2026-11-26T12:00:00Z", "at 12:30:45Z, 2026-11-26T12:00:00Z"),
        ("id 02AAB8A4-74ef-476e-8182-f6d2ba4166a6.", "id <id>."),
        ("in /subscriptions/abc/resourceGroups/g, then", "in <resource id>, then"),
        ("node vm-of-ours is", "node <name> is"),
        ("token " + "aB3-" * 12, "token <removed>"),
        ("topology.imds-agent.github.io/rack", "topology.imds-agent.github.io/rack"),
    ],
)
def test_addresses_ids_names_and_long_words_are_masked(text, left):
    assert masked(text, ["vm-of-ours"]) == left


def test_what_was_asked_for_is_not_masked():
    text = "10.224.0.6 02aab8a4-74ef-476e-8182-f6d2ba4166a6 vm-of-ours " + "a" * 50
    assert masked(text, ["vm-of-ours"], EXTRAS) == text


def test_the_vm_is_told_by_kind_and_place_and_nothing_private():
    text = json.dumps(vm_facts(VM), default=str)
    assert "s3cret" not in text
    assert "czNjcmV0" not in text
    found = vm_facts(VM)
    assert (found["size"], found["placement"]["zone"], found["tags"], found["public_keys"]) == (
        "Standard_D4s_v3",
        "1",
        1,
        1,
    )
    assert found["in_scale_set"]


@pytest.mark.parametrize(
    ("extra", "held"),
    [("tags", "s3cret-tag"), ("user-data", "czNjcmV0"), ("keys", "s3cret-key"), ("ids", "s3cret-subscription"), ("addresses", "10.224.0.6")],
)  # fmt: skip
def test_each_extra_brings_its_own_and_no_other(extra, held):
    secrets = {"s3cret-tag", "czNjcmV0", "s3cret-key", "s3cret-subscription", "10.224.0.6"}
    text = json.dumps(vm_facts(VM, (extra,)), default=str)
    assert {each for each in secrets if each in text} == {held}


def test_the_names_to_mask_are_those_of_vm_and_node_that_are_no_common_words():
    assert set(names_of(VM, "node-1")) == {"node-1", "vm-of-ours", "s3cret-set", "s3cret-admin", "s3cret-computer"}
    assert names_of(None, "n") == names_of(None, None) == ()


def test_the_node_is_told_without_tags_and_without_the_values_of_others():
    view = NodeView(
        name="n", uid="u", resource_version="1", unschedulable=True, ready=True,
        labels={f"topology.{P}/rack": "r", f"vm.{P}/scale-set": "s3cret", f"tag.{P}/cost": "s3cret", "team": "s3cret"},
        annotations={f"{P}/events": "s3cret"}, owners=(Owner(manager="kubectl", applied=False),),
        taints=(Taint(key="example.com/x", value="s3cret"),),
    )  # fmt: skip
    found = node_facts(view, P)
    assert "s3cret" not in json.dumps(found)
    assert (found["labels"], found["mark"], found["hold"]) == ({f"topology.{P}/rack": "r"}, True, False)
    assert set(node_facts(view, P, ("tags", "ids"))["labels"]) == {
        f"topology.{P}/rack",
        f"vm.{P}/scale-set",
        f"tag.{P}/cost",
    }


def test_of_a_log_the_known_keys_are_kept_masked_and_other_lines_are_counted():
    lines = [
        '{"event":"node.cordoned","node":"s3cret-node","seconds":0.5}',
        '2026-11-26T12:00:00Z stderr F {"event":"imds.failed","error":"http://10.0.0.4: no answer from s3cret-node"}',
        "Traceback: s3cret",
        '{"no":"event"}',
        '{"event":3}',
        "{broken",
    ]
    found = log_lines("\n".join(lines), ["s3cret-node"])
    assert found == (
        '{"event": "node.cordoned", "seconds": 0.5}',
        '{"event": "imds.failed", "error": "http://<address>: no answer from <name>"}',
        "(4 other lines left out)",
    )
    assert log_lines("", []) == ()
    assert len(log_lines('{"event":"a"}\n' * (LOG_LINES + 5), [])) == LOG_LINES
