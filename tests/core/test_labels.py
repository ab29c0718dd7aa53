import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.instance import Image, Instance
from agent.core.labels import DOMAIN, Identity, LabelPolicy, explain_labels, fact_labels, own_key, read_identity
from agent.core.placement import Placement

P = DOMAIN
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")
PLACED = Placement(
    location="westeurope",
    zone="1",
    physical_zone="westeurope-az2",
    fault_domain=0,
    update_domain=3,
    sub_fault_domain=15,
    placement_group="f67c14ab",
    host="/subscriptions/s/hostGroups/g/hosts/host-7",
)
WHOLE = Instance(
    version="2025-04-07",
    vm_id="02aab8a4",
    name="web_0",
    resource_id="/subscriptions/s/resourceGroups/rg (test)/providers/Microsoft.Compute/virtualMachines/web_0",
    resource_group_name="rg (test)",
    subscription_id="s",
    az_environment="AZUREPUBLICCLOUD",
    vm_size="Standard_D8s_v5",
    priority="regular",
    vm_scale_set_name="web",
    placement=PLACED,
    image=Image(publisher="Canonical", offer="UbuntuServer", version="18.04"),
    user_data="aHVudGVyMg==",
    custom_data="aHVudGVyMg==",
)
PLAIN = LabelPolicy()


def because(instance, key, policy=PLAIN) -> str:
    return next(reason.because for reason in explain_labels(instance, policy) if reason.key == key)


def test_a_whole_vm_gets_its_topology_and_what_it_is():
    assert fact_labels(WHOLE, PLAIN).labels == {
        f"topology.{P}/region": "westeurope",
        f"topology.{P}/zone": "westeurope-1",
        f"topology.{P}/fault-domain": "0",
        f"topology.{P}/update-domain": "3",
        f"topology.{P}/rack": "westeurope-1-fd0",
        f"topology.{P}/update-group": "westeurope-1-ud3",
        f"topology.{P}/placement-group": "f67c14ab",
        f"topology.{P}/sub-fault-domain": "15",
        f"topology.{P}/host": "host-7",
        f"topology.{P}/physical-zone": "westeurope-az2",
        f"vm.{P}/size": "Standard_D8s_v5",
        f"vm.{P}/priority": "regular",
        f"vm.{P}/scale-set": "web",
    }


def test_the_annotation_says_what_is_this_vms_own_and_no_secret():
    [(key, said)] = fact_labels(WHOLE, PLAIN).annotations.items()
    assert key == f"{P}/instance"
    assert said == (
        '{"environment":"AzurePublicCloud","host":"/subscriptions/s/hostGroups/g/hosts/host-7",'
        '"image":{"offer":"UbuntuServer","publisher":"Canonical","version":"18.04"},"name":"web_0",'
        '"resourceGroup":"rg (test)",'
        '"resourceId":"/subscriptions/s/resourceGroups/rg (test)/providers/Microsoft.Compute/virtualMachines/web_0",'
        '"scaleSet":"web","subscription":"s","vmId":"02aab8a4"}'
    )


def test_a_vm_of_which_nothing_is_known_gets_nothing():
    written = fact_labels(Instance(version="2025-04-07"), PLAIN)
    assert (written.labels, written.annotations) == ({}, {})


@pytest.mark.parametrize("absent", ["vm_id", "name", "vm_size", "subscription_id"])
def test_composites_wait_for_a_complete_answer_and_single_facts_do_not(absent):
    partial = replace(WHOLE, **{absent: None})
    labels = fact_labels(partial, PLAIN).labels
    assert f"topology.{P}/rack" not in labels
    assert f"topology.{P}/update-group" not in labels
    assert labels[f"topology.{P}/fault-domain"] == "0"
    assert because(partial, f"topology.{P}/rack").endswith(": IMDS answered in part")


