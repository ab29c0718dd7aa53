"""One control plane for several processes."""

import subprocess
import sys
from pathlib import Path

from tests.controlplane.leftovers import wait_until_gone

ROOT = Path(__file__).resolve().parents[2]
USER = """
import sys
from pathlib import Path
from tests.controlplane.shared import shared_cluster
with shared_cluster(Path(sys.argv[1])) as cluster:
    print(cluster.url, cluster.workdir, flush=True)
    sys.stdin.readline()
    print(cluster.admin.get("/version")["gitVersion"], flush=True)
"""


def user(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", USER, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_first_starts_it_the_last_ends_it_and_the_first_may_go_by_sigkill(built, tmp_path):
    with user(tmp_path) as first, user(tmp_path) as second:
        place = first.stdout.readline()
        assert second.stdout.readline() == place
        first.kill()
        first.wait()
        print("go on", file=second.stdin, flush=True)
        assert second.stdout.readline().startswith("v1.")
    workdir = place.split()[1]
    wait_until_gone(workdir)
    with user(tmp_path) as again:
        another = again.stdout.readline().split()[1]
        assert another != workdir
        print("go on", file=again.stdin, flush=True)
        assert again.stdout.readline().startswith("v1.")
    wait_until_gone(another)
