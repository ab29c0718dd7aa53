"""`doctor hdfs` on each way in which racks go wrong: real files in, findings out. What Hadoop makes of them was tried with 3.5.0."""

import re
from dataclasses import replace

import pytest

from agent.core.datanodes import ENTERING, IN_MAINTENANCE
from agent.doctor.hadoop import LARGEST, MAPPING, TABLE, Asked, seen
from agent.doctor.hdfs import judge
from agent.hdfs.script import read_script, script
from tests.doctor.hadoops import (
    BY_DOMAIN,
    COMBINED,
    REJECT,
    SCRIPT,
    SPREAD,
    ZONES,
    Folder,
    entry,
    node,
    view,
    write_site,
)

ARGUMENTS, HOSTS = "net.topology.script.number.args", "dfs.hosts"
TWO = {f"10.224.0.{n}": f"/westeurope-{(n - 1) % 3 + 1}/fd{n % 2}" for n in range(1, 7)}
TABLE_MAPPING = {MAPPING: "org.apache.hadoop.net.TableMapping"}


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def expect(found, check, verdict, text="", advice=""):
    finding = found[check]
    assert finding.verdict == verdict, finding
    assert text in finding.found, finding
    assert advice in finding.advice, finding
    assert bool(finding.advice) == (verdict in ("warn", "bad")), finding


def right(**changes):
    return view(*(node(address, changes.get(address, rack)) for address, rack in ZONES.items()))


def test_a_cluster_that_is_well_is_well_in_everything(folder):
    found = folder.found(right())
    unknown = {check for check, finding in found.items() if finding.verdict != "ok"}
    assert unknown == {"hosts file in force"}  # there is none
    assert not any(finding.advice for finding in found.values())
    assert found["rack table"].found == "6 names of hosts and 0 networks, depth 1, written just now"
    assert found["namenode"].found == "active, 6 live DataNodes, 0 dead"


def test_files_that_are_missing_or_no_xml_are_named(folder):
    (folder.conf / "core-site.xml").unlink()
    (folder.conf / "hdfs-site.xml").write_text("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><configuration/>")
    found = folder.found()["hadoop configuration"]
    assert found.verdict == "bad"
    assert re.search(r"core-site.xml: No such file .*hdfs-site.xml: line 1: expected no document type", found.found)


def test_what_cannot_be_known_here_is_said(folder):
    (folder.conf / "hdfs-site.xml").write_text('<configuration><include href="more.xml"/><xi:include href="x.xml" xmlns:xi="x"/></configuration>')  # fmt: skip
    folder.core(**{HOSTS: "${env.CONF}/dfs.hosts", "fs.azure.account.key": "${secret}"})
    found = folder.found()
    expect(
        found,
        "hadoop configuration",
        "warn",
        "an include of 'more.xml', an include of 'x.xml', dfs.hosts=${env.CONF}/dfs.hosts",
    )
    assert "secret" not in found["hadoop configuration"].found


def test_a_site_file_that_is_a_folder_or_a_pipe_is_not_read(folder):
    (folder.conf / "hdfs-site.xml").unlink()
    (folder.conf / "hdfs-site.xml").mkdir()
    expect(folder.found(), "hadoop configuration", "bad", "hdfs-site.xml: is no file")


def test_a_nul_in_a_path_is_no_file(tmp_path):
    assert seen(tmp_path / "a\0b").problem is not None


@pytest.mark.parametrize(
    ("values", "verdict", "text", "advice"),
    [
        ({SCRIPT: ""}, "bad", "no script is named", "hdfs-rack --install"),
        ({TABLE: "/x"}, "warn", "is not used", "Remove it"),
        (TABLE_MAPPING, "bad", f"no {TABLE}", "All are in /default-rack"),
        ({**TABLE_MAPPING, TABLE: "/x"}, "warn", "TableMapping", "take the script"),
        ({MAPPING: "org.example.Mine"}, "unknown", "org.example.Mine", ""),
    ],
)
def test_whom_hadoop_asks_for_racks(folder, values, verdict, text, advice):
    folder.core(**values)
    expect(folder.found(), "rack mapping", verdict, text, advice)


