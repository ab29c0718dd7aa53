"""Helm, where tests of the chart ask for it."""

import pytest

from tests.manifests.helm import NoHelm, helm
from tests.not_here import not_here


@pytest.fixture(scope="session")
def charted() -> None:
    """Helm is there; without it fail in CI and skip elsewhere."""
    try:
        helm()
    except NoHelm as reason:
        not_here(reason)
