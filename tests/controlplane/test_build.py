"""Where the control plane's programs come from, and what a person is told when they do not come."""

import fcntl
import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane.build import build_one, cache_folder, programs, versions
from tests.controlplane.golang import BuildError, go_command
from tests.controlplane.process import Process, StartError
from tests.controlplane.progress import Progress
from tests.controlplane.warden import Warden
from tests.not_here import not_here

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def go() -> Path:
    try:
        return go_command("this test")
    except BuildError as error:
        not_here(str(error))


def test_without_go_one_line_says_what_is_needed_and_where_to_get_it():
    with pytest.raises(BuildError) as error:
        go_command("etcd, kubectl", candidates=["/nowhere/go"])
    assert str(error.value) == (
        "controlplane: Go 1.24 or newer is needed to build etcd, kubectl (no Go found): "
        "apt-get install golang-1.24 or https://go.dev/dl, or set KUBEBUILDER_ASSETS"
    )


def test_an_old_go_is_named_with_its_version(tmp_path):
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o700)
    with pytest.raises(BuildError, match=r"go is 1\.19\)"):
        go_command("etcd", candidates=[str(old)])


def test_programs_that_are_set_win_over_built_ones(tmp_path):
    (tmp_path / "etcd").write_text("")
    (tmp_path / "etcd").chmod(0o700)
    script = "from tests.controlplane.build import programs; print(programs('etcd')['etcd'])"
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={"KUBEBUILDER_ASSETS": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == str(tmp_path / "etcd")


def test_the_cache_is_outside_the_tree_and_named_by_versions():
    folder = cache_folder()
    assert ROOT not in folder.parents
    assert folder.name.startswith(f"kubernetes-{versions()['kubernetes']}-etcd-{versions()['etcd']}-")


def test_an_unknown_program_is_refused_with_the_known_ones():
    with pytest.raises(BuildError, match=r"no program kube-proxy; there are: etcd, kube-apiserver"):
        programs("kube-proxy")


def test_a_failed_build_shows_what_go_said_and_leaves_nothing(go, tmp_path):
    said = io.StringIO()
    with pytest.raises(BuildError, match=r"(?s)building etcd failed with 1:.*missing-program"):
        build_one(go, "./cmd/missing-program", tmp_path / "etcd", Progress("controlplane", said), seconds=80)
    assert list(tmp_path.iterdir()) == []
    assert said.getvalue().startswith("controlplane: building etcd (once; up to 1.3 minutes on two cores)\n")


def test_a_second_build_waits_for_the_first_and_says_so(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.controlplane.build import one_at_a_time\n"
        "from tests.controlplane.progress import Progress\n"
        "with one_at_a_time(Path(sys.argv[1]), Progress('controlplane')): print('mine', file=sys.stderr)\n"
    )
    lock = tmp_path / "lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, "-c", script, str(lock)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        first_line = second.stderr.readline()
    with second:
        assert first_line == "controlplane: another process builds here; waiting for it\n"
        assert second.stderr.read() == "mine\n"


def test_progress_on_a_terminal_is_one_line_that_is_replaced():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    said = Terminal()
    progress = Progress("controlplane", said)
    progress.every = 0
    progress.beat("5 s")
    progress.beat("10 s")
    progress.line("done")
    assert said.getvalue().split("\r\033[K") == ["", "controlplane: 5 s", "controlplane: 10 s", "controlplane: done\n"]


def test_progress_elsewhere_is_sparing_with_lines():
    said = io.StringIO()
    progress = Progress("controlplane", said)
    progress.line("begins")
    for _ in range(1000):
        progress.beat("goes on")
    assert said.getvalue() == "controlplane: begins\n"


def test_a_program_that_does_not_start_shows_the_end_of_its_log(built, tmp_path):
    warden = Warden()
    etcd = Process(programs("etcd")["etcd"], {"nonsense": "yes"}, workdir=tmp_path, warden=warden)
    etcd.start()
    with pytest.raises(StartError, match=r"(?s)etcd ended with 2; the end of .*etcd\.log:.*-nonsense"):
        etcd.wait_until(lambda: False, 30)
    etcd.kill()
    warden.close()
