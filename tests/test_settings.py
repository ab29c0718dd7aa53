"""Settings: the same value three ways, who wins, and errors that say place, expected and found."""

import argparse
from pathlib import Path

import pytest

from agent.core.budget import Scope, Size
from agent.core.drain import DrainPolicy
from agent.core.known import BudgetRule, Rules
from agent.core.labelling import written
from agent.core.policy import DEFAULT_RULES, Rule
from agent.core.tags import explain_tag
from agent.core.taints import TaintRules
from agent.kinds import Kind
from agent.settings import FIELDS, Settings, SettingsError, flag, own_node, unknown_variables, variable
from agent.settings_sources import add_flags, mistyped, read_settings
from tests.core.builders import instance

# One value of each setting that is not its default: as text, as the file has it, and what it means.
TEXT = {
    "node_name": ("aks-1", "aks-1"),
    "kubeconfig": ("/etc/kube/config", Path("/etc/kube/config")),
    "context": ("west", "west"),
    "domain": ("vm.example.com", "vm.example.com"),
    "imds_url": ("http://127.0.0.1:8169/", "http://127.0.0.1:8169"),
    "well_known_labels": ("if-absent", "if-absent"),
    "tags_case": ("preserve", "preserve"),
    "tags_lossy": ("hash", "hash"),
    "probe_address": ("[::1]:80", "[::1]:80"),
    "facts_listen": ("10.224.0.4:23170", "10.224.0.4:23170"),
    "approval_waits_for": ("hdfs", "hdfs"),
    "kubernetes": ("off", False),
    "events_file": ("/run/x.json", Path("/run/x.json")),
    "hooks": ("/etc/hooks", Path("/etc/hooks")),
    "host_state": ("/var/x.json", Path("/var/x.json")),
    "log_level": ("debug", "debug"),
    "log_format": ("json", "json"),
    "events": ("off", False),
    "include_labels": ("vm.*/cloud, vm.*/subscription", ("vm.*/cloud", "vm.*/subscription")),
    "exclude_labels": ("topology.*/host", ("topology.*/host",)),
    "tags_allow": ("team,env", ("team", "env")),
    "tags_deny": ("secret*", ("secret*",)),
    "tags_rename": ("Cost Center=cost,Team=squad", (("Cost Center", "cost"), ("Team", "squad"))),
    "policy": ("{Reboot: drain}", tuple({**DEFAULT_RULES, "Reboot": Rule(do="drain")}.items())),
    "drain_empty_dir": ("leave", "leave"),
    "drain_unmanaged": ("evict", "evict"),
    "on_deadline": ("delete", "delete"),
    "drain_budget": ("3", Size(number=3)),
    "drain_budget_per": ("label:pool", Scope(kind="label", key="pool")),
    "freeze_budget": ("off", None),
    "freeze_budget_per": ("zone", Scope(kind="zone")),
    "approval": ("when-drained", "when-drained"),
    "event_taint": ("NoExecute", "NoExecute"),
    "startup_taint": ("example.com/wait", "example.com/wait"),
    "kubernetes_events": ("off", False),
    "switch_file": ("/etc/switch/switch.yaml", Path("/etc/switch/switch.yaml")),
    "namespace": ("kube-system", "kube-system"),
    "pod_name": ("imds-agent-x7", "imds-agent-x7"),
}
TEXT |= {name: ("90s", 90.0) for name in FIELDS if name not in TEXT}

SECONDS = {"500ms": 0.5, "7": 7.0, "1.5s": 1.5, "90 s": 90.0, "2m": 120.0, "1h": 3600.0, "1d": 86400.0}


