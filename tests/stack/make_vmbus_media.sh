#!/bin/sh
# An initramfs with the drivers, root file systems (one as a folder too) and a CD image for children of the VMBus host; an initramfs with a shell.
# usage: make_vmbus_media.sh INPUTS OUT_DIR KVP_PROGRAM
set -eu
here=$(cd "$(dirname "$0")" && pwd)
in=$1
out=$2
kvp=$3
if [ ! -e "$in/complete" ]; then
    echo "SKIP: $in is missing; scripts/fetch-inputs gets it"
    exit 77
fi
mkdir -p "$out"
guests=$here/../guests
"$guests/pick_modules.py" "$in" vmlinuz-cloud "$out/modules" hv_vmbus hv_storvsc hv_netvsc hv_utils sd_mod sr_mod isofs
MODULES=$out/modules "$guests/make_initrd.sh" "$out/vmbus.cpio.gz"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$out/tree
rm -rf "$root"
mkdir -p "$root/bin" "$root/sbin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/cd"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$kvp" "$root/bin/kvp_daemon"
for a in sh mount umount cat grep readlink sha256sum dd sync cut date ls wc ifconfig udhcpc ping nc sleep route wget mkfifo tee tr; do
    ln -s busybox "$root/bin/$a"
done
cp "$here/vmbus_init" "$root/sbin/init"
# What the kernel calls when it is asked to power off.
cat > "$root/sbin/poweroff" <<'OFF'
#!/bin/sh
export PATH=/bin
echo "@@ ORDERLY" > /dev/console
sync
mount -o remount,ro /
sleep 1
exec busybox poweroff -f
OFF
cat > "$root/sbin/dhcp" <<'DHCP'
#!/bin/sh
if [ "$1" = bound ]; then
    ifconfig "$interface" "$ip" netmask "$subnet"
    route add default gw $router 2>/dev/null
    echo "@@ DHCP $interface $ip router $router"
fi
DHCP
chmod +x "$root/sbin/init" "$root/sbin/poweroff" "$root/sbin/dhcp"
seq -f '%015.0f' 0 65535 > "$root/pattern"
# The same bytes each time, and no file touched that has them: a machine may be reading it. mke2fs writes down when a file was last changed: images stay
# as they are while what they hold does.
export SOURCE_DATE_EPOCH=1767225600 E2FSPROGS_FAKE_TIME=1767225600
keep() {
    if cmp -s "$1" "$2"; then rm "$1"; else mv "$1" "$2"; fi
}
find "$root" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +
now=$({ tar --sort=name --owner=0 --group=0 -C "$root" -c .; cat "$0"; } | sha256sum)
for name in one two; do
    [ ! -e "$out/$name.img" ] || [ "$(cat "$out/stamp" 2>/dev/null)" != "$now" ] || continue
    truncate -s 12M "$dir/$name.img"
    /sbin/mke2fs -q -F -t ext4 -O ^metadata_csum_seed,^orphan_file -U 6f1e3c52-0d5b-4c59-8e55-7a3c14f7b011 \
        -L $name -E root_owner=0:0,hash_seed=6f1e3c52-0d5b-4c59-8e55-7a3c14f7b012 -d "$root" "$dir/$name.img"
    keep "$dir/$name.img" "$out/$name.img"
done
echo "$now" > "$out/stamp"
truncate -s 2M "$dir/empty.img"
keep "$dir/empty.img" "$out/empty.img"
mkdir -p "$dir/cd"
echo "a CD-ROM of the storage provider" > "$dir/cd/hello"
find "$dir/cd" -exec touch -d @$SOURCE_DATE_EPOCH {} +
if command -v xorriso > /dev/null; then
    xorriso -as mkisofs -quiet -R -o "$dir/cd.img" "$dir/cd"
elif command -v genisoimage > /dev/null; then
    genisoimage -quiet -R -o "$dir/cd.img" "$dir/cd"
else
    echo "SKIP: neither xorriso nor genisoimage"
    exit 77
fi
keep "$dir/cd.img" "$out/cd.img"
