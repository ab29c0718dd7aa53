"""The rack script as Hadoop runs it: a process of any Python from 3.8, beside a writer that replaces its table all the time."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.clients.files import write_whole
from agent.core.racks import read_form, table_text
from agent.hdfs.script import script

AUTO, TWO = read_form("auto"), read_form("zone/fd")
OWN = ["10.0.0.0/8"]


def pythons() -> list[str]:
    """Return an interpreter of each version from 3.8 that is here; at least the one that runs the tests."""
    found = [sys.executable]
    for minor in range(8, 15):
        roots = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
        here = [shutil.which(f"python3.{minor}"), *sorted(map(str, roots.glob(f"3.{minor}.*/bin/python3")))]
        found += [
            path for path in here if path and subprocess.call([path, "-c", "pass"], stderr=subprocess.DEVNULL) == 0
        ][:1]
    return found


def installed(folder: Path, rows: dict[str, str], *, form=AUTO, **given) -> Path:
    table = folder / "racks"
    table.write_text(table_text(rows, form, OWN))
    path = folder / "hdfs-rack"
    path.write_text(script(table, form.depth, **{"strict": False, "python": sys.executable, **given}))
    path.chmod(0o755)
    return path


def run(path: Path, *names: str, **more):
    return subprocess.run([path, *names], capture_output=True, text=True, timeout=30, check=False, **more)


@pytest.mark.parametrize("python", pythons(), ids=lambda path: path.replace("/", "_")[-30:])
def test_it_answers_on_every_python_from_3_8(tmp_path, python):
    path = installed(tmp_path, {"10.0.0.4": "/westeurope-1", "10.1.0.0/16": "/westeurope-2"}, python=python)
    done = run(path, "10.0.0.4", "10.1.2.3", "0:0:0:0:0:0:0:1", "x")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "/westeurope-1\n/westeurope-2\n/default-rack\n/default-rack\n"


def test_it_is_one_file_that_imports_next_to_nothing(tmp_path):
    path = installed(tmp_path, {})
    text = path.read_text()
    assert text.startswith(f"#!{sys.executable} -IS\n")
    probe = text.replace("sys.exit(main(sys.argv[1:]))", "main(sys.argv[1:]); print(sorted(set(sys.modules) - before))")
    probe = probe.replace(
        'if __name__ == "__main__":', 'if __name__ == "__main__":\n    import sys\n    before = set(sys.modules)'
    )
    done = subprocess.run([sys.executable, "-IS", "-c", probe, "10.0.0.1"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] in ("[]", "['_signal']"), done.stdout


def test_an_environment_that_would_lead_it_astray_does_not(tmp_path):
    """Hadoop gives it the NameNode's own."""
    (tmp_path / "sys.py").write_text("raise SystemExit(9)")
    path = installed(tmp_path, {"10.0.0.4": "/a"})
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": "x", "PYTHONHASHSEED": "nonsense", "LC_ALL": "C"}
    assert run(path, "10.0.0.4", env=environment, cwd=tmp_path).stdout == "/a\n"


def test_unknown_hosts_of_our_own_are_asked_for_again_where_that_was_chosen(tmp_path):
    path = installed(tmp_path, {"10.0.0.4": "/a"}, strict=True)
    done = run(path, "10.0.0.4", "10.0.0.5")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert run(path, "10.0.0.4", "192.0.2.1").stdout == "/a\n/default-rack\n"


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\x00\xff" * 100, b"# racks 1 depth=1\n10.0.0.4 /b\n"],
    ids=["missing", "empty", "binary", "torn"],
)
def test_a_table_that_is_not_there_or_not_whole_is_never_half_believed(tmp_path, content):
    path = installed(tmp_path, {"10.0.0.4": "/a"})
    table = tmp_path / "racks"
    shutil.copy(table, tmp_path / "racks.prev")
    table.unlink()
    if content is not None:
        table.write_bytes(content)
    assert run(path, "10.0.0.4").stdout == "/a\n"  # as it was before
    (tmp_path / "racks.prev").unlink()
    assert run(path, "10.0.0.4").stdout == "/default-rack\n"


def test_a_table_that_hangs_ends_it_and_not_hadoop(tmp_path):
    path = installed(tmp_path, {})
    (tmp_path / "racks").unlink()
    os.mkfifo(tmp_path / "racks")  # as a file system that is gone: the open never returns
    done = run(path, "10.0.0.4")
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_answer_is_wrong_short_or_of_another_depth_while_the_table_is_replaced(tmp_path):
    """64 at a time, during 1,000 replacements; each generation has a path of its own for all hosts."""
    names = [f"10.0.{n // 250}.{n % 250}" for n in range(500)]
    table, over = tmp_path / "racks", threading.Event()
    # Of 64 on two cores some wait long for their turn.
    path = installed(tmp_path, dict.fromkeys(names, "/z0/fd0"), form=TWO, deadline=60)

    def replace() -> None:
        for number in range(1, 1001):
            rows = dict.fromkeys(names[: 100 + number % 400], f"/z{number}/fd{number % 7}")
            write_whole(table, table_text(rows, TWO, OWN).encode(), 0o644)
        over.set()

    asked = [*names[:50], "192.0.2.1"]
    writer = threading.Thread(target=replace)
    writer.start()
    count = 0
    while not over.is_set() or count < 256:
        # Processes and no threads of ours: 64 threads that start at once trip over coverage's trace function.
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running = [subprocess.Popen([path, *asked], **given) for _ in range(64)]
        for process in running:
            printed, said = process.communicate(timeout=60)
            assert (process.returncode, said) == (0, "")
            *found, unknown = printed.splitlines()
            assert (len(found), unknown) == (50, "/default-rack/default-rack")
            assert len(set(found)) == 1, "of two generations"
            assert found[0].count("/") == 2
            count += 1
    writer.join()
    print(f"{count} runs during 1,000 replacements")
