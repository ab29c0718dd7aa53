"""promtool and Prometheus, built before the first test: it takes minutes, more than a test may."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.controlplane.golang import BuildError
from tests.monitoring.programs import NAMES, program
from tests.not_here import not_here

MISSING = pytest.StashKey[dict[str, str]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need."""
    missing = session.config.stash[MISSING] = {}
    if session.config.option.collectonly:
        return
    used = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    capture = session.config.pluginmanager.getplugin("capturemanager")
    for name in sorted(used & set(NAMES)):
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            try:
                program(name)
            except BuildError as error:
                missing[name] = str(error)


def needed(config: pytest.Config, name: str) -> Path:
    """Return where a program is; without it fail in CI and skip elsewhere."""
    reason = config.stash[MISSING].get(name)
    if reason:
        not_here(reason)
    return program(name)


@pytest.fixture(scope="session")
def promtool(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, "promtool")


@pytest.fixture(scope="session")
def prometheus(pytestconfig: pytest.Config) -> Path:
    return needed(pytestconfig, "prometheus")