def test_a_script_that_hadoop_cannot_run_says_why(folder):
    folder.script.chmod(0o644)
    expect(folder.found(), "rack script", "bad", "is not executable", "chmod")
    folder.install(python="/no/such/python3")
    expect(folder.found(), "rack script", "bad", "interpreter /no/such/python3: No such file", "--python")
    folder.script.write_text("echo /a\n")
    expect(folder.found(), "rack script", "bad", "does not begin with #!", "--install")
    folder.script.unlink()
    expect(folder.found(), "rack script", "bad", "No such file", "/default-rack")
    folder.core(**{SCRIPT: f"\n  {folder.script}\n"})
    expect(folder.found(), "rack script", "bad", "blanks", "Hadoop keeps them")
    folder.core(**{SCRIPT: "hdfs-rack"})
    expect(folder.found(), "rack script", "bad", "no absolute path", "PATH")


def test_a_script_of_others_and_one_that_was_changed_are_told_from_ours(folder):
    folder.script.write_text(folder.script.read_text().replace("DEADLINE = '", "DEADLINE =  '"))
    expect(folder.found(), "rack script", "warn", "not as this version installs it", "install it anew")
    folder.script.write_text("#!/bin/sh\necho /rack\n")
    found = folder.found()
    expect(found, "rack script", "warn", "a script of others", "not judged")
    assert [found[check].verdict for check in ("rack table", "unknown hosts", "block placement")] == ["unknown"] * 3


def test_a_script_is_read_back_as_it_was_installed(folder):
    installed = read_script(script(folder.table, 2, strict=True, python="/usr/bin/python3"))
    assert (installed.python, installed.table, installed.depth, installed.strict) == (
        "/usr/bin/python3",
        str(folder.table),
        2,
        True,
    )
    assert installed.is_ours
    head = folder.script.read_text().partition("TABLE, DEPTH")[0]
    for line in ("TABLE, DEPTH, STRICT, DEADLINE = (", "TABLE, DEPTH, STRICT, DEADLINE = 1, 2", "", "TABLE, DEPTH, STRICT, DEADLINE = exit()"):  # fmt: skip
        assert read_script(f"{head}{line}\n") is None


@pytest.mark.parametrize(
    ("count", "verdict", "text"),
    [("0", "bad", "0 hosts"), ("many", "bad", "'many'"), ("1", "warn", "1 hosts a run"), (" 250 ", "ok", "250")],
)
def test_for_how_many_hosts_the_script_is_run_at_once(folder, count, verdict, text):
    folder.core(**{ARGUMENTS: count})
    expect(folder.found(), "script arguments", verdict, text)


def test_a_table_that_is_missing_torn_or_of_another_depth_is_told(folder):
    whole = folder.table.read_text()
    folder.table.write_text(whole[:60])
    expect(folder.found(), "rack table", "bad", "is not whole", "hdfs-sync")
    folder.table.with_name("racks.prev").write_text(whole)
    expect(folder.found(right()), "rack table", "warn", "the one before it: 6 names of hosts")
    assert folder.found(right())["racks of datanodes"].verdict == "ok"
    folder.table.unlink()
    expect(folder.found(), "rack table", "warn", "cannot be read: No such file")
    folder.table.with_name("racks.prev").unlink()
    folder.put(TWO, "zone/fd")
    expect(folder.found(), "rack table", "bad", "is of depth 2, the script of 1", "--form")
    folder.put({})
    expect(folder.found(), "rack table", "bad", "0 names of hosts", "labels")
    folder.put({**ZONES, "10.224.0.9": "/a/b"})
    expect(folder.found(), "rack table", "bad", "not of depth 1: /a/b", "/default-rack")


