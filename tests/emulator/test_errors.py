"""Every known error body, byte for byte."""

import json

import pytest

from agent.emulator import errors
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import Service
from tests.emulator.asking import HEADER, document, said

INSTANCE = "/metadata/instance?api-version=2025-04-07"
HINT_2025 = (
    b'{ "error": "Bad request. api-version is invalid or was not specified in the request. '
    b'For more information refer to aka.ms/azureimds", "newest-versions": [ "2025-04-07", "2024-07-17", "2024-03-15" ] }'
)
HINT_2019 = (
    b'{ "error": "Bad request. api-version was not specified in the request. '
    b'For more information refer to aka.ms/azureimds", "newest-versions": [ "2018-10-01", "2018-04-02", "2018-02-01" ] }'
)


@pytest.mark.parametrize(
    "path", ["/metadata/instance", "/metadata/scheduledevents", "/metadata/loadbalancer", "/metadata"]
)
@pytest.mark.parametrize("headers", [{}, {"metadata": "false"}, {"metadata": ""}])
def test_without_the_header_the_recorded_body_comes_odd_colon_included(path, headers):
    response = said(f"{path}?api-version=2020-07-01", headers=headers)
    recorded = document("errors/400-missing-metadata-header.json")
    assert (response.status, response.body) == (400, recorded["rawBody"].encode())
    assert response.body == b'{ "error": "Bad request: . Required metadata header not specified" }'


@pytest.mark.parametrize("value", ["true", "True", "TRUE", " true "])
def test_the_header_value_is_compared_without_regard_to_case(value):
    assert said(INSTANCE, headers={"metadata": value}).status == 200


def test_without_the_header_identity_has_a_body_of_two_keys():
    response = said("/metadata/identity/oauth2/token?api-version=2018-02-01", headers={})
    expected = b'{"error":"invalid_request","error_description":"Required metadata header not specified"}'
    assert (response.status, response.body) == (400, expected)


@pytest.mark.parametrize("headers", [{"x-forwarded-for": "10.0.0.1"}, HEADER | {"x-forwarded-for": "10.0.0.1"}])
def test_a_forwarded_request_is_refused_with_or_without_the_header(headers):
    response = said(INSTANCE, headers=headers)
    assert (response.status, response.body) == (400, b'{ "error": "Bad request" }')


@pytest.mark.parametrize("target", ["/metadata/versions", "/metadata/scheduledevents?api-version=2017-08-01"])
def test_the_header_is_needed_everywhere(target):
    assert said(target, headers={}).body == errors.NO_HEADER


def test_scheduled_events_of_the_preview_did_not_ask_for_the_header():
    assert said("/metadata/scheduledevents?api-version=2017-03-01", headers={}).status == 200


@pytest.mark.parametrize(
    "target", ["/metadata/instance", "/metadata", "/metadata/instance?api-version=", "/metadata/scheduledevents"]
)
def test_without_a_version_the_three_newest_are_named(target):
    response = said(target)
    assert (response.status, response.body) == (400, HINT_2025)


@pytest.mark.parametrize("era", ["2019", "2021", "2025"])
def test_the_text_without_a_version_is_the_eras(era):
    name = "missing-or-invalid-api-version-2025" if era == "2025" else f"missing-api-version-{era}"
    compact = Service(era=era, choices=Choices(hint_spaces=False))
    expected = document(f"errors/400-{name}.json")["body"]
    assert json.loads(said("/metadata/instance", service=Service(era=era)).body) == expected
    assert said("/metadata/instance", service=compact).body == json.dumps(expected, separators=(",", ":")).encode()


def test_a_version_that_does_not_exist_gets_the_same_body_in_2025():
    response = said("/metadata/instance?api-version=2022-01-01")
    assert (response.status, response.body) == (400, HINT_2025)


def test_a_version_that_does_not_exist_gets_the_recorded_old_body_in_2019():
    response = said("/metadata/instance?api-version=2022-01-01", service=Service(era="2019"))
    recorded = document("errors/invalid-version-2019.json")["rawBody"].encode()
    assert (
        (response.status, response.body)
        == (400, recorded)
        == (400, b'{ "error": "Not found. Invalid version requested" }')
    )


@pytest.mark.parametrize("version", ["2018-10-01", "2025-04-07", "nonsense"])
def test_a_version_of_another_category_is_a_bad_request_for_scheduled_events(version):
    response = said(f"/metadata/scheduledevents?api-version={version}")
    assert (response.status, response.body) == (400, b'{ "error": "Bad request" }')


@pytest.mark.parametrize("form", ["", "&format=json"])
def test_a_leaf_without_format_text_is_the_recorded_bad_request(form):
    response = said(f"/metadata/instance/compute/vmId?api-version=2017-08-01{form}")
    recorded = document("errors/400-leaf-without-format-text.json")["rawBody"].encode()
    assert (response.status, response.body) == (400, recorded) == (400, b'{ "error": "Bad request" }')


@pytest.mark.parametrize("element", ["compute", "compute/name"])
def test_another_format_than_json_and_text_is_a_bad_request(element):
    assert (
        said(f"/metadata/instance/{element}?api-version=2017-08-01&format=yaml").body == b'{ "error": "Bad request" }'
    )


