"""facts.env is sourced by any shell, whatever is in it."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.boot.facts_env import facts_env
from agent.core.instance import Instance
from tests.boot.systemd_env import read_environment
from tests.core.builders import instance
from tests.not_here import not_here

SHELLS = ("sh", "dash", "bash")
HOSTILE = [
    "$(touch hurt)", "`touch hurt`", "a b", "it's", '"', "'; touch hurt; '", "a\ntouch hurt", "\\", "${IFS}", "#x", "~", "*", "é", "\x1b[31m",
    "a=b", "-n", "&&touch hurt", "\0", "'\"'\"'", "!x", "a\rb", "",
]  # fmt: skip


def sourced(shell: str, folder, text: str) -> dict[str, str]:
    """Source the file in an empty folder and return what the shell then has."""
    path = shutil.which(shell)
    if path is None:
        not_here(f"{shell} is missing (Debian, Ubuntu: apt-get install {shell})")
    (folder / "facts.env").write_text(text)
    script = "set -eu; . ./facts.env; set -a; . ./facts.env; env -0"
    done = subprocess.run(
        [path, "-c", script], cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    assert done.stderr == b""
    assert [each.name for each in folder.iterdir()] == ["facts.env"]
    pairs = (entry.partition("=") for entry in done.stdout.decode().split("\0"))
    return {key: value for key, _, value in pairs if key.startswith("IMDS_")}


def plain(value: str) -> str:
    """Return what is to be read: the value itself, or nothing where no line can hold it."""
    return value if value.isascii() and value.isprintable() else ""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_read_as_it_is_or_not_at_all(shell, value, tmp_path):
    text = facts_env(instance(name=value or None, resource_group_name=value or None))
    found = sourced(shell, tmp_path, text)
    assert found["IMDS_NAME"] == found["IMDS_RESOURCE_GROUP"] == plain(value)
    assert found["IMDS_SIZE"] == "Standard_D2s_v5"


@settings(max_examples=300)
@given(st.text(max_size=30))
def test_systemd_reads_the_same_as_a_shell(value):
    text = facts_env(instance(name=value or None))
    assert read_environment(text)["IMDS_NAME"] == plain(value)
    assert text.count("\n") == len(text.splitlines())


def test_its_keys_are_always_the_same_and_no_tag_is_among_them():
    some, none = facts_env(instance()), facts_env(Instance(version="2021-02-01"))
    assert list(read_environment(some)) == list(read_environment(none))
    assert set(read_environment(none).values()) == {""}
    assert "prod" not in some
    assert read_environment(some)["IMDS_RACK"] == "westeurope-1-fd0"


def test_half_an_answer_makes_no_rack():
    found = read_environment(facts_env(instance(vm_size=None)))
    assert (found["IMDS_RACK"], found["IMDS_PRIORITY"], found["IMDS_ZONE"]) == ("", "", "westeurope-1")
