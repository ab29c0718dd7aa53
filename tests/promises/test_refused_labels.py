"""What admission refuses costs only what it names: the rest is written, it is said once, and nothing crashes.

AKS's webhook refuses changes of labels that a node pool pins; safeguards refuse label changes of workloads altogether.
"""

import pytest

from tests.controlplane.session import MERGE
from tests.promises.agents import DOMAIN, INSTANCE, TAGS, annotations, labels, node_of, tended
from tests.promises.policies import refusing_labels

ROLE, OWNER, RACK, SIZE = f"tag.{DOMAIN}/role", f"tag.{DOMAIN}/owner", f"topology.{DOMAIN}/rack", f"vm.{DOMAIN}/size"
NAMED = "'the pool pins these labels: ' + variables.refused.join(', ')"
UNNAMED = "'labels may not be changed by workloads'"


@pytest.fixture
def refused(own_plane):
    """Return a context in which label changes are refused; entering it waits until they are."""
    node = own_plane.register_node("refused-probe")
    with own_plane.new_session(token=own_plane.agent_token(node.name)) as session:

        def refusing(allowed: str, said: str, probe: str):
            def bites() -> bool:
                body = {"metadata": {"labels": {probe: "probe"}}}
                response = session.raw("PATCH", node.path, body, content_type=MERGE, dryRun="All")
                return response.status_code == 403 and "others-" in response.text

            return refusing_labels(own_plane, allowed, said, bites)

        yield refusing
    node.close()
    node.delete()


def quiet_afterwards(scene) -> None:
    """Nothing more is written or said once what can be written is written."""
    version = scene.get()["metadata"]["resourceVersion"]
    heard = len(scene.agent.said("labels.refused"))
    scene.asked("/metadata/instance", 2)  # four seconds, in which the node is looked at, too
    assert scene.get()["metadata"]["resourceVersion"] == version
    assert len(scene.agent.said("labels.refused")) == heard
    assert scene.agent.running


def test_one_refused_tag_key_costs_neither_the_other_tags_nor_the_topology_labels(own_plane, refused):
    with refused(f"k != '{ROLE}'", NAMED, ROLE), tended(own_plane) as scene:
        found = scene.wait_labelled()
        assert labels(found)[RACK] == "westeurope-1-fd0"
        assert labels(found)[f"tag.{DOMAIN}/environment"] == "Test"
        assert ROLE not in labels(found)
        refusal = scene.agent.wait_said("labels.refused")
        assert (refusal["group"], refusal["left_out"], refusal["level"]) == ("tags", [ROLE], "error")
        scene.asked("/metadata/instance", 3)
        quiet_afterwards(scene)
        assert len(scene.agent.said("labels.refused")) == 1


def test_a_refused_key_that_stands_already_stays_and_the_others_follow(own_plane, refused):
    """The policy came after the label: to leave the key out would mean to remove it, which is refused as well."""
    with tended(own_plane) as scene:
        scene.wait_labelled()
        scene.asked("/metadata/instance", 4)
        with refused(f"k != '{ROLE}'", NAMED, ROLE):
            tags = [{"name": "Role", "value": "Database"}, {"name": "Environment", "value": "Production"}]
            scene.imds.patch_instance({"compute": {"tagsList": tags, "tags": "Role:Database;Environment:Production"}})
            found = scene.wait_for(
                lambda node: labels(node)[f"tag.{DOMAIN}/environment"] == "Production", "the tag that may change"
            )
            assert labels(found)[ROLE] == "WebRole"
            assert f"tag.{DOMAIN}/department" not in labels(found)
            quiet_afterwards(scene)
            assert [entry["left_out"] for entry in scene.agent.said("labels.refused")] == [[ROLE]]


def test_where_all_label_changes_are_refused_annotations_and_cordon_still_come(own_plane, refused):
    with refused("false", UNNAMED, RACK), tended(own_plane) as scene:
        found = scene.wait_labelled()
        assert INSTANCE in annotations(found)
        assert TAGS in annotations(found)
        assert not any(DOMAIN in key for key in labels(found))
        event = scene.event("Preempt")
        scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()
        assert {entry["group"]: entry["left_out"] for entry in scene.agent.said("labels.refused")} == {
            "facts": "labels",
            "tags": "labels",
        }
        quiet_afterwards(scene)


def test_labels_that_stand_survive_a_policy_that_refuses_all_changes(own_plane, refused):
    with tended(own_plane) as scene:
        scene.wait_labelled()
        scene.asked("/metadata/instance", 4)
        before = labels(scene.get())
        with refused("false", UNNAMED, RACK):
            scene.imds.patch_instance({"compute": {"vmSize": "Standard_D8s_v3"}})
            scene.agent.wait_said("labels.refused")
            assert labels(scene.get()) == before
            quiet_afterwards(scene)
        scene.agent.restart()  # otherwise it tries again after half an hour
        scene.wait_for(lambda node: labels(node)[SIZE] == "Standard_D8s_v3", "the true size, now that it may change")


def test_a_leftover_that_may_not_be_removed_costs_nothing_else(own_plane, refused):
    old = f"topology.{DOMAIN}/old"
    with (
        node_of(own_plane, labels={old: "1"}) as node,
        refused(f"k != '{old}'", NAMED, old),
        tended(own_plane, node=node) as scene,
    ):
        scene.wait_for(lambda node: TAGS in annotations(node), "tags, although the facts' leftover stays")
        scene.event("Reboot")
        scene.wait_cordoned()
        scene.agent.wait_said("node.cordoned")
        assert labels(scene.get())[old] == "1"