@pytest.mark.parametrize(
    "query",
    [
        "api-version=2017-08-01&api-version=2017-08-01",
        "format=text&api-version=2017-08-01&format=text",
        "x&api-version=2017-08-01&x",
    ],
)
def test_a_parameter_given_twice_is_a_bad_request(query):
    response = said(f"/metadata/instance?{query}")
    assert (response.status, response.body) == (400, b'{ "error": "Bad request" }')


@pytest.mark.parametrize(
    "target",
    [
        INSTANCE + "&extended=true",
        INSTANCE + "&bogus=1",
        "/metadata/versions?format=text",
        "/metadata/instance?api-version=2019-02-01&&format=text",
        "/metadata/instance?&api-version=2019-02-01&&&format=text&",
    ],
)
def test_an_unknown_parameter_and_an_empty_one_are_let_pass(target):
    assert said(target).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/metadata/instance/Compute",
        "/metadata/instance/compute/nothing",
        "/metadata/instance/compute/name/x",
        "/metadata/instance/network/interface/1",
        "/metadata/instance/network/interface/-1",
        "/metadata/instance/network/interface/00",
        "/metadata/instance/network/interface/" + "9" * 5000,
        "/metadata/instance/network/interface/x",
        "/metadata/instance/compute/zone",  # a field of a later version
        "/metadata/Instance",
        "/metatadata/instance",
        "/metadata/nothing",
        "/metadata/scheduledevents/x",
        "/metadata/versions/x",
        "/",
    ],
)
def test_what_is_not_there_is_not_found_in_the_generic_words(path):
    response = said(f"{path}?api-version=2017-08-01")
    assert (response.status, response.body) == (404, b'{"error":"Not found"}')


def test_identity_is_not_found_in_its_own_words():
    response = said("/metadata/identity/oauth2/tokens?api-version=2018-02-01&resource=x")
    assert (response.status, response.body) == (404, b'{"error":"not_found","error_description":"Not found"}')


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"])
def test_another_method_than_get_is_not_allowed_on_instance(method):
    response = said(INSTANCE, method=method)
    assert (response.status, response.body) == (405, b'{"error":"Not allowed"}')


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
def test_scheduled_events_allow_get_and_post_only(method):
    assert said("/metadata/scheduledevents?api-version=2020-07-01", method=method).status == 405


def test_identity_says_not_allowed_in_its_own_words():
    body = said("/metadata/identity/oauth2/token?api-version=2018-02-01", method="POST").body
    assert body == b'{"error":"method_not_allowed","error_description":"Not allowed"}'


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"Bad request"}'),
        (403, b'{"error":"Forbidden"}'),
        (404, b'{"error":"Not found"}'),
        (405, b'{"error":"Not allowed"}'),
        (410, b'{ "error": "Gone" }'),
        (429, b'{"error":"Too many requests"}'),
        (500, b'{"error":"Server error"}'),
        (503, b'{"error":"Service unavailable"}'),
        (502, b""),
    ],
)
def test_the_generic_bodies_are_the_specifications(status, body):
    response = errors.generic(status, "/metadata/instance/compute", Service())
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"invalid_request","error_description":"Bad request"}'),
        (404, b'{"error":"not_found","error_description":"Not found"}'),
        (405, b'{"error":"method_not_allowed","error_description":"Not allowed"}'),
        (429, b'{"error":"too_many_requests","error_description":"Too many requests"}'),
        (500, b'{"error":"server_error","error_description":"Server error"}'),
    ],
)
def test_the_generic_bodies_of_identity_are_the_specifications(status, body):
    assert errors.generic(status, "/metadata/identity/oauth2/token", Service()).body == body


ORDER = [
    # what is wrong with the request, and the status and body that win
    ({"headers": {"x-forwarded-for": "a"}, "method": "PUT"}, "/metadata/instance/no", 400, errors.BAD_REQUEST),
    ({"headers": {}, "method": "PUT"}, "/metadata/instance/no", 400, errors.NO_HEADER),
    ({"method": "PUT"}, "/metadata/instance/no", 405, b'{"error":"Not allowed"}'),
    ({}, "/metadata/instance/no?format=yaml", 400, HINT_2025),
    ({}, "/metadata/instance/no?format=yaml&api-version=1999-01-01", 400, HINT_2025),
    ({}, "/metadata/instance/no?format=yaml&api-version=2017-08-01", 404, b'{"error":"Not found"}'),
    ({}, "/metadata/instance/compute?format=yaml&api-version=2017-08-01", 400, errors.BAD_REQUEST),
]


@pytest.mark.parametrize(("how", "target", "status", "body"), ORDER)
def test_header_comes_before_method_before_version_before_path_before_format(how, target, status, body):
    response = said(target, **how)
    assert (response.status, response.body) == (status, body)


def test_errors_are_json_for_text_requests_too():
    response = said("/metadata/instance/compute/no?api-version=2017-08-01&format=text")
    assert (response.content_type, response.body) == ("application/json", b'{"error":"Not found"}')
