"""The drop-in of k3s and RKE2: YAML that adds to their lists."""

import yaml

from agent.boot.drop_in import drop_in, is_ours


def test_labels_and_taints_are_added_to_lists_that_other_files_begin():
    text = drop_in({"a.b/c": "d", "a.b/a": ""}, ["e.f/g=h:NoExecute"])
    assert yaml.safe_load(text) == {"node-label+": ["a.b/a=", "a.b/c=d"], "node-taint+": ["e.f/g=h:NoExecute"]}
    assert is_ours(text)


def test_an_empty_list_is_not_there_for_it_would_be_nothing_to_yaml():
    assert yaml.safe_load(drop_in({"a.b/c": "yes"}, [])) == {"node-label+": ["a.b/c=yes"]}
    assert yaml.safe_load(drop_in({}, ["e.f/g:NoExecute"])) == {"node-taint+": ["e.f/g:NoExecute"]}
    assert drop_in({}, []) is None


def test_somebody_elses_file_is_not_ours():
    assert not is_ours("node-label:\n  - a=b\n")
    assert not is_ours("")
