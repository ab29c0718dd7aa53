"""Announcements: the same thing has the same name, and is counted up at most once in ten minutes."""

from datetime import datetime, timedelta, timezone

import pytest

from agent.core.announcement import MESSAGE, About, Announcement, due, event_body, remembered, repetition

NOW = datetime(2026, 4, 11, 12, 0, 0, 999999, tzinfo=timezone.utc)
NODE = About(kind="Node", name="node-1", uid="node-uid")
POD = About(kind="Pod", namespace="shop", name="web-0", uid="pod-uid")


def told(about=NODE, **given) -> Announcement:
    return Announcement(**{"reason": "NodeCordoned", "message": "Cordoned.", "key": "E1", "about": about, **given})


def body(announcement=None, now=NOW):
    return event_body(announcement or told(), node="node-1", now=now)


def name(announcement) -> str:
    return body(announcement)["metadata"]["name"]


def test_a_node_event_is_what_kubectl_looks_for():
    assert body() == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name(told()), "namespace": "default"},
        "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "node-uid"},
        "reason": "NodeCordoned",
        "message": "Cordoned.",
        "type": "Normal",
        "source": {"component": "imds-agent", "host": "node-1"},
        "reportingComponent": "imds-agent",
        "reportingInstance": "node-1",
        "firstTimestamp": "2026-04-11T12:00:00Z",
        "lastTimestamp": "2026-04-11T12:00:00Z",
        "count": 1,
    }


def test_a_pod_event_stands_beside_its_pod_and_names_the_node_that_tells_it():
    found = body(told(POD, reason="PodNotEvicted", type="Warning"))
    assert found["metadata"]["namespace"] == found["involvedObject"]["namespace"] == "shop"
    assert (found["type"], found["source"]["host"]) == ("Warning", "node-1")


def test_the_name_is_of_the_object_and_the_same_whenever_and_in_whatever_words_it_is_told():
    assert name(told()).startswith("node-1.")
    later = body(told(message="In other words."), now=NOW + timedelta(days=1))
    assert later["metadata"]["name"] == name(told())


@pytest.mark.parametrize(
    "other",
    [{"key": "E2"}, {"reason": "NodeReleased"}, {"about": About(kind="Node", name="node-1", uid="replaced")}],
    ids=["another event", "another reason", "another object of this name"],
)
def test_another_thing_has_another_name(other):
    assert name(told(**other)) != name(told())


@pytest.mark.parametrize("length", [1, 235, 236, 237, 253])
def test_the_name_fits_however_long_the_objects_name_is(length):
    given = ("a." * 200)[: length - 1] + "b"
    found = name(told(About(kind="Node", name=given, uid="u")))
    assert len(found) <= 253
    assert ".." not in found
    assert found.startswith(given[: min(length, 235)])


def test_a_message_is_one_line_that_fits_and_is_cut_between_letters():
    assert body(told(message=" two\n lines\t\x00 \ud83d "))["message"] == "two lines"
    assert body(told(message="x" * MESSAGE))["message"] == "x" * MESSAGE
    cut = body(told(message="ü" * MESSAGE))["message"]
    assert len(cut.encode()) <= MESSAGE
    assert cut == "ü" * 510 + " …"


# -- once more ---------------------------------------------------------------------------------------------------------


def after(seconds, **found):
    """What counts up an Event of NOW so many seconds later."""
    return repetition({**body(), **found}, body(told(message="Again."), now=NOW + timedelta(seconds=seconds)))


def test_after_ten_minutes_it_is_counted_up_with_the_newest_words_and_not_before():
    assert after(599) is None
    assert after(600) == {
        "lastTimestamp": "2026-04-11T12:10:00Z",
        "message": "Again.",
        "type": "Normal",
        "count": 2,
    }


def test_the_count_is_taken_from_what_stands_there_so_that_a_restart_loses_none():
    assert after(600, count=41)["count"] == 42


@pytest.mark.parametrize("broken", [None, "many"])
def test_an_event_without_a_count_was_told_once(broken):
    assert after(600, count=broken)["count"] == 2


def test_an_event_without_a_last_time_is_counted_up():
    assert after(0, lastTimestamp=None)["count"] == 2


def test_a_clock_that_was_set_back_does_not_silence_it():
    assert after(-599) is None
    assert after(-600) is not None


def test_this_process_tells_a_thing_again_after_ten_minutes_only():
    known = remembered({}, told(), 100.0)
    assert due({}, told(), 0.0)
    assert not due(known, told(), 699.9)
    assert due(known, told(), 700.0)
    assert due(known, told(key="E2"), 100.0)


def test_what_was_told_long_ago_is_forgotten():
    known = remembered({}, told(), 100.0)
    both = remembered(known, told(key="E2"), 699.9)
    assert known.items() <= both.items()
    assert len(both) == 2
    assert remembered(known, told(key="E2"), 700.0).keys() == both.keys() - known.keys()
