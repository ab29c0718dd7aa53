"""What builds and runs images: buildah and crun of the machine, else Debian's unpacked into the cache.

The programs run in mount namespaces of their own, with the libraries of those packages laid over the machine's. So nothing
is installed, and no mount is left. No registry is asked: bases are made here (`bases`), wheels come from the package index.
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from tests.foreign.packages import NotThere, unpacked

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("buildah", "crun", "libassuan0", "libdevmapper1.02.1", "libgpgme11", "libseccomp2", "libyajl2")
LIBRARIES = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH') or 'x86_64-linux-gnu'}"
CERTIFICATES = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
MINUTES = 15  # for a build; it takes half a minute on an idle machine


# crun refuses a machine with both kinds of cgroups, though it was told to leave them alone.
UNIFIED = "/sys/fs/cgroup/unified"
HIDE_UNIFIED = f"if [ -d {UNIFIED} ]; then mount -t tmpfs none {UNIFIED}; fi; "


class BuildFailed(Exception):
    """An image was not built; the text is the end of what was said."""


class Workshop:
    """Builds images into a store of its own below `folder`, and lays out their files."""

    def __init__(self, folder: Path) -> None:
        """Look for the programs, and write the settings that they want.

        Raises:
            NotThere: images cannot be built here; says how they can.
        """
        if os.geteuid() != 0:
            raise NotThere("images are built by root only, who may mount")
        self.folder, self.packages = folder, None
        if not (shutil.which("buildah") and shutil.which("crun")):
            self.packages = unpacked(*PACKAGES)
        self.environment = {
            **os.environ,
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_CONF": os.devnull,
            "CONTAINERS_STORAGE_CONF": str(self.write("storage.conf", self._storage())),
            "CONTAINERS_REGISTRIES_CONF": str(self.write("registries.conf", "unqualified-search-registries = []\n")),
        }
        self.policy = self.write("policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}\n')
        self.pip = self.write("pip.conf", pip_settings())

    def command(self, *arguments: object) -> list[str]:
        """Return a command that runs a program of ours in a mount namespace of its own."""
        before = f'{HIDE_UNIFIED}PATH="$1:$PATH"; shift; exec "$@"'
        if self.packages is None:
            return ["unshare", "--mount", "sh", "-ec", before, "sh", "/usr/bin", *map(str, arguments)]
        over = f'mount -t overlay none -o "ro,lowerdir={self.packages}{LIBRARIES}:{LIBRARIES}" {LIBRARIES}; {before}'
        return ["unshare", "--mount", "sh", "-ec", over, "sh", f"{self.packages}/usr/bin", *map(str, arguments)]

    def run(self, *arguments: object, cwd: Path = ROOT) -> str:
        """Run a program to its end and return what it printed.

        Raises:
            BuildFailed: it ended with an error.
        """
        done = subprocess.run(
            self.command(*arguments),
            cwd=cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MINUTES * 60,
            check=False,
        )
        if done.returncode != 0:
            raise BuildFailed(f"{arguments}: {done.stdout[-1000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def build(self, name: str, context: Path, file: Path, **given: str) -> None:
        """Build an image; `given` are its build arguments."""
        arguments = [f"--build-arg={key}={value}" for key, value in given.items()]
        volumes = [f"--volume={CERTIFICATES}:/etc/certificates.crt:ro", f"--volume={self.pip}:/etc/pip.conf:ro"]
        options = ["--signature-policy", self.policy, "--pull-never", "--network=host", *volumes, *arguments]
        self.run("buildah", "bud", *options, "--file", file, "--tag", name, context)

    def lay_out(self, name: str, folder: Path) -> None:
        """Copy an image's files into a folder, as a runtime would mount them."""
        script = 'c=$(buildah from --pull-never "$1"); cp -a "$(buildah mount "$c")" "$2"; buildah rm "$c"'
        self.run("sh", "-ec", script, "sh", name, folder)

    def _storage(self) -> str:
        below = subprocess.run(
            ["stat", "-f", "-c", "%T", self.folder], capture_output=True, text=True, check=True
        ).stdout
        driver = "vfs" if below.strip() == "overlayfs" else "overlay"  # one cannot be stacked on the other
        return (
            f'[storage]\ndriver = "{driver}"\ngraphroot = "{self.folder}/store"\nrunroot = "{self.folder}/store-run"\n'
        )

    def write(self, name: str, text: str) -> Path:
        """Write a file of the workshop's own."""
        path = self.folder / name
        path.write_text(text)
        return path


def pip_settings() -> str:
    """Return settings for the pip of a build: the machine's certificates, and its package index if it names one."""
    index = os.environ.get("PIP_INDEX_URL")
    return "[global]\ncert = /etc/certificates.crt\n" + (f"index-url = {index}\n" if index else "")
