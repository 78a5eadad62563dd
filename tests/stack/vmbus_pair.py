#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two enlightened children on the virtual switch: they ping each other, and one sends 64 MiB from its disk to the other, which writes them to
its own; both images are equal on the host afterwards. Each fetches a page from a server on the host. Recorded, and the replay is equal.
usage: vmbus_pair.py VITRINE CPU HV ROOT KERNEL MEDIA"""
import hashlib
import os
import random
import subprocess
import sys
import tempfile

import host_side
import judging
from host_side import MIB

SIZE = 64 * MIB
SERVER = "10.0.2.20" # the first address that the machine's user networking gives to the first child's adapter


def main():
    vitrine, cpu, hv, root, kernel, media = sys.argv[1:]
    if judging.is_missing((kernel, os.path.join(media, "one.img"))):
        return judging.SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        random.seed(2)
        data = random.randbytes(SIZE)
        host_side.write(path("from.img"), data)
        with open(path("to.img"), "wb") as f:
            f.truncate(SIZE)
        page = random.randbytes(MIB)
        url = f"http://10.0.2.2:{judging.serve(page)}/page"

        def create(name, more):
            return (f"vm create {name} --kernel {os.path.basename(kernel)} --initrd vmbus.cpio.gz --memory 160M "
                    f"--append console=ttyS0 quiet root=LABEL={name} {more} url={url}")

        script = (f"{create('one', 'role=server')} && disk add one one.img && disk add one virtio0 --lun 1 && nic add one && "
                  f"{create('two', f'role=client peer={SERVER}')} && disk add two two.img && disk add two virtio1 --lun 1 && nic add two && "
                  "vm start one && vm console one --until LISTENING && vm start two && vm console two --until READY && vm console one --until READY && "
                  "switch show && nic list && vm shutdown one && vm console one && vm shutdown two && vm console two && poweroff")
        modules = [kernel] + [os.path.join(media, name) for name in ("vmbus.cpio.gz", "one.img", "two.img")]
        command = [vitrine, "run", "--cpu", cpu, "--smp", "1", "--memory", "640M", "--kernel", hv, "--nic", "user", "--max-instructions", "200000000000",
                   "--drive", f"file={path('to.img')},format=raw,if=virtio", "--drive", f"file={path('from.img')},format=raw,if=virtio",
                   "--hash", "--record", path("trace"), "--initrd", f"{root} {script},{','.join(modules)}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=3000, check=False)
        text = judging.text_of(done.stdout + done.stderr)
        total, one_page = hashlib.sha256(data).hexdigest(), hashlib.sha256(page).hexdigest()
        expected = [f"@@ DHCP eth0 {SERVER} router", "3 packets transmitted, 3 packets received", "@@ SENT " + total, "@@ GOT " + total,
                    f"@@ PAGE {one_page}(?s:.*)@@ PAGE {one_page}", "root: one: powered off", "root: two: powered off"]
        problems = judging.problems_of(text, expected, (*judging.TROUBLE, "I/O error", "EXT4-fs error", "is not its own"), done.returncode)
        problems += host_side.differences(path("to.img"), data) + host_side.differences(path("from.img"), data)
        if not problems:
            problems += host_side.replay(vitrine, path("trace"), done)
    return judging.finish(text, problems)


sys.exit(main())
