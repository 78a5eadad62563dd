#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock kernel as an enlightened child with four disks and a CD-ROM on two controllers and three network adapters: its root file system on a
partition of the root's virtio disk, another partition, a SATA disk, an overlay, a CD-ROM. It says what it sees, reads what the host wrote, writes, gets an
address for each adapter, fetches a page from the host, hands pairs over, and shuts down when the console asks. Afterwards the images are compared byte by byte with
what they must be; the file system is clean on the host, its files equal.
usage: vmbus_devices.py VITRINE CPU VPS HV ROOT KERNEL MEDIA [record]
With "record" the run is recorded and replayed, and both must be equal."""
import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import host_side
import judging
from host_side import MIB, SECTOR

ROOT_AT, ROOT_SIZE, RAW_SIZE = MIB, 24 * MIB, 4 * MIB


def make_images(folder, media):
    """The images by name, as they are before and as the child must leave them; None: not compared as a whole."""
    random.seed(1)
    tree = os.path.join(folder, "tree")
    shutil.copytree(os.path.join(media, "tree"), tree, symlinks=True)
    host_side.write(os.path.join(tree, "data"), random.randbytes(3 * MIB))
    with open(os.path.join(tree, "sums"), "w", encoding="ascii") as f:
        f.write(hashlib.sha256(host_side.content(os.path.join(tree, "data"))).hexdigest() + "  /data\n")
    ext4 = os.path.join(folder, "ext4.img")
    host_side.make_ext4(ext4, tree, "24M", "child")
    pattern = host_side.content(os.path.join(tree, "pattern"))
    disk = bytearray(ROOT_AT + ROOT_SIZE + RAW_SIZE + MIB)
    entries = ((0x83, ROOT_AT, ROOT_SIZE), (0xda, ROOT_AT + ROOT_SIZE, RAW_SIZE))
    for n, (kind, at, size) in enumerate(entries):
        disk[446 + 16 * n:462 + 16 * n] = struct.pack("<B3xB3xII", 0, kind, at // SECTOR, size // SECTOR)
    disk[510:512] = b"\x55\xaa"
    disk[ROOT_AT:ROOT_AT + ROOT_SIZE] = host_side.content(ext4)
    disk[ROOT_AT + ROOT_SIZE:] = random.randbytes(RAW_SIZE + MIB)
    sata = bytearray(random.randbytes(8 * MIB))
    wanted_sata = bytearray(sata)
    for i in range(64):
        wanted_sata[i * 31 * 4096:i * 31 * 4096 + 4096] = pattern[i * 4096:i * 4096 + 4096]
    wanted_sata[10 * 1536:110 * 1536] = pattern[:100 * 1536]
    base = random.randbytes(3 * MIB)
    wanted = bytearray(disk)
    wanted[ROOT_AT + ROOT_SIZE:ROOT_AT + ROOT_SIZE + RAW_SIZE] = (pattern * 4)[:RAW_SIZE]
    for name, data in (("disk.img", disk), ("base.img", base), ("sata.img", sata)):
        host_side.write(os.path.join(folder, name), data)
    return {"disk.img": wanted, "base.img": base, "sata.img": wanted_sata}, hashlib.sha256(pattern * 4).hexdigest(), hashlib.sha256(pattern).hexdigest()


def main():
    vitrine, cpu, vps, hv, root, kernel, media, *more = sys.argv[1:]
    if judging.is_missing((kernel, os.path.join(media, "cd.img"))):
        return judging.SKIPPED
    if host_side.tool("mke2fs") is None:
        print("SKIP: no mke2fs")
        return judging.SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        wanted, whole, overlay = make_images(folder, media)
        page = random.randbytes(MIB)
        url = f"http://10.0.2.2:{judging.serve(page)}/page"
        script = (f"block overlay o virtio1 && vm create a --kernel {os.path.basename(kernel)} --initrd vmbus.cpio.gz --memory 192M --vp {vps} "
                  f"--append console=ttyS0 quiet root=LABEL=child role=devices url={url} && "
                  "disk add a virtio0p1 && disk add a ahci0 --lun 1 && disk add a virtio0p2 --controller 1 && disk add a o --controller 1 --lun 3 && "
                  "disk add a ahci1 --controller 1 --lun 5 --cd && nic add a && nic add a && nic add a && vm start a && vm console a --until READY && "
                  "disk list && nic list && switch show && vm heartbeat a && vm pair a greeting hello && vm console a --until hello && vm pairs a && "
                  "vm shutdown a && vm console a && block list && memory && poweroff")
        command = [vitrine, "run", "--cpu", cpu, "--smp", "1" if vps == "1" else "2", "--memory", "512M", "--kernel", hv, "--nic", "user",
                   "--drive", f"file={path('disk.img')},format=raw,if=virtio", "--drive", f"file={path('base.img')},format=raw,if=virtio",
                   "--drive", f"file={path('sata.img')},format=raw,if=ahci", "--cdrom", os.path.join(media, "cd.img"),
                   "--max-instructions", "60000000000",
                   "--initrd", f"{root} {script},{kernel},{os.path.join(media, 'vmbus.cpio.gz')}"]
        recording = ["--hash", "--record", path("trace")] if "record" in more else []
        done = subprocess.run(command + recording, stdin=subprocess.DEVNULL, capture_output=True, timeout=3000, check=False)
        text = judging.text_of(done.stdout + done.stderr)
        disks = (49152, "0:0:0:0"), (16384, "0:0:0:1"), (8192, "1:0:0:0"), (6144, "1:0:0:3")
        expected = ["@@ ROOT /dev/sd[a-d] / ext4", "^/data: OK", "@@ READ", "@@ CD a CD-ROM of the storage provider", "@@ WHOLE " + whole, "@@ OVERLAY " + overlay,
                    "@@ ADAPTERS 3", *(rf"@@ DHCP eth{n} 10\.0\.2\.\d+ router 10\.0\.2\.2" for n in range(3)), "2 packets received",
                    *(rf"@@ DEVICE sd[a-d] {size} sectors, read-only 0, {place}, \w.*type 0" for size, place in disks), r"@@ DEVICE sr0 \d+ sectors.* 1:0:0:5,.*type 5",
                    "@@ PAGE " + hashlib.sha256(page).hexdigest(), "@@ TIME 20", "a: the heart beats", "@@ KVP registered", "Name = an enlightened child",
                    r"OSVersion = \d+\.\d+", r"a: 2 pair\(s\)", "@@ KVP pool 0: greeting is hello", "a: the guest keeps the pair", "root: a: the guest shuts down", "@@ ORDERLY",
                    "root: a: powered off", r"virtio0: \d+ requests done", r"ahci0: \d+ requests done"]
        problems = judging.problems_of(text, expected, (*judging.TROUBLE, "I/O error", "EXT4-fs error", "is not its own"), done.returncode)
        sums = re.findall(r"^@@ WRITTEN ([0-9a-f]{64})", text, re.M)
        if not problems:
            left = host_side.content(path("disk.img"))[ROOT_AT:ROOT_AT + ROOT_SIZE]
            host_side.write(path("ext4.img"), left)
            wanted["disk.img"][ROOT_AT:ROOT_AT + ROOT_SIZE] = left # what is in it is looked at by its own means
            problems += host_side.check_ext4(path("ext4.img"))
            if [hashlib.sha256(host_side.file_of(path("ext4.img"), "/written", folder)).hexdigest()] != sums:
                problems.append(f"the file is not what the child wrote: {sums}")
            for name, image in wanted.items():
                problems += host_side.differences(path(name), image)
        if recording and not problems:
            problems += host_side.replay(vitrine, path("trace"), done)
    return judging.finish(text, problems)


sys.exit(main())
