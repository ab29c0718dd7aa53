import json
import re

import pytest

from agent.clients.imds import Imds, ImdsRefused, ImdsUnavailable
from agent.clients.imds_http import Reply
from agent.clients.imds_versions import (
    EVENT_VERSIONS,
    INSTANCE_VERSIONS,
    negotiated,
    refuses_version,
    usable,
)
from agent.core.instance import is_complete
from agent.emulator import Emulator
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import ALL_2025, EVENTS
from tests.clients.imds_partners import Waits

OLD = '{ "error": "Not found. Invalid version requested" }'
NEW = '{ "error": "Bad request. api-version is invalid or was not specified in the request." }'


def client(emulator):
    waits = Waits()
    return Imds(emulator.url, clock=waits.clock, sleep=waits.sleep)


def asked(emulator, endpoint):
    return [
        re.sub("^api-version=", "", each["query"])
        for each in emulator.requests()
        if each["path"] == f"/metadata/{endpoint}"
    ]


def test_we_know_every_version_that_azure_has_documented():
    assert tuple(reversed(INSTANCE_VERSIONS)) == ALL_2025
    assert tuple(reversed(EVENT_VERSIONS)) == EVENTS


@pytest.mark.parametrize(
    ("era", "cloud", "newest", "questions"),
    [
        ("2025", "public", "2025-04-07", 1),
        ("2021", "public", "2020-12-01", 3),
        ("2019", "public", "2019-06-04", 10),
        ("2019", "china", "2019-04-30", 8),
    ],
)
def test_the_newest_version_that_a_service_has_is_found_and_remembered(era, cloud, newest, questions):
    with Emulator(era=era, cloud=cloud, rate_limit=None) as emulator, client(emulator) as imds:
        answer = imds.instance()
        assert (answer.version, len(emulator.requests())) == (newest, questions)
        assert is_complete(answer.value)
        assert imds.instance().version == newest
        assert asked(emulator, "instance")[-1] == newest
        assert len(emulator.requests()) == questions + 1


def test_an_old_service_may_say_404_to_a_version():
    choices = Choices(old_unknown_version_status=404)
    with Emulator(era="2019", rate_limit=None, choices=choices) as emulator, client(emulator) as imds:
        assert imds.instance().version == "2019-06-04"


def test_tags_of_a_service_without_a_list_of_them_are_split():
    with Emulator(era="2019", cloud="china", rate_limit=None) as emulator, client(emulator) as imds:
        emulator.patch_instance({"compute": {"tags": "a:1;b:2", "tagsList": []}})
        instance = imds.instance().value
        assert [tuple(tag) for tag in instance.tags] == [("a", "1"), ("b", "2")]
        assert instance.tags_from == "tags"


def test_events_step_down_to_the_newest_version_there_is_and_remember_it():
    with Emulator(era="2019", rate_limit=None) as emulator, client(emulator) as imds:
        emulator.add_event(EventType="Reboot")
        [event] = imds.events().value.events
        assert (event.duration, event.source) == (None, None)
        assert imds.events().version == "2019-04-01"
        assert asked(emulator, "scheduledevents") == ["2020-07-01", "2019-08-01", "2019-04-01", "2019-04-01"]


def test_after_all_versions_of_events_were_refused_each_poll_is_one_request_for_five_minutes():
    waits = Waits()
    with (
        Emulator(rate_limit=None) as emulator,
        Imds(emulator.url, clock=waits.clock, sleep=waits.sleep) as imds,
    ):
        emulator.put_faults([{"kind": "status", "status": 400, "body": '{ "error": "Bad request" }'}])
        with pytest.raises(ImdsRefused, match="every other version that this agent knows"):
            imds.events()
        assert asked(emulator, "scheduledevents") == list(EVENT_VERSIONS)
        with pytest.raises(ImdsRefused):
            imds.events()
        assert len(emulator.requests()) == len(EVENT_VERSIONS) + 1
        waits.sleep(300)
        with pytest.raises(ImdsRefused):
            imds.events()
        assert len(emulator.requests()) == 2 * len(EVENT_VERSIONS) + 1
        emulator.clear_faults()
        assert imds.events().version == "2020-07-01"


