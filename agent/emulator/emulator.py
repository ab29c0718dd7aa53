"""The emulator as one object: addresses, a world behind them, and the admin side."""

import contextlib
import time
import urllib.parse
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias

from agent.emulator import events, faults
from agent.emulator.admin import Admin
from agent.emulator.authority import ROOT
from agent.emulator.fleet import Vm, fleet_from, one_vm
from agent.emulator.profiles import document_of, profile_named
from agent.emulator.reading import Document, InputError, skew_of
from agent.emulator.server import Doors, Listener
from agent.emulator.unconfirmed import Choices, hastened
from agent.emulator.versions import Cloud, Era, Service
from agent.emulator.world import World

Address: TypeAlias = tuple[str, int]

_ANYWHERE = "http://0.0.0.0:"  # how an address says "all of them"; nobody can fetch from there
_TRIES = 20  # free ports to try until all of a fleet's addresses have one in common


def steady_clock(skew: float = 0.0) -> Callable[[], float]:
    """Return a clock that tells seconds since 1970 and never jumps, whatever happens to the wall clock.

    Args:
        skew: seconds that it is ahead of the machine's.
    """
    offset = time.time() - time.monotonic() + skew
    return lambda: time.monotonic() + offset


def address_from(text: str) -> Address:
    """Read "127.0.0.1:8080".

    Raises:
        InputError: where it is not host:port.
    """
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise InputError(f"expected an address such as '127.0.0.1:8080', found {text!r}")
    return host, int(port)


def issuers_url_from(text: str) -> str:
    """Read the URL below which certificates say that their issuers are: ASCII, as they can carry nothing else.

    Raises:
        InputError: where it is no such URL.
    """
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        parts = urllib.parse.urlsplit("")
    printable = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme not in ("http", "https") or not parts.hostname or not printable:
        raise InputError(f"issuers_url: expected a URL such as 'http://www.microsoft.com/issuers', found {text!r}")
    return text