@pytest.mark.parametrize(
    ("seconds", "said"), [(100, "just now"), (3600, "60 minutes ago"), (7200, "2 hours ago"), (2e5, "2 days ago")]
)
def test_the_age_of_a_table_is_said_and_not_judged(folder, seconds, said):
    folder.age(seconds)
    expect(folder.found(), "rack table", "ok", f"written {said}")


@pytest.mark.parametrize(
    ("strict", "depth", "reject", "own", "verdict", "text"),
    [
        (False, 1, "false", (), "ok", "/default-rack, until the NameNode restarts"),
        (False, 2, "true", (), "ok", "/default-rack/default-rack"),
        (True, 2, "false", ("10.224.0.0/16",), "bad", "/default-rack among racks of depth 2"),
        (True, 1, "false", ("10.224.0.0/16",), "warn", "until it registers again"),
        (True, 2, "true", ("10.224.0.0/16",), "ok", "refused, and comes back"),
        (True, 1, "true", (), "warn", "names no network of ours"),
    ],
)
def test_what_a_datanode_gets_that_comes_too_early(folder, strict, depth, reject, own, verdict, text):
    folder.put(TWO if depth == 2 else ZONES, "zone/fd" if depth == 2 else "auto", own)
    folder.install(depth=depth, strict=strict)
    folder.site(**SPREAD, **{REJECT: reject})
    expect(folder.found(), "unknown hosts", verdict, text)


def test_table_mapping_is_judged_by_its_own_table(folder):
    folder.core(**TABLE_MAPPING, **{TABLE: folder.table})  # the script that is named as well is not asked
    found = folder.found(right())
    assert [found[check].verdict for check in ("rack script", "script arguments")] == ["unknown"] * 2
    assert [found[check].verdict for check in ("rack table", "unknown hosts", "racks of datanodes")] == ["ok"] * 3
    folder.put({**TWO, "10.224.9.0/24": "/westeurope-1/fd0"}, "zone/fd")
    found = folder.found(view(node("10.224.9.9", "/default-rack")))
    expect(found, "unknown hosts", "bad", "depth 2", "take the script")
    expect(found, "unknown datanodes", "bad", "10.224.9.9")  # Hadoop knows nothing of networks
    folder.table.write_text("10.224.0.1 /a\n")
    expect(folder.found(), "rack table", "unknown", "a table of others")
    folder.table.with_name("racks.prev").write_text(folder.table.read_text())  # the script alone goes back to it
    assert folder.look().before is None


@pytest.mark.parametrize(
    ("policy", "rows", "form", "verdict", "advice"),
    [
        ("BlockPlacementPolicyDefault", ZONES, "auto", "warn", "BlockPlacementPolicyRackFaultTolerant"),
        ("BlockPlacementPolicyDefault", {"a": "/r-1", "b": "/r-2"}, "auto", "ok", ""),
        ("BlockPlacementPolicyDefault", {"a": "/fd0", "b": "/fd1", "c": "/fd2"}, "auto", "ok", ""),
        ("BlockPlacementPolicyRackFaultTolerant", ZONES, "auto", "ok", ""),
        ("BlockPlacementPolicyRackFaultTolerant", {"a": "/fd0", "b": "/fd0"}, "auto", "warn", "All in one rack"),
        ("BlockPlacementPolicyRackFaultTolerant", TWO, "zone/fd", "warn", "upgrade domains that are the zones"),
        ("BlockPlacementPolicyRackFaultTolerant", {"a": "/r-1/fd0", "b": "/r-2/fd0"}, "zone/fd", "ok", ""),
        ("BlockPlacementPolicyRackFaultTolerant", {"a": "/r/fd0", "b": "/r/fd1"}, "zone/fd", "ok", ""),
        ("BlockPlacementPolicyWithNodeGroup", ZONES, "auto", "warn", "BlockPlacementPolicyRackFaultTolerant"),
        ("BlockPlacementPolicyWithUpgradeDomain", TWO, "zone/fd", "ok", ""),
        ("Mine", ZONES, "auto", "unknown", ""),
    ],
)
def test_which_policy_fits_which_racks(folder, policy, rows, form, verdict, advice):
    folder.put(rows, form)
    folder.install(depth=2 if form == "zone/fd" else 1)
    prefix = "org.apache.hadoop.hdfs.server.blockmanagement."
    folder.site(**{"dfs.block.replicator.classname": f"{prefix}{policy}"})
    expect(folder.found(), "block placement", verdict, policy, advice)


