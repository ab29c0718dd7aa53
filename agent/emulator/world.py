"""All that the emulator remembers, behind one lock; time passes when somebody looks."""

import base64
import contextlib
import copy
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from agent.emulator import events, identity, telling
from agent.emulator.answer import Others, answer, approved_ids
from agent.emulator.attested import LIFETIME, Flaw, content
from agent.emulator.authority import Authority
from agent.emulator.errors import is_identity, too_many
from agent.emulator.event_input import changed_event, new_event
from agent.emulator.events import Event, Schedule
from agent.emulator.exchange import Delivery, Request, Response, segments
from agent.emulator.faults import Faults, met, spoiled
from agent.emulator.fleet import Vm
from agent.emulator.limits import admitted
from agent.emulator.load_balancer import load_balancer_from
from agent.emulator.reading import Document, InputError, merged
from agent.emulator.scenarios import SCENARIOS
from agent.emulator.shape import checked_instance, compact
from agent.emulator.steps import Schedules, Step, paced, spread
from agent.emulator.versions import Service

REMEMBERED = 10_000  # requests that the log keeps; enough for hours of one agent's polling


def new_event_id() -> str:
    """Return an id as the service makes them: a GUID in upper case."""
    return str(uuid.uuid4()).upper()


def _region(vm: Vm) -> str:
    """Return what stands before the cloud's name in a signer's second name."""
    return str(vm.instance.get("compute", {}).get("location", "")).lower() or "region"


