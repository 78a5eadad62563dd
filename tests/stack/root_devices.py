#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root's own devices: disks by virtio and SATA, MBR and GPT partitions, a CD-ROM, a module, a read-only disk, an overlay, a network
card. What the root writes is on the images afterwards, and nothing else is: compared byte by byte. Every request must have been ended by an
interrupt. On Vitrine it is recorded and replayed, and both are equal; on QEMU it runs once.
usage: root_devices.py VITRINE|qemu CPU HV ROOT"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

SECTOR = 512
MIB = 1 << 20


def put(image, sector, data):
    image[sector * SECTOR:sector * SECTOR + len(data)] = data


def mbr_entry(kind, start, count):
    return struct.pack("<B3sB3sII", 0, b"\0\0\0", kind, b"\0\0\0", start, count)


def mbr_image():
    """p1, an extended one with p5 and p6, and p3, which says more than the disk has."""
    image = bytearray(8 * MIB)
    put(image, 0, b"\0" * 446 + mbr_entry(0x83, 64, 4096) + mbr_entry(0x0f, 8192, 8192) + mbr_entry(0x83, 64, 1 << 30) + b"\0" * 16 + b"\x55\xaa")
    put(image, 8192, b"\0" * 446 + mbr_entry(0x83, 64, 1000) + mbr_entry(0x05, 2048, 2000) + b"\0" * 32 + b"\x55\xaa")
    put(image, 8192 + 2048, b"\0" * 446 + mbr_entry(0x83, 64, 1000) + b"\0" * 48 + b"\x55\xaa")
    put(image, 64, b"first of p1")
    put(image, 64 + 4095, b"last of p1")
    put(image, 8192 + 64, b"first of p5")
    put(image, 8192 + 2048 + 64, b"first of p6")
    return image


def gpt_image():
    image = bytearray(4 * MIB)
    entries = bytearray(128 * 128)
    for i, (first, last) in {0: (64, 1063), 2: (2048, 4047)}.items():
        entries[128 * i:128 * i + 48] = b"\x11" * 16 + bytes([i] * 16) + struct.pack("<QQ", first, last)

    def header(checksum):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, checksum, 0, 1, len(image) // SECTOR - 1, 34,
                           len(image) // SECTOR - 34, b"\x22" * 16, 2, 128, 128, zlib.crc32(entries))

    put(image, 0, b"\0" * 446 + mbr_entry(0xee, 1, 8191) + b"\0" * 48 + b"\x55\xaa")
    put(image, 1, header(zlib.crc32(header(0))))
    put(image, 2, entries)
    put(image, 64, b"first of gpt p1")
    put(image, 2048, b"first of gpt p3")
    return image


SCRIPT = """block list; block read virtio0p1 0; block read virtio0p1 4095; block read virtio0p1 4096; block read virtio0p5 0;
block read virtio0p6 0; block read ahci0p1 0; block read ahci0p3 0; block write virtio0p5 1 written to p5; block write ahci0p3 1999 the last sector;
block write virtio0 16383 the end; block write virtio1 0 refused; block read ahci1 16; block write ahci1 0 refused;
block load virtio0 1; memory;
block overlay o virtio0p1; block write o 3 only in memory; block read o 3; block read o 0; block read virtio0p1 3; block load o 1 write;
block read o 0 64; block overlay o; block read small.img 1; block write small.img 1 module; block read small.img 1; block overlay m virtio0p5 8K;
block write m 9 first; block write m 1 second; block write m 16 third; block read m 9; block read m 10; block overlay m; memory; block read nothing 0; block load virtio0 4; block load ahci0 4;
block load virtio1 1 write; net probe; block list; memory; poweroff"""

