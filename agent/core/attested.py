"""The signed document of IMDS: what it says, whether it is fresh, whose name may sign it, and what all of it proves.

It proves which VM of which subscription asked for it, within its lifetime. It says nothing of zone, domains, tags or events.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal

from agent.core.document import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.core.document import Place

SKEW = timedelta(minutes=2)  # between the service's clock and ours; kops allows as much
NONCE = re.compile(r"[0-9A-Za-z]{1,32}")  # the REST specification; the pages say ten digits

# By azEnvironment, which is written in any case. Real certificates are for the bare name and a regional one below it.
SIGNERS = {
    "AzurePublicCloud": "metadata.azure.com",
    "AzureUSGovernmentCloud": "metadata.azure.us",
    "AzureChinaCloud": "metadata.azure.cn",
    "AzureGermanCloud": "metadata.microsoftazure.de",
}

Result = Literal["good", "bad", "unknown"]
Answer = Literal["genuine", "not genuine", "cannot tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What the document says; a field is None where the asked version has none, or where it is "".

    Attributes:
        nonce: as sent, or a time where none was sent; an earlier one where the service answers from its cache.
        sku: as `compute.sku`, since 2019-11-01.
        license_type: since 2020-09-01; None without Azure Hybrid Benefit.
    """

    created_on: datetime
    expires_on: datetime
    nonce: str | None = None
    vm_id: str | None = None
    subscription_id: str | None = None
    sku: str | None = None
    license_type: str | None = None
    plan: tuple[str | None, str | None, str | None] = (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        result: `unknown` where it could not be looked at.
        because: in words, for people.
    """

    name: str
    result: Result
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the document is compared with.

    Attributes:
        nonce: what was sent; None where nothing was.
        fresh: another nonce than ours makes it not genuine; else it may be a cached document within its lifetime.
        vm_id, subscription_id: None where they are not known from elsewhere.
        compared: they should be known, so that not knowing them leaves the answer open.
    """

    nonce: str | None = None
    fresh: bool = True
    vm_id: str | None = None
    subscription_id: str | None = None
    compared: bool = True


def read_attested(content: bytes) -> Attested:
    """Read the content of the signature.

    Raises:
        DocumentError: not JSON, or without its times.
    """
    root = read_json(content)
    plan, stamp = root.at("plan"), root.at("timeStamp")
    return Attested(
        created_on=_time(stamp.at("createdOn")),
        expires_on=_time(stamp.at("expiresOn")),
        nonce=root.at("nonce").text(),
        vm_id=root.at("vmId").text(),
        subscription_id=root.at("subscriptionId").text(),
        sku=root.at("sku").text(),
        license_type=root.at("licenseType").text(),
        plan=(plan.at("name").text(), plan.at("product").text(), plan.at("publisher").text()),
    )


def read_envelope(body: bytes) -> str:
    """Return the base64 in `{"encoding": "pkcs7", "signature": …}`.

    Raises:
        DocumentError: not JSON, another encoding, or no signature.
    """
    root = read_json(body)
    encoding, signature = root.at("encoding"), root.at("signature", secret=True)
    if (encoding.text() or "").casefold() != "pkcs7":
        raise encoding.wrong("'pkcs7'")
    text = signature.text()
    if text is None:
        raise signature.wrong("base64")
    return text


def _time(place: Place) -> datetime:
    """Read `11/28/18 00:16:17 -0000`: month first, and a year of two digits."""
    text = place.text()
    try:
        return datetime.strptime(text or "", "%m/%d/%y %H:%M:%S %z").astimezone(timezone.utc)
    except ValueError:
        raise place.wrong("a time such as '11/28/18 00:16:17 -0000'") from None


def expected_signers(environment: str | None) -> tuple[str, ...]:
    """Return the names that may sign in a cloud; all of them where the cloud is not known.

    Args:
        environment: `azEnvironment`, in any case.
    """
    by_cloud = {cloud.casefold(): name for cloud, name in SIGNERS.items()}
    name = by_cloud.get((environment or "").casefold())
    return (name,) if name else tuple(SIGNERS.values())


def signer_name(names: Iterable[str], expected: Iterable[str]) -> str | None:
    """Return the first of a certificate's names that is an expected one, or below one; None where there is none.

    A name is below another only at a dot: `evilmetadata.azure.com` is nobody's.
    """
    allowed = tuple(name.casefold() for name in expected)
    for name in names:
        plain = name.casefold().removeprefix("*.")
        if any(plain == each or plain.endswith(f".{each}") for each in allowed):
            return name
    return None


def content_checks(document: Attested, expected: Expected, now: datetime) -> tuple[Check, ...]:
    """Return what is to be said of the document itself, once its signature holds."""
    return (
        _lifetime(document, now),
        _nonce(document, expected),
        _same("vmId", document.vm_id, expected.vm_id, compared=expected.compared),
        _same("subscription", document.subscription_id, expected.subscription_id, compared=expected.compared),
    )


def _lifetime(document: Attested, now: datetime) -> Check:
    made, ends = document.created_on, document.expires_on
    if made - SKEW <= now <= ends + SKEW:
        return Check(name="lifetime", result="good", because=f"from {_said(made)} to {_said(ends)}")
    why = f"made at {_said(made)}, in the future" if now < made - SKEW else f"it ended at {_said(ends)}"
    return Check(name="lifetime", result="bad", because=f"{why}; it is {_said(now)}")


def _nonce(document: Attested, expected: Expected) -> Check:
    if expected.nonce is None:
        return Check(
            name="nonce", result="good", because="none was sent: the document may be a copy within its lifetime"
        )
    if document.nonce == expected.nonce:
        return Check(name="nonce", result="good", because="ours: made for this question")
    found = "it is another one: an answer from the service's cache, or a copy of somebody else's"
    return Check(name="nonce", result="bad" if expected.fresh else "good", because=found)


def _same(name: str, found: str | None, expected: str | None, *, compared: bool) -> Check:
    if expected is None:
        because = f"says {found or 'nothing'}; compared with nothing"
        return Check(name=name, result="unknown" if compared else "good", because=because)
    if found is None:
        return Check(name=name, result="unknown", because=f"the document says nothing, expected {expected}")
    same = found.casefold() == expected.casefold()
    return Check(
        name=name, result="good" if same else "bad", because=found if same else f"{found}, expected {expected}"
    )


def verdict(checks: Iterable[Check]) -> Answer:
    """Return what follows: one thing that is wrong decides, and one that is not known leaves it open."""
    results = {check.result for check in checks}
    return "not genuine" if "bad" in results else "cannot tell" if "unknown" in results else "genuine"


def _said(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
