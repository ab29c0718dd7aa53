"""Helm and kube-score, where tests of the manifests ask for them."""

from pathlib import Path

import pytest

from tests.built import build_used, needed
from tests.manifests.helm import NoHelm, helm
from tests.manifests.scored import KUBE_SCORE
from tests.not_here import not_here


def pytest_collection_finish(session: pytest.Session) -> None:
    build_used(session, KUBE_SCORE)


@pytest.fixture(scope="session")
def charted() -> None:
    """Helm is there; without it fail in CI and skip elsewhere."""
    try:
        helm()
    except NoHelm as reason:
        not_here(reason)


@pytest.fixture(scope="session")
def kube_score(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, KUBE_SCORE, "kube-score")