def test_only_racks_that_hold_datanodes_count_where_a_namenode_says_so(folder):
    expect(folder.found(), "block placement", "ok", "3 racks in the table")
    some = view(node("10.224.0.1", "/westeurope-1"), node("10.224.0.2", "/westeurope-2", live=False))
    expect(folder.found(some), "block placement", "warn", "1 racks with DataNodes", "All in one rack")


def listed(folder, *entries, text=None, **site):
    folder.list(*entries, text=text)
    folder.site(**{**COMBINED, HOSTS: folder.hosts, **site})
    return folder.found


@pytest.mark.parametrize(
    ("text", "verdict", "found"),
    [
        ("", "bad", "expected"),
        ('[{"hostName": "10.224.0.1", "upgr', "bad", "expected JSON"),
        ('[{"hostName": "10.224.0.1", "zone": "1"}]', "bad", "no such field"),
        ('[{"hostName": "10.224.0.1", "adminState": "normal"}]', "bad", "NORMAL"),
        ('[{"hostName": "some-host"}]', "warn", "an IP address"),
        ('[{"hostName": "10.224.0.1", "adminState": "IN_MAINTENANCE"}]', "bad", "0 of them NORMAL"),
        ("[]", "bad", "0 hosts"),
        ('{"hostName": "10.224.0.1"}\n{"hostName": "10.224.0.2"}', "unknown", "old form"),
        ('[{"hostName": "10.224.0.1"}]', "ok", "1 hosts, 1 of them NORMAL"),
    ],
)
def test_a_list_of_hosts_that_hadoop_takes_for_an_empty_one(folder, text, verdict, found):
    expect(listed(folder, text=text)(), "hosts file", verdict, found)


def test_maintenance_that_is_over_and_a_list_that_is_not_read_are_told(folder):
    past, future = entry("10.224.0.1", state="IN_MAINTENANCE", maintenanceExpireTimeInMS=1), entry("10.224.0.2")
    expect(listed(folder, past, future)(), "hosts file", "warn", "maintenance of 10.224.0.1 is over")
    expect(
        listed(folder, future, **{"dfs.hosts.exclude": "/x"})(), "hosts file", "warn", "dfs.hosts.exclude", "adminState"
    )


def test_a_list_of_hosts_fits_its_provider(folder):
    assert folder.found()["hosts file"].found == "none, for HostFileManager: any host may be a DataNode"
    folder.site(**COMBINED)
    expect(folder.found(), "hosts file", "warn", "none", "No upgrade domains")
    folder.list(entry("10.224.0.1"))
    folder.site(**{HOSTS: folder.hosts})
    expect(folder.found(), "hosts file", "bad", "JSON, for HostFileManager", "CombinedHostFileManager")
    folder.list(text="10.224.0.1\n10.224.0.2\n")
    expect(folder.found(), "hosts file", "ok", "2 words, for HostFileManager")
    for wrong in ("dfs.hosts", f"{folder.hosts}\n"):
        folder.site(**{HOSTS: wrong})
        expect(folder.found(), "hosts file", "bad", "no absolute path, or blanks")
    folder.site(**{**COMBINED, HOSTS: folder.path / "none"})
    expect(folder.found(), "hosts file", "bad", "No such file", "empty list")
    folder.site(**{HOSTS: folder.hosts, "dfs.namenode.hosts.provider.classname": "Mine"})
    expect(folder.found(), "hosts file", "unknown", "Mine")


