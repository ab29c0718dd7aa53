"""A VM of our own making: Debian's systemd as the first process of namespaces of its own, its cloud-init, a unit of kubelet's shape, and IMDS at its own address.

Each boot goes on until cloud-init's last stage is over, then the power is cut; what was written stays for the next boot.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from agent.emulator.default_vm import default_vm
from tests.boot.vm import DEFAULT, UNIT, UNIT_TEXT, put
from tests.cli.running import ROOT
from tests.cloudinit.debian import debian_root
from tests.foreign.packages import NotThere

PATIENCE, LOOK = 120.0, 0.1  # seconds: for a boot, which takes about six, and between looks
ARCHIVE_URL = "http://127.0.0.1:8180/imds-agent.pyz"
PLACE = {"location": "westeurope", "zone": "1", "platformFaultDomain": "0", "platformUpdateDomain": "3"}
LABELS = re.compile(r"--node-labels=(\S+)")

# A network with IMDS and the archive's server; they stay outside of the VM, which has it for its own.
OUTSIDE = """set -e
ip link set lo up
ip addr add 169.254.169.254/32 dev lo
cd "$FOLDER"
"$PYTHON" -m http.server --bind 127.0.0.1 --directory served 8180 &
(eval "$IMDS") &
exec unshare -mpfuiC --kill-child sh -ec "$INSIDE"
"""
# The VM's first process lays out its file systems and then becomes systemd. A root of its own and no chroot: units get theirs from it.
# container: so that systemd leaves the kernel's settings alone, and looks for no disks.
INSIDE = """mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$FOLDER/upper,workdir=$FOLDER/work" root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs dev
mkdir dev/shm dev/pts dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
export container=lxc
pivot_root . mnt
umount -l mnt
exec /lib/systemd/systemd --system --log-target=journal --show-status=false
"""
LIVE = '"$PYTHON" -m agent emulate --listen 169.254.169.254:80 --instance vm.json'
IMDS = {
    "live": LIVE,
    "slow": f"sleep 3; {LIVE} --fault '{json.dumps({'kind': 'delay', 'seconds': 2})}'",
    "dead": "true",
}
# In the shape of kubelet's own package; it notes when it starts, and with what.
KUBELET_UNIT = """[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target
[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10
[Install]
WantedBy=multi-user.target
"""
KUBELET = '#!/bin/sh\necho "$(date +%s.%N) $*" >> /var/told/kubelet\nexec sleep infinity\n'
TELL_UNIT = """[Unit]
After=cloud-final.service kubelet.service
[Service]
Type=oneshot
ExecStart=/bin/sh /usr/local/sbin/tell
[Install]
WantedBy=cloud-init.target
"""
TELL = """cp -a /run/imds-agent /var/told/run
cloud-init status --long > /var/told/cloud-init
systemctl --failed --plain --no-legend > /var/told/failed
journalctl -b --no-pager > /var/told/journal
touch /var/told/whole
"""
CLOUD = "datasource_list: [NoCloud, None]\nnetwork: {config: disabled}\ncloud_config_modules: [runcmd]\n"
MINIMAL = "#cloud-config\n{}\n"


class Machine:
    """A VM that is off, until it is booted."""

    def __init__(self, folder: Path, archive: Path) -> None:
        """Lay out what its image has.

        Raises:
            NotThere: no VM can be made here; says why.
        """
        for program, package in (("unshare", "util-linux"), ("ip", "iproute2")):
            if not shutil.which(program):
                raise NotThere(f"{program} is missing (Debian, Ubuntu: apt-get install {package})")
        tried = subprocess.run(
            ["unshare", "-npmfuiC", "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False
        )
        if tried.returncode != 0:
            raise NotThere(f"no namespaces or no mounts in them here: {tried.stderr.decode().strip()}")
        self._lower, self._folder, self.disk = debian_root(), folder, folder / "upper"
        for name in ("upper/var/told", "work", "root", "served"):
            (folder / name).mkdir(parents=True)
        shutil.copy(archive, folder / "served" / "imds-agent.pyz")
        self._install("kubelet.service", KUBELET_UNIT, "multi-user.target")
        put(self.disk, UNIT, UNIT_TEXT.format(file=f"/{DEFAULT}"))
        put(self.disk, "usr/bin/kubelet", KUBELET).chmod(0o755)
        put(self.disk, DEFAULT, "KUBELET_EXTRA_ARGS=--max-pods=50\n")
        put(self.disk, "usr/local/sbin/tell", TELL)
        self._install("tell.service", TELL_UNIT, "cloud-init.target")
        put(self.disk, "etc/cloud/cloud.cfg.d/99-test.cfg", CLOUD)
        self.is_given(MINIMAL)

    def _install(self, unit: str, text: str, target: str) -> None:
        put(self.disk, f"etc/systemd/system/{unit}", text)
        wants = self.disk / f"etc/systemd/system/{target}.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / unit).symlink_to(f"../{unit}")

    def is_given(self, user_data: str, instance: str = "vm-1") -> None:
        """Give it user data, as the VM that is called so."""
        seed = "var/lib/cloud/seed/nocloud"
        put(self.disk, f"{seed}/user-data", user_data)
        put(self.disk, f"{seed}/meta-data", f"instance-id: {instance}\nlocal-hostname: {instance}\n")

    def bake(self, script: Path, *arguments: str) -> None:
        """Run the image's script inside, as whoever bakes the image does; the archive is there as /tmp/imds-agent.pyz."""
        steps = (
            'mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/root"\n'
        )
        steps += 'mount -t tmpfs tmpfs "$FOLDER/root/tmp"\ncp -r "$SOURCE" "$FOLDER/served/imds-agent.pyz" "$FOLDER/root/tmp"\n'
        steps += 'exec chroot "$FOLDER/root" sh "$@"\n'
        inside = [f"/tmp/{script.parent.name}/{script.name}", "/tmp/imds-agent.pyz", *arguments]
        command = ["unshare", "-m", "sh", "-ec", steps, "sh", *inside]
        done = subprocess.run(
            command,
            env=self._given(SOURCE=str(script.parent)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def boot(self, imds: str = "live", **placement: str) -> None:
        """Boot it, and cut its power once cloud-init is done.

        Args:
            imds: live, slow (nobody there for three seconds, then two for each answer), dead.
            placement: what IMDS says of where it stands, other than PLACE.
        """
        shutil.rmtree(self.told)
        self.told.mkdir()
        here = {**PLACE, **placement}
        vm = default_vm()
        vm["compute"].update(here)
        (self._folder / "vm.json").write_text(json.dumps(vm))
        log = self._folder / "console"
        with log.open("w") as console:
            process = subprocess.Popen(
                ["unshare", "-npf", "--kill-child", "sh", "-c", OUTSIDE],
                env=self._given(IMDS=IMDS[imds], INSIDE=INSIDE),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
            try:
                self._wait(process)
            finally:
                process.kill()  # and with it all in its namespaces
                process.wait()
        assert (self.told / "whole").exists(), log.read_text()[-3000:]

    def _wait(self, process: subprocess.Popen) -> None:
        last = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < last and not (self.told / "whole").exists():
            time.sleep(LOOK)

    def _given(self, **more: str) -> dict[str, str]:
        paths = {
            "FOLDER": str(self._folder),
            "LOWER": str(self._lower),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
        }
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **paths, **more}

    @property
    def told(self) -> Path:
        """Where the last boot left word of itself."""
        return self.disk / "var" / "told"

    @property
    def flags(self) -> bytes:
        """Kubelet's environment file."""
        return (self.disk / DEFAULT).read_bytes()

    def starts(self) -> list[tuple[float, str]]:
        """Return when kubelet started, in seconds since 1970, and its arguments."""
        lines = (self.told / "kubelet").read_text().splitlines()
        return [(float(when), flags) for when, _, flags in (line.partition(" ") for line in lines)]

    def labels(self) -> dict[str, str]:
        """Return the labels that kubelet's first start had."""
        found = LABELS.search(self.starts()[0][1])
        return dict(pair.split("=") for pair in found[1].split(",")) if found else {}

    def status(self) -> dict:
        """Return what the hook said of itself."""
        return json.loads((self.told / "run" / "status.json").read_text())

    def hook_ended(self) -> float:
        """Return when the hook's last file was written, in seconds since 1970."""
        return (self.told / "run" / "status.json").stat().st_mtime
