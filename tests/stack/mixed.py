#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Xen child and an enlightened child in one stack, both stock kernels: each gets an address by DHCP, fetches a page from the host, pings the
other and sends it so many MiB over the switch. With "record" it is replayed, and both are equal.
usage: mixed.py VITRINE CPU VPS HV ROOT ADAPTER VMLINUX XEN_INITRD VMLINUZ LINUX_INITRD MIB [record]"""
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile

import judging

MIB = 1 << 20


def sent(me, bytes_):
    """What mixed_commands' numbers() makes."""
    text, at, size = [], int(f"{me}0000000"), 0
    while size < bytes_:
        part = "".join(f"{n}\n" for n in range(at, at + 100000))
        at += 100000
        size += len(part)
        text.append(part)
    return hashlib.sha256("".join(text).encode()[:bytes_]).hexdigest()


def main():
    vitrine, cpu, vps, hv, root, adapter, vmlinux, xen_initrd, vmlinuz, linux_initrd, size, *more = sys.argv[1:]
    if judging.is_missing((vmlinux, xen_initrd, vmlinuz, linux_initrd)):
        return judging.SKIPPED
    random.seed(2)
    page = random.randbytes(MIB)
    port = judging.serve(page)
    words = f"url=http://10.0.2.2:{port}/page bytes={int(size) * MIB} quiet"
    script = (f"vm create xen --kernel vmlinux --initrd {os.path.basename(xen_initrd)} --xen adapter.elf --memory 192M --vp {vps} "
              f"--append console=hvc0 me=1 peer=10.0.2.24 {words} && "
              f"vm create linux --kernel vmlinuz-cloud --initrd {os.path.basename(linux_initrd)} --memory 192M --vp {vps} "
              f"--append console=ttyS0 me=2 peer=10.0.2.20 {words} && nic add xen && nic add linux && vm start xen && vm start linux && "
              "vm console xen && vm console linux && switch show && nic list && poweroff")
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace")
        recording = ["--hash", "--record", trace] if "record" in more else []
        done = subprocess.run([vitrine, "run", "--cpu", cpu, "--smp", "2", "--memory", "768M", "--kernel", hv, "--nic", "user",
                               "--max-instructions", "300000000000", *recording, "--initrd",
                               f"{root} {script},{vmlinux},{xen_initrd},{vmlinuz},{linux_initrd},{adapter}"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=3400, check=False)
        text = judging.text_of(done.stdout + done.stderr)
        expected = ["Hypervisor detected: Xen HVM|@@ SHELL", r"@@ BOUND 10\.0\.2\.20", r"@@ BOUND 10\.0\.2\.24", "root: xen: powered off", "root: linux: powered off",
                    "behind xen.0", "behind linux.0"]
        problems = judging.problems_of(text, expected, judging.TROUBLE, done.returncode)
        sums = {name: re.findall(rf"@@ {name} +([0-9a-f]{{64}})", text) for name in ("PAGE", "SENT", "GOT")}
        both = {sent(me, int(size) * MIB) for me in (1, 2)}
        if sums["PAGE"] != [hashlib.sha256(page).hexdigest()] * 2:
            problems.append(f"pages: {sums['PAGE']}")
        if len(sums["SENT"]) != 2 or set(sums["SENT"]) != both or len(sums["GOT"]) != 2 or set(sums["GOT"]) != both:
            problems.append(f"sent and got: {sums}, should be {both}")
        if len(re.findall("3 packets transmitted, 3 packets received", text)) != 2:
            problems.append("they do not ping each other")
        if recording and not problems:
            again = subprocess.run([vitrine, "replay", trace, "--hash"], stdin=subprocess.DEVNULL, capture_output=True, timeout=3400,
                                   check=False)
            if again.returncode != 0 or again.stdout != done.stdout:
                problems.append("the replay differs: " + again.stderr.decode("latin1")[-400:])
            print("replayed:", again.stdout.decode("latin1").splitlines()[-1:])
    print("\n".join(re.findall("@@ COUNTS.*", text)))
    return judging.finish(text, problems)


sys.exit(main())
