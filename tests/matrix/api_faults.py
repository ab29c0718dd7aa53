"""The faults of an API server, and what ends or mends each of them."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.matrix.cell import PATIENCE
from tests.matrix.faulty_api import UPSTREAM, Answer, Call, Fault, FaultyApi, refusal
from tests.matrix.way import Way

RETRY_AFTER = 4  # seconds; less than the longest pause while an event presses


def nothing(_way: Way) -> None:
    """Leave it to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiFault:
    """One way to fail.

    Attributes:
        begin: makes it so.
        half: what somebody does about it half way, while the API server goes on as it does.
        blocks: nothing that the agent wants to write arrives; it does once `half` was done, if that mends it.
        mends: `half` puts the agent right.
        says: the log event that must be said of it; "" where nothing must.
        hides: what others write is not seen while it lasts.
        unsure: whether it is noticed depends on the moment.
        rounds: of ten seconds.
        read_timeout: seconds that the agent's client gives an answer while it lasts.
    """

    begin: Callable[[Way], None]
    half: Callable[[Way], None] = nothing
    blocks: bool = True
    mends: bool = False
    says: str = "cluster.unavailable"
    hides: bool = False
    unsure: bool = False
    rounds: int = 6
    read_timeout: float = PATIENCE


def answering(
    code: int, reason: str, message: str, *, says: str, reads: bool = True, retry_after: int | None = None
) -> ApiFault:
    """Refuse everything in the same words, or all that is no GET."""

    def fault(call: Call, pass_on: Callable[[], Answer]) -> Answer:
        refused = reads or call.method != "GET"
        return refusal(code, reason, message, retry_after=retry_after) if refused else pass_on()

    return ApiFault(begin=lambda way: way.api.misbehave(fault), says=says)


def silence(*, done: bool) -> ApiFault:
    """Never answer.

    Args:
        done: only what is written gets no answer, and it is carried out all the same.
    """

    def begin(way: Way) -> None:
        doing = InFlight()

        def fault(call: Call, pass_on: Callable[[], Answer]) -> Answer | None:
            if not done:
                return None
            if call.method == "GET":
                doing.wait()  # what got no answer was done before anybody looks, however slow this machine is
                return pass_on()
            with doing:
                pass_on()
            return None

        way.api.misbehave(fault)

    return ApiFault(begin=begin, blocks=not done, read_timeout=3.0 if done else 0.5)


class InFlight:
    """Counts what is being done, so that others can wait until nothing is."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.count = 0

    def __enter__(self) -> None:
        with self.changed:
            self.count += 1

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def wait(self) -> None:
        with self.changed:
            self.changed.wait_for(lambda: not self.count, UPSTREAM)


def old_token(way: Way) -> None:
    """Refuse the token that the agent has now."""
    old = way.token()

    def fault(call: Call, pass_on: Callable[[], Answer]) -> Answer:
        known = call.headers.get("authorization") == f"Bearer {old}"
        return refusal(401, "Unauthorized", "Unauthorized") if known else pass_on()

    way.api.misbehave(fault)


def stale_cache(way: Way) -> None:
    """Answer from a cache that stands still, as the real one: what it cannot have yet is refused after a while."""
    way.api.misbehave(stale(way.api))


def stale(api: FaultyApi) -> Fault:
    recorded = dict(api.recorded)
    newest = max((int(version_of(answer)) for answer in recorded.values()), default=0)

    def fault(call: Call, pass_on: Callable[[], Answer]) -> Answer:
        if call.method != "GET" or call.at_least is None:
            return pass_on()
        if int(call.at_least) > newest:
            text = f"Timeout: Too large resource version: {call.at_least}, current: {newest}"
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            return refusal(504, "Timeout", text, retry_after=1, details={"causes": [cause], "retryAfterSeconds": 1})
        return recorded.get(call.what) or pass_on()

    return fault


def version_of(answer: Answer) -> str:
    found: str = json.loads(answer.body)["metadata"]["resourceVersion"]
    return found


def new_authority(way: Way) -> None:
    way.trust(way.authority)


LACKS_RIGHT = 'forbidden: User "system:serviceaccount:imds-agent:imds-agent" cannot get resource "nodes" in API group "" at the cluster scope'
POLICY = 'forbidden: ValidatingAdmissionPolicy "other" with binding "other" denied request: not now'

SAYS_AWAY, SAYS_NO = "cluster.unavailable", "node.refused"

API_FAULTS: dict[str, ApiFault] = {
    "refused": ApiFault(begin=lambda way: way.api.refuse()),
    "time-out": silence(done=False),
    "time-out of what was done": silence(done=True),
    "401, then a rotated token": ApiFault(begin=old_token, half=Way.rotate_token, mends=True, says=SAYS_NO),
    "403 for want of rights": answering(403, "Forbidden", LACKS_RIGHT, says=SAYS_NO),
    "403 by a policy": answering(403, "Forbidden", POLICY, reads=False, says=SAYS_NO),
    "409": answering(
        409, "Conflict", "the object has been modified; please apply your changes", reads=False, says="node.contended"
    ),
    "422": answering(422, "Invalid", "is invalid: spec: Invalid value", reads=False, says=SAYS_NO),
    "429 with Retry-After": answering(
        429, "TooManyRequests", "too many requests", retry_after=RETRY_AFTER, says=SAYS_AWAY
    ),
    "500": answering(500, "InternalError", "etcdserver: request timed out", says=SAYS_AWAY),
    "stale cache": ApiFault(begin=stale_cache, blocks=False, says="", hides=True, unsure=True),
    "certificate renewed": ApiFault(begin=Way.renew_certificate, blocks=False, says="", unsure=True),
    "certificate of a new authority": ApiFault(begin=Way.replace_authority, half=new_authority, mends=True),
    "away for ten minutes": ApiFault(begin=lambda way: way.api.refuse(), rounds=60),
}
