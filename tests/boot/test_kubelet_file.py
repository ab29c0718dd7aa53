"""Kubelet's environment file: our block comes once, changes nothing else that systemd reads there, and goes without a trace."""

import shlex

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from agent.boot.kubelet_file import MARK, NAME, NotUnderstood, has_block, merged, restored
from tests.boot.systemd_env import read_environment

LABELS = {"topology.imds-agent.github.io/zone": "westeurope-1", "vm.imds-agent.github.io/priority": ""}
FLAG = "--node-labels=topology.imds-agent.github.io/zone=westeurope-1,vm.imds-agent.github.io/priority="
TAINT = "imds-agent.github.io/startup:NoSchedule"

PIECES = st.sampled_from(
    [
        NAME, "=", "=", "\n", "\n", " ", "\t", "'", '"', "\\", "#", ";", "--max-pods=50", "--node-labels=a=b", "--node-labels ",
        "--register-with-taints=x=y:NoExecute", "FOO", "export ", "$X", "`id`", "\r\n", "\r", "ü", "a", "\x0b", "\0", "\x85",
    ]
)  # fmt: skip
VALUES = st.lists(PIECES, max_size=5).map("".join)
LINES = st.one_of(
    st.builds("{}{}={}".format, st.sampled_from(["", " ", "export ", "MY_"]), st.sampled_from([NAME, "FOO"]), VALUES),
    st.builds("{}{}".format, st.sampled_from(["#", ";", ""]), VALUES),
)
TEXTS = st.one_of(st.none(), st.lists(LINES, max_size=4).map("\n".join), st.text(max_size=40))
NAMES = st.from_regex(r"[a-z]{1,5}\.x/[a-z]{1,5}", fullmatch=True)
SOME = st.dictionaries(NAMES, st.from_regex(r"([A-Za-z0-9]{1,4})?", fullmatch=True), max_size=3)
TAINTS = st.lists(NAMES.map(lambda key: f"{key}=v:NoSchedule"), max_size=2, unique=True)


def joined(text, labels=LABELS, taints=()):
    """Merge what must be understood; returns kubelet's arguments as systemd hands them on."""
    found = merged(text, labels, taints)
    return read_environment(found)[NAME]


@pytest.mark.parametrize("text", [None, "", "# nothing\n", f"{NAME}=\n", f'{NAME}=""', "FOO=bar", f"#{NAME}=--no\n"])
def test_where_nothing_is_assigned_kubelet_gets_our_labels(text):
    assert joined(text) == FLAG


@pytest.mark.parametrize(
    "line",
    [
        f"{NAME}=--a=1 --b",
        f'{NAME}="--a=1 --b"',
        f"{NAME}='--a=1 --b'\n",
        f" {NAME} = --a=1 --b \r\n",
        f"{NAME}=--old\nFOO='x'\n{NAME}=--a=1 --b\n; end\n",
    ],
)
def test_flags_that_stand_there_stay_before_ours(line):
    assert joined(line) == f"--a=1 --b {FLAG}"


def test_flags_with_quotes_of_their_own_are_left_to_kubelets_side():
    assert shlex.split(joined(f'{NAME}=--a="b c" --d\n')) == ["--a=b c", "--d", FLAG]


def test_labels_are_put_into_the_flag_that_is_there_and_never_overrule_it():
    text = f"{NAME}=--node-labels=pool=blue,topology.imds-agent.github.io/zone=mine --a\n"
    zone, priority = "topology.imds-agent.github.io/zone=mine", "vm.imds-agent.github.io/priority="
    assert joined(text) == f"--node-labels=pool=blue,{zone},{priority} --a"
    assert joined(f"{NAME}=--a --node-labels pool=blue") == f"--a --node-labels=pool=blue,{FLAG.partition('=')[2]}"


def test_taints_join_the_list_that_is_there_since_kubelet_takes_one_list_only():
    text = f"{NAME}=--register-with-taints=imds-agent.github.io/startup=x:NoSchedule,a=b:NoExecute"
    assert joined(text, {}, (TAINT, "c:NoSchedule")) == f"{text.partition('=')[2]},c:NoSchedule"