def test_without_a_true_zone_the_rack_is_of_the_region_and_there_is_no_zone_label():
    regional = replace(WHOLE, placement=Placement(location="westeurope", fault_domain=2))
    labels = fact_labels(regional, PLAIN).labels
    assert labels[f"topology.{P}/rack"] == "westeurope-fd2"
    assert f"topology.{P}/zone" not in labels
    assert because(regional, f"topology.{P}/zone") == "IMDS says nothing in location and zone"


def test_what_is_off_by_default_can_be_included():
    policy = LabelPolicy(include=("vm.*/resource-group", "vm.*/subscription", "vm.*/cloud"))
    labels = fact_labels(WHOLE, policy).labels
    assert (labels[f"vm.{P}/resource-group"], labels[f"vm.{P}/subscription"], labels[f"vm.{P}/cloud"]) == (
        "rg_test",
        "s",
        "AzurePublicCloud",
    )
    assert because(WHOLE, f"vm.{P}/resource-group", policy) == "from resourceGroupName, made valid from 'rg (test)'"
    assert because(WHOLE, f"vm.{P}/cloud") == "off by default; include it to have it"


def test_exclude_wins_over_include():
    policy = LabelPolicy(include=("vm.*",), exclude=("vm.*/cloud", "topology.*"))
    keys = fact_labels(WHOLE, policy).labels
    assert sorted(keys) == [
        f"vm.{P}/{name}" for name in ("priority", "resource-group", "scale-set", "size", "subscription")
    ]
    assert because(WHOLE, f"vm.{P}/cloud", policy) == "excluded by 'vm.*/cloud'"


def test_a_cloud_spelt_otherwise_changes_nothing():
    other = replace(WHOLE, az_environment="AzurePublicCloud")
    assert fact_labels(other, PLAIN) == fact_labels(WHOLE, PLAIN)


def test_labels_and_annotation_are_below_the_chosen_domain():
    written = fact_labels(WHOLE, LabelPolicy(domain="example.org"))
    assert all(own_key(key, "example.org") == "facts" for key in written.labels)
    assert list(written.annotations) == ["example.org/instance"]


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "Example.org",
        "a b",
        "-a.org",
        "a..org",
        f"{'a.' * 122}a",
        "kubernetes.io",
        "my.k8s.io",
        "kubernetes.azure.com",
    ],
)
def test_a_domain_that_is_not_valid_or_not_ours_is_refused(domain):
    with pytest.raises(ValueError, match=r"^label domain: expected "):
        LabelPolicy(domain=domain)


@given(st.text(max_size=90), st.text(max_size=90))
def test_whatever_azure_names_things_the_labels_are_valid(name, group):
    odd = replace(WHOLE, vm_scale_set_name=name, resource_group_name=group, placement=replace(PLACED, host=group))
    labels = fact_labels(odd, LabelPolicy(include=("*",))).labels
    assert all(VALUE.fullmatch(value) and value for value in labels.values())


def test_the_identity_is_read_back_from_the_annotation():
    said = fact_labels(WHOLE, PLAIN).annotations[f"{P}/instance"]
    assert read_identity(said) == Identity(vm_id="02aab8a4", name="web_0", resource_id=WHOLE.resource_id)


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"vmId":7}', "null and void", "[" * 100_000])
def test_a_broken_annotation_identifies_nobody(broken):
    assert read_identity(broken) is None


def test_an_annotation_that_says_little_identifies_little():
    assert read_identity(json.dumps({"vmId": "ABC"})) == Identity(vm_id="abc")


@pytest.mark.parametrize(
    ("key", "group"),
    [
        (f"topology.{P}/rack", "facts"),
        (f"vm.{P}/size", "facts"),
        (f"tag.{P}/env", "tags"),
        (f"{P}/hold", "other"),
        (f"old.{P}/x", "other"),
        (f"x{P}/hold", None),
        ("kubernetes.io/hostname", None),
        ("plain", None),
    ],
)
def test_a_key_belongs_to_one_group_of_ours_or_to_others(key, group):
    assert own_key(key, P) == group
