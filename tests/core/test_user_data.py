"""UserData may change at any time; that it did is noticed, and what it says is not shown."""

import json

from agent.core.instance import read_instance
from agent.core.user_data import UserData, followed

COMPUTE = {
    "vmId": "v",
    "name": "n",
    "location": "l",
    "vmSize": "s",
    "subscriptionId": "u",
    "azEnvironment": "AzurePublicCloud",
}


def told(*texts: str | None, **compute: str) -> list[UserData | None]:
    """Return what is known after each of these answers."""
    found, known = [], None
    for text in texts:
        document = {"compute": {**COMPUTE, **compute, "userData": text}, "network": {}}
        known = followed(known, read_instance(json.dumps(document), "2021-02-01"))
        found.append(known)
    return found


def changes(*texts: str | None) -> list[int]:
    return [each.changes for each in told(*texts)]


def test_another_text_is_a_change_and_white_space_is_none():
    assert changes("Zm9v", "Zm9v", "Zm\n9v ", "YmFy", "YmFy", "Zm9v") == [0, 0, 0, 1, 1, 2]


def test_none_is_believed_at_the_second_time():
    assert changes("Zm9v", "", "Zm9v", "", None, None) == [0, 0, 0, 0, 1, 1]
    assert changes("", "Zm9v") == [0, 1]


def test_an_answer_with_parts_missing_says_nothing():
    assert told("Zm9v", name="") == [None]
    known = told("Zm9v")[0]
    empty = read_instance(b'{"compute":{"userData":"YmFy"}}', "2021-02-01")
    assert followed(known, empty) is known


def test_what_is_known_is_its_size_and_not_its_content():
    [found] = told("Zm9v")
    assert found.size == 4
    assert "Zm9v" not in repr(found)
