"""The load balancer's document, and the public addresses that only it has."""

from pathlib import Path

import pytest

from agent.core.document import DocumentError
from agent.core.load_balancer import Front, LoadBalancer, completed, lacks_public, read_load_balancer
from agent.core.network import Address, NetworkInterface

SAMPLE = (Path(__file__).parents[1] / "documents" / "imds" / "loadbalancer-2020-10-01.json").read_bytes()


def test_azures_sample_is_read():
    found = read_load_balancer(SAMPLE)
    assert found.public == (("51.0.0.1", "10.1.0.4"),)
    assert [(rule.front.frontend, rule.protocol, rule.frontend_port, rule.backend_port) for rule in found.inbound] == [
        ("50.0.0.1", "tcp", 80, 443),
        ("2603:10e1:100:2::1:1", "tcp", 80, 443),
    ]
    assert found.outbound[1] == Front("2603:10e1:100:2::1:1", "ace:cab:deca:deed::1")


def test_brackets_the_case_of_a_protocol_and_an_old_spelling_make_no_difference():
    body = b"""{"loadbalancer":{"publicIpAddresses":[{"frontendIpAddress":"[2001::1]","privateIpAddress":"[fd00::2]"}],
        "inboundRules":[{"protocol":"Tcp","frontendPort":80},{}],"outboundRules":[{"frotendIpAddress":"50.0.0.1"}]}}"""
    found = read_load_balancer(body)
    assert found.public == (("2001::1", "fd00::2"),)
    assert [rule.protocol for rule in found.inbound] == ["tcp", None]
    assert found.outbound == (("50.0.0.1", None),)


@pytest.mark.parametrize("body", [b"{}", b'{"loadbalancer":[]}', b"[]", b'{"loadbalancer":{"publicIpAddresses":{}}}'])
def test_another_document_is_refused_with_its_place(body):
    with pytest.raises(DocumentError, match=r"^\$"):
        read_load_balancer(body)


def test_an_address_that_is_missing_is_the_first_front_of_its_private_one_and_one_that_is_there_stays():
    interfaces = (
        NetworkInterface(ipv4=(Address(private="10.1.0.4"), Address(private="10.1.0.5", public="20.0.0.1"))),
        NetworkInterface(ipv4=(Address(private="10.1.0.6"),)),
    )
    fronts = (
        Front("51.0.0.1", "10.1.0.4"),
        Front("51.0.0.2", "10.1.0.4"),
        Front("9.9.9.9", "10.1.0.5"),
        Front(None, "x"),
    )
    found = completed(interfaces, LoadBalancer(public=fronts))
    assert [address.public for each in found for address in each.ipv4] == ["51.0.0.1", "20.0.0.1", None]
    assert (lacks_public(interfaces), lacks_public(found[:1]), lacks_public(())) == (True, False, False)
