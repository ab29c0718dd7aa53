"""A drain is one step, taken again: what stops it, what it never does, and that it says what will not go."""

from tests.promises.agents import EVENTS, annotations, cordoned, tended, wait_until
from tests.promises.moving import Pods, asked

DRAIN = {"policy": "{Terminate: drain}", "drain_before": "1h", "drain_unmanaged": "evict", "drain_budget": "off"}


def state(scene) -> str | None:
    text = annotations(scene.get()).get(EVENTS, "")
    return next((word for word in ("begun", "done", "failed", "stopped") if f'"drain":"{word}"' in text), None)


def test_a_budget_that_refuses_is_named_and_asked_again_until_it_allows(whole_drain_plane):
    with tended(whole_drain_plane, **DRAIN) as scene:
        pods = Pods(whole_drain_plane, scene.node.name)
        uids = set(pods.add(2))
        pods.put_budget(2)
        event = scene.event("Terminate", NotBeforeSeconds=900)
        refused = scene.agent.wait_said("drain.pod_refused", times=2)
        assert refused["budget"] == pods.app
        assert any(pods.app in each for each in scene.agent.wait_said("drain.pods_left")["pods"])
        scene.polled(10)
        assert pods.staying() == uids  # nothing is moved past it
        assert len(scene.agent.said("drain.pod_refused")) == 2  # said once for each pod
        pods.put_budget(0)
        scene.wait_for(lambda _: state(scene) == "done", "the drain is done")
        assert sorted(asked(scene)) == sorted(set(asked(scene)))
        assert len(asked(scene)) == 2
        scene.over(event)
        scene.wait_released()
        pods.close()


def test_a_cancelled_event_and_an_uncordon_stop_a_drain_at_the_next_step(whole_drain_plane):
    with tended(whole_drain_plane, **DRAIN) as scene:
        pods = Pods(whole_drain_plane, scene.node.name)
        pods.add(1)
        pods.put_budget(1)
        event = scene.event("Terminate", NotBeforeSeconds=900)
        scene.agent.wait_said("drain.pod_refused")
        scene.over(event)
        scene.polled(2)
        pods.put_budget(0)
        scene.wait_released()
        assert (asked(scene), len(pods.staying())) == ([], 1)

        pods.put_budget(1)
        second = scene.event("Terminate", NotBeforeSeconds=900)
        scene.agent.wait_said("drain.pod_refused", times=2)  # said anew for another event
        whole_drain_plane.kubectl("uncordon", scene.node.name)
        scene.agent.wait_said("cordon.overridden")
        scene.wait_for(lambda _: state(scene) == "stopped", "the mark says so")
        pods.put_budget(0)
        scene.polled(12)
        assert (asked(scene), len(pods.staying())) == ([], 1)
        assert not cordoned(scene.get())
        scene.over(second)
        scene.wait_withdrawn()
        pods.close()


def test_what_no_budget_lets_go_is_deleted_when_the_deadline_has_come_and_only_if_that_was_asked_for(whole_drain_plane):
    settings = {**DRAIN, "delete_before": "4s"}
    with (
        tended(whole_drain_plane, **settings, on_deadline="delete") as deleting,
        tended(whole_drain_plane, **settings) as leaving,
    ):
        held = {}
        for scene in (deleting, leaving):
            pods = held[scene] = Pods(whole_drain_plane, scene.node.name)
            pods.add(1)
            pods.put_budget(1)
            scene.wait_labelled()  # at work: the event's time is for the drain alone
        for scene in (deleting, leaving):
            scene.event("Terminate", NotBeforeSeconds=14)
        for scene in (deleting, leaving):
            scene.agent.wait_said("drain.pod_refused")
            assert len(held[scene].staying()) == 1
        gone = deleting.agent.wait_said("drain.pod_deleted")
        assert 1 <= gone["grace"] <= 4
        assert not held[deleting].staying()
        failed = leaving.agent.wait_said("drain.failed")
        assert held[leaving].app in failed["pods"][0]
        assert len(held[leaving].staying()) == 1
        assert leaving.agent.said("drain.pod_deleted") == []
        for scene in (deleting, leaving):  # Started by now; over, and given back although the drain failed
            scene.imds.remove_event(scene.agent.said("event.seen")[0]["event_id"])
            scene.wait_released()
            held[scene].close()


def controlled(pods: Pods, kind: str, **metadata) -> dict:
    """Return a controller of one pod for this node; its pods count among the others."""
    labels = {"app": pods.app, "by": kind}
    selector = {"kubernetes.io/hostname": pods.node}
    spec = {"nodeSelector": selector, "terminationGracePeriodSeconds": 5, "containers": [{"name": "c", "image": "c"}]}
    template = {"metadata": {"labels": labels, **metadata}, "spec": spec}
    body = {"selector": {"matchLabels": labels}, "template": template}
    name = f"{pods.app}-{kind.lower()}"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": body}


