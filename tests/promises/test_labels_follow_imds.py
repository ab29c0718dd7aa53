"""Never take away on doubt: a fact changes or goes when three complete answers agree, and never for want of an answer."""

from tests.promises.agents import DOMAIN, TAGS, labels, ours, tended

INSTANCE_PATH = "/metadata/instance"
OFTEN = {
    "instance_interval": "700ms",
    "events_interval": "2s",
}  # two requests a second are all that the agent allows itself
ROLE = f"tag.{DOMAIN}/role"


def settled(scene) -> dict[str, str]:
    """Wait until the facts may be changed on the node, and return what stands there of ours."""
    scene.wait_labelled()
    scene.asked(INSTANCE_PATH, 4)
    return ours(scene.get())


def tags(**given: str) -> dict[str, object]:
    """Return a patch of the VM's tags, in both of the forms that IMDS shows."""
    joined = ";".join(f"{name}:{value}" for name, value in given.items())
    return {"compute": {"tags": joined, "tagsList": [{"name": name, "value": value} for name, value in given.items()]}}


def test_a_tag_changed_added_and_removed_in_imds_is_followed_and_only_after_three_answers(plane):
    with tended(plane, confirm_interval="1500ms", events_interval="2s") as scene:
        settled(scene)
        scene.imds.patch_instance(tags(Role="Database", Owner="team-9"))
        scene.wait_for(lambda node: labels(node).get(f"tag.{DOMAIN}/owner") == "team-9", "the new tag, at once")
        assert labels(scene.get())[ROLE] == "WebRole"  # what stands waits for the third answer
        found = scene.wait_for(lambda node: labels(node)[ROLE] == "Database", "the changed tag")
        found = scene.wait_for(lambda node: f"tag.{DOMAIN}/department" not in labels(node), "the removed tag gone")
        assert {key for key in labels(found) if key.startswith("tag.")} == {ROLE, f"tag.{DOMAIN}/owner"}
        assert '"Role":"Database"' in ours(found)[TAGS]


def test_a_few_partial_answers_remove_no_label_not_even_from_a_fresh_process(plane):
    with tended(plane, **OFTEN) as scene:
        before = settled(scene)
        scene.fault("partial", path=INSTANCE_PATH, times=2)
        scene.asked(INSTANCE_PATH, 4)
        assert ours(scene.get()) == before
        scene.agent.kill()
        scene.fault("partial", path=INSTANCE_PATH, times=2)
        scene.agent.start()
        scene.asked(INSTANCE_PATH, 5)
        assert ours(scene.get()) == before
        version = scene.get()["metadata"]["resourceVersion"]
        scene.asked(INSTANCE_PATH, 2)
        assert scene.get()["metadata"]["resourceVersion"] == version


def test_partial_answers_that_go_on_remove_no_label_either(plane):
    with tended(plane, **OFTEN) as scene:
        before = settled(scene)
        scene.fault("partial", path=INSTANCE_PATH)
        scene.asked(INSTANCE_PATH, 6)
        scene.agent.restart()
        scene.asked(INSTANCE_PATH, 6)
        assert ours(scene.get()) == before


def test_degraded_answers_without_the_vms_own_data_teach_nothing(plane):
    missing = ["vmId", "name", "vmSize", "zone", "platformFaultDomain", "tags", "tagsList"]
    with tended(plane, **OFTEN) as scene:
        before = settled(scene)
        scene.fault("partial", path=INSTANCE_PATH, empty=missing)
        scene.asked(INSTANCE_PATH, 5)
        scene.agent.restart()
        scene.asked(INSTANCE_PATH, 6)
        assert ours(scene.get()) == before


def test_imds_away_for_a_while_changes_nothing_and_neither_does_its_return(plane):
    with tended(plane, **OFTEN) as scene:
        settled(scene)
        before = scene.get()
        scene.fault("status", status=500)
        scene.polled(2)
        scene.agent.restart()
        scene.polled(1)
        scene.well()
        scene.asked(INSTANCE_PATH, 3)
        scene.agent.wait_said("imds.recovered")
        after = scene.get()
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