def settings(*flags: str, file: str | bytes | None = None, folder: Path | None = None, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_flags(parser, ())
    if file is not None:
        path = folder / "settings.yaml"
        path.write_bytes(file if isinstance(file, bytes) else file.encode())
        flags = (f"--config={path}", *flags)
    return read_settings(parser.parse_args(flags), environment)


def complaint(*flags: str, **given: object) -> str:
    with pytest.raises(SettingsError) as raised:
        settings(*flags, **given)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", FIELDS)
def test_a_value_means_the_same_as_flag_variable_and_file_key(name, tmp_path):
    text, meaning = TEXT[name]
    expected = Settings(**{name: meaning})
    assert expected != Settings()
    assert settings(f"{flag(name)}={text}") == expected
    assert settings(**{variable(name): text}) == expected
    assert settings(file=f"{flag(name)[2:]}: '{text}'", folder=tmp_path) == expected
    assert settings(file=f"{name}: '{text}'", folder=tmp_path) == expected


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("release-after: 90", {"release_after": 90.0}),
        ("release-after: 1.5", {"release_after": 1.5}),
        ("events: off", {"events": False}),
        ("events: false", {"events": False}),
        ("events: 0", {"events": False}),
        ("node-name: 42", {"node_name": "42"}),
        ("tags-allow: []", {"tags_allow": ()}),
        ("tags-allow: [team, 'cost, center']", {"tags_allow": ("team", "cost, center")}),
        (
            "tags-rename: {Team: squad, Cost=Center: cost}",
            {"tags_rename": (("Cost=Center", "cost"), ("Team", "squad"))},
        ),
        ("tags-rename: [Team=squad]", {"tags_rename": (("Team", "squad"),)}),
        ("log-level: info", {}),
        ("", {}),
        ("# nothing yet\n", {}),
    ],
)
def test_a_file_may_use_its_own_types(line, meaning, tmp_path):
    assert settings(file=line, folder=tmp_path) == Settings(**meaning)


@pytest.mark.parametrize(("text", "meaning"), SECONDS.items())
def test_times_are_written_with_a_unit_or_in_seconds(text, meaning):
    assert settings(f"--release-after={text}").release_after == meaning


@pytest.mark.parametrize(
    ("text", "meaning"), [("on", True), ("YES", True), ("1", True), ("no", False), ("False", False)]
)
def test_switches_take_the_usual_words(text, meaning):
    assert settings(f"--events={text}").events is meaning


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(tmp_path):
    file = "release-after: 1m\ndrain-margin: 1m\ncordon-before: 1m"
    found = settings(
        "--release-after=3m",
        file=file,
        folder=tmp_path,
        IMDS_AGENT_RELEASE_AFTER="2m",
        IMDS_AGENT_DRAIN_MARGIN="2m",
    )
    assert (found.release_after, found.drain_margin, found.cordon_before) == (180.0, 120.0, 60.0)


def test_a_flag_may_empty_a_list_that_the_file_fills(tmp_path):
    assert settings("--tags-allow=", file="tags-allow: team", folder=tmp_path).tags_allow == ()


def test_the_file_may_be_named_by_a_variable_and_the_flag_wins(tmp_path):
    (tmp_path / "other.yaml").write_text("node-name: other")
    assert settings(IMDS_AGENT_CONFIG=str(tmp_path / "other.yaml")).node_name == "other"
    found = settings(file="node-name: mine", folder=tmp_path, IMDS_AGENT_CONFIG=str(tmp_path / "other.yaml"))
    assert found.node_name == "mine"


def test_an_empty_variable_is_as_good_as_none():
    assert settings(IMDS_AGENT_NODE_NAME="", IMDS_AGENT_RELEASE_AFTER="", NODE_NAME="") == Settings()


def test_the_node_is_named_by_flag_then_own_variable_then_node_name_then_file(tmp_path):
    both = {"NODE_NAME": "by-node-name", "IMDS_AGENT_NODE_NAME": "by-variable"}
    file = "node-name: by-file"
    assert settings("--node-name=by-flag", **both).node_name == "by-flag"
    assert settings(**both).node_name == "by-variable"
    assert settings(file=file, folder=tmp_path, NODE_NAME="by-node-name").node_name == "by-node-name"
    assert settings(file=file, folder=tmp_path).node_name == "by-file"


def test_the_kubeconfig_is_kubectl_s_unless_another_one_is_named():
    assert settings(KUBECONFIG="/k").kubeconfig == Path("/k")
    assert settings(KUBECONFIG="/k", IMDS_AGENT_KUBECONFIG="/own").kubeconfig == Path("/own")


def test_variables_that_are_no_setting_are_found_and_those_of_kubernetes_left_out():
    known = {variable(name): "x" for name in FIELDS} | {"IMDS_AGENT_CONFIG": "x", "NODE_NAME": "x", "PATH": "x"}
    services = dict.fromkeys(("IMDS_AGENT_SERVICE_HOST", "IMDS_AGENT_PORT", "IMDS_AGENT_PORT_80_TCP"), "x")
    assert unknown_variables(known | services) == []
    assert unknown_variables(known | {"IMDS_AGENT_POLCY": "x"}) == ["IMDS_AGENT_POLCY"]


def test_a_command_without_a_node_names_flag_and_variable():
    with pytest.raises(SettingsError, match=r"--node-name \(or NODE_NAME\): expected .*, found nothing"):
        own_node(Settings())
    assert own_node(Settings(node_name="n")) == "n"


