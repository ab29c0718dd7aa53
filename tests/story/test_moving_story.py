"""The second story: drains, budgets, approval, the switch and deadlines on two nodes, in any order.

As the first: the real loops against a real control plane, here with the real controller manager for disruption budgets and the
emulator over HTTP for events and approvals; time is a value. Failing examples replay by the seed that hypothesis prints.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.controlplane.cluster import Cluster as Plane
from tests.story.moving_world import DELETE_BEFORE, MovingWorld, Side
from tests.story.world import is_cordoned, overridden_ids

STORIES = int(os.environ.get("IMDS_AGENT_MOVING_STORIES", "6"))
LENGTH = 20  # steps in one story
AT_LEAST = 400.0  # seconds before the start of an event at which no drain of these pods is in such a hurry as to wait for nobody
ROUNDS = 40  # of calm and 20 s each, in which a drain that can finish must: 15 minutes of notice, less a margin

SIDE = st.sampled_from([0, 1])
KINDS = st.sampled_from(["Reboot", "Terminate", "Redeploy", "Preempt"])
WHOM = st.sampled_from([["vm_a"], ["vm_b"], ["vm_a", "vm_b"], ["vm_a", "vm_elsewhere"], ["vm_elsewhere"]])
NOTICE = st.sampled_from([40, 200, 300, 900])


def happening(**given: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a rule of what happens; afterwards IMDS may be heard, agents may turn, kubelets may end pods."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def step(self: "Story", hear: bool, turns: list[int], ends: bool, **more: Any) -> None:
            function(self, **more)
            for number in dict.fromkeys(turns):
                if hear:
                    self.world.hear(self.world.sides[number])
            for number in turns:
                self.turn(self.world.sides[number])
            if ends:
                self.world.kubelets_end_pods()

        step.__name__ = function.__name__
        order = st.sampled_from([[0, 1], [1, 0], [0], [1], [0, 1, 0], []])
        return rule(**given, hear=st.sampled_from([True, True, True, False]), turns=order, ends=st.booleans())(step)

    return decorate


class Story(RuleBasedStateMachine):
    """Two nodes' life."""

    plane: ClassVar[Plane]
    folder: ClassVar[Path]

    @initialize(
        on_deadline=st.sampled_from(["leave", "leave", "delete"]),
        guarded=st.sampled_from([True, True, False]),
        kind=KINDS,
        notice=NOTICE,
        whom=WHOM,
        refusing=st.sampled_from([True, True, False]),
        switched=st.sampled_from(["on", "on", "on", "on", "hold", "release"]),
    )
    def begin(self, on_deadline, guarded, kind, notice, whom, refusing, switched):
        self.world = MovingWorld(self.plane, self.folder, on_deadline)
        self.approved: dict[str, int] = {}
        for side in self.world.sides:
            if switched != "on":  # from the start: a switch that is turned later often comes after the drain
                self.world.put_switch(side, "drain", switched)
            self.world.add_pod(side, guarded=guarded, critical=False)
            self.world.hear(side)
            self.turn(side)
        self.world.put_budget(refusing=refusing)
        self.world.schedule(kind, whom, notice, "Platform")

    # -- what happens ------------------------------------------------------------------------------------------------

    @happening(kind=KINDS, whom=WHOM, notice=NOTICE, source=st.sampled_from(["Platform", "User"]))
    def an_event_is_scheduled(self, kind, whom, notice, source):
        if len(self.world.client.events().value.events) < 3:
            self.world.schedule(kind, whom, notice, source)

    @happening()
    def an_event_ends_or_is_cancelled(self):
        events = self.world.client.events().value.events
        if events:
            self.world.imds.remove_event(events[0].id)

    @happening(seconds=st.sampled_from([1, 6, 6, 30, 61, 301]))
    def time_passes(self, seconds):
        self.world.instant += seconds

    @happening(side=SIDE, seconds=st.sampled_from([12, 8, 3]))
    def the_start_of_an_event_is_seconds_away(self, side, seconds):
        own = [event for event in self.own(self.world.sides[side]) if event.status == "Scheduled"]
        left = min(((event.not_before - self.world.now()).total_seconds() for event in own), default=0)
        self.world.instant += max(0, left - seconds)

    @happening(side=SIDE, guarded=st.booleans(), critical=st.sampled_from([False, False, True]))
    def a_pod_comes(self, side, guarded, critical):
        if self.world.pods < 10:
            self.world.add_pod(self.world.sides[side], guarded=guarded, critical=critical)

    @happening(refusing=st.booleans())
    def the_budget_refuses_or_allows(self, refusing):
        self.world.put_budget(refusing=refusing)

    @happening(side=SIDE)
    def somebody_uncordons(self, side):
        self.world.uncordon(self.world.sides[side])

    @happening(
        side=SIDE,
        part=st.sampled_from(["drain", "approve", "cordon"]),
        position=st.sampled_from(["on", "hold", "release"]),
    )
    def somebody_turns_the_switch(self, side, part, position):
        self.world.put_switch(self.world.sides[side], part, position)

    @happening(side=SIDE)
    def an_agent_dies_and_starts_again(self, side):
        self.world.stop(self.world.sides[side])
        self.world.start(self.world.sides[side])

    # -- what must hold ----------------------------------------------------------------------------------------------

    def turn(self, side: Side) -> None:
        world = self.world
        before, after = world.leaving(side), None
        held, refused, cordoned = world.holders(), world.refusing, is_cordoned(world.read(side))
        work = {other.vm: bool(self.at_work(other)) for other in world.sides}
        marked = world.mark(side)
        side.overridden = overridden_ids(world.read(side)) | (set() if cordoned else set(marked))
        side.loop.turn()
        after = world.leaving(side)
        story = side.log.getvalue()[-4000:]
        asked = {uid: guarded for uid, guarded in after.items() if uid not in before}
        if asked:
            self.evictions_are_right(side, asked, refused, held, story)
        self.approvals_are_right(side, work, story)
        self.cordoned_while_an_event_lasts(side, story)

    def own(self, side: Side) -> list[Any]:
        """Return the events that the agent has heard of, that name its VM, and that it is to drain for."""
        return [event for event in side.heard.values() if side.vm in event.resources]

    def at_work(self, side: Side) -> list[dict[str, Any]]:
        return [pod for pod in self.world.pods_of(side) if "deletionTimestamp" not in pod["metadata"]]

    def evictions_are_right(self, side, asked, refused, held, story):
        now = self.world.now()
        lasting = [event for event in self.own(side) if event.status == "Scheduled" and event.id not in side.overridden]
        assert lasting, f"asked to leave without an event: {story}"
        lefts = [(event.not_before - now).total_seconds() for event in lasting]
        assert max(lefts) > 0, f"asked to leave after the start: {story}"
        assert all(side.positions.get(part, "on") == "on" for part in ("drain", "cordon")), (
            f"asked over the switch: {story}"
        )
        assert is_cordoned(self.world.read(side)), f"asked to leave a node that is not cordoned: {story}"
        if refused and any(asked.values()):
            assert self.world.on_deadline == "delete", f"past a refusing budget: {story}"
            assert min(lefts) <= DELETE_BEFORE, f"past a refusing budget {min(lefts)} s early: {story}"
        if side.name not in held | self.world.holders():
            assert min(lefts) <= AT_LEAST, f"drained without a place {min(lefts)} s before the event: {story}"

    def approvals_are_right(self, side, work, story):
        told = self.world.approvals()
        counted = {event: told.count(event) for event in told}
        for event, times in counted.items():
            assert times == 1, f"{event} was approved {times} times: {story}"
            if event in self.approved:
                continue
            resources = side.heard[event].resources
            assert "vm_elsewhere" not in resources, f"approved for a VM that nobody knows: {story}"
            assert not any(work[vm] for vm in resources), f"approved while {work}: {story}"
            assert event not in side.overridden, f"approved over an override: {story}"
            assert side.positions.get("approve", "on") == "on", f"approved over the switch: {story}"
        self.approved = counted

    def cordoned_while_an_event_lasts(self, side, story):
        if side.positions.get("cordon", "on") != "on":
            return
        lasting = {event.id for event in self.own(side)} - side.overridden
        if lasting:
            assert is_cordoned(self.world.read(side)), f"schedulable during {lasting}: {story}"

    # -- the end -----------------------------------------------------------------------------------------------------

    def teardown(self):
        if hasattr(self, "world"):
            try:
                self.calm()
            finally:
                self.world.close()

    def calm(self) -> None:
        """With calm a drain that can finish does, in time; then both nodes are given back and no place is kept."""
        world = self.world
        world.put_budget(refusing=False)
        for side in world.sides:
            for part in list(side.positions):
                world.put_switch(side, part, "on")
        self.end_all_events()
        event = world.schedule("Terminate", ["vm_a"], 900, "Platform")
        begun = world.instant
        for _ in range(ROUNDS):
            self.one_round(20)
            if world.mark(world.sides[0]).get(event, {}).get("drain") == "done":
                break
        story = world.sides[0].log.getvalue()[-4000:]
        assert not self.at_work(world.sides[0]), f"pods were left behind: {story}"
        assert world.mark(world.sides[0])[event]["drain"] == "done", (
            f"not done after {world.instant - begun} s: {story}"
        )
        assert world.holders() == {world.sides[0].name}, f"places {world.holders()}: {story}"
        self.end_all_events()
        for side in world.sides:
            after = world.read(side)
            told = side.log.getvalue()[-4000:]
            assert not is_cordoned(after), f"a cordon was left behind: {told}"
            assert "imds-agent.github.io/events" not in after["metadata"]["annotations"], (
                f"a mark was left behind: {told}"
            )
        assert world.holders() == set(), "a place was left behind"

    def end_all_events(self) -> None:
        for event in self.world.client.events().value.events:
            self.world.imds.remove_event(event.id)
        for _ in range(4):
            self.one_round(302)

    def one_round(self, seconds: float) -> None:
        for side in self.world.sides:
            self.world.hear(side)
            self.turn(side)
        self.world.kubelets_end_pods()
        self.world.instant += seconds
        for side in self.world.sides:
            self.world.hear(side)
            self.turn(side)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_whatever_happens_no_pod_is_moved_that_must_not_be_and_every_drain_that_can_finish_does(
    whole_drain_plane: Plane, tmp_path_factory: pytest.TempPathFactory
) -> None:
    Story.plane, Story.folder = whole_drain_plane, tmp_path_factory.mktemp("switches")
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=LENGTH,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.reuse, Phase.generate, Phase.shrink) if STORIES <= 6 else (Phase.generate, Phase.shrink),
        ),
    )
