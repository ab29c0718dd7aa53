#!/bin/sh
# Put the hook into an image, as root in the VM that the image is made of: bake.sh ARCHIVE UNIT
# UNIT is imds-agent-every-boot.service or imds-agent-first-boot.service; it is looked for in units/ beside this script.
set -eu
archive=$1
unit=$2
here=$(dirname "$0")
rm -rf /usr/lib/imds-agent
mkdir -p /usr/lib/imds-agent /etc/systemd/system
python3 -m zipfile -e "$archive" /usr/lib/imds-agent
python3 -m compileall -q /usr/lib/imds-agent # two to three times as quick at each boot
install -m 0644 "$here/units/$unit" /etc/systemd/system/
systemctl enable "$unit"