def in_zones(count, **changes):
    return [entry(address, changes.get(rack, rack[1:])) for address, rack in list(ZONES.items())[:count]]


@pytest.mark.parametrize(
    ("entries", "site", "verdict", "text"),
    [
        (in_zones(6), {}, "ok", "3, and a factor of 3"),
        (in_zones(2), {}, "bad", "2, and a factor of 3"),
        (in_zones(2), {"dfs.namenode.upgrade.domain.factor": "2"}, "ok", "2, and a factor of 2"),
        (in_zones(2), {"dfs.replication": "2"}, "ok", "2, and a factor of 2"),
        (
            in_zones(2),
            {"dfs.namenode.upgrade.domain.factor": "${dfs.replication}", "dfs.replication": "0x2"},
            "ok",
            "2, and",
        ),
        (in_zones(2), {"dfs.replication": "two"}, "bad", "expected a whole number"),
        ([*in_zones(2), entry("10.224.0.3", "westeurope-3", "DECOMMISSIONED")], {}, "bad", "2, and a factor of 3"),
        ([*in_zones(3), entry("10.224.0.4")], {}, "warn", "1 hosts without"),
        ([entry("10.224.0.1")], {}, "bad", "none"),
        ([entry(f"10.224.0.{n}", f"ud{n // 2}") for n in range(1, 8)], {}, "warn", "across zones: ud1, ud2"),
    ],
)
def test_upgrade_domains_against_the_factor_and_the_zones(folder, entries, site, verdict, text):
    expect(listed(folder, *entries, **BY_DOMAIN, **site)(), "upgrade domains", verdict, text)


def test_upgrade_domains_need_a_policy_that_asks_and_a_list_that_is_read(folder):
    expect(listed(folder, *in_zones(6), **SPREAD)(), "upgrade domains", "ok", "3, which BlockPlacementPolicyRackFaultTolerant does not ask for")  # fmt: skip
    expect(listed(folder, text="[", **BY_DOMAIN)(), "upgrade domains", "bad", "none", "no effect")


def test_datanodes_in_a_stale_rack_are_named(folder):
    found = folder.found(right(**{"10.224.0.2": "/westeurope-1", "10.224.0.3": "/default-rack"}))
    expect(
        found,
        "racks of datanodes",
        "bad",
        "2 DataNodes in a stale rack: 10.224.0.2 in /westeurope-1, not /westeurope-2, 10.224.0.3 in /default-rack, not /westeurope-3",
        "Restart this NameNode",
    )
    expect(found, "unknown datanodes", "ok", "none")


def test_more_than_five_are_counted(folder):
    found = folder.found(right(**dict.fromkeys(ZONES, "/other")))
    expect(found, "racks of datanodes", "bad", "6 DataNodes in a stale rack")
    assert found["racks of datanodes"].found.endswith("and 1 more")


def test_a_datanode_that_the_table_does_not_know_is_told_by_name_and_address(folder):
    found = folder.found(view(node("10.224.7.7", "/default-rack", name="dn-7")))
    expect(found, "unknown datanodes", "bad", "1 DataNode not in the table: dn-7 (10.224.7.7) in /default-rack")
    expect(found, "racks of datanodes", "ok", "0 as the table says")


def test_a_datanode_that_is_dead_is_not_judged_and_one_that_is_none_is(folder):
    found = folder.found(view(node("10.224.0.1", "/other", live=False), active=False))
    expect(found, "racks of datanodes", "ok")
    expect(found, "namenode", "bad", "standby, 0 live DataNodes, 1 dead", "None registers")
    safe = view(node("10.224.0.1", "/westeurope-1"), safe_mode=True)
    expect(folder.found(safe), "namenode", "warn", "in safe mode", "-safemode get")


