"""Every choice the emulator makes where no source says what Azure's service does.

Those that clients may feel are switches below. The rest has none until somebody needs one: refusals come in the order
forwarded, header, method, version, path, format; one trailing slash is accepted; `format` other than json and text is
a 400, and is ignored where only JSON exists; arrays list their indices as text; a leaf as text has no newline; the rate
limit holds for any second, not for each one on the clock; scheduled events without a version get the same hint as
/instance; a service of 2019 has the events versions up to 2019-04-01; an approval is answered with an empty body, an
empty list of approvals approves nothing, and one unknown event refuses them all. A nonce that is too long, or has other
characters than letters and digits, is a 400 in the bare form, and an empty one counts as none; a document lives six
hours, as real ones of 2022 and 2023 did (others were seen that lived for seconds). A token lives a day and is the same
for an hour; `resource` without "://" is what `invalid_resource` means; two of client_id, object_id and msi_res_id are
`invalid_request`, and one that is empty, or that nobody has, is "Identity not found"; the system-assigned identity goes
before others; beyond five requests at a time there is a 429. Stories in which NotBefore moves, or
DocumentIncarnation begins anew, are what a client should survive; nobody recorded them.
"""

from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, cast

from agent.emulator.reading import InputError


def _choice(default: object, question: str, allowed: tuple[object, ...] = ()) -> Any:
    return field(default=default, metadata={"question": question, "allowed": allowed})


_BAD_REQUEST = '{ "error": "Bad request" }'


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was chosen, name by name."""

    forwarded_status: int = _choice(400, "Status of a request that carries X-Forwarded-For")
    forwarded_body: str = _choice(_BAD_REQUEST, "Body of a request that carries X-Forwarded-For")
    duplicate_body: str = _choice(_BAD_REQUEST, "Body of the 400 for a parameter given twice")
    gone_body: str = _choice('{ "error": "Gone" }', "Body of a 410; some expect none")
    unknown_version_text: str = _choice(
        "by-era",
        "Text for an unknown api-version: the old one was recorded until 2019, the new one is documented in 2025",
        ("by-era", "old", "new"),
    )
    old_unknown_version_status: int = _choice(
        400, "Status beside the old text; its body was recorded without", (400, 404)
    )
    hint_spaces: bool = _choice(
        default=True,
        question="Whether the body with newest-versions has spaces inside braces, as the other errors have",
    )
    versions_needs_header: bool = _choice(default=True, question="Whether /metadata/versions needs Metadata: true")
    preview_events_need_header: bool = _choice(
        default=False, question="Whether scheduled events 2017-03-01 need it (2017-08-01: 'enforced for all requests')"
    )
    tags_list_as_text: str = _choice(
        "listing",
        "tagsList with format=text: indices by the rule, or JSON as a page of 2019 prints it",
        ("listing", "json"),
    )
    text_final_newline: bool = _choice(default=False, question="Whether a text listing ends with a newline")
    json_charset: bool = _choice(default=False, question="Whether Content-Type says charset=utf-8 beside the JSON type")
    custom_data: str = _choice(
        "by-era",
        "Whether customData shows a value: it did in 2019, and is documented as disabled since",
        ("by-era", "shown"),
    )
    extended_partial_status: int = _choice(
        500,
        "Status with extended=true where the answer would be partial; documented as a failure",
        (404, 410, 429, 500, 503),
    )
    attested_cached: bool = _choice(
        default=False,
        question="Whether a signed document comes from a cache, with an earlier nonce, until it is over (page of 2021)",
    )
    load_balancer_strict: bool = _choice(
        default=False, question="Whether the load balancer refuses parameters besides api-version and format"
    )
    load_balancer_longest: int = _choice(
        0,
        "Longest body, parameter and header value that the load balancer takes; documented without numbers, 0: any",
    )
    load_balancer_brackets: bool = _choice(
        default=True, question="Whether IPv6 addresses stand in brackets there: recorded so, printed bare"
    )
    approve_unknown_status: int = _choice(
        400, "Status when StartRequests names an event that is not there", (400, 404, 200)
    )
    approved_start_seconds: float = _choice(
        0.0,
        "Seconds from an approval to the start; documented as waiting for others on a shared host, none here by default",
    )
    events_etag: bool = _choice(default=False, question="Whether scheduled events have an ETag and answer 304")
    retry_after: int = _choice(0, "Seconds that Retry-After says on a 429; 0 sends no such header")
    first_events_seconds: float = _choice(
        0.0, "Seconds that a VM's first events request takes; documented as up to two minutes, none here by default"
    )
    events_flow_seconds: float = _choice(
        0.0, "Seconds from that request until events are shown; documented as up to five minutes, none here by default"
    )
    events_off_seconds: float = _choice(
        86_400.0, "Seconds without a request after which events are switched off again; documented as 24 hours"
    )


def hastened(choices: Choices, speed: float) -> Choices:
    """Return choices under which scheduled events are switched on and off faster.

    Raises:
        InputError: the speed is not above zero.
    """
    if not 0 < speed < float("inf"):
        raise InputError(f"$.speed: expected a number above 0, found {speed!r}")
    return replace(
        choices,
        first_events_seconds=choices.first_events_seconds / speed,
        events_flow_seconds=choices.events_flow_seconds / speed,
        events_off_seconds=choices.events_off_seconds / speed,
    )


def with_choices(settings: Iterable[str]) -> Choices:
    """Read NAME=VALUE pairs over the defaults.

    Raises:
        InputError: for a name that is not in the table, or a value that it cannot have.
    """
    table = {each.name: each for each in fields(Choices)}
    given: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in table:
            raise InputError(f"choice {name}: expected one of {', '.join(table)}")
        given[name] = _value(table[name], text)
    return Choices(**given)


def described() -> list[tuple[str, str, str]]:
    """List name, default and question of every choice."""
    return [(each.name, str(each.default), cast("str", each.metadata["question"])) for each in fields(Choices)]


def _value(choice: "Field[Any]", text: str) -> object:
    allowed = choice.metadata["allowed"]
    if isinstance(choice.default, bool):
        if text not in ("true", "false"):
            raise InputError(f"choice {choice.name}: expected true or false, found {text!r}")
        return text == "true"
    try:
        value = cast("type[int | float | str]", type(choice.default))(text)
    except ValueError:
        raise InputError(f"choice {choice.name}: expected a number, found {text!r}") from None
    if allowed and value not in allowed:
        raise InputError(f"choice {choice.name}: expected one of {', '.join(map(str, allowed))}, found {text!r}")
    return value