WRONG = {
    "release_after": ("soon", "a time such as 500ms, 30s, 5m or 1h"),
    "events": ("maybe", "on or off"),
    "imds_url": ("https://imds/path", "a URL such as http://169.254.169.254"),
    "probe_address": ("23169", "HOST:PORT, or off"),
    "facts_listen": ("10.224.0.4", "HOST:PORT, or off"),
    "log_level": ("loud", "one of debug, info, warning, error"),
    "tags_rename": ("Team", "pairs such as old=new,older=newer"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_names_the_place_what_was_expected_and_what_was_found(name, tmp_path):
    text, expected = WRONG[name]
    said = f": expected {expected}, found {text!r}"
    assert complaint(f"{flag(name)}={text}") == flag(name) + said
    assert complaint(**{variable(name): text}) == variable(name) + said
    in_file = complaint(file=f"{flag(name)[2:]}: '{text}'", folder=tmp_path)
    assert in_file == f"{tmp_path}/settings.yaml: {flag(name)[2:]}" + said


@pytest.mark.parametrize(
    "arguments",
    [
        "--release-after=-1s",
        "--release-after=1w",
        "--release-after=",
        "--events-interval=0",
        "--instance-interval=0s",
        "--imds-connect-timeout=0",
        "--imds-read-timeout=0ms",
        "--first-events-timeout=0",
        "--imds-url=ftp://x",
        "--imds-url=http://",
        "--imds-url=http://:80",
        "--imds-url=http://?x",
        "--imds-url=http://[::1",
        "--imds-url=http://x:port",
        "--imds-url=http://x:99999",
        "--probe-address=127.0.0.1:",
        "--probe-address=127.0.0.1:99999",
        "--probe-address=::1:80",
        "--node-name=",
        "--kubeconfig=",
        "--tags-rename=a=b,c",
    ],
)
def test_what_could_not_work_is_refused_at_once(arguments):
    assert ": expected " in complaint(arguments)


@pytest.mark.parametrize(
    "line",
    [
        "release-after: [1]",
        "release-after: .inf",
        "release-after: .nan",
        "release-after: true",
        "release-after:",
        "node-name: 1.5",
        "node-name: true",
        "tags-allow: 5",
        "tags-allow: [5]",
        "tags-rename: {a: 5}",
        "log-level: [info]",
        "probe-address: {a: b}",
    ],
)
def test_a_file_value_of_a_wrong_type_is_refused(line, tmp_path):
    key = line.partition(":")[0]
    assert complaint(file=line, folder=tmp_path).startswith(f"{tmp_path}/settings.yaml: {key}: expected ")


def test_an_unknown_key_is_refused_with_what_may_have_been_meant(tmp_path):
    said = complaint(file="relase-after: 2m", folder=tmp_path)
    assert said.endswith("settings.yaml: relase-after: no such setting; did you mean release-after?")
    assert complaint(file="xyzzy: 2m", folder=tmp_path).endswith("xyzzy: no such setting")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- a\n- b", "expected a mapping of settings, found list"),
        ("just words", "expected a mapping of settings, found str"),
        ("0", "expected a mapping of settings, found int"),
        ("node-name: x\n  events: [on", "line 2"),
        ("a: b: c", "line 1"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "cannot be read"),
        (b"node-name: \xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_is_no_settings_file_is_told_in_one_line(content, said, tmp_path):
    found = complaint(file=content, folder=tmp_path)
    assert found.startswith(f"{tmp_path}/settings.yaml: ")
    assert said in found


def test_a_file_that_is_not_there_or_no_file_is_named(tmp_path):
    assert (
        complaint(f"--config={tmp_path}/none.yaml")
        == f"{tmp_path}/none.yaml: cannot be read: No such file or directory"
    )
    assert complaint(f"--config={tmp_path}") == f"{tmp_path}: cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--domain=Example.com", "label domain: expected a DNS name in lower case"),
        ("--domain=node.kubernetes.io", "label domain: expected one of your own"),
        ("--domain=" + "a" * 250, "label domain"),
        ("--tags-rename=Team=..", "rename of tag 'Team': expected a label name"),
    ],
)
def test_what_would_make_no_label_is_a_wrong_setting(flags, said):
    with pytest.raises(SettingsError, match=said):
        settings(flags).rules()


def test_the_defaults_are_the_rules_that_the_core_was_tested_with():
    budget = BudgetRule(size=Size(percent=10), scope=Scope(kind="cluster"))
    taints = TaintRules(startup="imds-agent.github.io/startup")
    assert Settings().rules() == Rules(budgets={"drain": budget, "freeze": budget}, taints=taints)


