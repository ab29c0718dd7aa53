"""Laws of the decision, over random stories of views: IMDS, people, other agents and restarts, in any order."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core.actions import ApplyMark, ClearCordon, Sweep
from agent.core.hearing import Hearing, heard
from agent.core.judgement import own_events
from agent.core.known import Known, Rules
from agent.core.labelling import another_vm
from agent.core.labels import own_key
from agent.core.marking import standing_mark, vm_name
from agent.core.node import FACTS, HANDOVER
from agent.core.policy import decide
from agent.core.reconcile import reconcile
from agent.core.refusal import Refusal
from agent.core.sighting import Sighting, sighted
from agent.core.well_known import REGION
from agent.core.well_known import ZONE as WELL_KNOWN_ZONE
from tests.core.builders import ENV, EVENTS_KEY, HOLD_KEY, NOW, RACK, SIZE, ZONE, P, document, event, instance
from tests.core.ownership_model import ModelNode

RULES = Rules(well_known="if-absent")
ROUNDS = 12  # as the loop's
MARK, HOLD = f"annotation/{EVENTS_KEY}", f"annotation/{HOLD_KEY}"
FAR = {"not_before": NOW + timedelta(hours=3)}

INSTANCES = {
    "whole": instance(),
    "moved": instance(fault_domain=1, vm_size="Standard_D4s_v5"),
    "zoneless": instance(zone=None, tags=()),
    "partial": instance(name=None, vm_size=None, zone=None, tags=()),
    "empty": instance(name=None, vm_id=None, location=None, zone=None, tags=()),
    "other": instance(vm_id="ffffffff", zone="2"),
}
DOCUMENTS = {
    "none": document(),
    "e1": document(event("E1")),
    "e1-started": document(event("e1", status="Started")),
    "e1-over": document(event("E1", status="Completed")),
    "e1-odd": document(event("E1", status="Pondering")),
    "both": document(event("E1", status="Started"), event("E2", kind="Redeploy")),
    "e2": document(event("E2", kind="Redeploy")),
    "twice": document(event("E1"), event("e1", status="Started")),
    "freeze": document(event("E3", kind="Freeze", duration=5)),
    "far": document(event("E4", **FAR)),
    "foreign": document(event("E5", resources=("web_1",))),
    "hidden": document(event("E2"), hidden=1),
}
PEOPLE = (
    "cordon",
    "uncordon",
    "hold",
    "unhold",
    "garble",
    "unmark",
    "wipe",
    "copy",
    "restore",
    "gitops",
    "drainer",
    "calm",
    "kubelet",
    "leftover",
    "unlabel",
    "provider",
    "unready",
    "ready",
)
REFUSALS = {
    "accept": {},
    "refuse": {"facts": Refusal(keys=frozenset({RACK, SIZE}), until=1e12)},
    "refuse-labels": {"tags": Refusal(labels=True, until=1e12), "facts": Refusal(labels=True, until=1e12)},
    "refuse-all": {"facts": Refusal(everything=True, until=1e12)},
}
STEPS = st.one_of(
    st.sampled_from(sorted(INSTANCES)),
    st.sampled_from(sorted(DOCUMENTS)),
    st.sampled_from(PEOPLE),
    st.sampled_from([*REFUSALS, "restart"]),
    st.sampled_from([1, 30, 61, 301, 10_000]),
)


@dataclass
class Story:
    """One node, one agent, and the world around them; each turn is checked against the laws as it is taken."""

    model: ModelNode = field(default_factory=ModelNode)
    known: Known = field(default_factory=Known)
    instant: float = 0.0
    copied: dict[str, str] = field(default_factory=dict)
    admins: bool | None = False  # whether a cordon is an admin's wish; None: not even the admin could tell
    writes: int = 0

    def step(self, what):
        """Let one thing happen, then let the agent act until it has nothing to do."""
        if isinstance(what, int):
            self.instant += what
        elif what in INSTANCES:
            self.known = replace(self.known, sighting=sighted(self.known.sighting, INSTANCES[what]))
        elif what in DOCUMENTS:
            self.known = replace(self.known, hearing=heard(self.known.hearing, DOCUMENTS[what], self.instant))
        elif what in REFUSALS:
            self.known = replace(self.known, refusals=REFUSALS[what])
        elif what == "restart":
            self.known = Known()
        else:
            self.person(what)
        self.settle()

    def person(self, what):
        """Let somebody else change the node."""
        model, cordoned = self.model, self.model.fields.get("cordon") == "true"
        match what:
            case "cordon" if not cordoned:
                model.update("kubectl-cordon", {"cordon": "true"})
                self.admins = True
            case "uncordon":
                model.update("kubectl-uncordon", {"cordon": None})
                self.admins = False
            case "hold" | "unhold":
                model.update("kubectl-annotate", {HOLD: "disk swap" if what == "hold" else None})
            case "garble" | "unmark" if MARK in model.fields:
                model.update("kubectl-edit", {MARK: "{" if what == "garble" else None})
                self.admins = None
            case "wipe":
                model.wipe()
            case "copy":
                self.copied = dict(model.fields)
            case "restore" if self.copied:
                model.put("restore", self.copied)
                self.admins = None
            case "gitops":
                model.apply("argocd", {"cordon": "true"})
                self.admins = None
            case "drainer" | "calm":
                model.taints = ("ToBeDeletedByClusterAutoscaler",) if what == "drainer" else ()
            case "kubelet":
                model.update("kubelet", {f"label/{ZONE}": "westeurope-9", f"label/{ENV}": "theirs"})
            case "leftover":
                model.update("kubectl-label", {f"label/topology.{P}/old": "1", f"label/tag.{P}/old": "1"})
            case "unlabel":
                model.update("kubectl-label", {f"label/{RACK}": None})
            case "provider":
                model.update("cloud-node-manager", {f"label/{WELL_KNOWN_ZONE}": "westeurope-3"})
            case "ready" | "unready":
                model.ready = what == "ready"

    def settle(self):
        """Turn until nothing is to be done: reconciling must come to an end."""
        how = "metadata"
        for _ in range(ROUNDS):
            view = self.model.view(how)
            turn = reconcile(self.known, view, RULES, now=NOW, instant=self.instant)
            if turn.look:
                assert (turn.actions, turn.look != how) == ((), True)
                how = turn.look
                continue
            if not turn.actions:
                self.check_cordon(view)
                return
            if how == "metadata":  # the loop never acts on a view that may be old
                how = "full"
                continue
            self.check_turn(turn, view)
            before = self.own_labels()
            for action in turn.actions:
                self.model.carry_out(action)
                self.writes += 1
            self.check_labels(view, before)
            how = "quorum"
        pytest.fail(f"still not settled after {ROUNDS} rounds: {turn}")

    def own_labels(self):
        """Labels below our prefixes, and the well-known ones that are ours."""
        view = self.model.view()
        facts = view.owner(FACTS)
        ours = (facts.labels if facts else frozenset()) & {WELL_KNOWN_ZONE, REGION}
        return {key: value for key, value in view.labels.items() if key in ours or own_key(key, P)}

    def own(self, view):
        """Own events that are shown."""
        return own_events(self.known.hearing, vm_name(self.known.sighting, view, P))

    def pressing(self, view):
        """Own events that are shown and that the policy would cordon for."""
        own = self.own(view)
        return {each.id.casefold() for each in own if decide(each, RULES.events, NOW).do == "cordon"}

    def overridden(self, view):
        """Events for which the mark says that somebody wanted the node schedulable."""
        standing = standing_mark(view, P)
        return {each.id.casefold() for each in (standing.events if standing else ()) if each.overridden}

    def check_turn(self, turn, view):
        """No cordon is given up while an own event presses; nothing but a mark is tended while IMDS is silent."""
        pressing = self.pressing(view) - self.overridden(view)
        for action in turn.actions:
            if isinstance(action, ClearCordon) or (isinstance(action, ApplyMark) and not action.cordon):
                assert not pressing or turn.override, (pressing, action)
            if self.known.sighting is None:
                marked = standing_mark(view, P) is not None or self.own(view)
                assert marked, action
                assert action == Sweep(annotations=(EVENTS_KEY,)) or not isinstance(action, Sweep)
                assert type(action).__name__ != "ApplyGroup"

    def check_labels(self, view, before):
        """Nothing of ours is taken away or changed on the word of facts that are not settled."""
        sighting = self.known.sighting
        if sighting is None or not (sighting.settled or another_vm(sighting, view, P)):
            assert before.items() <= self.own_labels().items()

    def check_cordon(self, view):
        """A settled node is cordoned while an own event presses and nobody overrode it."""
        if self.pressing(view) - self.overridden(view):
            assert self.model.fields.get("cordon") == "true"

    def calm(self):
        """Let all be well for long: no event, a Ready node, whole documents."""
        for what in ("accept", "calm", "unhold", "ready", "whole", "whole", "whole", "none", 10_000, "none"):
            self.step(what)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=14))
@example(["whole", "e1", "wipe", "hold", 1, "none", 61, "none"])
@example(["whole", "whole", "whole", "zoneless", "restart", "empty"])
@example(["whole", "both", "uncordon", "e1", "wipe", 1, "e1", 61, "e1"])
def test_whatever_happens_each_turn_keeps_the_laws_and_comes_to_an_end(story):
    told = Story()
    for what in story:
        told.step(what)


@settings(max_examples=120, deadline=None)
@given(st.lists(STEPS, max_size=12))
@example(["whole", "cordon", "e1", "wipe"])
@example(["whole", "e1", "copy", 1, "none", 61, "none", "restore"])
def test_after_a_calm_nothing_of_an_event_is_left_and_an_admins_cordon_stands(story):
    told = Story()
    for what in story:
        told.step(what)
    told.calm()
    assert MARK not in told.model.fields
    cordoned, handed = told.model.fields.get("cordon") == "true", (HANDOVER, True) in told.model.owned
    if told.admins is not None and not handed:
        assert cordoned is told.admins
    writes = told.writes
    told.calm()
    assert told.writes == writes  # an idle node writes nothing, ever


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(PEOPLE), st.sampled_from([*REFUSALS, "restart"]), st.just(1000)), max_size=12)
)
def test_an_agent_that_never_heard_from_imds_writes_nothing_on_a_node_without_a_mark(story):
    told = Story()
    for what in story:
        told.step(what)
    assert told.writes == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=10), st.sampled_from(sorted(DOCUMENTS)))
def test_an_imds_that_fails_for_ever_after_a_restart_changes_nothing_on_the_node(story, last):
    told = Story()
    for what in [*story, "whole", last, "restart"]:
        told.step(what)
    fields, writes = dict(told.model.fields), told.writes
    for what in (301, 10_000, "restart", 10_000):
        told.step(what)
    assert (told.model.fields, told.writes) == (fields, writes)
    assert told.known.hearing == Hearing()
    assert told.known.sighting is None or isinstance(told.known.sighting, Sighting)
