#!/bin/sh
# A bootable CD image with GRUB. usage: make_cd.sh OUT.iso KERNEL INITRD COMMAND_LINE
set -eu
out=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/cd/boot/grub"
cp "$2" "$dir/cd/boot/vmlinuz"
cp "$3" "$dir/cd/boot/initrd"
cat > "$dir/cd/boot/grub/grub.cfg" <<CFG
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo "@@ GRUB"
linux /boot/vmlinuz $4
initrd /boot/initrd
boot
CFG
SOURCE_DATE_EPOCH=1767225600 grub-mkrescue -d "${GRUB_DIR:-/usr/lib/grub/i386-pc}" -o "$out.part" \
    --locales= --themes= --fonts= "$dir/cd" -- -volume_date uuid 2026010100000000 >"$dir/log" 2>&1 ||
    { cat "$dir/log"; exit 1; }
mv "$out.part" "$out"
