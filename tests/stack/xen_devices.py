#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock kernel as a Xen child with four disks on two controllers and three network adapters: blkfront, the adapter, VMBus storage, the root's virtio and SATA disks. An ext4 file system that
the host made, on a partition, is read, written, in use when the child is asked to power off, and clean on the host afterwards, its files and all of its bytes equal; raw writes are on the image byte by byte, what is read-only or
an overlay's base has not changed. Each adapter gets an address by DHCP through netfront, the adapter, VMBus network, the switch and the root's card; a page
is fetched from a server on the host.
usage: xen_devices.py VITRINE CPU VPS HV ROOT ADAPTER VMLINUX INITRD [record] [watch]
With "record" the run is recorded and replayed, and both must be equal. With "watch" the tracker sees the adapter declare its rings and buffers
(GPADLs) to the root, and the trace port's word on pages: nothing is shared that was not declared or lent, nothing said that is not so."""
import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import judging

MIB = 1 << 20
BEFORE = MIB


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/sbin:/usr/sbin")


def written():
    return "".join(f"line {i} of what the child wrote\n" for i in range(1, 401)).encode()


def main():
    vitrine, cpu, vps, hv, root, adapter, vmlinux, initrd, *more = sys.argv[1:]
    record, watch = "record" in more, "watch" in more
    if judging.is_missing((vmlinux, initrd)):
        return judging.SKIPPED
    if tool("mke2fs") is None:
        print("SKIP: no mke2fs")
        return judging.SKIPPED
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        def content(name):
            with open(path(name), "rb") as f:
                return f.read()

        random.seed(1)
        os.mkdir(path("tree"))
        with open(path("tree/data"), "wb") as f:
            f.write(random.randbytes(3 * MIB))
        with open(path("tree/sums"), "w", encoding="ascii") as f:
            f.write(hashlib.sha256(content("tree/data")).hexdigest() + "  /mnt/data\n")
        subprocess.run([tool("mke2fs"), "-q", "-t", "ext4", "-d", path("tree"), path("ext4.img"), "24M"], check=True, capture_output=True)
        around = random.randbytes(BEFORE - 512), random.randbytes(MIB)  # the file system is a partition of a disk
        whole = b"\0" * 446 + struct.pack("<B3sB3sII", 0, b"", 0x83, b"", BEFORE // 512, 24 * MIB // 512) + b"\0" * 48 + b"\x55\xaa"
        whole += around[0] + content("ext4.img") + around[1]
        raw = bytearray(random.randbytes(8 * MIB))
        cd = bytearray(64 * 2048)
        cd[16 * 2048:16 * 2048 + 6] = b"\1CD001"
        base = random.randbytes(4 * MIB)
        for name, data in (("disk.img", whole), ("raw.img", raw), ("cd.iso", cd), ("base.img", base)):
            with open(path(name), "wb") as f:
                f.write(data)
        page = random.randbytes(MIB)
        port = judging.serve(page)
        script = (f"block overlay o virtio1 && vm create xen --kernel vmlinux --initrd {os.path.basename(initrd)} --xen adapter.elf --memory 192M "
                  f"--vp {vps} --append console=hvc0 url=http://10.0.2.2:{port}/page && disk add xen virtio0p1 && disk add xen ahci0 --lun 1 && "
                  "disk add xen ahci1 --controller 1 --cd && disk add xen o --controller 1 --lun 1 && nic add xen && nic add xen && "
                  "nic add xen && vm start xen && vm console xen --until READY && vm shutdown xen && vm console xen && "
                  "block list && switch show && poweroff")
        command = [vitrine, "run", "--cpu", cpu, "--smp", "2", "--memory", "512M", "--kernel", hv, "--nic", "user",
                   "--drive", f"file={path('disk.img')},format=raw,if=virtio", "--drive", f"file={path('base.img')},format=raw,if=virtio",
                   "--drive", f"file={path('raw.img')},format=raw,if=ahci", "--cdrom", path("cd.iso"), "--max-instructions", "40000000000",
                   "--initrd", f"{root} {script},{vmlinux},{initrd},{adapter}"]
        recording = ["--hash", "--record", path("trace")] if record else []
        if watch:
            recording += ["--watch", "--log", "watch", "-D", path("watch.log"), "--device", "trace-port"]
        done = subprocess.run(command + recording, stdin=subprocess.DEVNULL, capture_output=True, timeout=3000, check=False)
        text = (done.stdout + done.stderr).decode("latin1").replace("\r", "")
        expected = ["Hypervisor detected: Xen HVM|@@ SHELL", "/mnt/data: OK", "@@ READ", "@@ WRITTEN", "@@ REFUSED", "^CD001", "^line 1 of what the child wrote",
                    "@@ DISKS .*xvda xvdb xvdc xvdd", "@@ BOUND eth0 10.0.2", "@@ BOUND eth1 10.0.2", "@@ BOUND eth2 10.0.2", "2 packets received",
                    "@@ PAGE " + hashlib.sha256(page).hexdigest(), "root: xen: the guest shuts down", "root: xen: powered off", r"virtio0: \d+ requests done, 0 without an interrupt",
                    r"ahci0: \d+ requests done, 0 without an interrupt"]
        problems += [f"does not say {p!r}" for p in expected if not re.search(p, text, re.M)]
        problems += [f"says {m.group(0)!r}" for m in (re.search(p, text, re.M) for p in
                     ("BUG:", "WARNING: CPU", "panic", "I/O error.*xvd[abd]", "EXT4-fs error", "a ring that cannot be")) if m]
        if done.returncode != 0:
            problems.append(f"exit status {done.returncode}")
        if watch:
            said = content("watch.log").decode("latin1")
            problems += [f"the watch does not say {p!r}" for p in (
                r"guest \d+ shares \d+ pages with guest 1 by GPADL", r"guest \d+ lends guest 1 1 pages at", "differ 0$", "within another's reach 0$",
                "^pages shared by strangers: 0, and 0") if not re.search(p, said, re.M)]
            print("\n".join(line for line in said.splitlines() if not line.startswith("watch: "))[-3000:])
        sums = re.findall(r"@@ (?:RANDOM|AGAIN) ([0-9a-f]{64})", text)
        data = written()
        want = bytearray(raw)
        want[0:512] = b"first\n".ljust(512, b"\0")
        want[-512:] = b"last\n".ljust(512, b"\0")
        want[7 * 1536:7 * 1536 + len(data)] = data
        with open(path("disk.img"), "rb") as f:
            after = f.read()
        end = BEFORE + 24 * MIB
        with open(path("ext4.img"), "wb") as f:  # the host's view of the partition
            f.write(after[BEFORE:end])
        if not problems:
            seen = re.findall("@@ WHOLE ([0-9a-f]{64})", text)
            if seen != [hashlib.sha256(after[BEFORE:end]).hexdigest()]:
                problems.append(f"the partition is not what the child saw last: {seen}")
            if after[:BEFORE] + after[end:] != whole[:BEFORE] + whole[end:]:
                problems.append("what is around the partition has changed")
            check = subprocess.run([tool("e2fsck"), "-fn", path("ext4.img")], capture_output=True, text=True, check=False)
            if check.returncode != 0:
                problems.append("e2fsck: " + check.stdout + check.stderr)
            for name in ("random", "written", "late"):
                subprocess.run([tool("debugfs"), "-R", f"dump /{name} {path(name)}", path("ext4.img")], check=True, capture_output=True)
            if len(sums) != 2 or {hashlib.sha256(content("random")).hexdigest()} != set(sums):
                problems.append(f"the random file is not what the child wrote: {sums}")
            problems += [f"the file {name} differs" for name in ("written", "late") if content(name) != data]
            for name, image in (("raw.img", want), ("cd.iso", cd), ("base.img", base)):
                got = content(name)
                if got != bytes(image):
                    at = next(i for i in range(len(image)) if got[i] != image[i])
                    problems.append(f"{name} differs from byte {at:x} on: {got[at:at + 32]!r}")
        if record and not problems:
            again = subprocess.run([vitrine, "replay", path("trace"), "--hash"], stdin=subprocess.DEVNULL, capture_output=True, timeout=3000,
                                   check=False)
            if again.returncode != 0 or again.stdout != done.stdout:
                problems.append("the replay differs: " + again.stderr.decode("latin1")[-400:])
    return judging.finish(text, problems)


sys.exit(main())
