"""What a VM learns of itself early in a boot: IMDS there, moody, half there, dead; cloud-init's copy; a deadline."""

import json
import os

import pytest

from agent.boot.learning import STORED, learned
from agent.clients.imds import Imds
from agent.core.instance import is_complete
from agent.emulator import Emulator
from tests.boot.vm import put
from tests.clients.imds_partners import OddServer, Waits

SECRET = "hunter2"
COPY, OPEN_COPY = map(str, STORED)


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


@pytest.fixture
def waits():
    return Waits()


def learn(url, waits, root, wait=30.0):
    """Learn, on a clock that passes only when somebody waits."""
    with Imds(url, clock=waits.clock, sleep=waits.sleep) as client:
        return learned(client, root, wait, clock=waits.clock, sleep=waits.sleep)


def store(root, document, path=COPY):
    put(root, path, json.dumps({"ds": {"meta_data": {"imds": document}, "password": SECRET}}))


def dead() -> str:
    with OddServer() as server:
        return server.url  # nobody listens there any more


def document(**compute):
    return {
        "compute": {"vmId": "V", "name": "n", "location": "westeurope", "vmSize": "s", "subscriptionId": "x", **compute}
    }


def test_a_whole_answer_is_taken_at_once(imds, waits, tmp_path):
    begun = waits.now
    found = learn(imds.url, waits, tmp_path)
    assert (found.source, found.reasons, found.instance.zone) == ("imds", (), "1")
    assert waits.now == begun


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
@pytest.mark.parametrize("times", [1, 5])
def test_what_imds_says_early_in_a_boot_is_waited_out(imds, waits, tmp_path, status, times):
    imds.put_faults([{"kind": "status", "status": status, "times": times}])
    found = learn(imds.url, waits, tmp_path)
    assert (found.source, found.reasons) == ("imds", ())
    assert waits.now - 1000.0 < 30.0


@pytest.mark.parametrize("kind", ["reset", "empty", "garbage", "truncate"])
def test_answers_that_are_none_are_asked_for_again(imds, waits, tmp_path, kind):
    imds.put_faults([{"kind": kind, "times": 3}])
    assert learn(imds.url, waits, tmp_path).source == "imds"


@pytest.mark.parametrize("wait", [0.0, 2.0, 30.0])
def test_the_wait_has_an_end(waits, tmp_path, wait):
    found = learn(dead(), waits, tmp_path, wait)
    assert (found.instance, found.source) == (None, None)
    assert "Connection refused" in found.reasons[0]
    assert found.reasons[1] == "cloud-init stored nothing of IMDS"
    assert waits.now - 1000.0 <= max(wait, 1.0)


def test_what_will_not_get_better_is_not_waited_for(imds, waits, tmp_path):
    imds.put_faults([{"kind": "status", "status": 403}])
    found = learn(imds.url, waits, tmp_path)
    assert found.instance is None
    assert waits.now == 1000.0


def test_parts_are_asked_for_again_until_the_answer_is_whole(imds, waits, tmp_path):
    imds.put_faults([{"kind": "partial", "empty": ["name"], "times": 3}])
    found = learn(imds.url, waits, tmp_path)
    assert (is_complete(found.instance), found.reasons) == (True, ())


def test_parts_are_better_than_nothing_and_a_whole_copy_is_better_than_parts(imds, waits, tmp_path):
    imds.put_faults([{"kind": "partial", "empty": ["name"]}])
    found = learn(imds.url, waits, tmp_path)
    assert (found.source, found.instance.name, found.instance.zone) == ("imds", None, "1")
    assert found.reasons[0] == "IMDS answered in part: name missing"
    store(tmp_path, document(name=""))
    assert learn(imds.url, waits, tmp_path).source == "imds"
    store(tmp_path, document(zone="2"))
    found = learn(imds.url, waits, tmp_path)
    assert (found.source, found.instance.zone) == ("cloud-init", "2")


def test_without_imds_cloud_inits_copy_counts_roots_own_first(waits, tmp_path):
    store(tmp_path, document(zone="3", priority=""), OPEN_COPY)
    found = learn(dead(), waits, tmp_path, 1.0)
    assert (found.source, found.instance.zone) == ("cloud-init", "3")
    assert found.instance.priority is None  # the copy does not say its version, and in an old one "" means nothing
    store(tmp_path, document(zone="2"))
    assert learn(dead(), waits, tmp_path, 1.0).instance.zone == "2"


@pytest.mark.parametrize(
    "content", ["", "{", '{"ds":"hunter2"}', '{"ds":{"meta_data":{"imds":{"x":1}}}}', "\xff", "null"]
)
def test_a_copy_that_is_none_is_told_by_its_place_and_not_quoted(waits, tmp_path, content):
    put(tmp_path, COPY, content.encode("latin-1"))
    found = learn(dead(), waits, tmp_path, 1.0)
    assert found.instance is None
    assert SECRET not in str(found)


def test_a_pipe_in_the_place_of_a_copy_is_not_waited_for(waits, tmp_path):
    (tmp_path / COPY).parent.mkdir(parents=True)
    os.mkfifo(tmp_path / COPY)
    store(tmp_path, document(zone="3"), OPEN_COPY)
    assert learn(dead(), waits, tmp_path, 1.0).instance.zone == "3"


def test_an_answer_that_comes_slowly_is_waited_for(imds, tmp_path):
    imds.put_faults([{"kind": "delay", "seconds": 2.0}])
    with Imds(imds.url) as client:
        assert learned(client, tmp_path, 10.0).source == "imds"


def test_an_imds_that_swallows_requests_costs_no_more_than_the_wait(imds, tmp_path):
    imds.put_faults([{"kind": "hang"}])
    with Imds(imds.url, read_timeout=0.5) as client:
        assert learned(client, tmp_path, 1.0).instance is None
    imds.clear_faults()
