"""A token is read and never shown."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from agent.core.document import DocumentError
from agent.core.identity import read_tenant, read_token

SAMPLE = (Path(__file__).parents[1] / "documents" / "imds" / "identity-token.json").read_bytes()


def test_azures_sample_is_read_and_its_token_shows_nowhere():
    found = read_token(SAMPLE)
    assert (found.token_type, found.resource) == ("Bearer", "https://management.azure.com/")
    assert found.expires_on == datetime.fromtimestamp(1506484173, timezone.utc)
    assert found.access_token.startswith("eyJ0")
    assert "eyJ0" not in repr(found) + str(found)


@pytest.mark.parametrize("body", [b"{}", b'{"access_token":""}', b'{"access_token":["s3cret"]}'])
def test_an_answer_without_a_token_is_refused_without_showing_what_came(body):
    with pytest.raises(DocumentError, match=r"\$\.access_token") as caught:
        read_token(body)
    assert "s3cret" not in str(caught.value)


def test_a_token_that_says_little_is_a_token_and_the_tenant_is_an_id():
    found = read_token(b'{"access_token":"t"}')
    assert (found.expires_on, found.client_id, found.token_type) == (None, None, "Bearer")
    assert read_tenant(b'{"tenantId":"t-1"}') == "t-1"
    with pytest.raises(
        DocumentError, match=r"\$\.expires_on: expected seconds since 1970, found '9999999999999999999'"
    ):
        read_token(b'{"access_token":"t","expires_on":"9999999999999999999"}')
    with pytest.raises(DocumentError, match=r"\$\.tenantId: expected an id, found nothing"):
        read_tenant(b"{}")
