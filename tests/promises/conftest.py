"""A control plane that a promise may take away: its API server stopped, its rights removed, its policies changed."""

from collections.abc import Iterator

import pytest

from tests.controlplane.installed import BASE
from tests.controlplane.plane import ControlPlane


@pytest.fixture(scope="session")
def outage_plane(built) -> Iterator[ControlPlane]:
    """A control plane of one's own with our manifests; each test leaves it running and whole."""
    with ControlPlane() as plane:
        plane.install()
        yield plane


@pytest.fixture
def own_plane(outage_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The same, put right after each test: the API server runs, our manifests stand."""
    yield outage_plane
    if not outage_plane.processes["kube-apiserver"].running:
        outage_plane.start_apiserver()
    outage_plane.kubectl("apply", "-k", str(BASE))