def test_without_a_table_nothing_is_said_of_the_racks_of_datanodes(folder):
    folder.table.unlink()
    found = folder.found(right())
    assert [found[check].verdict for check in ("racks of datanodes", "unknown datanodes")] == ["unknown"] * 2


def test_a_list_that_the_namenode_has_not_read_is_told(folder):
    find = listed(folder, entry("10.224.0.1", "a"), entry("10.224.0.2", "b", "IN_MAINTENANCE"))
    well = view(node("10.224.0.1", "/r", domain="a"), node("10.224.0.2", "/r", domain="b", state=ENTERING))
    expect(find(well), "hosts file in force", "ok", "2 as the file says")
    behind = view(node("10.224.0.1", "/r"), node("10.224.0.2", "/r", domain="b"))
    expect(
        find(behind),
        "hosts file in force",
        "bad",
        "10.224.0.1 in upgrade domain none, not a, 10.224.0.2 In Service, not IN_MAINTENANCE",
        "hdfs dfsadmin -refreshNodes",
    )


def test_a_live_datanode_that_the_list_lacks_will_be_thrown_out(folder):
    find = listed(folder, entry("10.224.0.1"))
    seen = view(node("10.224.0.1", "/r"), node("10.224.0.2", "/r"))
    expect(find(seen), "hosts file in force", "bad", "1 DataNode not in the file: 10.224.0.2", "throws them out")
    find = listed(folder, entry("10.224.0.1", state="DECOMMISSIONED"))  # counts as empty: nobody is thrown out
    assert "not in the file" not in find(seen)["hosts file in force"].found


def test_upgrade_domains_that_come_from_elsewhere_go_with_the_next_refresh(folder):
    seen = view(node("10.224.0.1", "/r", domain="a"))
    expect(folder.found(seen), "hosts file in force", "warn", "no such file here: 10.224.0.1", "may take them away")


def test_of_a_pair_each_namenode_is_judged_by_itself(folder):
    findings = judge(replace(folder.look(), namenodes=pair(right(), right(**{"10.224.0.2": "/other"}), None)))
    said = [(each.verdict, each.found) for each in findings if each.check == "racks of datanodes"]
    assert [verdict for verdict, _ in said] == ["ok", "bad", "unknown"]
    assert [found.partition(": ")[0] for _, found in said] == ["http://nn-0", "http://nn-1", "http://nn-2"]


def pair(*views):
    return tuple(Asked(url=f"http://nn-{n}", view=each, problem="no answer") for n, each in enumerate(views))


def test_a_file_that_never_ends_is_not_read_to_its_end(folder):
    with folder.table.open("r+b") as file:
        file.truncate(LARGEST + 1)
    expect(folder.found(), "rack table", "bad", f"is larger than {LARGEST} bytes")
    with (folder.path / "python").open("wb") as file:  # an interpreter may be as large as it likes
        file.truncate(LARGEST + 1)
    (folder.path / "python").chmod(0o755)
    folder.install(python=folder.path / "python")
    assert folder.found()["rack script"].verdict == "ok"


def test_ports_tell_two_datanodes_of_a_host_apart_and_maintenance_ends_by_itself(folder):
    over = {"maintenanceExpireTimeInMS": 1}
    find = listed(folder, entry("10.224.0.1", "a", port=9866), entry("10.224.0.2", "b", "IN_MAINTENANCE", **over))
    seen = view(node("10.224.0.1", "/r", domain="a"), node("10.224.0.2", "/r", domain="b"))
    expect(find(seen), "hosts file in force", "ok", "2 as the file says")
    still = view(node("10.224.0.2", "/r", domain="b", state=IN_MAINTENANCE))
    expect(find(still), "hosts file in force", "bad", "In Maintenance, not NORMAL")


def test_an_unreadable_site_counts_as_saying_nothing(folder):
    write_site(folder.conf / "hdfs-site.xml", {})
    (folder.conf / "core-site.xml").write_text("<configuration>")
    expect(folder.found(), "rack mapping", "bad", "no script is named")
