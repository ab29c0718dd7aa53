"""Dates as HTTP and the scheduled events service write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONE = r"(?P<zone>Z|GMT|UTC|UT|[+-]\d{2}:?\d{2})"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
# RFC 1123, RFC 850 and RFC 822: `Mon, 11 Apr 2026 22:26:58 GMT`. Azure's examples have wrong weekdays: none is checked.
_RFC = re.compile(
    rf"(?:[a-z]+,? +)?(?P<day>\d{{1,2}})[ -](?P<month>[a-z]{{3}})[ -](?P<year>\d{{4}}|\d{{2}}) +{_CLOCK} *{_ZONE}",
    re.IGNORECASE | re.ASCII,
)
# ISO 8601, which Microsoft's mock server sends, with up to nine digits of fraction.
_ISO = re.compile(
    rf"(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})[T ]{_CLOCK}(?:[.,]\d{{1,9}})? *{_ZONE}?",
    re.IGNORECASE | re.ASCII,
)


def read_date(text: str) -> datetime | None:
    """Read a date of RFC 1123, 850, 822 or ISO 8601 as aware UTC in whole seconds; None when it is none of them.

    Without a zone (ISO only) it is taken for UTC; two digits of a year are taken for 2000 to 2099.
    """
    found = _RFC.fullmatch(text.strip()) or _ISO.fullmatch(text.strip())
    if found is None:
        return None
    year = int(found["year"]) + (2000 if len(found["year"]) == len("26") else 0)
    try:
        clock = (int(found["hour"]), int(found["minute"]), int(found["second"] or 0))
        local = datetime(year, _month(found["month"]), int(found["day"]), *clock, tzinfo=timezone.utc)
        return local - _offset(found["zone"])
    except (ValueError, OverflowError):  # a 31 June; an offset that leaves the calendar
        return None


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.index(text.lower()) + 1


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset
