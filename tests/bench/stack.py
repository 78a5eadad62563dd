#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of the stack that ships, from the tracker's own report: instructions for each kind of Xen call, from the child's instruction to the
one behind it; Hyper-V calls, from the caller's; the two beside each other where one stands for the other; and how often a stock kernel's boot
under the adapter leaves the guest.
With --devices: what a byte of a child's disk or network costs, beside the root's own drivers (devices.py), and nothing else.
usage: stack.py [--build DIR] [--cpu intel|amd] [--boot] [--devices]"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import devices

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A Xen call and the Hyper-V call that it stands for.
PAIRS = [("sched_op yield", "NotifyLongSpinWait"), ("console_io write", "PostMessage"), ("vcpu_op send_nmi", "AssertVirtualInterrupt"),
         ("vcpu_op up", "SendSyntheticClusterIpi")]


def report(vitrine, stack, cpu, folder):
    path = os.path.join(folder, "report")
    subprocess.run([vitrine, "stack", "run", stack, "--cpu", cpu, "--watch", "-D", path, "--max-instructions", "60000000000"],
                   stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, cwd=ROOT, check=False, timeout=1800)
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def boot(build, vitrine, cpu, folder):
    """To the shell's first command; seconds are virtual."""
    path = os.path.join(folder, "boot")
    guests = os.path.join(build, "guests")
    files = [os.path.join(build, "tests/stack/vmlinux"), os.path.join(build, "tests/guests/media/shell.cpio.gz"),
             os.path.join(guests, "adapter/adapter.elf")]
    if not all(os.path.exists(f) for f in files):
        print("boot: no kernel or no media; the tests stack.unpack and guest.media make them")
        return
    script = ("vm create xen --kernel vmlinux --initrd shell.cpio.gz --xen adapter.elf --memory 160M --append console=hvc0 && vm start xen "
              "&& vm console xen && poweroff")
    out = subprocess.run([vitrine, "run", "--cpu", cpu, "--memory", "512M", "--kernel", os.path.join(build, "hv/hv.elf"), "--watch", "-D", path,
                          "--hash", "--stop-on", "@@ SHELL", "--max-instructions", "20000000000", "--initrd",
                          ",".join([os.path.join(guests, "root/root.elf") + " " + script] + files)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=1800)
    with open(path, encoding="utf-8", errors="replace") as f:
        text = f.read()
    position = re.search(rb"position (\d+)", out.stdout)
    seconds = int(position.group(1)) / 1e9 if position else 0.0
    entries = [int(n) for n in re.findall(r"(\d+) entries", text)]
    calls = sum(n for n, _ in counts(text, True).values())
    rate = f", {sum(entries) / seconds:.0f} a second" if seconds > 0 else ""
    print(f"a stock kernel's boot under the adapter: {seconds:.2f} s, {sum(entries)} exits{rate} "
          f"(root, adapter, kernel: {', '.join(str(n) for n in entries)}); {calls} Xen calls")


def counts(text, xen):
    found = {}
    for n, each, name in re.findall(r"^ +(\d+) +(\d+)  (.*)$", text, re.M):
        is_xen = ":" in name
        if is_xen == xen and int(each) > 0:
            found[name.split(":")[0].strip()] = (int(n), int(each))
    return found


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default=os.path.join(ROOT, "build/ci"))
    ap.add_argument("--cpu", default="intel", choices=("intel", "amd"))
    ap.add_argument("--boot", action="store_true", help="a stock kernel's boot too; minutes")
    ap.add_argument("--devices", action="store_true", help="children's disks and networks; minutes")
    a = ap.parse_args()
    if a.devices:
        with tempfile.TemporaryDirectory() as folder:
            devices.show(a.build, a.cpu, folder)
        return 0
    vitrine = os.path.join(a.build, "debugger/vitrine")
    with tempfile.TemporaryDirectory() as folder:
        text = report(vitrine, "xentest", a.cpu, folder)
        xen, hyperv = counts(text, True), counts(text, False)
        print(f"{a.cpu}: instructions for a Xen call, by kind")
        for name, (n, each) in sorted(xen.items(), key=lambda item: item[1][1]):
            print(f"  {each:8} {name} ({n})")
        print("a Xen call, and the Hyper-V call that it stands for, made natively")
        for name, native in PAIRS:
            if name in xen and native in hyperv:
                print(f"  {xen[name][1]:8} {name:24} {hyperv[native][1]:8} {native}: {xen[name][1] / hyperv[native][1]:.1f} times")
        if a.boot:
            boot(a.build, vitrine, a.cpu, folder)
    return 0


sys.exit(main())
