#!/bin/sh
# The initial RAM disks of Xen children with devices: one that runs the test's commands, one with a shell.
# usage: bridge_media.sh INPUTS OUT.cpio.gz SHELL_OUT.cpio.gz
set -eu
here=$(cd "$(dirname "$0")" && pwd)
in=$1
if [ ! -e "$in/complete" ]; then
    echo "SKIP: $in is missing; scripts/fetch-inputs gets it"
    exit 77
fi
version=$(basename "$(readlink -f "$in/vmlinuz")" | sed 's/^vmlinuz-//')
tree=$(ls -d "$in"/root/lib/modules/"$version" "$in"/root/usr/lib/modules/"$version" 2>/dev/null | head -n 1)
modules=$(mktemp -d)
trap 'rm -rf "$modules"' EXIT
"$here/../guests/pick_modules.py" "$tree" "$modules/m" xen-blkfront xen-netfront crc32c_generic ext4
MODULES=$modules/m "$here/../guests/make_initrd.sh" "$2" "$here/xen_devices_commands"
MODULES=$modules/m "$here/../guests/make_initrd.sh" "$3"
