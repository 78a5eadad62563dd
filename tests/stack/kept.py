#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a child's attacks the hypervisor's code and constants are in memory what they are in its image: read by the simulator's debugger when
the machine has come to its end, hashed, and set against the file.
usage: kept.py VITRINE CPU HV ROOT HOSTILE ATTACKS"""
import hashlib
import re
import struct
import subprocess
import sys

PT_LOAD, WRITABLE = 1, 2


def constant_segment(path):
    """Address and bytes of the loaded segment that nothing may write."""
    with open(path, "rb") as f:
        image = f.read()
    phoff, phnum = struct.unpack_from("<I", image, 28)[0], struct.unpack_from("<H", image, 44)[0]
    for i in range(phnum):
        kind, offset, _, paddr, filesz, _, flags, _ = struct.unpack_from("<8I", image, phoff + 32 * i)
        if kind == PT_LOAD and flags & WRITABLE == 0:
            return paddr, image[offset:offset + filesz]
    sys.exit("no segment without the right to write")


def main():
    vitrine, cpu, hv, root, hostile, attacks = sys.argv[1:7]
    at, wanted = constant_segment(hv)
    words = len(wanted) // 8
    script = ("vm create victim --kernel hostile.elf --memory 32M --append victim && vm create bad --kernel hostile.elf --memory 32M "
              f"--append attack {attacks} && vm start victim && vm start bad && vm console bad && vm type victim q && vm console victim "
              "&& poweroff")
    done = subprocess.run([vitrine, "debug", "--cpu", cpu, "--smp", "2", "--memory", "192M", "--kernel", hv, "--initrd",
                           f"{root} {script},{hostile}", "-nx", "-batch", "-ex", "continue", "-ex", f"xp /{words}xg {at:#x}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=3000, check=False)
    text = done.stdout.decode("latin1")
    lines = re.findall(r"^0x[0-9a-f]+:((?:\s+0x[0-9a-f]{16})+)", text, re.M)
    got = b"".join(struct.pack("<Q", int(w, 16)) for line in lines for w in line.split())
    before, after = (hashlib.sha256(b[:words * 8]).hexdigest() for b in (wanted, got))
    print(f"hv at {at:#x}, {words * 8} bytes: {before} in the image, {after} in memory")
    for mark in (f"hostile: {attacks} attacks made", "0 words changed"):
        if mark not in text:
            print(text[:3000])
            return f"FAIL: no \"{mark}\""
    return 0 if before == after else "FAIL: hv's code or constants have changed"


sys.exit(main())
