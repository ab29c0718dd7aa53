#!/bin/sh
# Put the hook into an image, as root in the VM that the image is made of: bake.sh ARCHIVE UNIT
# UNIT is imds-agent-every-boot.service or imds-agent-first-boot.service; it is looked for in units/ beside this script.
set -eu
here=$(dirname "$0")
if [ $# -ne 2 ] || [ ! -f "$1" ] || [ ! -f "$here/units/$2" ]; then
  echo "usage: sh bake.sh ARCHIVE UNIT, such as: sh cloudinit/bake.sh imds-agent.pyz imds-agent-every-boot.service" >&2
  exit 2
fi
archive=$1
unit=$2
rm -rf /usr/lib/imds-agent
mkdir -p /usr/lib/imds-agent /etc/systemd/system
python3 -m zipfile -e "$archive" /usr/lib/imds-agent
python3 -m compileall -q /usr/lib/imds-agent # two to three times as quick at each boot
install -m 0644 "$here/units/$unit" /etc/systemd/system/
systemctl enable "$unit"
