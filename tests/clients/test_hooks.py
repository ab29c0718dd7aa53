"""Hooks as processes of their own: what they are told, when they are ended, and what is never run."""

import os
import queue
import time
from pathlib import Path

import pytest

from agent.clients.hooks import Folder, Hook, distrust, look
from tests.daemon.partners import until


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def run(path: Path, *, at_most: float = 30.0, document: str = "{}\n", **environment: str):
    ended: queue.SimpleQueue = queue.SimpleQueue()
    hook = Hook(path, environment=environment, document=document, at_most=at_most, ended=ended.put)
    return hook, lambda: ended.get(timeout=60)


def test_hooks_are_found_in_order_without_what_editors_and_packages_leave_behind(tmp_path):
    for name in ("20-b.sh", "10-a", ".hidden", "10-a~", "10-a.bak", "x.dpkg-old", "y.rpmsave"):
        script(tmp_path / name, "true")
    script(tmp_path / "README", "true", mode=0o644)
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    assert look(tmp_path) == Folder(hooks=("10-a", "20-b.sh"), skipped=("README",))


def test_no_folder_is_no_hooks_and_what_is_no_folder_is_told(tmp_path):
    assert look(tmp_path / "none") == Folder()
    (tmp_path / "file").touch()
    assert "Not a directory" in look(tmp_path / "file").trouble


def test_a_hook_is_told_of_the_event_and_knows_nothing_of_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OUR_SECRET", "x")
    path = script(tmp_path / "hook", f"env > {tmp_path}/env; cat > {tmp_path}/in; pwd > {tmp_path}/pwd")
    _, end = run(path, document='{"id":"E1"}\n', IMDS_EVENT_ID="E1")
    assert end().result == "done"
    told = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert told["IMDS_EVENT_ID"] == "E1"
    assert set(told) <= {"PATH", "LANG", "IMDS_EVENT_ID", "PWD", "SHLVL", "_", "OLDPWD"}
    assert (tmp_path / "in").read_text() == '{"id":"E1"}\n'
    assert (tmp_path / "pwd").read_text() == "/\n"


def test_a_long_document_waits_for_nobody_who_does_not_read_it(tmp_path):
    _, end = run(script(tmp_path / "hook", "true"), document="x" * 4_000_000)
    assert end().result == "done"


@pytest.mark.parametrize(
    ("text", "result", "because"),
    [("exit 0", "done", ""), ("exit 7", "failed", "exit code 7"), ("kill -9 $$", "failed", "signal 9")],
)
def test_how_it_ended_is_told(tmp_path, text, result, because):
    found = run(script(tmp_path / "hook", text))[1]()
    assert (found.result, found.because) == (result, because)


def test_one_whose_time_is_over_is_ended_with_its_children(tmp_path):
    path = script(tmp_path / "hook", f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/child; wait; sleep 600")
    _, end = run(path, at_most=2.5)
    found = end()
    assert (found.result, found.because) == ("late", "it took longer than 2.5 s")
    child = int((tmp_path / "child").read_text())
    until(lambda: not alive(child), "the child's end")


def test_it_is_ended_when_we_end(tmp_path):
    hook, end = run(script(tmp_path / "hook", f"touch {tmp_path}/begun; exec sleep 600"))
    until((tmp_path / "begun").exists, "the hook")
    hook.stop()
    assert end().because == "signal 15"


def test_what_cannot_be_started_is_an_error(tmp_path):
    path = tmp_path / "hook"
    path.write_text("no interpreter is named here")
    path.chmod(0o755)
    with pytest.raises(OSError, match="Exec format error"):
        run(path)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False


def test_what_only_root_and_we_could_have_written_is_trusted(tmp_path):
    path = script(tmp_path / "hook", "true")
    assert distrust(path) is None
    (tmp_path / "link").symlink_to(path)
    assert distrust(tmp_path / "link") is None


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_hook_that_others_can_write_is_not_trusted(tmp_path, mode):
    path = script(tmp_path / "hook", "true", mode=mode)
    assert distrust(path) == f"{path} can be written by others (mode {mode:o})"


def test_neither_is_one_in_a_folder_that_others_can_write_or_that_is_reached_by_one(tmp_path):
    folder = tmp_path / "open"
    (folder / "inner").mkdir(parents=True)
    path = script(folder / "inner" / "hook", "true")
    folder.chmod(0o777)
    assert distrust(path) == f"{folder} can be written by others (mode 777)"
    (tmp_path / "link").symlink_to(path)
    assert "can be written by others" in distrust(tmp_path / "link")
    (folder / "link").symlink_to(script(tmp_path / "fine", "true"))
    assert "can be written by others" in distrust(folder / "link")
    folder.chmod(0o1777)  # sticky: nobody renames what is another's
    assert distrust(path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file to somebody else")
def test_nor_one_that_belongs_to_somebody_else(tmp_path):
    path = script(tmp_path / "hook", "true")
    os.chown(path, 65534, 65534)
    assert distrust(path) == f"{path} belongs to uid 65534, neither to root nor to us"


def test_nor_one_that_is_not_there(tmp_path):
    assert distrust(tmp_path / "none") == f"{tmp_path}/none: No such file or directory"


def test_a_hook_that_is_done_is_told_with_its_seconds(tmp_path):
    begun = time.monotonic()
    found = run(script(tmp_path / "hook", "true"))[1]()
    assert 0 < found.seconds <= time.monotonic() - begun
