"""A MODEL of how the API server tells field managers apart: as little of server-side apply as the laws of core need.

It is no stand-in for the API server: what it says of ownership is tried against the real one in `tests/promises`.
Fields are `label/KEY`, `annotation/KEY` and `cordon`; a value of None means that the field is not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.core.actions import Action, ApplyGroup, ApplyMark, ClearCordon, HandOver
from agent.core.labelling import MANAGERS
from agent.core.labels import own_key
from agent.core.mark import mark_text
from agent.core.node import EVENTS, HANDOVER, ORPHANED, RELEASE, SWEEP, NodeView
from tests.core.builders import EVENTS_KEY, P, managed, metadata_of, node, seen

Fields = Mapping[str, str]
Manager = tuple[str, bool]  # name, whether it applies


def labels(named: Mapping[str, str]) -> dict[str, str]:
    """Label fields."""
    return {f"label/{key}": value for key, value in named.items()}


def annotations(named: Mapping[str, str]) -> dict[str, str]:
    """Annotation fields."""
    return {f"annotation/{key}": value for key, value in named.items()}


@dataclass
class ModelNode:
    """A node and who owns what of it."""

    fields: dict[str, str] = field(default_factory=dict)
    owned: dict[Manager, set[str]] = field(default_factory=dict)
    ready: bool = True
    taints: tuple[str, ...] = ()

    def conflicts(self, name: str, wanted: Fields) -> set[str]:
        """Fields that others own with another value."""
        others = {each for manager, theirs in self.owned.items() if manager != (name, True) for each in theirs}
        return {key for key, value in wanted.items() if key in others and self.fields.get(key) != value}

    def apply(self, name: str, wanted: Fields) -> None:
        """Server-side apply by force: take over what differs, share what agrees, drop what is asked for no more."""
        if not self.owned and self.fields:
            self.owned[ORPHANED, False] = set(self.fields)
        for key in self.conflicts(name, wanted):
            self._disown(key)
        dropped = self.owned.get((name, True), set()) - wanted.keys()
        self.fields |= wanted
        self.owned[name, True] = set(wanted)
        for key in dropped:
            if not any(key in theirs for theirs in self.owned.values()):
                self.fields.pop(key, None)
        self._tidy()

    def update(self, name: str, changes: Mapping[str, str | None]) -> None:
        """A patch or PUT: what really changes belongs to its author alone."""
        for key, value in changes.items():
            if self.fields.get(key) == value:
                continue
            self._disown(key)
            self.fields.pop(key, None)
            if value is not None:
                self.fields[key] = value
                self.owned.setdefault((name, False), set()).add(key)
        self._tidy()

    def put(self, name: str, copy: Fields) -> None:
        """Put back another state of all fields."""
        self.update(name, {**dict.fromkeys(self.fields), **copy})

    def wipe(self) -> None:
        """Lose all ownership, as a PUT with `managedFields: []` does."""
        self.owned = {}

    def _disown(self, key: str) -> None:
        for theirs in self.owned.values():
            theirs.discard(key)

    def _tidy(self) -> None:
        self.owned = {manager: theirs for manager, theirs in self.owned.items() if theirs}

    def carry_out(self, action: Action) -> None:
        """Do what `daemon.acts` does with an action."""
        match action:
            case ApplyGroup(group=group, written=written):
                wanted = labels(written.labels) | annotations(written.annotations)
                if self.conflicts(MANAGERS[group], wanted):
                    kept = {key: value for key, value in written.labels.items() if own_key(key, P)}
                    wanted = labels(kept) | annotations(written.annotations)
                self.apply(MANAGERS[group], wanted)
            case ApplyMark(mark=mark, cordon=cordon):
                said = annotations({EVENTS_KEY: mark_text(mark)}) if mark else {}
                self.apply(EVENTS, said | ({"cordon": "true"} if cordon else {}))
            case HandOver():
                self.apply(HANDOVER, {"cordon": "true"})
            case ClearCordon():
                self.update(RELEASE, {"cordon": None, f"annotation/{EVENTS_KEY}": None})
            case _:
                gone = [f"label/{key}" for key in action.labels] + [f"annotation/{key}" for key in action.annotations]
                self.update(SWEEP, dict.fromkeys(gone))

    def _named(self, kind: str) -> dict[str, str]:
        return {key.partition("/")[2]: value for key, value in self.fields.items() if key.startswith(f"{kind}/")}

    def view(self, how: str = "quorum") -> NodeView:
        """Return what a look shows: `metadata`, `full` or `quorum`."""
        sent = node(
            labels=self._named("label"),
            annotations=self._named("annotation"),
            managers=[
                managed(
                    name,
                    applied=applied,
                    labels=[key[6:] for key in sorted(theirs) if key.startswith("label/")],
                    annotations=[key[11:] for key in sorted(theirs) if key.startswith("annotation/")],
                    cordon="cordon" in theirs,
                )
                for (name, applied), theirs in self.owned.items()
            ],
            cordoned=self.fields.get("cordon") == "true",
            ready=self.ready,
            taints=[{"key": key, "effect": "NoSchedule"} for key in self.taints],
        )
        return seen(metadata_of(sent) if how == "metadata" else sent, quorum=how == "quorum")
