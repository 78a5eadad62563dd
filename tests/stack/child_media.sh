#!/bin/sh
# The initial RAM disk of a child: modules of a stock kernel, and commands, or else a shell.
# usage: child_media.sh INPUTS KERNEL "MODULE..." OUT.cpio.gz [COMMANDS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
in=$1
if [ ! -e "$in/complete" ]; then
    echo "SKIP: $in is missing; scripts/fetch-inputs gets it"
    exit 77
fi
modules=$(mktemp -d)
trap 'rm -rf "$modules"' EXIT
# shellcheck disable=SC2086
"$here/../guests/pick_modules.py" "$in" "$2" "$modules/m" $3
MODULES=$modules/m "$here/../guests/make_initrd.sh" "$4" ${5:+"$5"}
