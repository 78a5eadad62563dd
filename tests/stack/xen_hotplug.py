#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk and a network adapter are added to a running Xen child and taken away again, many times, while it reads another disk without
end; the child is asked through the management console. At the end it powers off, and as many pages are free as before.
usage: xen_hotplug.py VITRINE CPU ROUNDS HV ROOT ADAPTER VMLINUX INITRD"""
import os
import re
import subprocess
import sys
import tempfile

MIB = 1 << 20


def main():
    vitrine, cpu, rounds, hv, root, adapter, vmlinux, initrd = sys.argv[1:]
    for need in (vmlinux, initrd):
        if not os.path.exists(need):
            print(f"SKIP: {need} is missing")
            return 77
    lines = ["timeout 1000", 'expect "# "', 'send "while dd if=/dev/xvda of=/dev/null bs=64k 2>/dev/null; do :; done &\\r"', 'expect "# "',
             'send "\\x1d"', 'expect "root> "']
    for _ in range(int(rounds)):
        lines += ['send "disk add xen virtio1 --lun 1\\r"', 'expect "blkfront: xvdb"', 'send "nic add xen\\r"', 'expect "vif 0 has the address"',
                  'send "disk remove xen --lun 1\\r"', 'expect "vbd ca10 is gone"', 'send "nic remove xen 0\\r"', 'expect "vif 0 is gone"']
    lines += ['send "vm console xen\\r"', 'expect "console of xen"', 'send "kill %1; ls /sys/block; dd if=/dev/xvda bs=512 count=1 | head -c 8\\r"',
              'expect "the disk"', 'send "poweroff -f\\r"', 'expect "xen: powered off"', 'send "block list\\r"', 'expect "root> "',
              'send "memory\\r"', 'expect "pages free"', 'send "poweroff\\r"']
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        for name, size in (("one.img", 4 * MIB), ("two.img", 2 * MIB)):
            with open(path(name), "wb") as f:
                f.write(b"the disk".ljust(size, b"\0"))
        with open(path("script"), "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")
        script = (f"vm create xen --kernel vmlinux --initrd {os.path.basename(initrd)} --xen adapter.elf --memory 160M --append console=hvc0 && "
                  "disk add xen virtio0 && vm start xen && vm console xen")
        command = [vitrine, "run", "--cpu", cpu, "--smp", "1", "--memory", "384M", "--kernel", hv, "--nic", "user", "--max-instructions", "60000000000",
                   "--drive", f"file={path('one.img')},format=raw,if=virtio", "--drive", f"file={path('two.img')},format=raw,if=virtio",
                   "--script", path("script"),
                   "--initrd", f"{root} {script},{vmlinux},{initrd},{adapter}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=3000, check=False)
    text = (done.stdout + done.stderr).decode("latin1").replace("\r", "")
    problems = [f"does not say {p!r}" for p in ("root: xen: powered off", "switched off", "the disk") if p not in text]
    problems += [f"says {m.group(0)!r}" for m in (re.search(p, text, re.M) for p in ("BUG:", "WARNING: CPU", "panic", "I/O error.*xvda", "cannot be", "Oops")) if m]
    gone = len(re.findall("vbd ca10 is gone", text)), len(re.findall("vif 0 is gone", text))
    if gone != (int(rounds), int(rounds)):
        problems.append(f"gone {gone} of {rounds} times")
    if done.returncode != 0:
        problems.append(f"exit status {done.returncode}")
    print(text[-5000:] if problems else text[-400:])
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0


sys.exit(main())
