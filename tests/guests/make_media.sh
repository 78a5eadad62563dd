#!/bin/sh
# Everything the guest tests boot from, out of the fetched inputs. usage: make_media.sh INPUTS OUT_DIR PROGRAM...
# The programs are ours, to run in guests: small_vmm share_vmm agree_vmm foreign_map, in this order.
# Does nothing when OUT_DIR is newer than the inputs and these scripts. Ends with 77 when INPUTS is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
in=$1
out=$2
if [ ! -e "$in/complete" ]; then
    echo "SKIP: $in is missing; scripts/fetch-inputs gets it"
    exit 77
fi
if [ -e "$out/stamp" ] && [ -z "$(find "$here" "$in/complete" "$in/qemu/complete" "$in/xen/complete" -newer "$out/stamp" 2>/dev/null | head -n 1)" ]; then
    exit 0
fi
mkdir -p "$out"
"$here/pick_modules.py" "$in" vmlinuz-cloud "$out/modules-cloud" virtio_pci virtio_blk virtio_net virtio_console
"$here/pick_modules.py" "$in" vmlinuz "$out/modules" \
    virtio_pci virtio_blk virtio_net ahci sd_mod crc32c_generic ext4
"$here/make_initrd.sh" "$out/shell.cpio.gz" "$here/shell_commands"
MODULES=$out/modules-cloud "$here/make_initrd.sh" "$out/root-cloud.cpio.gz"
MODULES=$out/modules "$here/make_initrd.sh" "$out/root.cpio.gz"
MODULES=$out/modules-cloud "$here/make_initrd.sh" "$out/net.cpio.gz" "$here/net_commands"
MODULES=$out/modules "$here/make_initrd.sh" "$out/net-stock.cpio.gz" "$here/net_commands"
"$here/make_initrd.sh" "$out/rogue.cpio.gz" "$here/rogue_commands"
if [ -e "$in/busybox-i386" ]; then
    BUSYBOX=$in/busybox-i386 "$here/make_initrd.sh" "$out/shell32.cpio.gz" "$here/shell_commands"
fi
"$here/make_cd.sh" "$out/cd.iso" "$in/vmlinuz-cloud" "$out/shell.cpio.gz" "console=ttyS0"
"$here/make_disk.sh" "$out/virtio.img" "$in/vmlinuz-cloud" "$out/root-cloud.cpio.gz" \
    "console=ttyS0 root=/dev/vda1" "$here/disk_init"
"$here/make_disk.sh" "$out/ahci.img" "$in/vmlinuz" "$out/root.cpio.gz" \
    "console=ttyS0 root=/dev/sda1" "$here/disk_init"
# Two guests of KVM that share their memory.
if [ -n "${4:-}" ]; then
    "$here/pick_modules.py" "$in" vmlinuz-cloud "$out/modules-kvm" kvm_intel kvm_amd
    rm -rf "$out/share"
    mkdir -p "$out/share"
    cp "$4" "$out/share/share_vmm"
    MODULES=$out/modules-kvm EXTRA=$out/share "$here/make_initrd.sh" "$out/share.cpio" "$here/share_commands"
fi
# Two guests of KVM, and what it says of them.
if [ -n "${5:-}" ]; then
    rm -rf "$out/agree"
    mkdir -p "$out/agree"
    cp "$5" "$out/agree/agree_vmm"
    MODULES=$out/modules-kvm EXTRA=$out/agree "$here/make_initrd.sh" "$out/agree.cpio" "$here/agree_commands"
