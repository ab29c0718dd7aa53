"""The load balancer's document, and the sentence for everything that is wrong with a request for it."""

import json

import pytest

from agent.emulator import Emulator
from agent.emulator.answer import Others
from agent.emulator.load_balancer import load_balancer_from
from agent.emulator.reading import InputError
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import Service
from tests.emulator.asking import ask, document, said

SAMPLE = document("loadbalancer-2020-10-01.json")["loadbalancer"]
PATH = "/metadata/loadbalancer"
NONE = "No load balancer metadata is found. Check if your virtual machine is using any nonbasic SKU load balancer and retry later."


def asked(target, balanced=SAMPLE, **more):
    response = said(target, others=Others(balanced=balanced), **more)
    return response.status, json.loads(response.body)


def test_azures_sample_comes_back_in_its_order_with_ports_as_numbers():
    service = Service(choices=Choices(load_balancer_brackets=False))
    status, found = asked(f"{PATH}?api-version=2020-10-01", load_balancer_from(SAMPLE), service=service)
    assert (status, json.dumps(found)) == (200, json.dumps({"loadbalancer": SAMPLE}))


def test_ipv6_stands_in_brackets_as_it_was_recorded():
    _, found = asked(f"{PATH}?api-version=2020-10-01")
    assert found["loadbalancer"]["outboundRules"][1]["frontendIpAddress"] == "[2603:10e1:100:2::1:1]"
    assert found["loadbalancer"]["outboundRules"][0]["frontendIpAddress"] == "50.0.0.1"


@pytest.mark.parametrize(
    ("target", "status", "error"),
    [
        (PATH, 400, 'Missing required parameter "api-version". Fix the request and retry.'),
        (f"{PATH}?api-version=2020-09-01", 400, 'Parameter value isn\'t allowed, or parameter value "2020-09-01" isn\'t allowed for parameter "api-version". Fix the request and retry.'),
        (f"{PATH}/x?api-version=2020-10-01", 404, 'API isn\'t found: Path = "/metadata/loadbalancer/x", Method = "GET"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(target, status, error):
    assert asked(target) == (status, {"error": error})


def test_another_method_and_none_there_have_sentences_too():
    sentence = 'Http method isn\'t allowed: Path = "/metadata/loadbalancer", Method = "POST"'
    assert asked(f"{PATH}?api-version=2020-10-01", method="POST") == (405, {"error": sentence})
    assert asked(f"{PATH}?api-version=2020-10-01", balanced=None) == (404, {"error": NONE})


def test_other_parameters_pass_unless_it_is_chosen_to_be_strict():
    strict = Service(choices=Choices(load_balancer_strict=True))
    assert asked(f"{PATH}?api-version=2020-10-01&format=json&x=1")[0] == 200
    assert asked(f"{PATH}?api-version=2020-10-01&format=json", service=strict)[0] == 200
    found = asked(f"{PATH}?api-version=2020-10-01&x=1", service=strict)
    assert found == (400, {"error": "Unexpected request. Check the query parameters and retry."})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, "Load Balancer metadata API isn't available right now. Retry later"),
        (429, "Too many requests"),
        (503, "Internal service unavailable. Retry later"),
        (500, "Server error"),
    ],
)
def test_where_it_fails_for_now_it_says_so_in_its_own_words(status, error):
    with Emulator(profile="single-vm", rate_limit=None) as imds:
        imds.put_faults([{"kind": "status", "status": status, "times": 1}])
        found = ask(f"{imds.url}{PATH}?api-version=2020-10-01")
        assert (found.status, found.json) == (status, {"error": error})
        assert ask(f"{imds.url}{PATH}?api-version=2020-10-01").status == 200


def test_other_categories_and_a_service_without_it_fail_in_the_general_words():
    with Emulator(rate_limit=None) as imds:
        imds.put_faults([{"kind": "status", "status": 503}])
        assert ask(f"{imds.url}/metadata/instance?api-version=2021-02-01").json == {"error": "Service unavailable"}
    with Emulator(era="2019", rate_limit=None) as imds:
        imds.put_faults([{"kind": "status", "status": 503}])
        assert ask(f"{imds.url}{PATH}?api-version=2020-10-01").json == {"error": "Service unavailable"}


LONG = "x" * 33


@pytest.mark.parametrize(
    ("query", "more", "error"),
    [
        ("", {"body": LONG.encode()}, "Request body is larger than MaxBodyLength: 32"),
        (f"&{LONG}=1", {}, "Parameter key length is larger than MaxParameterKeyLength: 32"),
        (f"&x={LONG}", {}, "Parameter value length is larger than MaxParameterValueLength: 32"),
        ("", {"headers": {"metadata": "true", "x": LONG}}, "Parameter header value length is larger than MaxHeaderValueLength: 32"),
    ],
)  # fmt: skip
def test_what_is_longer_than_a_chosen_length_is_refused_and_by_default_nothing_is(query, more, error):
    def with_at_most(longest):
        service = Service(choices=Choices(load_balancer_longest=longest))
        return asked(f"{PATH}?api-version=2020-10-01{query}", service=service, **more)

    assert with_at_most(32) == (400, {"error": error})
    assert (with_at_most(33)[0], with_at_most(0)[0]) == (200, 200)


def test_a_service_of_2019_has_no_such_thing():
    response = said(f"{PATH}?api-version=2019-06-01", service=Service(era="2019"))
    assert (response.status, response.body) == (404, b'{"error":"Not found"}')


def test_it_is_put_and_taken_away_by_the_admin():
    with Emulator(rate_limit=None) as imds:
        url = f"{imds.url}{PATH}?api-version=2020-10-01"
        assert ask(url).status == 404
        assert ask(f"{imds.admin_url}/loadbalancer", "PUT", headers={}, body=SAMPLE).status == 200
        assert ask(url).json["loadbalancer"]["inboundRules"][0]["frontendPort"] == 80
        imds.put_load_balancer(None)
        assert ask(url).status == 404
        for given, error in [
            ({"rules": []}, r"\$\.rules: expected one of"),
            (
                {"inboundRules": [{"frontendPort": "80"}]},
                r"\$\.inboundRules\[0\]\.frontendPort: expected a whole number",
            ),
            ({"outboundRules": [{"protocol": "tcp"}]}, r"\$\.outboundRules\[0\]\.protocol: expected one of"),
        ]:
            with pytest.raises(InputError, match=error):
                imds.put_load_balancer(given)