@pytest.mark.parametrize(
    "text",
    [
        f"{NAME}=--a \\\n--b\n",
        f"FOO=a\\\n{NAME}=--a",
        "# a comment that goes on \\\n",
        "FOO='a\nb'\n",
        'FOO="a\\"',
        f'{NAME}="--a=\'x\'" "--b"',
        f"export {NAME}=--a",
        f"{NAME}=--node-labels=a=b --node-labels=c=d",
        f"{NAME}=--a --node-labels=",
        f"{NAME}=--node-labels='a=b'",
        f"{NAME}=--a\r--b",
        "FOO=\0",
        f"{MARK}begin\n{NAME}=--a\n",
    ],
)
def test_what_is_not_surely_understood_is_not_touched(text):
    with pytest.raises(NotUnderstood):
        merged(text, LABELS, (TAINT,))


def test_a_block_that_somebody_changed_is_not_guessed_at():
    text = merged("A=b\n", LABELS, ())
    with pytest.raises(NotUnderstood, match="our block was changed"):
        restored(text.replace(f"{NAME}=", f"OTHER=x\n{NAME}="))
    with pytest.raises(NotUnderstood, match="our block was changed"):
        merged(text + text, LABELS, ())


def test_lines_that_were_added_below_stay_when_the_block_goes():
    assert restored(merged("A=b", LABELS, ()) + "C=d\n") == "A=b\nC=d\n"
    assert restored(merged(None, LABELS, ()) + "C=d\n") == "C=d\n"


def test_new_labels_take_the_place_of_old_ones():
    first = merged("A=b\n", {"x.y/z": "1"}, ())
    assert merged(first, {"x.y/z": "2"}, ()) == merged("A=b\n", {"x.y/z": "2"}, ())
    assert merged(first, {}, ()) == "A=b\n"


@given(text=TEXTS, labels=SOME, taints=TAINTS)
@example(text="A=b", labels={"a.x/b": ""}, taints=[])
@example(text='FOO="a" "', labels={"a.x/b": ""}, taints=[])
@example(text="\x0bKUBELET_EXTRA_ARGS=--a", labels={"a.x/b": ""}, taints=[])
def test_it_comes_once_and_goes_without_a_trace(text, labels, taints):
    assume(MARK not in (text or ""))
    try:
        once = merged(text, labels, taints)
    except NotUnderstood:
        return
    assert merged(once, labels, taints) == once
    assert restored(once) == text
    assert has_block(once) is bool(labels or taints)


@given(text=TEXTS, labels=SOME.filter(bool), taints=TAINTS)
@example(text="FOO='a\\'\n", labels={"a.x/b": ""}, taints=[])
@example(text='FOO="a\\" \n', labels={"a.x/b": ""}, taints=[])
@example(text=f"{NAME}=\x0b", labels={"a.x/b": ""}, taints=[])
@example(text=f"{NAME}=--a\\ --b", labels={"a.x/b": ""}, taints=[])
def test_whatever_else_systemd_reads_there_stays_and_kubelet_gets_what_it_got_and_ours(text, labels, taints):
    assume(MARK not in (text or ""))
    before = read_environment(text or "")
    try:
        after = read_environment(merged(text, labels, taints))
    except NotUnderstood:
        return
    args, old = after.pop(NAME), before.pop(NAME, "")
    assert after == before
    assert "\n" not in args
    old_words, words = split(old), split(args)
    assert [word for word in words if not is_ours(word)] == [word for word in old_words if not is_ours(word)]
    assert mapping(words) == {**dict(labels), **mapping(old_words)}
    assert set(listed(words)) >= {*listed(old_words), *taints}


def split(args: str) -> list[str]:
    """Split at blanks, and join a flag with a value that stands apart."""
    words: list[str] = []
    for word in args.replace("\x85", "?").replace("\x0b", "?").split():
        if words and words[-1] == "--node-labels":
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def is_ours(word: str) -> bool:
    return word.startswith(("--node-labels=", "--register-with-taints="))


def mapping(words: list[str]) -> dict[str, str]:
    """Read labels as kubelet does: one map for all flags."""
    entries = [
        each for word in words if word.startswith("--node-labels=") for each in word.partition("=")[2].split(",")
    ]
    return {key: value for key, _, value in (entry.partition("=") for entry in entries) if key}


def listed(words: list[str]) -> list[str]:
    """Read taints as kubelet does: the last flag alone."""
    lists = [word.partition("=")[2] for word in words if word.startswith("--register-with-taints=")]
    return [each for each in lists[-1].split(",") if each] if lists else []
