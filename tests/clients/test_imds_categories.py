"""The categories besides instance and events, over HTTP: typed answers, and what each refusal means."""

import pytest

from agent.clients.imds import Imds
from agent.clients.imds_errors import ImdsRefused, ImdsUnavailable
from agent.emulator import Emulator

BALANCED = {"publicIpAddresses": [{"frontendIpAddress": "51.0.0.1", "privateIpAddress": "10.224.0.6"}]}
ONCE = 1.0  # seconds: one try
PATIENT = 60.0  # seconds, for an answer that is sure to come: the emulator may make its keys first


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


@pytest.fixture
def client(imds):
    with Imds(imds.url, per_second=1000, read_timeout=PATIENT, sleep=lambda _: None) as found:
        yield found


def asked(imds) -> list[str]:
    return [f"{entry['path'].removeprefix('/metadata/')}?{entry['query']}" for entry in imds.requests()]


def test_a_signed_document_is_its_base64_for_the_nonce_that_was_sent(imds, client):
    found = client.attested("0123456789abcdef", PATIENT)
    assert found.value.startswith("MII")
    assert asked(imds) == ["attested/document?api-version=2025-04-07&nonce=0123456789abcdef"]


def test_an_older_service_is_asked_in_a_version_that_it_has():
    with Emulator(rate_limit=None, era="2019") as imds, Imds(imds.url, per_second=1000, read_timeout=PATIENT) as client:
        assert client.attested("1234567890", PATIENT).version == "2019-04-30"


def test_a_load_balancer_is_typed_and_none_is_no_error(imds, client):
    assert client.load_balancer(PATIENT).value is None
    imds.put_load_balancer(BALANCED)
    assert client.load_balancer(PATIENT).value.public == (("51.0.0.1", "10.224.0.6"),)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, '{"error":"Load Balancer metadata API isn\'t available right now. Retry later"}', ImdsUnavailable),
        (404, '{"error":"/metadata/loadbalancer isn\'t currently available"}', ImdsUnavailable),
        (429, '{"error":"Too many requests"}', ImdsUnavailable),
        (503, '{"error":"Internal service unavailable. Retry later"}', ImdsUnavailable),
        (400, '{"error":"Unexpected request. Check the query parameters and retry."}', ImdsRefused),
        (200, "[]", ImdsUnavailable),
        (200, "<html>", ImdsRefused),
    ],
)
def test_other_words_of_a_load_balancer_mean_later_or_never_but_not_that_there_is_none(
    imds, client, status, body, error
):
    imds.put_faults([{"kind": "status", "status": status, "body": body}])
    with pytest.raises(error):
        client.load_balancer(ONCE)


def test_a_token_is_a_secret_and_its_identity_can_be_named(imds, client):
    found = client.token("https://management.azure.com/", PATIENT).value
    assert found.access_token.count(".") == 2
    assert found.access_token not in repr(found)
    imds.put_identities([{"client_id": "c1", "msi_res_id": "/a"}, {"client_id": "c2", "msi_res_id": "/b"}])
    assert client.token("https://management.azure.com/", PATIENT, client_id="c2").value.client_id == "c2"
    with pytest.raises(ImdsRefused, match="not shown because it may hold secrets"):
        client.token("https://management.azure.com/", ONCE)
    assert client.tenant(PATIENT).value.count("-") == 4


@pytest.mark.parametrize("name", ["attested", "load_balancer", "token", "tenant"])
def test_each_waits_out_what_passes_and_gives_up_in_time(imds, client, name):
    given = {"attested": ("1",), "token": ("https://x",)}.get(name, ())
    imds.put_load_balancer(BALANCED)
    imds.put_faults([{"kind": "status", "status": 410, "times": 1}, {"kind": "status", "status": 503, "times": 1}])
    assert getattr(client, name)(*given).value
    assert [entry["status"] for entry in imds.requests()] == [410, 503, 200]
    imds.put_faults([{"kind": "hang"}])
    with Imds(imds.url, per_second=1000, read_timeout=0.2) as impatient, pytest.raises(ImdsUnavailable):
        getattr(impatient, name)(*given, deadline=0.3)


def test_nothing_but_events_is_ever_posted(imds, client):
    client.attested("1", PATIENT)
    client.load_balancer(PATIENT)
    client.token("https://x", PATIENT)
    client.instance(PATIENT)
    client.versions(PATIENT)
    assert {entry["method"] for entry in imds.requests()} == {"GET"}
