from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.dates import read_date

SEEN = datetime(2026, 4, 1, 22, 26, 58, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 01 Apr 2026 22:26:58 GMT",
        "Wed, 1 Apr 2026 22:26:58 GMT",
        "Mon, 1 Apr 2026 22:26:58 gmt",
        "Wednesday, 01-Apr-26 22:26:58 UTC",
        "01 Apr 26 23:26:58 +0100",
        "2026-04-01T22:26:58Z",
        "2026-04-01T22:26:58.1234567+00:00",
        "2026-04-01 17:26:58-05:00",
        "2026-04-01T22:26:58",
        " 2026-04-01t22:26:58z ",
    ],
)
def test_one_instant_in_each_known_form_whatever_its_weekday(text):
    assert read_date(text) == SEEN


def test_a_date_may_come_without_seconds():
    assert read_date("01 Apr 26 22:26 Z") == SEEN.replace(second=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Wed, 31 Jun 2026 22:26:58 GMT",
        "Wed, 01 Foo 2026 22:26:58 GMT",
        "Wed, 01 Apr 2026 25:26:58 GMT",
        "Wed, 01 Apr 2026 22:26:58 PST",
        "Wed, 01 Apr 2026 22:26:58",
        "0001-01-01T00:00:00+23:00",
        "2026-13-01T00:00:00Z",
        "1775082418",
    ],
)
def test_what_is_no_date_is_none(text):
    assert read_date(text) is None


@given(st.text())
def test_any_text_gives_a_date_or_none(text):
    assert read_date(text) is None or isinstance(read_date(text), datetime)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 12, 31)))  # noqa: DTZ001
def test_a_date_written_as_http_does_is_read_back(moment):
    moment = moment.replace(microsecond=0, tzinfo=timezone.utc)
    assert read_date(moment.strftime("%a, %d %b %Y %H:%M:%S GMT")) == moment
    assert read_date(moment.isoformat()) == moment
