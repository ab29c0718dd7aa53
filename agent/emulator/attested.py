"""The content of a signed document: which fields which version has, and what stands in them."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias, get_args

from agent.emulator.versions import Service, instance_versions

SINCE = "2018-10-01"
LIFETIME = 6 * 3600.0  # seconds; of the sample of 2018 and of real documents of 2022 and 2023
NONCE = re.compile(r"[0-9A-Za-z]{1,32}")  # the pages say ten digits, the REST specification and clients up to 32
# What may be wrong with a document. expired: the signer's certificate. wrong-name: its name. wrong-chain: an authority that
# nobody trusts. tampered: the content, after it was signed. stale: its times. other-vm: its vmId. cached: another nonce.
Flaw: TypeAlias = Literal["expired", "wrong-name", "wrong-chain", "tampered", "stale", "other-vm", "cached"]
FLAWS: tuple[Flaw, ...] = get_args(Flaw)

_OTHER_VM = "00000000-0000-4000-8000-000000000000"
_OTHER_NONCE = "1234566766"  # what Azure's own sample says, which had asked with another
_FIELDS = {"subscriptionId": "2019-04-30", "sku": "2019-11-01", "licenseType": "2020-09-01"}
_PLAN = ("name", "product", "publisher")


def attested_versions(service: Service) -> tuple[str, ...]:
    """Return the versions of /metadata/attested/document, oldest first."""
    return tuple(version for version in instance_versions(service) if version >= SINCE)


def content(
    instance: Mapping[str, Any],
    version: str,
    nonce: str | None,
    *,
    now: float,
    service: Service,
    flaw: Flaw | None = None,
) -> bytes:
    """Return what is signed: compact JSON, keys in alphabetical order.

    Args:
        nonce: None means a time, as the service puts it there: of its making in 2018, of its end since 2020.
        now: seconds since 1970.
    """
    compute = instance.get("compute", {})
    made = now - 2 * LIFETIME if flaw == "stale" else now
    stamp = made if service.era == "2019" else made + LIFETIME
    plan = compute.get("plan", {})
    document: dict[str, Any] = {
        "nonce": nonce or f"{_utc(stamp):%Y%m%d-%H%M%S}",
        "plan": {name: plan.get(name, "") for name in _PLAN},
        "timeStamp": {"createdOn": _said(made), "expiresOn": _said(made + LIFETIME)},
        "vmId": compute.get("vmId", ""),
    }
    document |= {name: compute.get(name, "") for name, since in _FIELDS.items() if since <= version}
    if flaw == "other-vm":
        document["vmId"] = _OTHER_VM
    if flaw == "cached":
        document["nonce"] = _OTHER_NONCE
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _said(seconds: float) -> str:
    return f"{_utc(seconds):%m/%d/%y %H:%M:%S} -0000"