def test_pods_that_belong_to_the_node_or_to_nobody_stay_and_one_that_a_finalizer_holds_hangs_nothing(whole_drain_plane):
    settings = {**DRAIN, "drain_unmanaged": "leave"}
    with tended(whole_drain_plane, **settings) as scene:
        pods, admin, apps = (
            Pods(whole_drain_plane, scene.node.name),
            whole_drain_plane.admin,
            "/apis/apps/v1/namespaces/default",
        )
        admin.post(f"{apps}/daemonsets", controlled(pods, "DaemonSet"))
        admin.post(f"{apps}/replicasets", controlled(pods, "ReplicaSet", finalizers=["example.com/holds"]))
        [alone] = pods.add(1)

        def names() -> dict[str, str]:
            running = [pod for pod in pods.all() if pod["status"].get("phase") == "Running"]
            return {pod["metadata"]["labels"].get("by", "nobody"): pod["metadata"]["name"] for pod in running}

        found = wait_until(lambda: (seen := names()) and len(seen) == 3 and seen, "three pods run")
        event = scene.event("Terminate", NotBeforeSeconds=900)
        held = f"default/{found['ReplicaSet']}"
        wait_until(lambda: asked(scene) == [held], "the one that may go is asked", scene.agent.tail)
        left = wait_until(
            lambda: [each for each in scene.agent.said("drain.pods_left") if len(each["pods"]) == 1],
            "the held one is not waited for",
        )
        assert (
            "no controller would start it again" in left[-1]["pods"][0]
        )  # and neither DaemonSet nor finalizer are named
        scene.polled(6)
        assert state(scene) == "begun"  # what the policy leaves is work that was not moved
        assert alone in pods.staying()
        assert asked(scene) == [held]
        scene.over(event)
        scene.wait_released()
        for kind in ("daemonset", "replicaset"):
            admin.delete(f"{apps}/{kind}s/{pods.app}-{kind}")
        pods.close()


def test_an_agent_killed_in_the_middle_of_a_drain_goes_on_and_asks_nobody_twice(whole_drain_plane):
    with tended(whole_drain_plane, **DRAIN) as scene:
        scene.wait_labelled()
        pods = Pods(whole_drain_plane, scene.node.name, ending=6)
        uids = set(pods.add(24, grace=20))
        event = scene.event("Terminate", NotBeforeSeconds=900)
        kills = []
        for count in (1, 9, 17):
            # The API server is asked: a kill falls between an answer and its line in the log, too.
            wait_until(lambda count=count: len(uids - pods.staying()) >= count, f"{count} asked", scene.agent.tail)
            scene.agent.kill()
            kills.append((pods.leaving(), len(scene.agent.log)))
            scene.agent.start()
        wait_until(lambda: not pods.staying(), "all asked", scene.agent.tail)
        scene.wait_for(lambda _: state(scene) == "done", "the drain is done")
        assert len(asked(scene)) == len(set(asked(scene)))
        for leaving, since in kills:
            assert leaving.isdisjoint(asked(scene, since))
        scene.over(event)
        scene.wait_released()
        pods.close()


def test_an_event_weeks_ahead_neither_cordons_nor_drains_and_a_skewed_clock_does_no_harm(whole_drain_plane):
    settings = {
        "policy": "{Terminate: drain}",
        "drain_unmanaged": "evict",
        "drain_budget": "off",
        "drain_margin": "10s",
    }
    with tended(whole_drain_plane, **settings) as far, tended(whole_drain_plane, **settings) as skewed:
        pods = Pods(whole_drain_plane, skewed.node.name)
        uids = set(pods.add(1, grace=5))
        far.event("Terminate", NotBeforeSeconds=14 * 86_400)
        far.agent.wait_said("event.seen")
        far.polled(6)
        assert not cordoned(far.get())
        # The node's clock is two hours behind the service's: by the node's own the event would be hours away.
        skewed.fault("skew", seconds=7200)
        event = skewed.event("Terminate", NotBeforeSeconds=600)
        skewed.wait_cordoned()
        skewed.polled(6)
        assert pods.staying() == uids  # ten minutes by the service's clock: too early for a drain that needs seconds
        skewed.over(event)
        skewed.wait_released()
        pods.close()


def test_a_drain_switched_off_by_a_new_policy_strands_nobody(whole_drain_plane):
    with tended(whole_drain_plane, **DRAIN) as scene:
        pods = Pods(whole_drain_plane, scene.node.name)
        pods.add(1)
        pods.put_budget(1)
        event = scene.event("Terminate", NotBeforeSeconds=900)
        scene.agent.wait_said("drain.pod_refused")
        scene.agent.options = [option for option in scene.agent.options if not option.startswith("--policy")]
        scene.agent.options.append("--policy={Terminate: ignore}")
        scene.agent.restart()
        scene.wait_for(lambda _: state(scene) == "stopped", "the drain is stopped")
        pods.put_budget(0)
        scene.polled(6)
        assert cordoned(scene.get())  # a cordon stays while its event lasts
        assert len(pods.staying()) == 1
        scene.over(event)
        scene.wait_released()
        pods.close()


def test_without_the_right_to_list_pods_the_cordon_stands_and_the_node_comes_back(plane):
    with tended(plane, **DRAIN) as scene:
        event = scene.event("Terminate", NotBeforeSeconds=900)
        scene.wait_cordoned()
        scene.agent.wait_said("drain.refused")
        scene.polled(8)
        assert len(scene.agent.said("drain.refused")) == 1
        assert cordoned(scene.get())
        scene.over(event)
        scene.wait_released()