def test_a_400_that_is_not_about_versions_is_not_negotiated():
    with Emulator(rate_limit=None) as emulator, client(emulator) as imds:
        body = '{ "error": "Bad request: . Required metadata header not specified" }'
        emulator.put_faults([{"kind": "status", "status": 400, "body": body}])
        for ask in (imds.instance, imds.events):
            with pytest.raises(ImdsRefused, match="Required metadata header not specified"):
                ask()
        assert len(emulator.requests()) == 2


def test_a_service_that_breaks_off_while_it_tells_its_versions_is_asked_again():
    with Emulator(era="2021", rate_limit=None) as emulator, client(emulator) as imds:
        emulator.put_faults(
            [
                {"kind": "status", "status": 500, "path": "/metadata/versions", "times": 1},
                {"kind": "garbage", "path": "/metadata/versions", "times": 1},
            ]
        )
        assert imds.instance().version == "2020-12-01"


def test_a_document_of_versions_that_is_none_is_no_answer():
    with Emulator(rate_limit=None) as emulator, client(emulator) as imds:
        emulator.put_faults([{"kind": "garbage", "body": '{"apiVersions":""}'}])
        with pytest.raises(ImdsUnavailable, match=r"\$\.apiVersions: expected an array"):
            imds.versions(deadline=20)


def service(*versions, offered=None, hint=None, refusal=NEW):
    """Return what asks a service, given as values, that has these versions only."""

    def reply(status, document):
        return Reply(url="http://imds", status=status, body=document.encode())

    def ask(endpoint, version):
        if endpoint == "versions":
            return reply(404, "{}") if offered is None else reply(200, json.dumps({"apiVersions": offered}))
        if version in versions:
            return reply(200, "{}")
        return reply(400, refusal if hint is None else json.dumps({"error": "api-version?", "newest-versions": hint}))

    return ask


def found(ask):
    return negotiated(ask("instance", "2025-04-07"), ask)[1]


@pytest.mark.parametrize("text", [OLD, NEW])
def test_without_list_and_hint_versions_are_tried_from_the_newest_down(text):
    assert found(service("2017-04-02", refusal=text)) == "2017-04-02"


def test_a_hint_that_lags_is_followed_upwards_to_the_first_refusal():
    assert found(service("2018-10-01", "2019-02-01", "2019-04-30", hint=["2018-10-01"])) == "2019-02-01"


@pytest.mark.parametrize("hint", [[], ["1999-01-01"], "x", [7], {}])
def test_a_hint_that_says_nothing_useful_is_passed_over(hint):
    assert found(service("2021-01-01", hint=hint)) == "2021-01-01"


def test_a_service_that_has_nothing_we_know_is_refused_with_what_it_said():
    with pytest.raises(ImdsRefused, match="Invalid version requested"):
        found(service(refusal=OLD))


@pytest.mark.parametrize(
    ("offered", "tried"),
    [
        (["2017-04-02", "2021-01-01", "2999-01-01"], ("2021-01-01", "2017-04-02")),
        (["2999-02-01", "2999-01-01"], ("2999-01-01",)),
        (["1999-01-01", "2020-01-01"], ()),
        (["x&resource=y", "٢٠٢١-01-01"], ()),
        ([], ()),
    ],
)
def test_known_versions_are_tried_from_the_newest_else_the_first_that_came_after_them(offered, tried):
    assert usable(offered) == tried


def test_a_listed_version_that_is_refused_makes_way_for_the_one_before_it():
    assert found(service("2020-10-01", offered=["2020-10-01", "2020-12-01"])) == "2020-10-01"


def test_a_version_that_was_refused_once_may_be_found_by_climbing():
    """A service that is being updated refuses what it has a moment later."""
    refusal = service(hint=["2024-07-17"])("instance", "2025-04-07")
    assert negotiated(refusal, service("2024-07-17", "2025-04-07"))[1] == "2025-04-07"


@pytest.mark.parametrize("body", [b"[]", b'{"error":["version"]}', b"version", b'{"error":"Bad request"}'])
def test_an_answer_that_says_nothing_of_versions_refuses_none(body):
    assert not refuses_version(Reply(url="http://imds", status=400, body=body))


def test_a_list_that_offers_nothing_known_is_passed_over_for_the_hint():
    assert found(service("2018-10-01", offered=["x"], hint=["2018-10-01"])) == "2018-10-01"