fi
# A disk that is passed to guests: every line says where it is.
seq -f '%015.0f' 0 65535 > "$out/passed.img"
# A guest that is a hypervisor, with Debian's QEMU and a guest of its own that is the same kernel.
if [ -n "${3:-}" ] && [ -e "$in/qemu/complete" ]; then
    for kernel in vmlinuz-cloud vmlinuz; do
        name=nested${kernel#vmlinuz}
        "$here/pick_modules.py" "$in" "$kernel" "$out/modules-kvm" kvm_intel kvm_amd
        rm -rf "$out/inner" "$out/outer"
        mkdir -p "$out/inner" "$out/outer"
        cp "$3" "$out/inner/small_vmm"
        MODULES=$out/modules-kvm EXTRA=$out/inner \
            "$here/make_initrd.sh" "$out/outer/inner.cpio" "$here/nested_inner_commands"
        cp "$3" "$out/outer/small_vmm"
        cp -L "$in/$kernel" "$out/outer/vmlinuz"
        "$here/pick_program.sh" "$in/qemu/root" usr/bin/qemu-system-x86_64 "$out/outer/qemu"
        for f in bios-microvm.bin bios-256k.bin kvmvapic.bin linuxboot_dma.bin; do
            cp -L "$(find "$in/qemu/root/usr/share" -name $f | head -n 1)" "$out/outer/qemu/"
        done
        MODULES=$out/modules-kvm EXTRA=$out/outer "$here/make_initrd.sh" "$out/$name.cpio" "$here/nested_commands"
    done
    # The same, for a guest that is given a disk.
    "$here/pick_modules.py" "$in" vmlinuz "$out/modules-disk" virtio_pci virtio_blk
    "$here/pick_modules.py" "$in" vmlinuz "$out/modules-vfio" kvm_intel kvm_amd vfio vfio_iommu_type1 vfio_pci
    rm "$out/outer/inner.cpio" "$out/outer/small_vmm"
    MODULES=$out/modules-disk "$here/make_initrd.sh" "$out/outer/passed.cpio" "$here/passed_commands"
    MODULES=$out/modules-vfio EXTRA=$out/outer "$here/make_initrd.sh" "$out/vfio.cpio" "$here/vfio_commands"
fi
# Xen, with a dom0 of the stock kernel that creates guests of each kind from the cloud kernel.
if [ -e "$in/xen/complete" ]; then
    xen=$in/xen/root
    tools=$(ls -d "$xen"/usr/lib/xen-*/ | head -n 1)
    tools=${tools#"$xen/"}
    gzip -dc "$xen"/boot/xen-*-amd64.gz > "$out/xen.elf"
    "$here/pick_modules.py" "$in" vmlinuz "$out/modules-xen" \
        xen_privcmd xen_evtchn xen_gntdev xen_gntalloc xenfs xen_pciback
    "$here/pick_modules.py" "$in" vmlinuz-cloud "$out/modules-disk" virtio_pci virtio_blk
    rm -rf "$out/xen"
    mkdir -p "$out/xen/tools" "$out/xen/qemu/keymaps" "$out/xen/seabios"
    for program in xl xenstored xenconsoled xen-init-dom0 xentrace xenperf; do
        "$here/pick_program.sh" "$xen" "${tools}bin/$program" "$out/xen/tools"
    done
    "$here/pick_program.sh" "$xen" usr/libexec/xen-qemu-system-i386 "$out/xen/tools"
    cp -r "$xen/${tools}boot" "$out/xen/boot"
    basename "$tools" > "$out/xen/name"
    cp -L "$xen/usr/share/seabios/bios-256k.bin" "$out/xen/seabios/"
    for f in kvmvapic.bin linuxboot.bin; do # Xen has no DMA of the configuration device
        cp -L "$xen/usr/share/qemu/$f" "$out/xen/qemu/"
    done
    cp -L "$xen/usr/share/qemu/keymaps/en-us" "$out/xen/qemu/keymaps/" # wanted even for no display
    cp -L "$in/vmlinuz-cloud" "$out/xen/vmlinuz"
    cp "$here/xen_setup" "$out/xen/setup"
    if [ -n "${6:-}" ]; then
        cp "$6" "$out/xen/foreign_map"
    fi
    "$here/make_initrd.sh" "$out/xen/guest.cpio.gz" "$here/xen_guest_commands"
    "$here/make_initrd.sh" "$out/xen/idle.cpio.gz" "$here/xen_idle_commands"
    MODULES=$out/modules-disk "$here/make_initrd.sh" "$out/xen/passed.cpio.gz" "$here/passed_commands"
    for what in '' _pass _agree _calls; do
        MODULES=$out/modules-xen EXTRA=$out/xen "$here/make_initrd.sh" "$out/xen$what.cpio.gz" "$here/xen${what}_commands"
    done
fi
touch "$out/stamp"