class World:
    """The VMs, their events, the story being told, and the log of requests.

    Args:
        clock: seconds since 1970 that never run backwards.
        rate_limit: requests a second for each VM; None means no limit.
    """

    def __init__(
        self, vms: Iterable[Vm], *, service: Service, rate_limit: int | None, clock: Callable[[], float]
    ) -> None:
        self._lock = threading.RLock()
        self._vms = {vm.name: vm for vm in vms}
        self._schedules: dict[str, Schedule] = {}
        self._service = service
        self._rate_limit = rate_limit
        self._clock = clock
        self._started = clock()
        self._telling: telling.Telling | None = None
        self._authority: Authority | None = None
        self._founding = threading.Lock()  # of the authority; not the lock above, under which all requests wait
        self._proofs: dict[tuple[str, str], tuple[float, Response]] = {}
        self.issuers_at = ""  # the URL below which certificates are served; known once the admin side listens
        self._log: deque[Document] = deque(maxlen=REMEMBERED)
        self._count = 0

    @property
    def vms(self) -> Sequence[Vm]:
        """All VMs, the first of them the default one of the admin side."""
        with self._lock:
            return tuple(self._vms.values())

    @property
    def service(self) -> Service:
        """Which service is emulated."""
        return self._service

    def now(self) -> float:
        """Return the emulator's time: seconds since 1970."""
        return self._clock()

    # What a VM sees

    def deliver(self, name: str, request: Request) -> Delivery:
        """Answer a request to a VM's IMDS, and write it into the log."""
        self._prepare(name, request)
        with self._lock:
            now = self._advanced()
            delivery, fault = self._delivery(self._vms[name], request, now)
            self._record(request, delivery, fault, name, now)
            return delivery

    def _prepare(self, name: str, request: Request) -> None:
        """Have keys made before the lock is taken: some clients of other categories give up after 200 ms."""
        if segments(request.path) != ["metadata", "attested", "document"] or "metadata" not in request.headers:
            return
        with self._lock:
            vm = self._vms[name]
        flaws = {None, *(fault.flaw for fault in vm.faults if fault.kind == "attested")}
        with contextlib.suppress(InputError):  # the answer will say what is missing
            authority = self.authority()
            for flaw in flaws:
                authority.prepare(self._service.cloud, _region(vm), flaw)

    def _delivery(self, vm: Vm, request: Request, now: float) -> tuple[Delivery, str | None]:
        vm, passes = self._admitted(vm, request, now)
        found = met(vm.faults, request.method, request.path, now)
        date = found.skew if found.dated else None
        if not passes:  # uses up no fault, but is told by the same clock
            return Delivery(response=too_many(request.path, self._service), date=date), None
        vm, takes = self._switched_on(self._keep(replace(vm, faults=found.left)), request, now)

        def answered(emptied: tuple[str, ...]) -> Response:
            flaw = found.fault.flaw if found.fault and found.fault.kind == "attested" else None
            return self._answered(vm, request, now, skew=found.skew, emptied=emptied, flaw=flaw)

        if found.fault is not None:
            delivery = spoiled(found.fault, request, self._service, answered)
        else:
            delivery = Delivery(response=answered(()), seconds=takes)
        if is_identity(request.path) and delivery.seconds:
            self._keep(replace(vm, identity_until=(*vm.identity_until, now + delivery.seconds)))
        return replace(delivery, date=date), found.fault.kind if found.fault else None

    def _admitted(self, vm: Vm, request: Request, now: float) -> tuple[Vm, bool]:
        """Keep the limits: identity has its own, for requests in a second and at one time."""
        if not is_identity(request.path):
            window, passes = admitted(vm.window, now, self._rate_limit)
            return self._keep(replace(vm, window=window)), passes
        limit = None if self._rate_limit is None else identity.RATE_LIMIT
        window, passes = admitted(vm.identity_window, now, limit)
        under_way = tuple(until for until in vm.identity_until if until > now)
        passes = passes and (limit is None or len(under_way) < identity.AT_ONCE)
        return self._keep(replace(vm, identity_window=window, identity_until=under_way)), passes

    def _answered(
        self, vm: Vm, request: Request, now: float, *, skew: float, emptied: tuple[str, ...], flaw: Flaw | None
    ) -> Response:
        schedule = self._schedule(vm)
        shown = events.shifted(schedule, skew) if skew else schedule
        if now < (vm.events_since or now) + self._service.choices.events_flow_seconds:
            shown = replace(shown, events=())
        others = Others(
            prove=lambda version, nonce: self._proof(vm, version, nonce, now=now + skew, flaw=flaw),
            identities=vm.identities,
            balanced=vm.balanced,
            now=now + skew,
        )
        response = answer(request, self._service, vm.instance, shown, emptied, others=others)
        if request.method == "POST" and response.status == 200:
            takes = self._service.choices.approved_start_seconds
            self._schedules[vm.group] = events.approved(schedule, approved_ids(request), now, takes)
        return response

    def _proof(self, vm: Vm, version: str, nonce: str | None, *, now: float, flaw: Flaw | None) -> Response:
        """Return a signed document; an earlier one where the service is chosen to have a cache."""
        until, kept = self._proofs.get((vm.name, version), (now, Response()))
        if self._service.choices.attested_cached and flaw is None and now < until:
            return kept
        said = content(vm.instance, version, nonce, now=now, service=self._service, flaw=flaw)
        try:
            der = self.authority().sign(said, self._service.cloud, _region(vm), flaw)
        except InputError as error:  # not the service's words, but whoever asks should know why
            return Response(status=501, body=compact({"error": str(error)}))
        body = compact({"encoding": "pkcs7", "signature": base64.b64encode(der).decode()})
        if flaw is None:
            self._proofs[vm.name, version] = now + LIFETIME, Response(body=body)
        return Response(body=body)

    def authority(self) -> Authority:
        """Return who signs; made when it is first asked for, which takes some tenths of a second.

        Raises:
            InputError: the library for it is missing.
        """
        with self._founding:
            if self._authority is None:
                self._authority = Authority(self._clock(), self.issuers_at)
            return self._authority

    def _switched_on(self, vm: Vm, request: Request, now: float) -> tuple[Vm, float]:
        """Switch events on with the first request, and again with the first one after a long silence; returns what it takes."""
        if segments(request.path)[1:2] != ["scheduledevents"]:
            return vm, 0.0
        choices = self._service.choices
        off = vm.events_since is None or now - vm.events_asked >= choices.events_off_seconds
        takes = choices.first_events_seconds if off else 0.0
        since = now + takes if off else vm.events_since
        return self._keep(replace(vm, events_since=since, events_asked=now)), takes

    def _record(self, request: Request, delivery: Delivery, fault: str | None, name: str, now: float) -> None:
        self._count += 1
        silent = delivery.manner in ("hang", "reset")
        self._log.append(
            {
                "n": self._count,
                "seconds": round(now - self._started, 6),
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "status": None if silent else delivery.response.status,
                "fault": fault,
                "vm": name,
            }
        )

    # What an admin does

    def vm_named(self, name: str | None) -> Vm:
        """Return a VM, the first one for None.

        Raises:
            InputError: where no VM has the name.
        """
        with self._lock:
            if name is None:
                return next(iter(self._vms.values()))
            if name not in self._vms:
                raise InputError(f"?vm: expected one of {', '.join(self._vms)}, found {name!r}")
            return self._vms[name]

    def instance(self, name: str | None) -> Document:
        """Return a copy of a VM's document in newest form, as it was put."""
        return copy.deepcopy(self.vm_named(name).instance)

    def put_instance(self, name: str | None, document: object) -> Document:
        """Replace a VM's document; what it lacks is empty from now on."""
        with self._lock:
            self._advanced()
            checked = copy.deepcopy(checked_instance(document))
            self._keep(replace(self.vm_named(name), instance=checked))
            return copy.deepcopy(checked)

    def patch_instance(self, name: str | None, patch: object) -> Document:
        """Apply a JSON merge patch to a VM's document."""
        with self._lock:
            return self.put_instance(name, merged(self.vm_named(name).instance, patch))

    def schedule(self, name: str | None) -> Schedule:
        """Return the events of a VM's group as they are now."""
        with self._lock:
            self._advanced()
            return self._schedule(self.vm_named(name))

    def add_event(self, name: str | None, given: object) -> Event:
        """Publish an event to a VM's group."""
        with self._lock:
            now = self._advanced()
            vm = self.vm_named(name)
            event = new_event(given, event_id=new_event_id(), own_name=vm.own_name, now=now)
            schedule = self._schedule(vm)
            if events.named(schedule, event.event_id) is not None:
                raise InputError(f"$.EventId: expected one that no event has, found {event.event_id!r}")
            self._schedules[vm.group] = events.added(schedule, event)
            return event

    def change_event(self, name: str | None, event_id: str, given: object) -> Event | None:
        """Change an event's fields; None where there is no such event."""
        with self._lock:
            now = self._advanced()
            vm = self.vm_named(name)
            schedule = self._schedule(vm)
            event = events.named(schedule, event_id)
            if event is None:
                return None
            changed = replace(changed_event(event, given, now), event_id=event.event_id)
            self._schedules[vm.group] = events.replaced(schedule, changed)
            return changed

    def remove_event(self, name: str | None, event_id: str) -> bool:
        """Take an event away, finished or cancelled; tell whether it was there."""
        with self._lock:
            self._advanced()
            vm = self.vm_named(name)
            schedule = self._schedule(vm)
            self._schedules[vm.group] = events.removed(schedule, event_id)
            return self._schedules[vm.group] is not schedule

    def put_incarnation(self, name: str | None, incarnation: int) -> None:
        """Set DocumentIncarnation, maybe to a lower number, as a service that restarted shows it."""
        with self._lock:
            self._advanced()
            vm = self.vm_named(name)
            self._schedules[vm.group] = replace(self._schedule(vm), incarnation=incarnation)

    def put_faults(self, name: str | None, faults: Callable[[float], Faults]) -> None:
        """Replace a VM's faults by those that begin now."""
        with self._lock:
            now = self._advanced()
            self._keep(replace(self.vm_named(name), faults=faults(now)))

    def put_identities(self, name: str | None, given: object) -> None:
        """Replace a VM's managed identities; a list as `identities_from` reads it."""
        with self._lock:
            self._keep(replace(self.vm_named(name), identities=identity.identities_from(given)))

    def put_load_balancer(self, name: str | None, given: object) -> None:
        """Put a load balancer before a VM, or take it away; a document as `load_balancer_from` reads it."""
        with self._lock:
            self._keep(replace(self.vm_named(name), balanced=load_balancer_from(given)))

    def begin_scenario(self, name: str | None, scenario: str, speed: float) -> None:
        """Tell a story from now on, in place of one that is still being told.

        Raises:
            InputError: where no scenario has the name, or the speed is not above zero.
        """
        if scenario not in SCENARIOS:
            raise InputError(f"$.name: expected one of {', '.join(SCENARIOS)}, found {scenario!r}")
        if not 0 < speed < float("inf"):
            raise InputError(f"$.speed: expected a number above 0, found {speed!r}")
        with self._lock:
            now = self._advanced()
            vm = self.vm_named(name)
            steps = spread(paced(SCENARIOS[scenario].steps, speed), vm, self.vms)
            ids = tuple(new_event_id() for _ in steps)
            self._telling = telling.Telling(steps=steps, vm=vm.name, begun=now, event_ids=ids)

    def requests(self, since: int = 0) -> list[Document]:
        """Return the logged requests with a number above `since`, oldest first."""
        with self._lock:
            return [dict(entry) for entry in self._log if entry["n"] > since]

    def forget_requests(self) -> None:
        """Empty the log; numbers go on."""
        with self._lock:
            self._log.clear()

    # What passes

    def _keep(self, vm: Vm) -> Vm:
        self._vms[vm.name] = vm
        return vm

    def _schedule(self, vm: Vm) -> Schedule:
        return self._schedules.get(vm.group, Schedule())

    def _advanced(self) -> float:
        now = self._clock()
        while self._telling is not None and (due := telling.next_step(self._telling, now)) is not None:
            self._take_step(self._telling, *due)
        self._pass_until(now)
        return now

    def _take_step(self, story: telling.Telling, step: Step, due: float) -> None:
        self._pass_until(due)
        if isinstance(step, Schedules):
            vms = [self._vms[name] for name in step.vms]
            event = telling.published_by(step, story, [vm.own_name for vm in vms], due)
            self._schedules[vms[0].group] = events.added(self._schedule(vms[0]), event)
        else:
            for group, schedule in self._schedules.items():
                self._schedules[group] = telling.changed_by(step, story, schedule, due)
            vm = self._vms[story.vm]
            self._keep(replace(vm, faults=telling.failing_by(step, vm.faults, due)))
        self._telling = telling.after(story)

    def _pass_until(self, now: float) -> None:
        for group, schedule in self._schedules.items():
            self._schedules[group] = events.advanced(schedule, now)
