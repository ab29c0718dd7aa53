"""`doctor` as a person runs it: against IMDS well and unwell, a proxy, nobody, and a real API server."""

import json
import re

import pytest

from agent.emulator import Emulator
from tests.cli.running import ROOT, imds_agent
from tests.promises.agents import wait_until


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


def doctor(*arguments, code=None, **given) -> dict[str, dict]:
    done = imds_agent("doctor", "-o", "json", *arguments, **given)
    found = json.loads(done.out)
    assert done.err == ""
    assert done.code == (0 if found["well"] else 1)
    assert code is None or done.code == code
    return {finding["check"]: finding for finding in found["findings"]}


def test_every_check_is_on_the_page_and_no_other(imds):
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = page.partition("<!-- checks -->")[2].partition("<!-- /checks -->")[0].splitlines()
    listed = [row.split("|")[1].strip() for row in rows if row.startswith("|")][2:]
    assert sorted(doctor(f"--imds-url={imds.url}")) == sorted(listed)


def test_imds_is_told_from_a_proxy_and_from_nobody(imds):
    url = f"--imds-url={imds.url}"
    well = doctor(url)
    assert [well[check]["verdict"] for check in ("connection", "header", "version", "document", "clock")] == ["ok"] * 5
    imds.put_faults([{"kind": "html"}])
    proxied = doctor(url, code=1)
    assert (proxied["version"]["verdict"], proxied["document"]["verdict"]) == ("bad", "bad")
    assert "a proxy answers" in proxied["version"]["advice"]
    imds.put_faults([{"kind": "partial"}])
    assert doctor(url)["document"]["verdict"] in ("ok", "warn")
    imds.put_faults([{"kind": "skew", "seconds": 7200}])
    wait_until(  # once is not enough: `Date` is as much older as this machine stood still before the look
        lambda: re.fullmatch(r"7(199|200|201) s behind", doctor(url)["clock"]["found"]), "two hours behind"
    )
    nobody = doctor("--imds-url=http://127.0.0.1:1", code=1)
    assert nobody["connection"]["found"] == "Connection refused"
    assert nobody["version"]["verdict"] == "unknown"


def test_an_imds_that_hangs_is_given_up(imds):
    imds.put_faults([{"kind": "hang"}])
    found = doctor(f"--imds-url={imds.url}", code=1)
    assert found["connection"]["verdict"] == "ok"
    assert "no answer" in found["document"]["found"]


def test_what_was_not_looked_at_for_one_reason_is_one_line(imds):
    lines = imds_agent("doctor", f"--imds-url={imds.url}").out.splitlines()
    checks = "kubernetes, rights, own-node policy, label owners, autoscaler"
    assert [line for line in lines if "rights" in line] == [
        f"  unknown  {checks}: no node: give --node-name, and --kubeconfig outside a pod"
    ]
    assert any(line.split() == ["ok", "connection", "connected"] for line in lines)


def test_a_person_reads_what_is_wrong_and_what_to_do(imds):
    imds.put_faults([{"kind": "html"}])
    done = imds_agent("doctor", f"--imds-url={imds.url}", HTTP_PROXY="http://u:hunter2@proxy:3128")
    assert done.code == 1
    assert re.search(r"^  BAD +version ", done.out, re.MULTILINE)
    assert re.search(r"^  warning +proxies +http_proxy$", done.out, re.MULTILINE)
    assert "  version: IMDS answers 400 with newest-versions: this is a page" in done.out
    assert "hunter2" not in done.out


def test_within_the_budget_of_imds(imds):
    doctor(f"--imds-url={imds.url}")
    asked = [entry["seconds"] for entry in imds.requests()]
    assert len(asked) <= 4


def test_on_a_real_cluster_it_says_what_the_agent_may_do(plane, node, imds):
    config = plane.agent_kubeconfig(node.name)
    found = doctor(f"--imds-url={imds.url}", f"--node-name={node.name}", f"--kubeconfig={config}")
    try:
        checks = ("kubernetes", "rights", "own-node policy", "label owners", "autoscaler")
        assert [found[check]["verdict"] for check in checks] == ["ok"] * 5, found
        plane.kubectl("label", "node", node.name, "topology.imds-agent.github.io/rack=mine")
        plane.kubectl("annotate", "node", node.name, "cluster-autoscaler.kubernetes.io/scale-down-disabled=true")
        drain = doctor(
            f"--imds-url={imds.url}",
            f"--node-name={node.name}",
            f"--kubeconfig={config}",
            "--policy={Terminate: drain}",
        )
        assert (drain["rights"]["verdict"], "create pods/eviction" in drain["rights"]["found"]) == ("bad", True)
        assert drain["label owners"]["found"].startswith("kubectl-label: topology")
        assert "--balancing-ignore-label=" in drain["autoscaler"]["advice"]
        gone = doctor(f"--imds-url={imds.url}", "--node-name=nobody", f"--kubeconfig={config}", code=1)
        assert (gone["kubernetes"]["verdict"], gone["rights"]["verdict"]) == ("bad", "unknown")
    finally:
        plane.agents.end_pod(node.name)
