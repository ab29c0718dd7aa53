"""promtool, Prometheus, its operator and kube-state-metrics, built before the first test."""

from pathlib import Path

import pytest

from tests.built import build_used, needed
from tests.monitoring.programs import MODULES, OPERATOR, PROMETHEUS, STATE_METRICS


def pytest_collection_finish(session: pytest.Session) -> None:
    for module in MODULES:
        build_used(session, module)


@pytest.fixture(scope="session")
def promtool(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, PROMETHEUS, "promtool")


@pytest.fixture(scope="session")
def prometheus(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, PROMETHEUS, "prometheus")


@pytest.fixture(scope="session")
def operator(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, OPERATOR, "operator")


@pytest.fixture(scope="session")
def kube_state_metrics(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, STATE_METRICS, "kube-state-metrics")
