#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor on another machine: QEMU's TCG with SVM. Skips where QEMU is not installed.
usage: qemu.py HV ROOT"""
import shutil
import subprocess
import sys

hv, root = sys.argv[1:3]
qemu = shutil.which("qemu-system-x86_64")
if qemu is None:
    print("SKIP: no qemu-system-x86_64")
    sys.exit(77)
try:
    done = subprocess.run([qemu, "-M", "q35", "-accel", "tcg", "-cpu", "max,+svm", "-smp", "2", "-m", "256M",
                           "-nographic", "-no-reboot", "-monitor", "none", "-serial", "stdio", "-kernel", hv,
                           "-initrd", root], stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    text = done.stdout.decode("latin1")
except subprocess.TimeoutExpired as e:
    text = (e.stdout or b"").decode("latin1")
print(text[-2000:])
sys.exit(0 if " 0 broken" in text else "FAIL: the sum of hvtest is missing or bad")
