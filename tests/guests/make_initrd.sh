#!/bin/sh
# A busybox initramfs for the guest tests. usage: make_initrd.sh OUT.cpio[.gz] [COMMAND_FILE]
# /init mounts the usual file systems, loads the modules of $MODULES (a folder that pick_modules.py
# wrote), goes over to hvc0 if that is the console, prints "@@ SHELL ...", then
#   - with root=DEVICE or root=LABEL=NAME on the command line: mounts it read-write and starts its /sbin/init,
#   - else runs COMMAND_FILE's commands, or an interactive shell on the console, and powers off.
set -eu
out=$1
commands=${2:-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/bin" "$dir/dev" "$dir/proc" "$dir/sys" "$dir/tmp" "$dir/mnt"
cp "${BUSYBOX:-$(command -v busybox)}" "$dir/bin/busybox"
ln -s busybox "$dir/bin/sh"
cat > "$dir/init" <<'INIT'
#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
if [ -f /modules/load ]; then
    while read -r m; do # with options from the command line, as modprobe takes them
        insmod "/modules/$m" $(tr ' ' '\n' < /proc/cmdline | sed -n "s/^${m%.ko}\.//p")
    done < /modules/load
fi
case " $(cat /proc/cmdline) " in
*" console=hvc0 "*) exec </dev/hvc0 >/dev/hvc0 2>&1 ;; # only now is there one
esac
echo "@@ SHELL $(uname -r) cpus=$(grep -c ^processor /proc/cpuinfo)"
for word in $(cat /proc/cmdline); do
    case $word in
    root=*) root=${word#root=} ;;
    esac
done
if [ -n "${root:-}" ]; then
    i=0
    name=$root
    while [ ! -b "$root" ] && [ $i -lt 100 ]; do i=$((i+1)); usleep 100000; root=$(findfs "$name" 2>/dev/null || echo "$name"); done
    mount -t ext4 "$root" /mnt
    mount -t devtmpfs none /mnt/dev
    umount /proc /sys
    exec switch_root /mnt /sbin/init
fi
if [ -f /commands ]; then
    sh /commands
else
    setsid cttyhack sh
fi
poweroff -f
INIT
chmod +x "$dir/init"
if [ -n "$commands" ]; then
    cp "$commands" "$dir/commands"
fi
if [ -n "${MODULES:-}" ]; then
    cp -r "$MODULES" "$dir/modules"
fi
# Extra files: EXTRA=dir is copied to /extra.
if [ -n "${EXTRA:-}" ]; then
    cp -r "$EXTRA" "$dir/extra"
fi
find "$dir" -exec touch -h -d @0 {} +
pack() {
    (cd "$dir" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0 --reproducible)
}
case $out in
*.gz) pack | gzip -n -6 > "$out.part" ;;
*) pack > "$out.part" ;;
esac
mv "$out.part" "$out"
