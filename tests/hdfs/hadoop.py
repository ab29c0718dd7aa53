"""Real Hadoop from Maven Central: its jars in a cache, one program of ours beside them, and a process to talk to."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cached import made

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imds-agent" / "hadoop"
TRIES, REST = 3, 5.0  # of a hundred megabytes from the internet, and seconds between them
LAB, POM = HERE / "java" / "Lab.java", HERE / "pom.xml"


class NoHadoop(Exception):
    """It cannot be had here; says how to get it."""


def classpath() -> str:
    """Return where jars and our program are, after having made both once.

    Raises:
        NoHadoop: Java or Maven is missing, or Maven Central cannot be reached.
    """
    for program, package in (("java", "default-jdk-headless"), ("javac", "default-jdk-headless"), ("mvn", "maven")):
        if not shutil.which(program):
            raise NoHadoop(f"{program} is missing (Debian, Ubuntu: apt-get install {package})")
    jars = made(CACHE / f"jars-{digest(POM)}", fetch)
    classes = made(CACHE / f"classes-{digest(POM, LAB)}", lambda folder: compiled(folder, jars))
    return f"{classes}:{jars}/*"


def digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def fetch(folder: Path) -> None:
    shutil.copy(POM, folder / "pom.xml")
    command = [
        "mvn",
        "-q",
        "-B",
        "-f",
        folder / "pom.xml",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={folder}",
    ]
    for _ in range(TRIES):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(REST)
    said = (done.stdout + done.stderr).strip().splitlines()
    raise NoHadoop(f"Hadoop's jars cannot be had from Maven Central: {said[0] if said else 'no reason given'}")


def compiled(folder: Path, jars: Path) -> None:
    done = subprocess.run(
        ["javac", "-nowarn", "-cp", f"{jars}/*", "-d", folder, LAB], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NoHadoop(f"javac: {done.stderr[:500]}")


def write_site(folder: Path, site: Mapping[str, object]) -> None:
    """Write hdfs-site.xml where `lab` and `refresh_command` look for it."""
    rows = "".join(f"<property><name>{key}</name><value>{value}</value></property>" for key, value in site.items())
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf" / "hdfs-site.xml").write_text(f"<configuration>{rows}</configuration>\n")


def refresh_command(folder: Path, port: str) -> list[str]:
    """Return `hdfs dfsadmin -refreshNodes` as the shell script of that name starts it."""
    admin = "org.apache.hadoop.hdfs.tools.DFSAdmin"
    return ["java", "-Xmx128m", "-cp", f"{folder / 'conf'}:{classpath()}", admin, "-fs", f"hdfs://127.0.0.1:{port}", "-refreshNodes"]  # fmt: skip


class Lab:
    """A JVM that does as it is told."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self, *words: object) -> str:
        """Tell it one line; returns its answer."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        assert answer
        assert not answer.startswith("! "), answer
        return answer

    def racks(self) -> dict[str, str]:
        """Return the rack of each live DataNode."""
        text = self.ask("racks").strip("{}")
        return dict(each.split("=") for each in text.split(", ")) if text else {}


@contextmanager
def lab(folder: Path, site: Mapping[str, object] | None = None) -> Iterator[Lab]:
    """Start a JVM for as long as the block lasts.

    Args:
        site: what stands in hdfs-site.xml on its class path: a NameNode reads it anew when its nodes are refreshed.
    """
    write_site(folder, site or {})
    with (folder / "hadoop.log").open("w") as log:
        process = subprocess.Popen(
            ["java", "-Xmx512m", f"-Djava.io.tmpdir={folder}", "-cp", f"{folder / 'conf'}:{classpath()}", "Lab"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=folder,
        )
        try:
            yield Lab(process)
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
