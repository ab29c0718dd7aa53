"""The switch: what a person wants the agents to stop doing, or to take back, at once and without a restart.

Four things may be switched, each to one of three positions. What a position means follows the same idea for all:

- `on`: as the settings say.
- `hold`: nothing new is begun and nothing is undone. `cordon`: no new cordon and no release, each node stays as it is;
  `drain`: no pod is asked to leave now; `approve`: no event is approved; `labels`: they stay as they are.
- `release`: what we did is taken back, and nothing new is begun. `cordon`: our cordons are withdrawn, a hold still keeps
  its node cordoned; `drain`: as if the policy had no drain in it; `approve`: as `hold`, since an approval cannot be taken
  back; `labels`: all labels and annotations of ours are removed.

`withdraw: true` is all four at `release`: what a fleet needs before the agent is removed, or when it does harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from agent.core.document import DocumentError

Position = Literal["on", "hold", "release"]

POSITIONS: tuple[Position, ...] = get_args(Position)
PARTS = ("cordon", "drain", "approve", "labels")

_EXPECTED = "on, hold or release"
# `off` could mean either, and they differ in what becomes of nodes that are cordoned now.
_NOT_OFF = "on, hold (begin nothing, undo nothing) or release (take back what was done): off could mean either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """The positions of the switch; by default everything is on.

    Attributes:
        withdraw: all of it is released, whatever the other positions are.
    """

    cordon: Position = "on"
    drain: Position = "on"
    approve: Position = "on"
    labels: Position = "on"
    withdraw: bool = False

    def effective(self) -> Switch:
        """Return the positions that count: all at `release` while everything is withdrawn."""
        if not self.withdraw:
            return self
        return Switch(cordon="release", drain="release", approve="release", labels="release", withdraw=True)


def read_switch(document: object) -> Switch:
    """Read a parsed switch document strictly: one word that is wrong, and none of it counts.

    Args:
        document: JSON or YAML, parsed; None is an empty file. `on` may be true, as YAML 1.1 reads it.

    Raises:
        DocumentError: says where, what was expected and what was found.
    """
    if document is None:
        return Switch()
    if not isinstance(document, Mapping):
        raise DocumentError("$", f"{', '.join(PARTS)} and withdraw, each with its position", _kind(document))
    for key in document:
        if key not in (*PARTS, "withdraw"):
            raise DocumentError("$", f"{', '.join(PARTS)} or withdraw", f"the key {_shown(key)}")
    positions = {part: _position(document[part], f"$.{part}") if part in document else "on" for part in PARTS}
    return Switch(
        cordon=positions["cordon"],
        drain=positions["drain"],
        approve=positions["approve"],
        labels=positions["labels"],
        withdraw=_flag(document.get("withdraw", False), "$.withdraw"),
    )


def _position(value: object, path: str) -> Position:
    if value is True:  # YAML 1.1 reads a bare `on` so (https://yaml.org/type/bool.html)
        return "on"
    found = next((position for position in POSITIONS if position == value), None)
    if found is None:
        is_off = value is False or (isinstance(value, str) and value.casefold() in ("off", "no", "false"))
        raise DocumentError(path, _NOT_OFF if is_off else _EXPECTED, "off" if value is False else _shown(value))
    return found


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise DocumentError(path, "true or false", _shown(value))
    return value


def _shown(value: object) -> str:
    """Return one word as it was found, of anything larger only the kind: an alias bomb would fill the memory."""
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, (str, int, float)) else _kind(value)


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    return "a text" if isinstance(value, str) else f"a {type(value).__name__}"
