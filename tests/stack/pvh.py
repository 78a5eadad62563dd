#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor entered by its PVH note: the same image with its Multiboot header spoiled.
usage: pvh.py VITRINE HV ROOT"""
import subprocess
import sys
import tempfile

vitrine, hv, root = sys.argv[1:4]
image = bytearray(open(hv, "rb").read())
at = image.index(b"\x02\xb0\xad\x1b")
image[at:at + 4] = bytes(4)
with tempfile.NamedTemporaryFile(suffix=".elf") as f:
    f.write(image)
    f.flush()
    done = subprocess.run([vitrine, "run", "--cpu", "intel", "--memory", "128M", "--kernel", f.name,
                           "--initrd", root, "--max-instructions", "2000000000"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=500)
text = done.stdout.decode("latin1")
print(text[-2000:])
sys.exit(0 if done.returncode == 0 and " 0 broken" in text else f"FAIL: status {done.returncode}, {done.stderr}")
