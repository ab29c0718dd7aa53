"""Is the way to IMDS the one that it answers on? Every trouble that Azure's pages and users tell of, as a value."""

import pytest

from agent.doctor import network
from agent.doctor.host import Host, Interface, Route, TableRoute
from tests.doctor.builders import DEFAULT, IMDS_ROUTE, WELL, host, instance


def test_a_vm_as_azure_delivers_it_is_well_in_everything():
    vm = instance()
    found = [
        network.route(WELL), network.swallowed(WELL), network.primary(WELL, vm), network.dhcp(WELL), network.proxies(WELL),
        network.firmware(WELL), network.identity(WELL, vm), network.domains(vm),
    ]  # fmt: skip
    assert [(each.check, each.verdict, each.advice) for each in found] == [(each.check, "ok", "") for each in found]


@pytest.mark.parametrize(
    ("changes", "verdict", "advice"),
    [
        ({"route": Route(error="Network is unreachable")}, "bad", "ip route add 169.254.169.254/32"),
        ({"route": Route(interface="eth1", source="10.9.0.4")}, "warn", "the default route's, eth0"),
        ({"route": Route(interface="lo", source="169.254.169.254")}, "warn", "This machine itself"),
        ({"table": ()}, "ok", ""),
    ],
)
def test_the_route_is_the_kernels_own_choice(changes, verdict, advice):
    found = network.route(host(**changes))
    assert found.verdict == verdict
    assert advice in found.advice


WIDE = TableRoute(interface="cluster0", network="169.254.0.0", prefix=16, gateway=None, metric=0)


@pytest.mark.parametrize(
    ("table", "verdict", "found"),
    [
        ((DEFAULT, WIDE), "bad", "169.254.0.0/16 dev cluster0"),
        ((DEFAULT, WIDE, IMDS_ROUTE), "ok", "169.254.0.0/16 dev cluster0; harmless"),
        ((DEFAULT, TableRoute(interface="eth0", network="169.254.0.0", prefix=16, gateway=None, metric=0)), "ok", "169.254.0.0/16 dev eth0; harmless"),
        ((DEFAULT, TableRoute(interface="cni0", network="169.254.7.0", prefix=24, gateway=None, metric=0)), "ok", "169.254.7.0/24 dev cni0; harmless"),
        ((WIDE,), "bad", "169.254.0.0/16 dev cluster0"),
        ((), "ok", "none"),
    ],
)  # fmt: skip
def test_a_link_local_network_that_takes_imds_along_is_found(table, verdict, found):
    finding = network.swallowed(host(table=table))
    assert (finding.verdict, finding.found) == (verdict, found)


def test_requests_must_leave_by_an_interface_and_address_that_imds_names():
    assert network.primary(WELL, None).verdict == "unknown"
    pod = host(interfaces=(Interface(name="eth0", mac="aa:bb:cc:dd:ee:ff"),))
    found = network.primary(pod, instance())
    assert (found.verdict, "hostNetwork" in found.advice) == ("warn", True)
    second = host(route=Route(interface="eth0", source="10.224.0.99"))
    assert "IMDS names 10.224.0.6" in network.primary(second, instance()).advice
    assert network.primary(host(route=Route()), instance()).found == "no interface"


def test_an_address_for_ever_without_a_lease_is_not_dhcps():
    forever = (Interface(name="eth0", mac=None, addresses=(("10.224.0.6", False),)),)
    assert network.dhcp(host(interfaces=forever, leases=())).verdict == "warn"
    assert network.dhcp(host(interfaces=forever)).found == "10.224.0.6: /run/systemd/netif/leases/2"
    assert network.dhcp(Host()).verdict == "unknown"


def test_proxies_are_named_without_their_passwords():
    found = network.proxies(host(proxies=("http_proxy",), no_proxy="localhost"))
    assert (found.verdict, found.found) == ("warn", "http_proxy")
    assert network.proxies(host(proxies=("http_proxy",), no_proxy="localhost,169.254.169.254")).verdict == "ok"


def test_firmware_tells_azure_from_others_without_a_network():
    assert network.firmware(host(chassis_tag=None)).verdict == "unknown"
    assert network.firmware(host(chassis_tag="Amazon EC2")).verdict == "warn"


def test_the_vms_id_is_compared_in_both_byte_orders():
    swapped = "a4b8aa02-ef74-6e47-8182-f6d2ba4166a6"
    assert network.swapped(network.swapped(swapped)) == swapped
    assert network.identity(host(product_uuid=swapped.upper()), instance()).found.endswith("generation 1")
    assert network.identity(host(product_uuid="00000000-0000-0000-0000-000000000000"), instance()).verdict == "bad"
    assert network.identity(host(product_uuid=None), instance()).verdict == "unknown"


def test_a_fault_domain_of_0_may_say_nothing():
    assert network.domains(instance(platformFaultDomain="0")).verdict == "warn"
    assert network.domains(instance(platformFaultDomain="")).verdict == "warn"
    assert network.domains(None).verdict == "unknown"
