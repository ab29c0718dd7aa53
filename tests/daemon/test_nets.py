"""A fault of ours ends a look or a turn, not a thread and not the process; and attempts count whatever came of them."""

import io
import time
from datetime import datetime, timedelta, timezone

import pytest

from agent.clients.cluster import Access, Cluster
from agent.core.known import Rules
from agent.daemon.board import Board
from agent.daemon.clock import Clock
from agent.daemon.loop import Loop
from agent.daemon.metrics import Metrics
from agent.daemon.pollers import Trouble, skew
from agent.log import set_up

CLOCK = Clock(monotonic=time.monotonic, utc=lambda: datetime.now(timezone.utc))
DEAD = """{"apiVersion": "v1", "kind": "Config", "current-context": "x",
"clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
"contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}], "users": [{"name": "x", "user": {}}]}"""


class Faulty:
    """A clock that fails as no clock should: the loop must survive what nobody thought of."""

    def __call__(self) -> datetime:
        raise OverflowError("date value out of range")


@pytest.fixture
def cluster(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(DEAD)
    client = Cluster(Access(kubeconfig=path, connect_timeout=0.2, read_timeout=0.2))
    yield client
    client.close()


def loop(cluster, board, log, clock=CLOCK):
    return Loop(cluster=cluster, board=board, rules=Rules(), node="n", metrics=Metrics(), log=log, clock=clock)


def test_a_turn_that_reaches_nobody_is_an_attempt_and_is_tried_again_soon(cluster):
    board = Board(started=0.0, at_most={"loop": 60.0}, needed=("node",))
    assert 0 < loop(cluster, board, set_up(level="info", form="json", stream=io.StringIO())).turn() <= 60
    assert board.signs().pulses["loop"].attempted is not None
    assert board.signs().answers["node"] is None


def test_a_fault_that_nobody_thought_of_ends_the_turn_and_says_where(cluster):
    board = Board(started=0.0, at_most={"loop": 60.0}, needed=())
    said = io.StringIO()
    turned = loop(
        cluster, board, set_up(level="info", form="json", stream=said), Clock(monotonic=Faulty(), utc=CLOCK.utc)
    )
    with pytest.raises(OverflowError):  # only the note of the attempt asks the same broken clock again
        turned.turn()
    assert "agent.faulted" in said.getvalue()
    assert "loop.py" in said.getvalue()


def test_a_fault_in_a_poller_is_an_error_with_its_place():
    said = io.StringIO()
    trouble = Trouble(set_up(level="info", form="json", stream=said), time.monotonic, "events")
    try:
        int("never thought of")
    except ValueError as error:
        trouble.failed(error)
    assert "agent.faulted" in said.getvalue()
    assert "test_nets.py" in said.getvalue()


@pytest.mark.parametrize(("seconds", "counts"), [(0.4, 0.0), (-4.9, 0.0), (7200.0, 7200.0), (-60.0, -60.0)])
def test_only_a_skew_that_matters_counts(seconds, counts):
    assert skew(seconds) == counts


def test_the_board_gives_the_skew_on():
    board = Board(started=0.0, at_most={}, needed=())
    board.put_skew(timedelta(hours=2).total_seconds())
    assert board.facts().skew == 7200.0
