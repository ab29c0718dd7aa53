"""What tests share: a control plane with our manifests, fresh nodes on it.

`plane` is one for the whole session, also where pytest-xdist runs several processes. A test that takes the API server
away, or wants other manifests, starts a `ControlPlane` of its own (after the fixture `built`).
"""

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.built import used_fixtures
from tests.controlplane.build import programs
from tests.controlplane.cluster import Cluster
from tests.controlplane.golang import BuildError
from tests.controlplane.installed import BASE, wait_for_right
from tests.controlplane.nodes import NodeActor
from tests.controlplane.plane import ControlPlane
from tests.controlplane.shared import shared_cluster
from tests.not_here import not_here

SMALL = ("etcd", "kube-apiserver", "kubectl")
WHOLE = ("kube-scheduler", "kube-controller-manager")
NEEDS = {"built": SMALL, "built_whole": WHOLE}
MISSING = pytest.StashKey[dict[str, str]]()  # by fixture: why its programs are not there


# What one example takes on a busy machine says nothing of the code.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure() -> None:
    """Heed Ctrl-C, in programs that tests start, too: what a shell runs with `&` ignores it, and hands that down."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that needs the control plane, so that `-m "not cluster"` leaves none of them."""
    for item in items:
        if "built" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need, here and not in a fixture: it takes minutes, more than a test may."""
    missing = session.config.stash[MISSING] = {}
    used = used_fixtures(session)
    if session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    for fixture in sorted(used & set(NEEDS)):
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            try:
                programs(*NEEDS[fixture])
            except BuildError as error:
                missing[fixture] = str(error)


def need(config: pytest.Config, fixture: str) -> None:
    """Without Go, and without the programs, fail in CI and skip elsewhere."""
    reason = config.stash[MISSING].get(fixture)
    if reason:
        not_here(reason)


@pytest.fixture(scope="session")
def built(pytestconfig: pytest.Config) -> None:
    """etcd, kube-apiserver and kubectl are there."""
    need(pytestconfig, "built")


@pytest.fixture(scope="session")
def built_whole(pytestconfig: pytest.Config, built: None) -> None:
    """kube-scheduler and kube-controller-manager are there, too."""
    need(pytestconfig, "built_whole")


@pytest.fixture(scope="session")
def plane(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """etcd and kube-apiserver with our manifests."""
    with opened(tmp_path_factory, whole=False) as cluster:
        cluster.install()
        yield cluster


@pytest.fixture(scope="session")
def whole_plane(built_whole: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Scheduler and controller manager besides, also with our manifests."""
    with opened(tmp_path_factory, whole=True) as cluster:
        cluster.install()
        yield cluster


@pytest.fixture(scope="session")
def whole_drain_plane(whole_plane: Cluster) -> Cluster:
    """The whole plane with the rights to drain and to delete besides; what is about the base's rights alone takes `plane`."""
    whole_plane.install(BASE.parent / "overlays" / "drain-delete")
    wait_for_right(whole_plane, "delete", "pods")
    return whole_plane


@pytest.fixture
def node(plane: Cluster) -> Iterator[NodeActor]:
    """A fresh node that is Ready."""
    actor = plane.register_node(f"node-{uuid.uuid4().hex[:8]}")
    yield actor
    actor.close()
    actor.delete()


def opened(folders: pytest.TempPathFactory, *, whole: bool) -> AbstractContextManager[Cluster]:
    """Return a control plane for this process alone, or the one that all xdist workers share."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return ControlPlane(scheduler=whole, controller_manager=whole)
    folder: Path = folders.getbasetemp().parent / ("whole-plane" if whole else "plane")  # the parent is the session's
    return shared_cluster(folder, whole=whole)
