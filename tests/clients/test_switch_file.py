"""The switch's file as kubelet keeps it, and as everybody else may leave it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.clients.switch_file import LARGEST, SwitchFile
from agent.core.switch import Switch
from tests.clients.volumes import Volume

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


# What stands in the file is in force at the next look.


def test_a_switch_is_followed_at_the_next_look_and_said_to_have_changed_once(volume: Volume) -> None:
    volume.put("cordon: hold\nlabels: release\n")
    file = SwitchFile(volume.path)
    first, second = file.look(), file.look()
    assert (first.switch, first.trouble, first.changed) == (Switch(cordon="hold", labels="release"), None, True)
    assert (second.switch, second.changed) == (first.switch, False)
    volume.put("withdraw: true\n")
    third = file.look()
    assert (third.switch, third.changed) == (Switch(withdraw=True), True)


def test_a_switch_that_is_all_on_is_no_change_at_first(volume: Volume) -> None:
    volume.put("cordon: on\ndrain: on\napprove: on\nlabels: on\n")
    found = SwitchFile(volume.path).look()
    assert (found.switch, found.trouble, found.changed) == (Switch(), None, False)


@pytest.mark.parametrize("text", ["", "\n", "# all is well\n", "---\n", "{}", "\ufeff"])
def test_an_empty_file_is_all_on(volume: Volume, text: str) -> None:
    volume.put("drain: hold")
    file = SwitchFile(volume.path)
    file.look()
    volume.put(text)
    found = file.look()
    assert (found.switch, found.trouble, found.changed) == (Switch(), None, True)


@pytest.mark.parametrize(
    "text",
    [
        '{"drain": "hold", "withdraw": false}',
        '\ufeff{"drain": "hold"}',
        "drain: hold  # since Tuesday",
        '"drain": "hold"',
        "{drain: hold, cordon: on}",
        "cordon: on\ndrain: hold\r\n",
    ],
)
def test_json_and_yaml_say_the_same(volume: Volume, text: str) -> None:
    volume.put(text)
    found = SwitchFile(volume.path).look()
    assert (found.switch, found.trouble) == (Switch(drain="hold"), None)


def test_a_json_switch_needs_no_yaml(volume: Volume) -> None:
    volume.put('{"cordon": "hold"}')
    code = (
        "import sys; from pathlib import Path; from agent.clients.switch_file import SwitchFile;"
        f"print(SwitchFile(Path({str(volume.path)!r})).look().switch.cordon, 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hold", "False"]


# What cannot be read changes nothing and is said.

BROKEN = {
    "cordon: [": "line 1, column 10: expected YAML or JSON, found ",
    "cordon: hold\ndrain: 'hold\n": "line 3, column 1: expected YAML or JSON, found ",
    "cordon: hold\ncordon: on\n": "$: expected each key once, found the key 'cordon' 2 times",
    '{"cordon": "hold", "cordon": "on"}': "$: expected each key once, found the key 'cordon' 2 times",
    "cordon: off": "$.cordon: expected on, hold (begin nothing, undo nothing) or release",
    "cordon: holds": "$.cordon: expected on, hold or release, found 'holds'",
    "cordon:": "$.cordon: expected on, hold or release, found nothing",
    "cordons: hold": "found the key 'cordons'",
    "withdraw: 1": "$.withdraw: expected true or false, found 1",
    "cordon: hold\n---\ncordon: on\n": "line 2, column 1: expected YAML or JSON, found ",
    "cordon: !!timestamp x": "$: expected YAML or JSON, found AttributeError",  # PyYAML's own slip
    "cordon: !!python/name:os.system": "expected YAML or JSON, found could not determine a constructor",
    "cordon: 2001-99-99": "$: expected YAML or JSON, found ValueError",
    "? {a: b}\n: c": "expected YAML or JSON, found ",
    "[" * 3000: "expected YAML or JSON, found ",
    "a: &a [x]\nb: &b [*a, *a]": "found the key 'a'",
    "s3cr3t-t0k3n": "found a text",
    "cordon: hold\x00": "expected YAML or JSON, found ",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_leaves_the_last_good_switch_in_force(volume: Volume, text: str) -> None:
    volume.put("labels: hold")
    file = SwitchFile(volume.path)
    file.look()
    volume.put(text)
    looks = [file.look() for _ in range(3)]
    assert {each.switch for each in looks} == {Switch(labels="hold")}
    assert not any(each.changed for each in looks)
    assert len({each.trouble for each in looks}) == 1  # so that it is logged once
    assert BROKEN[text] in looks[0].trouble
    assert str(volume.path) in looks[0].trouble
    assert "s3cr3t" not in looks[0].trouble
    volume.put("labels: on")
    mended = file.look()
    assert (mended.switch, mended.trouble, mended.changed) == (Switch(), None, True)


def test_a_file_that_is_broken_from_the_first_is_said_and_all_is_on(volume: Volume) -> None:
    volume.put("cordon: hodl")
    found = SwitchFile(volume.path).look()
    assert (found.switch, found.changed) == (Switch(), False)
    assert "found 'hodl'" in found.trouble


def test_a_file_in_another_encoding_is_said(volume: Volume) -> None:
    volume.path.write_bytes("cordon: hold".encode("utf-16"))
    found = SwitchFile(volume.path).look()
    assert found.switch == Switch()
    assert "can't decode byte" in found.trouble


@pytest.mark.parametrize(("size", "read"), [(LARGEST, True), (LARGEST + 1, False), (LARGEST * 100, False)])
def test_a_file_is_read_up_to_64_kibibytes(volume: Volume, size: int, read: bool) -> None:
    volume.path.write_bytes(b"drain: hold\n".ljust(size, b"#"))
    found = SwitchFile(volume.path).look()
    assert (found.switch == Switch(drain="hold"), found.trouble is None) == (read, read)
    assert read or found.trouble.endswith("expected at most 65536 bytes, found more")


# A file that is not there.


def test_a_file_that_never_was_there_is_no_trouble_until_it_comes(volume: Volume) -> None:
    file = SwitchFile(volume.path)
    found = file.look()
    assert (found.switch, found.trouble, found.changed) == (Switch(), None, False)
    volume.put("approve: hold")
    assert file.look().switch == Switch(approve="hold")


def test_a_directory_that_is_not_there_is_said_since_no_switch_can_ever_come(volume: Volume) -> None:
    file = SwitchFile(volume.folder / "nowhere" / "switch.yaml")
    found = file.look()
    assert found.switch == Switch()
    assert "its directory is missing" in found.trouble
    (volume.folder / "nowhere").mkdir()
    assert file.look().trouble is None


def test_a_file_that_vanished_stays_in_force_and_is_said_until_it_is_back(volume: Volume) -> None:
    volume.put("cordon: hold")
    file = SwitchFile(volume.path)
    file.look()
    file.look()
    volume.put(None)
    looks = [file.look() for _ in range(3)]
    assert {each.switch for each in looks} == {Switch(cordon="hold")}
    assert {each.trouble for each in looks} == {f"{volume.path}: it is gone; what it said last stays in force"}
    volume.put("cordon: hold")
    back = file.look()
    assert (back.switch, back.trouble, back.changed) == (Switch(cordon="hold"), None, False)


def test_a_volume_that_was_away_and_came_back_as_it_was_is_no_trouble_any_more(tmp_path: Path) -> None:
    volume = Volume(tmp_path / "volume")
    volume.folder.mkdir()
    volume.put("cordon: hold")
    file = SwitchFile(volume.path)
    file.look()
    file.look()
    volume.folder.rename(tmp_path / "away")
    assert file.look().trouble
    (tmp_path / "away").rename(volume.folder)
    found = file.look()
    assert (found.switch, found.trouble) == (Switch(cordon="hold"), None)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_said_and_never_waited_for(volume: Volume, make) -> None:
    make(volume.path)
    found = SwitchFile(volume.path).look()
    assert found.switch == Switch()
    assert "found something else" in found.trouble or "symbolic links" in found.trouble


# Reading only what changed, and only whole versions.


def test_an_unchanged_file_is_read_twice_and_then_no_more(tmp_path: Path) -> None:
    assert audited("opened", tmp_path) == {"reads": [1, 2, 2, 2], "changed": True}


def test_what_is_written_into_the_file_counts_at_the_second_look(volume: Volume) -> None:
    volume.path.write_text("cordon: hold")
    file = SwitchFile(volume.path)
    assert file.look().switch == Switch(cordon="hold")
    before = "hold"
    for position in ("on", "release", "hold", "on", "release"):
        volume.path.write_text(f"cordon: {position}")
        first, second, third = file.look(), file.look(), file.look()
        assert (first.switch, first.changed) == (Switch(cordon=before), False)
        assert (second.switch, second.changed) == (Switch(cordon=position), True)
        assert (third.switch, third.changed) == (Switch(cordon=position), False)
        before = position


@pytest.mark.parametrize("half", ["", "cordon: hold\n", "cordon: hold\ndra"])
def test_a_file_that_is_half_written_at_one_look_changes_nothing(volume: Volume, half: str) -> None:
    volume.path.write_text("cordon: hold\ndrain: hold\n")
    file = SwitchFile(volume.path)
    looks = [file.look(), file.look()]
    volume.path.write_text(half)  # what a shell's redirection leaves for a moment
    looks.append(file.look())
    volume.path.write_text("cordon: hold\ndrain: hold\nlabels: hold\n")
    looks.append(file.look())
    assert {(each.switch, each.trouble) for each in looks} == {(Switch(cordon="hold", drain="hold"), None)}
    assert file.look().switch == Switch(cordon="hold", drain="hold", labels="hold")


def test_a_directory_that_kubelet_takes_away_while_it_is_opened_is_no_trouble(tmp_path: Path) -> None:
    assert audited("taken_away", tmp_path) == {"cordon": "hold", "trouble": None, "steps_left": 0}


def audited(what: str, folder: Path) -> dict[str, object]:
    """Look at the file in a process of its own, whose audit hooks end with it."""
    command = [sys.executable, "-m", "tests.clients.audited", what, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_thousand_swaps_while_it_is_read_give_whole_switches_and_end_with_the_last(volume: Volume) -> None:
    """Each version has all parts at one position, so a mixture of two would show; each keeps its size."""
    versions = {Switch(cordon=p, drain=p, approve=p, labels=p) for p in ("hold", "on", "release")}
    volume.put(whole("hold"))
    file = SwitchFile(volume.path)
    seen, troubles, done = set(), [], threading.Event()

    def read() -> None:
        while not done.is_set():
            found = file.look()
            seen.add(found.switch)
            troubles.extend([found.trouble] if found.trouble else [])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1000):
            volume.put(whole(("on", "release", "hold")[number % 3]))
    finally:
        done.set()
        reader.join()
    assert troubles == []
    assert seen == versions
    volume.put(whole("release"))
    file.look()  # the inode may be an old one again, and then it counts at the second look
    assert file.look().switch == Switch(cordon="release", drain="release", approve="release", labels="release")


def whole(position: str) -> str:
    lines = "".join(f"{part}: {position}\n" for part in ("cordon", "drain", "approve", "labels"))
    return lines.ljust(200, "#")


def test_a_look_never_raises_whatever_the_file_is(volume: Volume) -> None:
    for body in strange():
        volume.path.write_bytes(body)
        found = SwitchFile(volume.path).look()
        assert found.switch == Switch()
        assert found.trouble, body


def strange() -> Iterable[bytes]:
    yield from (bytes([number]) * 3 for number in range(256) if number not in b" \t\n\r\v\f\x1c\x1d\x1e\x1f#-")
    yield from (
        b"!!int ''",
        b"!!bool x",
        b"!!binary x",
        b"&a [*a]",
        b"1: !!float .",
        b"%TAG ! x",
        b"\xff\xfe",
        b"- - -",
    )