SAYS = [r'virtio0p1 .*4096 sectors', r'virtio0p1: .*"first of p1\.', r'virtio0p1: .*"last of p1\.', r"sector 4096: outside the disk", r'virtio0p5: .*"first of p5\.',
        r'virtio0p6: .*"first of p6\.', r'ahci0p1: .*"first of gpt p1\.', r'ahci0p3: .*"first of gpt p3\.', r"virtio1: read-only",
        r'ahci1: .*"\.CD001', r"ahci1: read-only", r'o: .*"only in memory\.', r'  o: sum \w+, "first of p1\.', r'virtio0p1: sum \w+, "\.{32}"',
        r'small.img: .*"of a module\.', r'small.img: .*"module\.', r"m: done\n.*\n  m: done\n.*\n  m: out of memory", r'm: sum \w+, "first\.', r"(\d+) pages free(?s:.*)\b\1 pages free",
        r"block read: no such disk", r"virtio0: 4096 KiB in \d+ us, 0 requests failed",
        r"ahci0: 4096 KiB in \d+ us, 0 requests failed", r"virtio1: 1024 KiB in \d+ us, 16 requests failed", r"net0: DHCP: bound, 10.0.2.15, router 10.0.2.2", r"net0: ARP: the router is",
        r"virtio0: \d{2,} requests done, 0 without an interrupt", r"ahci0: \d{2,} requests done, 0 without an interrupt",
        r"net0: .* 3 frames sent, [3-9] received, 0 without an interrupt"]


def fail(text, why):
    print(text[-6000:])
    sys.exit(f"FAIL: {why}")


def main():
    vitrine, cpu, hv, root = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        images = {"mbr.img": mbr_image(), "gpt.img": gpt_image(), "ro.img": bytearray(MIB), "cd.iso": bytearray(32 * 2048),
                  "small.img": bytearray(SECTOR) + b"of a module"}
        images["cd.iso"][16 * 2048:16 * 2048 + 6] = b"\1CD001"
        for name, image in images.items():
            with open(path(name), "wb") as f:
                f.write(image)
        wanted = {name: bytearray(image) for name, image in images.items()}
        put(wanted["mbr.img"], 8192 + 64 + 1, b"written to p5")
        put(wanted["mbr.img"], 16383, b"the end")
        put(wanted["gpt.img"], 2048 + 1999, b"the last sector")

        script = " ".join(SCRIPT.split())
        modules = f"{root} {script},{path('small.img')}"
        if vitrine == "qemu":
            qemu = shutil.which("qemu-system-x86_64")
            if qemu is None:
                print("SKIP: no qemu-system-x86_64")
                return 77
            command = [qemu, "-M", "q35", "-accel", "tcg", "-cpu", "max,+svm", "-m", "256M", "-nographic", "-no-reboot", "-monitor", "none",
                       "-serial", "stdio", "-nodefaults", "-kernel", hv, "-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n",
                       "-cdrom", path("cd.iso")]
            for n, (file, device) in enumerate((("mbr.img", "virtio-blk-pci"), ("ro.img", "virtio-blk-pci"), ("gpt.img", "ide-hd,bus=ide.0"))):
                more = ",readonly=on" if file == "ro.img" else ""
                command += ["-drive", f"file={path(file)},format=raw,if=none,id=d{n}{more}", "-device", f"{device},drive=d{n}"]
            command += ["-initrd", modules]
            record = []
        else:
            command = [vitrine, "run", "--cpu", cpu, "--memory", "128M", "--kernel", hv, "--nic", "user", "--max-instructions", "3000000000",
                       "--drive", f"file={path('mbr.img')},format=raw,if=virtio", "--drive", f"file={path('ro.img')},format=raw,if=virtio,readonly=on",
                       "--drive", f"file={path('gpt.img')},format=raw,if=ahci", "--cdrom", path("cd.iso"), "--initrd", modules]
            record = ["--hash", "--record", path("trace")]
        done = subprocess.run(command + record, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
        text = (done.stdout + done.stderr).decode("latin1").replace("\r", "")
        for pattern in SAYS:
            if not re.search(pattern, text, re.M):
                fail(text, f"does not say {pattern!r}")
        if re.search("panic|virtio0p3|exception", text):
            fail(text, "says what it must not")
        for name, image in wanted.items():
            with open(path(name), "rb") as f:
                got = f.read()
            if got != bytes(image):
                at = next(i for i in range(len(image)) if got[i] != image[i])
                fail(text, f"{name} differs from byte {at:x} on: {got[at:at + 32]!r}")
        if record:
            again = subprocess.run([vitrine, "replay", path("trace"), "--hash"], stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
            print(text.splitlines()[-1])
            if again.returncode != 0 or again.stdout != done.stdout:
                fail((again.stdout + again.stderr).decode("latin1"), "the replay differs")
    return 0


sys.exit(main())
