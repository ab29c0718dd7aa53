"""The image, built from our Dockerfile on a base of Debian's Python and one like the official, and run as kubelet would run it."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest

from agent import __version__
from agent.emulator import Emulator
from tests.bench.idle import status
from tests.foreign.packages import NotThere
from tests.image.bases import build_debian, build_like_official
from tests.image.container import ContainedAgent, Containers
from tests.image.workshop import MINUTES, ROOT, Workshop
from tests.not_here import not_here
from tests.promises.agents import Tended, node_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * MINUTES * 60)]
BUDGET = 55.0  # MiB of resident memory, tests/bench/README.md
WATCHED = 60.0  # seconds
SITE = "opt/venv/lib/python3*/site-packages"
UNCHECKED_HASH = 0b01
FROM_BYTECODE, FROM_SOURCE = (
    re.compile(r"^# code object from '(.+\.pyc)'$", re.MULTILINE),
    re.compile(r"^# code object from ([^'].*\.py)$", re.MULTILINE),
)


@pytest.fixture(scope="module", params=[build_debian, build_like_official], ids=["debian", "like-official"])
def containers(tmp_path_factory, request):
    """Containers of the image, with nothing in it that could be run but Python."""
    folder = tmp_path_factory.mktemp("image")
    try:
        workshop = Workshop(folder)
        request.param(workshop, "localhost/base")
    except NotThere as error:
        not_here(str(error))
    given = {"BASE": "localhost/base", "VERSION": __version__, "REVISION": "0123abc"}
    workshop.build("localhost/imds-agent", ROOT, ROOT / "Dockerfile", **given)
    found = json.loads(workshop.run("buildah", "inspect", "--type", "image", "localhost/imds-agent"))
    workshop.lay_out("localhost/imds-agent", folder / "files")
    assert without_programs(folder / "files") > 100
    yield Containers(workshop, found["OCIv1"]["config"], folder / "files")
    shutil.rmtree(folder, ignore_errors=True)  # a gigabyte


def without_programs(files: Path) -> int:
    """Delete all programs but Python, shells first of all; returns how many."""
    others = [
        path
        for folder in ("usr/bin", "usr/sbin", "usr/local/bin")
        for path in (files / folder).iterdir()
        if "python" not in path.name
    ]
    for path in others:
        path.unlink()
    return len(others)


def test_it_says_what_it_is(containers):
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in containers.image["Labels"].items()}
    assert (labels["title"], labels["version"], labels["revision"], labels["licenses"]) == (
        "imds-agent",
        __version__,
        "0123abc",
        "Apache-2.0",
    )


def test_its_user_is_a_number_and_not_root(containers):
    assert containers.image["User"] == "10001:10001"


def test_it_runs_the_agent_by_default_and_without_a_shell(containers):
    assert (containers.image["Entrypoint"], containers.image["Cmd"]) == (["/opt/venv/bin/imds-agent"], ["run"])


def test_its_command_is_found_by_its_name_alone(containers):
    """As `kubectl exec POD -- imds-agent doctor` looks for it."""
    [folders] = [value.partition("=")[2] for value in containers.image["Env"] if value.startswith("PATH=")]
    found = [
        f"{folder}/imds-agent" for folder in folders.split(":") if (containers.files / f".{folder}/imds-agent").exists()
    ]
    assert found == containers.image["Entrypoint"]


def test_it_keeps_no_package_index_certificate_or_setting_of_its_build(containers):
    assert not list(containers.files.glob(f"{SITE}/pip*"))
    assert not [each for each in containers.image["Env"] if each.startswith(("PIP_", "SSL_"))]


def test_it_carries_its_bill_of_materials(containers):
    found = json.loads((containers.files / "opt/venv/share/imds-agent.cdx.json").read_text())
    names = {each["name"].replace("-", "_") for each in found["components"]}
    installed = {path.name.partition("-")[0].lower() for path in containers.files.glob(f"{SITE}/*.dist-info")} - {
        "imds_agent"
    }
    assert len(installed) > 20
    assert installed - names == set()


def test_all_its_bytecode_counts_whatever_the_time_of_its_sources(containers):
    """A copied layer changes times; bytecode that looks at them would be compiled again at each start."""
    found = [*containers.files.glob("opt/venv/lib/**/*.pyc"), *containers.files.glob("usr/**/python3.*/*/*.pyc")]
    assert len(found) > 500
    timed = [path for path in found if "dist-packages" not in path.parts and not unchecked(path)]
    assert timed == []


def unchecked(path: Path) -> bool:
    head = path.read_bytes()[:8]
    return head[4:] == UNCHECKED_HASH.to_bytes(4, "little")


def test_it_tells_facts_without_a_network_but_loopback(containers):
    """The VM's IMDS is the image's own emulator in the same network, which has nothing else."""
    with containers.running("emulate", "--listen", "127.0.0.1:8169", network="") as pid:
        network = f"/proc/{pid}/ns/net"
        done = until_listening(containers, network, "placement.zone")
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
        assert used_devices(pid) == ["lo"]
        done = facts(containers, network)
    assert "topology.imds-agent.github.io/rack" in done.stdout, done.stderr


def used_devices(pid):
    """Return the network devices of a process that have carried anything; a kernel may have idle ones for tunnels."""
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    counts = {name.strip(): rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    return [name for name, numbers in counts.items() if numbers[0] != "0"]


def facts(containers, network, *arguments, **environment):
    url = "--imds-url=http://127.0.0.1:8169"
    return containers.run("facts", *arguments, url, network=network, environment=environment)


def until_listening(containers, network, *arguments):
    last = time.monotonic() + 120
    while (done := facts(containers, network, *arguments)).returncode != 0 and time.monotonic() < last:
        pass
    return done


def test_nothing_is_compiled_at_the_daemon_s_start(containers):
    """It imports everything, and ends for want of credentials."""
    flags = ["--node-name=none", "--kubeconfig=/none", "--probe-address=off"]
    done = containers.run("run", *flags, network="", environment={"PYTHONVERBOSE": "1"})
    assert done.returncode != 0
    assert len(FROM_BYTECODE.findall(done.stderr)) > 300
    assert FROM_SOURCE.findall(done.stderr) == []


def test_the_daemon_tends_a_node_within_its_memory(plane, containers):
    """With in-cluster credentials, a read-only root, no shell and no capability; a minute of it, and a cordon in the end."""
    with node_of(plane) as node, Emulator() as imds:
        account = containers.workshop.folder / "account"
        account.mkdir()
        (account / "token").write_text(plane.agent_token(node.name))
        (account / "ca.crt").write_bytes(Path(plane.ca_file).read_bytes())
        (account / "namespace").write_text("imds-agent")
        account.chmod(0o755)
        agent = ContainedAgent(containers, account, plane.url, node.name, imds.url)
        scene = Tended(plane, node, imds, agent)
        try:
            agent.start()
            scene.wait_labelled()
            sizes = watched(agent.pid)
            scene.event("Reboot")
            scene.wait_cordoned()
            sizes.append(status(agent.pid, "VmRSS"))
            assert user_of(agent.pid) == {"10001"}
            print(f"resident memory over {WATCHED:.0f} s: {min(sizes):.1f} to {max(sizes):.1f} MiB")
            assert max(sizes) <= BUDGET
        finally:
            agent.kill()
            plane.agents.end_pod(node.name)
        assert agent.noise == []


def watched(pid: int) -> list[float]:
    """Return its memory, each second of a minute."""
    last, found = time.monotonic() + WATCHED, []
    while time.monotonic() < last:
        found.append(status(pid, "VmRSS"))
        time.sleep(1)
    return found


def user_of(pid: int) -> set[str]:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:"))
    return set(line.split()[1:])
