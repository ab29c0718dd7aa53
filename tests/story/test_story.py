"""The story: anything may happen in any order, and the node is never worse off for it.

A state machine drives the real loop, with documents and time as values, against a real node of a real kube-apiserver under
our own rights and policy. Failing examples replay by the seed that hypothesis prints.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.controlplane.cluster import Cluster as Plane
from tests.story.refusing import refuse_where_told
from tests.story.world import VM, P, World, instance_document, is_cordoned, marked_ids, overridden_ids, own_labels

STORIES = int(os.environ.get("IMDS_AGENT_STORIES", "120"))
LENGTH = 35  # steps in one story
LOOK = 6  # seconds: a look at a node with a mark is due after five
CALM = 6  # turns after which a node must be as it should be
REFUSE = "story.example/refuse"
HOLD = f"{P}/hold"

IDS = st.sampled_from(["A", "B"])
KINDS = st.sampled_from(["Reboot", "Redeploy", "Preempt", "Terminate", "Freeze", "Novelty"])
STATUSES = st.sampled_from(["Scheduled", "Started"])
WHOM = st.sampled_from([[VM], [VM], ["POOL_1", "pool_7"], ["_pool_1"], ["pool_12"]])


def cordons(event: dict[str, Any]) -> bool:
    """Return whether an event of the service is one that our default policy cordons this VM for."""
    ours = any(name.lower().lstrip("_") == VM for name in event["Resources"])
    return ours and not (event["EventType"] == "Freeze" and 0 <= event["DurationInSeconds"] < 30)


def happening(**given: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a rule of what happens; IMDS may be heard after it, and the agent may turn.

    Turns are part of each step and no rule of their own: hypothesis leaves whole rules out of a story, and a story without
    turns tells nothing.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def step(self: "Story", hear: str, turns: int, **more: Any) -> None:
            function(self, **more)
            self.hear(hear)
            self.world.instant += LOOK if turns else 0
            for _ in range(turns):
                self.turn()

        step.__name__ = function.__name__
        hearing = st.sampled_from(["nothing", "all", "all", "all", "events", "broken events"])
        return rule(**given, hear=hearing, turns=st.sampled_from([0, 1, 1, 3]))(step)

    return decorate


class Story(RuleBasedStateMachine):
    """One node's life."""

    plane: ClassVar[Plane]

    @initialize()
    def begin(self) -> None:
        self.world = World(self.plane)
        self.heard: dict[str, dict[str, Any]] = {}  # the events of the last good answer
        self.seen_at: dict[str, float] = {}  # when each event was last heard of
        self.overridden: set[str] = set()  # ids under whose mark somebody made the node schedulable
        self.wanted: bool | None = False  # whether somebody else wants a cordon; None where it cannot be told
        self.ever_held = False
        self.copy: dict[str, Any] | None = None
        self.quiet = False  # the last thing that happened was a turn that worked

    # -- what happens to IMDS ----------------------------------------------------------------------------------------

    @happening(event=IDS, kind=KINDS, whom=WHOM, status=STATUSES, duration=st.sampled_from([-1, 0, 9, 60]))
    def an_event_appears_or_repeats(self, event, kind, whom, status, duration):
        self.world.schedule(event, kind, whom, status, duration)

    @happening(event=IDS, kind=st.sampled_from(["Reboot", "Preempt"]))
    def an_event_that_stops_this_vm_appears(self, event, kind):
        self.world.schedule(event, kind, [VM], "Scheduled", -1)

    @happening(event=IDS)
    def an_event_starts(self, event):
        if event in self.world.events:
            self.world.events[event] |= {"EventStatus": "Started", "NotBefore": ""}

    @happening(event=IDS)
    def an_event_vanishes(self, event):
        self.world.events.pop(event, None)

    @happening(ended=st.sampled_from([["A"], ["A", "B"]]), seconds=st.sampled_from([6, 61, 302]))
    def events_end_and_time_goes_by(self, ended, seconds):
        self.events_end(ended, seconds)

    @happening(seconds=st.sampled_from([6, 30, 61]))
    def all_events_end_and_little_time_goes_by(self, seconds):
        self.events_end(["A", "B"], seconds)

    def events_end(self, ended, seconds):
        for event in ended:
            self.world.events.pop(event, None)
        self.hear("events")
        self.world.instant += seconds
        self.hear("all")

    @happening(
        lost=st.sampled_from(
            [{"zone": ""}, {"tagsList": [], "tags": ""}, {"vmId": ""}, {"platformFaultDomain": "", "name": ""}]
        )
    )
    def a_partial_answer_comes(self, lost):
        self.world.tell_instance(instance_document(self.world.tags, **lost))
        self.quiet = False

    @happening(value=st.sampled_from(["IT", "HR", "R & D", None]))
    def a_tag_changes_or_goes(self, value):
        self.world.tags = {"Department": value} if value else {}

    @happening(seconds=st.sampled_from([1, 6, 61, 301]))
    def time_passes(self, seconds):
        self.world.instant += seconds

    # -- what people and programs do ---------------------------------------------------------------------------------

    @happening(cordon=st.booleans())
    def somebody_cordons_or_uncordons(self, cordon):
        self.somebody_cordons_or_not(cordon)

    def somebody_cordons_or_not(self, cordon):
        """As kubectl does: nothing is sent where the node is as asked for already."""
        if is_cordoned(self.world.read()) != cordon:
            self.world.person_patches({"spec": {"unschedulable": cordon or None}}, "kubectl-cordon")
            self.wanted = cordon
            self.note_overrides()
            self.quiet = False

    @happening()
    def somebody_uncordons(self):
        self.somebody_cordons_or_not(False)

    @happening(hold=st.booleans())
    def somebody_holds_or_lets_go(self, hold):
        self.world.person_patches(
            {"metadata": {"annotations": {HOLD: "by hand" if hold else None}}}, "kubectl-annotate"
        )
        self.ever_held |= hold
        self.quiet = False

    @happening(
        deed=st.sampled_from(["copies_the_node", "puts_the_copy_back", "wipes_ownership", "takes_the_mark_away"])
    )
    def something_careless(self, deed):
        getattr(self, deed)()

    def copies_the_node(self):
        self.copy = self.world.read()

    def puts_the_copy_back(self):
        if self.copy is None:
            return
        annotations = self.copy["metadata"].get("annotations", {})
        before = is_cordoned(self.world.read())
        self.world.put(self.copy)
        if not is_cordoned(self.copy):
            self.wanted = False
        elif f"{P}/events" in annotations:
            self.wanted = None  # the copy holds our cordon, perhaps somebody's below it: nobody can tell
        elif not before or self.wanted is not True:
            self.wanted = None if self.wanted is None else True
        self.overridden = overridden_ids(self.world.read())  # what the mark in the copy says is what counts now
        self.note_overrides()
        self.quiet = False

    def wipes_ownership(self):
        self.world.person_patches({"metadata": {"managedFields": [{}]}}, "careless")
        self.note_lost_traces()
        self.quiet = False

    def takes_the_mark_away(self):
        self.world.person_patches({"metadata": {"annotations": {f"{P}/events": None}}}, "careless")
        self.overridden.clear()
        self.note_lost_traces()
        self.quiet = False

    @happening(
        what=st.sampled_from(["registers again", "not ready", "ready", "labels refused", "all refused", "relents"])
    )
    def the_cluster_makes_trouble_or_stops_it(self, what):
        if what == "registers again":
            self.world.node.recreate()
            self.wanted, self.copy = False, None
            self.overridden.clear()
        elif what in ("ready", "not ready"):
            self.world.node.set_ready(what == "ready")
        else:
            told = {"labels refused": "labels", "all refused": "all", "relents": None}[what]
            self.world.person_patches({"metadata": {"annotations": {REFUSE: told}}}, "admin")
        self.quiet = False

    def note_lost_traces(self) -> None:
        """Where neither a mark nor an owner says whose the cordon is, nobody can tell."""
        node = self.world.read()
        owned = any(entry["manager"] == "imds-agent-events" for entry in node["metadata"].get("managedFields", ()))
        marked = f"{P}/events" in node["metadata"].get("annotations", {})
        if is_cordoned(node) and not owned and not marked and self.wanted is False:
            self.wanted = None

    def note_overrides(self) -> None:
        """Remember the ids under whose standing mark the node is schedulable now."""
        node = self.world.read()
        if is_cordoned(node):
            self.overridden -= marked_ids(node)
        else:
            self.overridden |= marked_ids(node)

    # -- the agent ---------------------------------------------------------------------------------------------------

    @happening()
    def the_agent_dies_and_starts_again(self):
        self.world.stop_agent()
        self.world.start_agent()
        self.heard = {}
        self.quiet = False

    def hear(self, what: str) -> None:
        """Let IMDS answer: about the VM, about events, about events with one that cannot be read."""
        if what in ("all", "instance"):
            self.world.tell_instance(instance_document(self.world.tags))
        if what != "nothing" and what != "instance":
            self.world.tell_events(broken=what == "broken events")
            self.heard = {key: dict(event) for key, event in self.world.events.items()}
            self.seen_at |= dict.fromkeys(self.heard, self.world.instant)
        self.quiet = self.quiet and what == "nothing"

    def turn(self):
        """Turn once and look whether all that must hold holds."""
        before = self.world.read()
        self.world.catch_up(before)
        quiet, refusing = self.quiet, REFUSE in before["metadata"].get("annotations", {})
        instant = self.world.instant
        patches = self.world.patches
        self.world.loop.turn()
        after = self.world.read()
        story = self.world.log.getvalue()[-3000:]
        if quiet and instant == self.turned_at:
            assert self.world.patches == patches, f"written although nothing changed: {story}"
        self.nobodys_cordon_is_undone(before, after, story)
        self.an_override_is_respected(before, after, story)
        self.nothing_is_released_early(before, after, story)
        self.no_label_goes_on_doubt(before, after, story)
        if not refusing:
            self.cordoned_while_an_event_lasts(after, story)
        self.quiet = not refusing
        self.turned_at = instant

    turned_at = -1.0

    def cordoned_while_an_event_lasts(self, after, story):
        lasting = {key for key, event in self.heard.items() if cordons(event)}
        known = P + "/instance" in after["metadata"].get("annotations", {}) or self.world.sighting is not None
        named = self.world.sighting is None or self.world.sighting.instance.name is not None
        if lasting - self.overridden and known and named:
            assert is_cordoned(after), f"schedulable during {lasting - self.overridden}: {story}"

    def an_override_is_respected(self, before, after, story):
        lasting = {key for key, event in self.heard.items() if cordons(event)}
        if lasting and lasting <= self.overridden and not is_cordoned(before):
            assert not is_cordoned(after), f"cordoned again over an override: {story}"
        self.overridden &= marked_ids(after, every=True)

    def nothing_is_released_early(self, before, after, story):
        for key in marked_ids(before) - marked_ids(after, every=True):
            silent = self.world.instant - self.seen_at[key]
            assert silent >= 60, f"{key} was given up {silent} s after it was seen: {story}"

    def nobodys_cordon_is_undone(self, before, after, story):
        held = HOLD in before["metadata"].get("annotations", {})
        if is_cordoned(before) and (held or self.wanted):
            assert is_cordoned(after), f"a cordon that others want was undone: {story}"

    def no_label_goes_on_doubt(self, before, after, story):
        gone = own_labels(before).keys() - own_labels(after).keys()
        assert f"topology.{P}/zone" not in gone, f"a VM lost its zone: {story}"
        last = self.world.answered[-3:]
        if gone:
            assert len(last) == 3, f"{gone} removed after {len(last)} answers: {story}"
            complete = [body for body in self.world.answered if '"vmId": ""' not in body and '"name": ""' not in body]
            assert len(set(complete[-3:])) == 1, f"{gone} removed on doubt: {story}"

    def teardown(self):
        if hasattr(self, "world"):
            try:
                self.calm()
            finally:
                self.world.close()

    def calm(self) -> None:
        """With calm, the node is as it should be within a few turns, and then nothing is written."""
        world = self.world
        annotations = world.read()["metadata"].get("annotations", {})
        held = HOLD in annotations
        world.person_patches({"metadata": {"annotations": {REFUSE: None}}}, "admin")
        world.node.set_ready(True)
        world.events.clear()
        for _ in range(CALM):
            world.tell_events()
            world.instant += 302  # longer than any wait, so that each turn may take the next step
            world.tell_events()
            world.tell_instance(instance_document(world.tags))
            for _ in range(2):
                world.loop.turn()
        after, story = world.read(), world.log.getvalue()[-3000:]
        assert f"{P}/events" not in after["metadata"]["annotations"], f"the mark was left behind: {story}"
        handed = any(entry["manager"] == "imds-agent-handover" for entry in after["metadata"].get("managedFields", ()))
        assert self.ever_held or not handed, f"handed over without a hold: {story}"
        if self.wanted is False and not held and not handed:
            assert not is_cordoned(after), f"a cordon was left behind: {story}"
        if self.wanted:
            assert is_cordoned(after), f"somebody's cordon was lost: {story}"
        self.labels_are_right(after, story)
        patches = world.patches
        world.instant += 302
        world.loop.turn()
        assert world.patches == patches, f"written without need: {story}"

    def labels_are_right(self, after, story):
        found = own_labels(after)
        assert found[f"topology.{P}/rack"] == "westeurope-1-fd0", story
        assert found[f"vm.{P}/priority"] == "regular", story
        tags = {key: value for key, value in found.items() if key.startswith("tag.")}
        expected = {"IT": "IT", "HR": "HR", "R & D": "R_D"}
        wanted = {f"tag.{P}/department": expected[value] for value in self.world.tags.values()}
        assert tags == wanted, story


@pytest.fixture(scope="module")
def refusing_plane(plane: Plane) -> Iterator[Plane]:
    with refuse_where_told(plane, REFUSE):
        yield plane


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_the_node_is_never_worse_off_and_comes_right_in_the_end(refusing_plane: Plane) -> None:
    Story.plane = refusing_plane
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=LENGTH,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.reuse, Phase.generate, Phase.shrink) if STORIES <= 120 else (Phase.generate, Phase.shrink),
        ),
    )
