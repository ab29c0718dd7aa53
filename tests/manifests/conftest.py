"""Helm, where tests of the chart ask for it."""

import os

import pytest

from tests.manifests.helm import NoHelm, helm


@pytest.fixture(scope="session")
def charted() -> None:
    """Helm is there; without it fail in CI and skip elsewhere."""
    try:
        helm()
    except NoHelm as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
