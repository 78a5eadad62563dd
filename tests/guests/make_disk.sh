#!/bin/sh
# A bootable disk image without root rights: an MBR with GRUB, one partition with ext4.
# usage: make_disk.sh OUT.img KERNEL INITRD COMMAND_LINE INIT_SCRIPT
# The partition holds kernel and initrd in /boot and a busybox system whose /sbin/init is INIT_SCRIPT.
set -eu
out=$1
kernel=$2
initrd=$3
line=$4
init=$5
grub=${GRUB_DIR:-/usr/lib/grub/i386-pc}
sectors=131072 # 64 MiB
first=2048
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$dir/root
mkdir -p "$root/boot/grub" "$root/bin" "$root/sbin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/data"
cp "$kernel" "$root/boot/vmlinuz"
cp "$initrd" "$root/boot/initrd"
cp "$(command -v busybox)" "$root/bin/busybox"
for a in sh mkdir mount umount cat echo sync reboot poweroff sha256sum dd sleep ls rm grep dmesg; do
    ln -s busybox "$root/bin/$a"
done
cp "$init" "$root/sbin/init"
chmod +x "$root/sbin/init"
cat > "$root/boot/grub/grub.cfg" <<CFG
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo "@@ GRUB"
linux /boot/vmlinuz $line
initrd /boot/initrd
boot
CFG
export E2FSPROGS_FAKE_TIME=1767225600
find "$root" -exec touch -h -d @1767225600 {} +
rm -f "$out.part"
truncate -s $((sectors * 512)) "$out.part"
/sbin/mke2fs -q -F -t ext4 -O ^metadata_csum_seed,^orphan_file -U 6f1e3c52-0d5b-4c59-8e55-7a3c14f7b001 \
    -E "offset=$((first * 512)),root_owner=0:0,hash_seed=6f1e3c52-0d5b-4c59-8e55-7a3c14f7b002" -d "$root" "$out.part" \
    $(((sectors - first) / 2))k
grub-mkimage -d "$grub" -O i386-pc -p "(hd0,msdos1)/boot/grub" -o "$dir/core.img" \
    biosdisk part_msdos ext2 normal linux serial terminal echo
# boot.img loads the sector that it names at 5ch: 1, where core.img begins.
dd if="$grub/boot.img" of="$out.part" bs=440 count=1 conv=notrunc status=none
dd if="$dir/core.img" of="$out.part" bs=512 seek=1 conv=notrunc status=none
[ "$(stat -c %s "$dir/core.img")" -le $(((first - 1) * 512)) ]
octets() { # number -> four little-endian bytes as printf escapes
    printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}
# One active Linux partition; no CHS addresses.
# shellcheck disable=SC2059
printf "\\200\\376\\377\\377\\203\\376\\377\\377$(octets $first)$(octets $((sectors - first)))" |
    dd of="$out.part" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$out.part" bs=1 seek=510 conv=notrunc status=none
mv "$out.part" "$out"
