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
version=$(basename "$(readlink -f "$in/vmlinuz-cloud")" | sed 's/^vmlinuz-//')
guests=$here/../guests
"$guests/pick_modules.py" "$in/root/lib/modules/$version" "$out/modules" hv_vmbus hv_storvsc hv_netvsc hv_utils sd_mod sr_mod isofs
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
export E2FSPROGS_FAKE_TIME=1767225600
for name in one two; do
    rm -f "$out/$name.img"
    truncate -s 12M "$out/$name.img"
    /sbin/mke2fs -q -F -t ext4 -O ^metadata_csum_seed,^orphan_file -U 6f1e3c52-0d5b-4c59-8e55-7a3c14f7b011 \
        -L $name -E root_owner=0:0,hash_seed=6f1e3c52-0d5b-4c59-8e55-7a3c14f7b012 -d "$root" "$out/$name.img"
done
truncate -s 2M "$out/empty.img"
mkdir -p "$dir/cd"
echo "a CD-ROM of the storage provider" > "$dir/cd/hello"
if command -v xorriso > /dev/null; then
    xorriso -as mkisofs -quiet -R -o "$out/cd.img" "$dir/cd"
elif command -v genisoimage > /dev/null; then
    genisoimage -quiet -R -o "$out/cd.img" "$dir/cd"
else
    echo "SKIP: neither xorriso nor genisoimage"
    exit 77
fi
