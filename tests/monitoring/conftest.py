"""promtool and Prometheus, built before the first test."""

from pathlib import Path

import pytest

from tests.built import build_used, needed
from tests.monitoring.programs import PROMETHEUS


def pytest_collection_finish(session: pytest.Session) -> None:
    build_used(session, PROMETHEUS)


@pytest.fixture(scope="session")
def promtool(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, PROMETHEUS, "promtool")


@pytest.fixture(scope="session")
def prometheus(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, PROMETHEUS, "prometheus")