@pytest.mark.parametrize("name", [name for name, entry in FIELDS.items() if entry.default not in (None, ())])
def test_a_default_reads_back_as_it_is_written(name):
    kind: Kind = FIELDS[name].metadata["kind"]
    assert kind.read(kind.write(FIELDS[name].default)) == FIELDS[name].default


def test_each_setting_that_decisions_depend_on_reaches_them():
    rules = settings(
        "--policy={Reboot: drain}",
        "--drain-before=6s",
        "--drain-margin=7s",
        "--drain-empty-dir=leave",
        "--drain-unmanaged=evict",
        "--on-deadline=delete",
        "--delete-before=8s",
        "--drain-budget=3",
        "--drain-budget-per=zone",
        "--freeze-budget=off",
        "--budget-expiry=9s",
        "--approval=when-drained",
        "--event-taint=NoSchedule",
        "--startup-taint=example.com/wait",
        "--startup-taint-at-most=1s",
        "--pod-name=me",
        "--namespace=there",
        "--cordon-before=2s",
        "--release-after=3s",
        "--release-after-restart=4s",
        "--events-interval=10s",
        "--node-interval=5s",
        "--well-known-labels=if-absent",
        "--include-labels=a",
        "--exclude-labels=b",
        "--tags-allow=c",
        "--tags-deny=d",
        "--tags-rename=e=f",
        "--tags-case=preserve",
        "--tags-lossy=skip",
    ).rules()
    events, tags = rules.events, rules.labels.tags
    assert events.rules["Reboot"] == Rule(do="drain")
    assert (events.cordon_before, events.drain_before, events.drain_margin) == (2.0, 6.0, 7.0)
    assert rules.drain == DrainPolicy(empty_dir="leave", unmanaged="evict", on_deadline="delete", delete_before=8.0)
    assert rules.budgets == {"drain": BudgetRule(size=Size(number=3), scope=Scope(kind="zone"), expiry=9.0)}
    assert (rules.approval, rules.own_pod) == ("when-drained", ("there", "me"))
    assert rules.taints == TaintRules(startup="example.com/wait", startup_at_most=1.0, event_effect="NoSchedule")
    assert (events.release_after, events.release_after_restart, events.stale_after) == (3.0, 4.0, 50.0)
    assert (rules.idle, rules.well_known) == (5.0, "if-absent")
    assert (rules.labels.include, rules.labels.exclude) == (("a",), ("b",))
    assert (tags.allow, tags.deny, tags.rename) == (("c",), ("d",), (("e", "f"),))
    assert (tags.case, tags.lossy) == ("preserve", "skip")


def test_the_domain_is_in_every_key_that_is_written():
    policy = settings("--domain=vm.example.com").rules().labels
    for group in ("facts", "tags"):
        said = written(instance(), group, policy)
        keys = [*said.labels, *said.annotations]
        assert keys, group
        assert all(key.partition("/")[0].endswith("vm.example.com") for key in keys)
    assert explain_tag("Team", "x", policy.tags, policy.domain).key == "tag.vm.example.com/team"


@pytest.mark.parametrize("name", ["..", "A", "a b", "a/b", "-a", "a" * 254])
def test_what_can_be_no_node_is_refused_before_anything_is_asked(name):
    with pytest.raises(SettingsError, match=r"NODE_NAME: expected a node's name"):
        settings(NODE_NAME=name)


def test_a_variable_that_is_almost_a_setting_is_found_and_what_kubernetes_sets_for_a_service_is_not():
    given = {
        "IMDS_AGENT_RELASE_AFTER": "2m",
        "IMDS_AGENT_RELEASE_AFTER": "2m",
        "IMDS_AGENT_CONFIG": "x",
        "IMDS_AGENT_EVENTS_PORT": "tcp://10.0.0.1:80",
        "IMDS_AGENT_EVENTS_PORT_80_TCP_ADDR": "10.0.0.1",
        "IMDS_AGENT_EVENTS_SERVICE_HOST": "10.0.0.1",
        "IMDS_AGENT_EVENTS_SERVICE_PORT_HTTP": "80",
        "IMDS_AGENT_OF_SOMEBODY_ELSE": "x",
        "RELASE_AFTER": "2m",
    }
    assert mistyped(given) == [("IMDS_AGENT_RELASE_AFTER", "IMDS_AGENT_RELEASE_AFTER")]
