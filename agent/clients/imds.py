"""The Instance Metadata Service: documents in, values out, and the service's moods waited out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_fixed, wait_random_exponential

from agent import __version__
from agent.clients.budget import Budget
from agent.clients.imds_errors import ImdsError, ImdsRefused, ImdsUnavailable, bad_body, is_html
from agent.clients.imds_http import ImdsHttp, Reply, unsent
from agent.clients.imds_versions import (
    ATTESTED_VERSIONS,
    EVENT_VERSIONS,
    IDENTITY_VERSIONS,
    INSTANCE_VERSIONS,
    LOAD_BALANCER_VERSIONS,
    Ask,
    first_good,
    may_refuse_version,
    negotiated,
    read_versions,
    refuses_version,
    says_no_load_balancer,
)
from agent.core.attested import read_envelope
from agent.core.document import DocumentError
from agent.core.events import EventDocument, read_events
from agent.core.identity import Token, read_tenant, read_token
from agent.core.instance import Instance, read_instance
from agent.core.load_balancer import LoadBalancer, read_load_balancer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from typing_extensions import Self

__all__ = ["DEFAULT_URL", "Answer", "Imds", "ImdsError", "ImdsRefused", "ImdsUnavailable", "unsent"]

T = TypeVar("T")

DEFAULT_URL = "http://169.254.169.254"  # HTTP only, and only from inside the VM (Azure's documentation)
DEADLINE = 90.0  # seconds for one answer with all retries: a 410, and one more try after it
_GONE_AT_MOST = 70.0  # seconds of 410 while the platform is updated (Azure's documentation)
_SHORTEST = 0.1  # seconds that a try is given however late it begins
_HOPELESS = 300.0  # seconds for which the versions of events are not walked again after all were refused
_PAUSE = wait_fixed(1) + wait_random_exponential(multiplier=0.5, max=15)  # 5xx: at least 1 s (Azure's documentation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """A good answer.

    Attributes:
        date: the service's clock; None when it does not say.
        sha256: of the body as it came, in hex: equal answers can be told without keeping them.
        version: the api-version asked for; "" for /metadata/versions, which has none.
    """

    value: T
    date: datetime | None
    sha256: str
    version: str


class Imds:
    """The service at one address, for several threads; one budget of requests for all.

    Args:
        connect_timeout: seconds; a blocked pod network swallows packets, so waiting longer does not help.
        read_timeout: seconds.
        first_events_timeout: seconds for events until they first succeed: that request switches them on, and may take
            two minutes (Azure's documentation).
        per_second: requests in any second, retries and version questions included.
        clock: monotonic seconds.
        sleep: waits for seconds.
        seen: told each endpoint and what came of a request, for counting; called from any thread.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        connect_timeout: float = 2.0,
        read_timeout: float = 5.0,
        first_events_timeout: float = 120.0,
        user_agent: str = f"imds-agent/{__version__}",
        per_second: int = 2,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        seen: Callable[[str, str], None] = lambda _endpoint, _outcome: None,
    ) -> None:
        budget = Budget(per_second, clock=clock, sleep=sleep)
        self._http = ImdsHttp(
            url, connect_timeout=connect_timeout, user_agent=user_agent, budget=budget, clock=clock, seen=seen
        )
        self._read_timeout = read_timeout
        self._events_timeout = first_events_timeout
        self._clock = clock
        self._sleep = sleep
        self._instance_version = INSTANCE_VERSIONS[0]
        self._events_version = EVENT_VERSIONS[0]
        self._hopeless_until = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def instance(self, deadline: float = DEADLINE) -> Answer[Instance]:
        """Return what the VM is, in the newest version that we know and the service has.

        Args:
            deadline: seconds for all tries together.

        Raises:
            ImdsUnavailable: no good answer in time.
            ImdsRefused: there will be none until somebody changes something.
        """
        return self._retried(self._instance, deadline)

    def versions(self, deadline: float = DEADLINE) -> Answer[tuple[str, ...]]:
        """Return the versions that the service has; before 2020-10-01 it did not tell (404).

        Args:
            deadline: seconds for all tries together.

        Raises:
            ImdsUnavailable: no good answer in time.
            ImdsRefused: there will be none until somebody changes something.
        """
        return self._retried(lambda ask: _answer(ask("versions", ""), read_versions, ""), deadline)

    def events(self) -> Answer[EventDocument]:
        """Return the scheduled events, in one try: the next poll is the retry.

        Raises:
            ImdsUnavailable: no good answer; that is never "no events".
            ImdsRefused: there will be none until somebody changes something.
        """
        timeout = self._events_timeout
        reply, version = self._events(lambda endpoint, version: self._http.get(endpoint, version, timeout))
        answer = _answer(reply, read_events, version)
        self._events_version = version
        self._events_timeout = self._read_timeout
        return answer

    def attested(self, nonce: str, deadline: float = DEADLINE) -> Answer[str]:
        """Return the signed document as it comes: base64 of a PKCS#7, of which nothing has been verified.

        Args:
            nonce: 1 to 32 letters and digits, to be found again in the document if it is made for this question.
            deadline: seconds for all tries together.

        Raises:
            ImdsUnavailable: no good answer in time.
            ImdsRefused: there will be none until somebody changes something.
        """
        return self._document("attested/document", ATTESTED_VERSIONS, read_envelope, deadline, {"nonce": nonce})

    def load_balancer(self, deadline: float = DEADLINE) -> Answer[LoadBalancer | None]:
        """Return what stands before this VM; None where no Standard load balancer does.

        A 404 says that in a sentence; other sentences with it mean "later" (Azure's documentation).

        Args:
            deadline: seconds for all tries together.

        Raises:
            ImdsUnavailable: no good answer in time; what was known before still holds.
            ImdsRefused: there will be none until somebody changes something.
        """
        versions = LOAD_BALANCER_VERSIONS
        return self._document("loadbalancer", versions, read_load_balancer, deadline, none=says_no_load_balancer)

    def token(self, resource: str, deadline: float = DEADLINE, **identity: str) -> Answer[Token]:
        """Return a token of a managed identity of this VM.

        Args:
            resource: whom it is for, such as `https://management.azure.com/`.
            deadline: seconds for all tries together.
            identity: which identity, where the VM has several: one of `client_id`, `object_id`, `msi_res_id`.

        Raises:
            ImdsUnavailable: no good answer in time.
            ImdsRefused: there is no such identity, or nothing is granted.
        """
        query = {"resource": resource, **identity}
        return self._document("identity/oauth2/token", IDENTITY_VERSIONS, read_token, deadline, query)

    def tenant(self, deadline: float = DEADLINE) -> Answer[str]:
        """Return the id of the tenant that the VM's identities are in.

        Args:
            deadline: seconds for all tries together.

        Raises:
            ImdsUnavailable: no good answer in time.
            ImdsRefused: there will be none until somebody changes something.
        """
        return self._document("identity/info", IDENTITY_VERSIONS, read_tenant, deadline)

    def approve(self, event_id: str) -> None:
        """Tell the service that an event may begin now, for all VMs that it concerns; in one try.

        It goes out with the version in which events were last read. The service says 200 also for an event that somebody
        approved before (Azure's documentation); what it says besides is not documented, so only a page counts as no answer.

        Raises:
            ImdsUnavailable: not confirmed; `unsent(error)` tells whether it may have been received all the same.
            ImdsRefused: the same, and it will be refused again: there may be no such event any more.
        """
        document = {"StartRequests": [{"EventId": event_id}]}
        reply = self._http.post("scheduledevents", self._events_version, document, self._read_timeout)
        if reply.status != HTTPStatus.OK:
            raise reply.error()
        if is_html(reply.body):
            raise bad_body(reply.url, reply.body, DocumentError("$", "JSON", "a page"))

    def _document(
        self,
        endpoint: str,
        versions: tuple[str, ...],
        read: Callable[[bytes], T],
        deadline: float,
        query: Mapping[str, str] | None = None,
        *,
        none: Callable[[Reply], bool] = lambda _reply: False,
    ) -> Answer[Any]:
        """Return a document in the newest of some versions that the service has; the value None where `none` says so."""

        def work(ask: Ask) -> Answer[T | None]:
            reply, version = ask(endpoint, versions[0]), versions[0]
            if refuses_version(reply):
                reply, version = first_good(reply, endpoint, versions[1:], refuses_version, ask)
            if none(reply):
                return _answer(replace(reply, status=HTTPStatus.OK), lambda _body: None, version)
            return _answer(reply, read, version)

        return self._retried(work, deadline, query)

    def _retried(
        self, work: Callable[[Ask], Answer[T]], deadline: float, query: Mapping[str, str] | None = None
    ) -> Answer[T]:
        start = self._clock()

        def ask(endpoint: str, version: str) -> Reply:
            left = max(start + deadline - self._clock(), _SHORTEST)
            return self._http.get(endpoint, version, min(self._read_timeout, left), query)

        def over(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            gone = isinstance(error, ImdsError) and error.status == HTTPStatus.GONE
            patience = min(deadline, _GONE_AT_MOST) if gone else deadline
            return self._clock() + state.upcoming_sleep > start + patience

        retrying = Retrying(
            retry=retry_if_exception_type(ImdsUnavailable), wait=_PAUSE, stop=over, sleep=self._sleep, reraise=True
        )
        return retrying(work, ask)

    def _instance(self, ask: Ask) -> Answer[Instance]:
        version = self._instance_version
        reply = ask("instance", version)
        if refuses_version(reply):
            reply, version = negotiated(reply, ask)
        answer = _answer(reply, lambda body: read_instance(body, version), version)
        self._instance_version = version
        return answer

    def _events(self, ask: Ask) -> tuple[Reply, str]:
        version = self._events_version
        reply = ask("scheduledevents", version)
        if not may_refuse_version(reply) or self._clock() < self._hopeless_until:
            return reply, version
        others = [each for each in EVENT_VERSIONS if each != version]
        try:
            return first_good(reply, "scheduledevents", others, may_refuse_version, ask)
        except ImdsRefused:
            self._hopeless_until = self._clock() + _HOPELESS
            raise


def _answer(reply: Reply, read: Callable[[bytes], T], version: str) -> Answer[T]:
    if reply.status != HTTPStatus.OK:
        raise reply.error()
    try:
        value = read(reply.body)
    except DocumentError as error:
        raise bad_body(reply.url, reply.body, error) from error
    return Answer(value=value, date=reply.date, sha256=sha256(reply.body).hexdigest(), version=version)
