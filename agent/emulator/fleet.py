"""The VMs of one emulator: one by default, or many on addresses of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from agent.emulator.default_vm import default_vm
from agent.emulator.faults import Faults
from agent.emulator.identity import SYSTEM, Identity
from agent.emulator.limits import Window
from agent.emulator.reading import Document, InputError, list_of, merged, object_of, word_of, wrong
from agent.emulator.shape import checked_instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """One VM: what it is, and how its service fares.

    Args:
        name: compute.name when the emulator started; how the admin side calls it.
        address: the loopback address of its IMDS; "" means the one that --listen names.
        events_since: when scheduled events were switched on, which the first request does; None while they are off.
        events_asked: when they were asked for the last time.
        identities: its managed identities; by default the system-assigned one.
        identity_window, identity_until: when each of the last second's requests to the identity category was let through,
            and when each of those under way ends.
        balanced: what stands in the load balancer's document; None for a VM without one.
    """

    name: str
    address: str
    instance: Document
    faults: Faults = ()
    window: Window = ()
    events_since: float | None = None
    events_asked: float = 0.0
    identities: tuple[Identity, ...] = (SYSTEM,)
    identity_window: Window = ()
    identity_until: Window = ()
    balanced: Document | None = None

    @property
    def own_name(self) -> str:
        """The name that events call it by; it may change."""
        return str(self.instance.get("compute", {}).get("name", "")) or self.name

    @property
    def update_domain(self) -> str:
        """Which VMs maintenance takes together with it."""
        return str(self.instance.get("compute", {}).get("platformUpdateDomain", ""))

    @property
    def group(self) -> str:
        """Whom it shares events with: its placement group, or itself alone."""
        group = str(self.instance.get("compute", {}).get("placementGroupId", ""))
        return f"placement group {group}" if group else f"vm {self.name}"


def one_vm(instance: object = None) -> tuple[Vm, ...]:
    """Return a single VM; without a document it is the default one.

    Raises:
        InputError: for a document that no version could show.
    """
    document = checked_instance(default_vm() if instance is None else instance)
    name = str(document.get("compute", {}).get("name", "")) or "vm"
    return (Vm(name=name, address="", instance=document),)


def fleet_from(given: object, base: Document | None = None) -> tuple[Vm, ...]:
    """Read a fleet: [{"address":"127.0.1.5","instance":{merge patch over the base}}].

    Args:
        base: the document of a VM without changes; None means the default VM.

    Raises:
        InputError: for an empty list, an unknown key, or two VMs with one name or one address.
    """
    vms = tuple(_vm_from(each, f"$[{index}]", base or default_vm()) for index, each in enumerate(list_of(given, "$")))
    if not vms:
        raise InputError("$: expected at least one VM, found an empty list")
    _must_differ([vm.name for vm in vms], "instance.compute.name")
    _must_differ([vm.address for vm in vms], "address")
    return vms


def _vm_from(given: object, path: str, base: Document) -> Vm:
    entry = object_of(given, path, ("address", "instance"))
    address = _address_from(entry.get("address"), f"{path}.address")
    document = merged(base, object_of(entry.get("instance", {}), f"{path}.instance"))
    try:
        (vm,) = one_vm(document)
    except InputError as error:
        raise InputError(f"{path}.instance{str(error).removeprefix('$')}") from None
    return Vm(name=vm.name, address=address, instance=vm.instance)


def _address_from(given: object, path: str) -> str:
    what = "an address such as '127.0.1.5'"
    text = word_of(given, path, what)
    try:
        ip_address(text)
    except ValueError:
        raise wrong(path, what, text) from None
    return text


def _must_differ(values: Sequence[str], field: str) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise InputError(f"$[{index}].{field}: expected one that no other VM has, found {value!r}")