class Emulator:
    """IMDS over real HTTP, as a context manager.

    Args:
        instance: the VM's whole document in newest form; None means the default VM. Not with `fleet`.
        profile: a kind of VM by name, see `profiles.PROFILES`; its cloud and age of the service go before those given.
            A fleet's VMs are of that kind, and differ from it by their changes. Not with `instance`.
        rate_limit: requests a second for each VM; None means no limit.
        speed: how much faster stories are told, and scheduled events are switched on and off.
        scenario: a story that begins at once.
        fleet: a list as in a fleet file; all VMs listen on one port.
        choices: what to do where nobody knows what the service does.
        clock_skew: seconds that the service's clock is ahead of the machine's, negative where it is behind: so a node's
            wrong clock looks from its own side. Not with `clock`.
        clock: seconds since 1970 that never run backwards; None means the machine's.
        issuers_url: where certificates say that their issuers are, for verifiers that fetch from certain hosts only; None
            means the admin side, which serves them below /issuers in any case.

    Raises:
        InputError: for a document, a scenario or an address that is not right.
        OSError: where an address cannot be bound.
    """

    def __init__(
        self,
        *,
        instance: Document | None = None,
        profile: str | None = None,
        era: Era = "2025",
        cloud: Cloud = "public",
        rate_limit: int | None = 5,
        speed: float = 1.0,
        scenario: str | None = None,
        fleet: Sequence[Document] | None = None,
        listen: str = "127.0.0.1:0",
        admin: str = "127.0.0.1:0",
        choices: Choices | None = None,
        clock_skew: float = 0.0,
        clock: Callable[[], float] | None = None,
        issuers_url: str | None = None,
    ) -> None:
        if instance is not None and (profile is not None or fleet is not None):
            other = "profile" if fleet is None else "fleet"
            raise InputError(f"expected an instance or a {other}, found both: an instance is a whole VM already")
        kind = profile_named(profile or "vmss-uniform")
        cloud, era = kind.cloud or cloud, kind.era or era
        base = document_of(kind, cloud)
        service = Service(era=era, cloud=cloud, choices=hastened(choices or Choices(), speed))
        if clock is not None and clock_skew:
            raise InputError("expected a clock or its clock_skew, found both")
        vms = one_vm(base if instance is None else instance) if fleet is None else fleet_from(list(fleet), base)
        skew = skew_of(clock_skew, "clock_skew")
        self._listen, self._admin = address_from(listen), address_from(admin)
        self._world = World(vms, service=service, rate_limit=rate_limit, clock=clock or steady_clock(skew))
        self._issuers_url = None if issuers_url is None else issuers_url_from(issuers_url)
        self._speed = speed
        for vm in vms:
            self._world.put_load_balancer(vm.name, kind.balanced)
        if scenario is not None:
            self._world.begin_scenario(None, scenario, speed)
        self._closing = contextlib.ExitStack()
        self.urls: dict[str, str] = {}
        self.admin_url = ""

    def __enter__(self) -> "Emulator":  # noqa: PYI034 typing has Self from 3.11 on
        """Bind and begin to answer."""
        with contextlib.ExitStack() as undo:
            doors = Doors()
            undo.callback(doors.close)
            listeners = self._bound(doors, self._world.vms)
            admin = doors.add(self._admin, Admin(self._world, self._speed).deliver, self._world.now)
            doors.open()
            self._closing = undo.pop_all()
        self.urls = {name: listener.url for name, listener in listeners.items()}
        self.admin_url = admin.url
        reachable = admin.url.replace(_ANYWHERE, "http://127.0.0.1:")
        self._world.issuers_at = self._issuers_url or f"{reachable}/issuers"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all threads and sockets."""
        self._closing.close()

    @property
    def url(self) -> str:
        """Where the first VM's IMDS listens."""
        return next(iter(self.urls.values()))

    @property
    def world(self) -> World:
        """All that it remembers, for what the methods below do not offer."""
        return self._world

    def _bound(self, doors: Doors, vms: Sequence[Vm], tries: int = _TRIES) -> dict[str, Listener]:
        try:
            return self._bound_once(doors, vms)
        except OSError:
            doors.drop_all()
            # Only a port that the kernel chose for the first address may be taken on another one.
            if tries == 1 or self._listen[1] != 0 or len(vms) == 1:
                raise
            return self._bound(doors, vms, tries - 1)

    def _bound_once(self, doors: Doors, vms: Sequence[Vm]) -> dict[str, Listener]:
        listeners: dict[str, Listener] = {}
        host, port = self._listen
        for vm in vms:
            respond = partial(self._world.deliver, vm.name)
            listener = doors.add((vm.address or host, port), respond, self._world.now)
            listeners[vm.name] = listener
            port = listener.server_port
        return listeners

    def put_instance(self, document: Document, *, vm: str | None = None) -> None:
        """Replace the VM's document."""
        self._world.put_instance(vm, document)

    def patch_instance(self, patch: Document, *, vm: str | None = None) -> None:
        """Apply a JSON merge patch to the VM's document."""
        self._world.patch_instance(vm, patch)

    def add_event(self, *, vm: str | None = None, **fields: Any) -> Document:
        """Publish an event and return it as version 2020-07-01 shows it; fields as for POST /events."""
        return events.event_document(self._world.add_event(vm, fields))

    def start_event(self, event_id: str, *, vm: str | None = None) -> None:
        """Start an event now, as if its NotBefore had come.

        Raises:
            KeyError: where there is no such event.
        """
        if self._world.change_event(vm, event_id, {"EventStatus": "Started"}) is None:
            raise KeyError(event_id)

    def remove_event(self, event_id: str, *, vm: str | None = None) -> None:
        """Take an event away, finished or cancelled.

        Raises:
            KeyError: where there is no such event.
        """
        if not self._world.remove_event(vm, event_id):
            raise KeyError(event_id)

    def put_faults(self, given: Sequence[Document], *, vm: str | None = None) -> None:
        """Replace the VM's faults; entries as for PUT /faults."""
        self._world.put_faults(vm, lambda now: faults.faults_from(list(given), now))

    def clear_faults(self, *, vm: str | None = None) -> None:
        """Let the VM's service work again."""
        self._world.put_faults(vm, lambda _now: ())

    def put_identities(self, given: Sequence[Document], *, vm: str | None = None) -> None:
        """Replace the VM's managed identities; entries as for PUT /identities."""
        self._world.put_identities(vm, list(given))

    def put_load_balancer(self, given: Document | None, *, vm: str | None = None) -> None:
        """Put a load balancer before the VM, or take it away; as for PUT /loadbalancer."""
        self._world.put_load_balancer(vm, given)

    def certificate(self, name: str = ROOT) -> bytes:
        """Return a certificate of who signs documents, in PEM; by default the root's."""
        return self._world.authority().certificate(name, pem=True)

    def requests(self, since: int = 0) -> list[Document]:
        """Return the log of requests to IMDS, oldest first."""
        return self._world.requests(since)
