"""What an agent tells others of its VM, `GET /facts`: where it stands, how it is called, and its scheduled events.

The reader strictly checks what it is sent: it comes over a network, and from there into tables of other systems.
`{"v":1,"vm":{"id":…,"name":…,"computer_name":…},"addresses":[…],"placement":{"location":…,"zone":…,"fault_domain":0,
"update_domain":3},"complete":true,"events":[{"id":…,"type":"Reboot","do":"drain","started":false,"overridden":false}],"age":1}`
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, get_args

from agent.core.document import Place, read_json
from agent.core.events import event_key
from agent.core.judgement import Limits, marked, own_events
from agent.core.mark import Do, Mark, MarkedEvent
from agent.core.placement import Placement
from agent.core.racks import RackedHost, addresses_of

if TYPE_CHECKING:
    from datetime import datetime

    from agent.core.hearing import Hearing
    from agent.core.instance import Instance
    from agent.core.policy import Policy

VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")  # a host's; `web_0` is one on Azure


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One VM as its own agent tells of it.

    Attributes:
        vm_id: lower case.
        addresses: private ones, of all interfaces, as IMDS sent them.
        placement: region, zone, fault and update domain; the rest is None.
        complete: three whole answers of IMDS agreed; until then a part may be missing or about to change.
        events: None where the agent does not know; that is not the same as none.
        age: seconds since IMDS last answered: about events where these are watched, else about the VM.
    """

    vm_id: str | None
    name: str | None
    computer_name: str | None
    addresses: tuple[str, ...]
    placement: Placement
    complete: bool
    events: tuple[MarkedEvent, ...] | None
    age: int

    @property
    def host(self) -> RackedHost:
        """The VM as a host with a place; what is no host's name is not among its names."""
        called = [name for name in (self.computer_name, self.name) if name and _NAME.fullmatch(name)]
        return RackedHost(names=tuple(dict.fromkeys([*self.addresses, *called])), placement=self.placement)


def host_facts(instance: Instance, *, complete: bool, events: tuple[MarkedEvent, ...] | None, age: float) -> HostFacts:
    """Choose what is told of a VM: no tags, no secrets, nothing that is nobody's business."""
    placed = instance.placement
    return HostFacts(
        vm_id=instance.vm_id,
        name=instance.name,
        computer_name=instance.os_profile.computer_name,
        addresses=tuple(address for address in addresses_of(instance) if _is_address(address)),
        placement=Placement(
            location=placed.location,
            zone=placed.zone,
            fault_domain=placed.fault_domain,
            update_domain=placed.update_domain,
        ),
        complete=complete,
        events=events and tuple(_plain(event) for event in events),
        age=int(age),
    )


def told_events(
    mark: Mark | None, hearing: Hearing, vm_name: str | None, policy: Policy, now: datetime
) -> tuple[MarkedEvent, ...] | None:
    """Return the VM's events: those of the mark, and as the policy judges them those that it has yet to say.

    Args:
        mark: an empty one where nothing stands; None while nobody has looked.
    """
    if mark is None or mark.broken:
        return None
    heard = hearing.document is not None and not hearing.document.hidden and vm_name is not None
    if not heard and not mark.events:
        return None
    known = {event_key(event.id) for event in mark.events}
    new = (event for event in own_events(hearing, vm_name) if event_key(event.id) not in known)
    return (*mark.events, *marked(None, new, policy, Limits(), now))


def facts_text(facts: HostFacts) -> str:
    """Return the document, canonical JSON: the same bytes for the same facts."""
    placed = facts.placement
    document = {
        "v": VERSION,
        "vm": {"id": facts.vm_id, "name": facts.name, "computer_name": facts.computer_name},
        "addresses": list(facts.addresses),
        "placement": {
            "location": placed.location,
            "zone": placed.zone,
            "fault_domain": placed.fault_domain,
            "update_domain": placed.update_domain,
        },
        "complete": facts.complete,
        "events": None if facts.events is None else [_entry(event) for event in facts.events],
        "age": facts.age,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def read_facts(text: bytes | str) -> HostFacts:
    """Read the document; what a newer agent adds is passed over.

    Raises:
        DocumentError: it is none, of another version, or a part is not what it should be.
    """
    root = read_json(text)
    if root.at("v").value != VERSION or isinstance(root.at("v").value, bool):
        raise root.at("v").wrong(f"version {VERSION}")
    vm, placed = root.at("vm"), root.at("placement")
    vm_id = vm.at("id").text()
    return HostFacts(
        vm_id=vm_id and vm_id.lower(),
        name=vm.at("name").text(),
        computer_name=vm.at("computer_name").text(),
        addresses=tuple(_address(each) for each in root.at("addresses").each()),
        placement=Placement(
            location=placed.at("location").text(),
            zone=placed.at("zone").text(),
            fault_domain=_count(placed.at("fault_domain")),
            update_domain=_count(placed.at("update_domain")),
        ),
        complete=_flag(root.at("complete")),
        events=_events(root.at("events")),
        age=_needed(root.at("age")),
    )


def _plain(event: MarkedEvent) -> MarkedEvent:
    return MarkedEvent(id=event.id, type=event.type, do=event.do, started=event.started, overridden=event.overridden)


def _entry(event: MarkedEvent) -> dict[str, object]:
    return {
        "id": event.id,
        "type": event.type,
        "do": event.do,
        "started": event.started,
        "overridden": event.overridden,
    }


def _events(place: Place) -> tuple[MarkedEvent, ...] | None:
    return None if place.value is None else tuple(_event(each) for each in place.each())


def _event(place: Place) -> MarkedEvent:
    event_id, kind = place.at("id"), place.at("type")
    do = next((do for do in get_args(Do) if do == place.at("do").value), None)
    if do is None:
        raise place.at("do").wrong(f"one of {', '.join(get_args(Do))}")
    if (found := event_id.text()) is None:
        raise event_id.wrong("a text")
    return MarkedEvent(
        id=found,
        type=kind.text() or "",
        do=do,
        started=_flag(place.at("started")),
        overridden=_flag(place.at("overridden")),
    )


def _address(place: Place) -> str:
    text = place.text()
    if text is None or not _is_address(text):
        raise place.wrong("an address")
    return text


def _is_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ip_address(text))
    except ValueError:
        return False


def _flag(place: Place) -> bool:
    if not isinstance(place.value, bool):
        raise place.wrong("true or false")
    return place.value


def _needed(place: Place) -> int:
    number = _count(place)
    if number is None:
        raise place.wrong("a number")
    return number


def _count(place: Place) -> int | None:
    number = place.number()
    if number is not None and number < 0:
        raise place.wrong("a number from 0 on")
    return number
