"""Tokens of managed identities: whom a request means, what is refused in which words, and limits of their own."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.emulator import Emulator
from agent.emulator.answer import Others
from agent.emulator.identity import SYSTEM, Identity
from agent.emulator.reading import InputError
from tests.emulator.asking import ask, said

PATH = "/metadata/identity/oauth2/token?api-version=2018-02-01"
MANAGEMENT = "&resource=https%3A%2F%2Fmanagement.azure.com%2F"
ONE = Identity(
    client_id="c-1",
    object_id="o-1",
    msi_res_id="/subscriptions/s/resourceGroups/g/providers/x/userAssignedIdentities/one",
)
TWO = Identity(
    client_id="c-2",
    object_id="o-2",
    msi_res_id="/subscriptions/s/resourceGroups/g/providers/x/userAssignedIdentities/two",
)


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


def asked(query=MANAGEMENT, identities=(SYSTEM,), now=1_800_000_000.0):
    response = said(PATH + query, others=Others(identities=identities, now=now))
    return response.status, json.loads(response.body)


def claims(document) -> dict:
    head, body, signature = document["access_token"].split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body)]
    assert (decoded[0]["alg"], signature) == ("none", "")
    return decoded[1]


def test_a_token_says_whose_it_is_for_whom_and_until_when_all_in_strings():
    status, document = asked()
    assert status == 200
    assert all(isinstance(value, str) for value in document.values())
    assert (document["resource"], document["token_type"], document["refresh_token"]) == (
        "https://management.azure.com/",
        "Bearer",
        "",
    )
    assert int(document["expires_on"]) - 1_800_000_000 == int(document["expires_in"]) > 0
    assert int(document["not_before"]) <= 1_800_000_000
    assert claims(document)["oid"] == SYSTEM.object_id
    assert claims(document)["aud"] == document["resource"]
    assert asked(now=1_800_000_001.0)[1]["access_token"] == document["access_token"]  # cached by the service


@pytest.mark.parametrize(
    ("query", "identities", "whose"),
    [
        ("", (SYSTEM, ONE, TWO), SYSTEM),
        ("", (ONE,), ONE),
        ("&client_id=C-2", (SYSTEM, ONE, TWO), TWO),
        ("&object_id=o-1", (SYSTEM, ONE, TWO), ONE),
        (f"&msi_res_id={ONE.msi_res_id.replace('/', '%2F')}", (ONE, TWO), ONE),
        ("&bypass_cache=true&authority=x", (ONE,), ONE),
    ],
)
def test_one_of_several_identities_is_meant(query, identities, whose):
    status, document = asked(MANAGEMENT + query, identities)
    assert (status, claims(document)["appid"], document["client_id"]) == (200, whose.client_id, whose.client_id)


@pytest.mark.parametrize(
    ("query", "identities", "error", "description"),
    [
        ("", (SYSTEM,), "invalid_request", "Required query variable 'resource' is missing"),
        ("&resource=nothing", (SYSTEM,), "invalid_resource", "AADSTS50001: The resource principal named nothing was not found in the tenant"),
        (MANAGEMENT, (), "invalid_request", "Identity not found"),
        (f"{MANAGEMENT}&msi_res_id=", (SYSTEM, ONE), "invalid_request", "Identity not found"),
        (f"{MANAGEMENT}&client_id=", (Identity(client_id="", object_id="o"),), "invalid_request", "Identity not found"),
        (f"{MANAGEMENT}&client_id=x", (SYSTEM, ONE), "invalid_request", "Identity not found"),
        (f"{MANAGEMENT}&client_id=c-1&object_id=o-1", (ONE,), "invalid_request", "client_id, object_id and msi_res_id exclude each other"),
        (
            MANAGEMENT,
            (ONE, TWO),
            "invalid_request",
            "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_granted_is_refused_in_the_recorded_words(query, identities, error, description):
    assert asked(query, identities) == (400, {"error": error, "error_description": description})


def test_header_method_and_version_are_refused_in_two_keys():
    assert json.loads(said(PATH + MANAGEMENT, headers={}).body)["error"] == "invalid_request"
    assert json.loads(said(PATH + MANAGEMENT, method="POST").body)["error"] == "method_not_allowed"
    for query in ("", "?api-version=2018-02-01&resource=https://x&resource=https://x"):
        unversioned = said(f"/metadata/identity/oauth2/token{query}")
        assert (unversioned.status, list(json.loads(unversioned.body))) == (400, ["error", "error_description"])
    old = said("/metadata/identity/oauth2/token?api-version=2017-12-01&resource=https://x")
    assert (old.status, json.loads(old.body)["error"]) == (400, "invalid_request")


def test_the_tenant_is_told():
    assert json.loads(said("/metadata/identity/info?api-version=2018-02-01").body)["tenantId"].count("-") == 4


def test_identities_are_put_by_the_admin_and_a_wrong_list_is_refused(imds):
    put = ask(
        f"{imds.admin_url}/identities",
        "PUT",
        headers={},
        body=[{"client_id": "c", "object_id": "o", "msi_res_id": "/x"}],
    )
    assert put.status == 200
    assert ask(f"{imds.url}{PATH}{MANAGEMENT}").json["client_id"] == "c"
    for given, error in [
        ([{"id": "c"}], r"\$\[0\]\.id: expected one of"),
        ([{"client_id": 3}], r"\$\[0\]\.client_id: expected a string"),
        ([{}, {}], "the system-assigned one, found several"),
        ([3], r"\$\[0\]: expected an object"),
    ]:
        with pytest.raises(InputError, match=error):
            imds.put_identities(given)


def test_it_has_a_rate_of_its_own_twenty_a_second():
    with Emulator(clock=lambda: 1_800_000_000.0) as imds:  # within one second for ever
        assert [ask(f"{imds.url}{PATH}{MANAGEMENT}").status for _ in range(21)] == [200] * 20 + [429]
        assert ask(f"{imds.url}/metadata/versions").status == 200
        refused = ask(f"{imds.url}{PATH}{MANAGEMENT}")
        assert refused.json == {"error": "too_many_requests", "error_description": "Too many requests"}


def test_five_may_be_under_way_at_a_time():
    with Emulator() as imds:
        imds.put_faults([{"kind": "delay", "seconds": 1.5, "path": "/metadata/identity"}])
        with ThreadPoolExecutor(7) as threads:
            found = list(threads.map(lambda _: ask(f"{imds.url}{PATH}{MANAGEMENT}").status, range(7)))
        assert sorted(found) == [200] * 5 + [429] * 2
        imds.clear_faults()
        assert ask(f"{imds.url}{PATH}{MANAGEMENT}").status == 200


def test_no_token_stands_in_the_log_of_requests(imds):
    token = ask(f"{imds.url}{PATH}{MANAGEMENT}").json["access_token"]
    assert token not in json.dumps(imds.requests())
