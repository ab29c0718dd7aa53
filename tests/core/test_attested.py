"""What the signed document says, when it is fresh, and whose name may sign it."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.attested import (
    SKEW,
    Attested,
    Check,
    Expected,
    content_checks,
    expected_signers,
    read_attested,
    read_envelope,
    signer_name,
    verdict,
)
from agent.core.document import DocumentError

DOCUMENTS = Path(__file__).parents[1] / "documents" / "imds"
MADE = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
DOCUMENT = Attested(
    created_on=MADE, expires_on=MADE + timedelta(hours=6), nonce="n1", vm_id="ab-1", subscription_id="s-1"
)
PUBLIC = ("metadata.azure.com",)


def results(expected: Expected, now: datetime = MADE, document: Attested = DOCUMENT) -> dict[str, str]:
    return {check.name: check.result for check in content_checks(document, expected, now)}


@pytest.mark.parametrize("name", ["2019-04-30", "2020-09-01", "example-20201130"])
def test_documents_of_all_versions_are_read(name):
    raw = (DOCUMENTS / f"attested-decoded-{name}.json").read_bytes()
    found, sent = read_attested(raw), json.loads(raw)
    assert (found.nonce, found.vm_id, found.subscription_id) == (sent["nonce"], sent["vmId"], sent["subscriptionId"])
    assert (found.sku, found.license_type) == (sent.get("sku"), sent.get("licenseType"))
    assert found.plan == tuple(sent["plan"][key] or None for key in ("name", "product", "publisher"))
    assert found.created_on.strftime("%m/%d/%y %H:%M:%S -0000") == sent["timeStamp"]["createdOn"]
    assert found.created_on < found.expires_on


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        ({}, "$.timeStamp.createdOn: expected a time such as '11/28/18 00:16:17 -0000', found nothing"),
        (
            {"createdOn": "2018-11-28"},
            "$.timeStamp.createdOn: expected a time such as '11/28/18 00:16:17 -0000', found '2018-11-28'",
        ),
    ],
)
def test_a_document_without_its_times_is_none(stamp, said):
    with pytest.raises(DocumentError) as caught:
        read_attested(json.dumps({"timeStamp": stamp}).encode())
    assert str(caught.value) == said


def test_the_envelope_says_its_encoding_and_its_signature_is_never_shown():
    assert read_envelope(b'{"encoding":"PKCS7","signature":"QUJD"}') == "QUJD"
    for body, said in [
        (b'{"encoding":"jwt","signature":"QUJD"}', "$.encoding: expected 'pkcs7', found 'jwt'"),
        (b'{"encoding":"pkcs7"}', "$.signature: expected base64, found nothing"),
        (b'{"encoding":"pkcs7","signature":["QUJD"]}', "$.signature: expected a text, found an array"),
    ]:
        with pytest.raises(DocumentError) as caught:
            read_envelope(body)
        assert str(caught.value) == said


def test_the_signer_follows_from_the_cloud_in_any_case_and_is_any_where_it_is_unknown():
    assert expected_signers("AZUREPUBLICCLOUD") == PUBLIC
    assert expected_signers("AzureUSGovernmentCloud") == ("metadata.azure.us",)
    assert expected_signers("AzureChinaCloud") == ("metadata.azure.cn",)
    assert expected_signers("AzureGermanCloud") == ("metadata.microsoftazure.de",)
    assert len(expected_signers(None)) == len(expected_signers("Mooncake")) == 4


@pytest.mark.parametrize(
    "name",
    [
        "metadata.azure.com",
        "eastus.metadata.azure.com",
        "METADATA.Azure.com",
        "*.metadata.azure.com",
        "a.b.metadata.azure.com",
    ],
)
def test_a_name_at_or_below_the_expected_one_may_sign(name):
    assert signer_name(["other.example", name], PUBLIC) == name


@pytest.mark.parametrize(
    "name",
    [
        "evilmetadata.azure.com",
        "metadata.azure.com.evil.example",
        "azure.com",
        "metadata.azure.us",
        "",
        "*.azure.com",
        "metadata.azure.com\0.evil.example",
        "metadata.azure.com.",
    ],
)
def test_no_other_name_may(name):
    assert signer_name([name], PUBLIC) is None


@given(st.text(alphabet="abcz.-*", max_size=12))
def test_only_at_a_dot_is_a_name_below_another(prefix):
    named = signer_name([f"{prefix}metadata.azure.com"], PUBLIC)
    assert (named is not None) == (prefix == "" or prefix.endswith("."))


def test_a_document_that_says_what_is_expected_is_good_in_all_of_it():
    expected = Expected(nonce="n1", vm_id="AB-1", subscription_id="S-1")
    assert set(results(expected).values()) == {"good"}
    assert verdict(content_checks(DOCUMENT, expected, MADE)) == "genuine"


@pytest.mark.parametrize(
    ("now", "result"),
    [
        (MADE - SKEW, "good"),
        (MADE - SKEW - timedelta(seconds=1), "bad"),
        (MADE + timedelta(hours=6) + SKEW, "good"),
        (MADE + timedelta(hours=6, seconds=1) + SKEW, "bad"),
    ],
)
def test_its_lifetime_is_taken_with_two_minutes_of_skew(now, result):
    assert results(Expected(nonce="n1", vm_id="ab-1", subscription_id="s-1"), now)["lifetime"] == result


def test_another_nonce_is_a_copy_unless_a_cached_answer_is_put_up_with():
    strict, lenient = Expected(nonce="n2"), Expected(nonce="n2", fresh=False)
    assert (results(strict)["nonce"], results(lenient)["nonce"]) == ("bad", "good")
    assert results(Expected())["nonce"] == "good"


def test_another_vm_or_subscription_is_not_ours_and_what_is_not_said_or_not_known_is_left_open():
    assert results(Expected(vm_id="x", subscription_id="y")) | {} == {
        "lifetime": "good",
        "nonce": "good",
        "vmId": "bad",
        "subscription": "bad",
    }
    silent = Attested(created_on=MADE, expires_on=MADE)
    assert results(Expected(vm_id="x", subscription_id="y"), document=silent)["vmId"] == "unknown"
    assert results(Expected())["vmId"] == "unknown"
    assert results(Expected(compared=False))["vmId"] == "good"
    assert "nothing; compared" in content_checks(silent, Expected(), MADE)[2].because


def test_one_thing_that_is_wrong_decides_and_one_that_is_not_known_leaves_it_open():
    def checks(*results):
        return [Check(name="x", result=result, because="") for result in results]

    assert verdict(checks("good", "good")) == "genuine"
    assert verdict(checks("good", "unknown")) == "cannot tell"
    assert verdict(checks("unknown", "bad")) == "not genuine"
