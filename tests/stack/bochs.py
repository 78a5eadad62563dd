#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor on another machine: Bochs with VMX, from a CD image that GRUB boots. Skips where Bochs (with its terminal display), its BIOS
or grub-mkrescue is not installed.
usage: bochs.py HV ROOT"""
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time

MENU = """set timeout=0
menuentry hv {
  multiboot /boot/hv.elf
  module /boot/root.elf root.elf
}
"""
SETTINGS = """config_interface: textconfig
display_library: term
megs: 256
cpu: model=corei7_haswell_4770, count=1, ips=200000000
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=hv.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=com1.txt
log: bochs.log
panic: action=fatal
error: action=report
info: action=report
clock: sync=none
speaker: enabled=0
"""
LIMIT = 900


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def main():
    hv, root = sys.argv[1:3]
    bios = "/usr/share/bochs/BIOS-bochs-latest"
    if not shutil.which("bochs") or not shutil.which("grub-mkrescue") or not os.path.exists(bios):
        print("SKIP: no bochs, or no grub-mkrescue")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        boot = os.path.join(folder, "cd/boot")
        os.makedirs(os.path.join(boot, "grub"))
        shutil.copy(hv, os.path.join(boot, "hv.elf"))
        shutil.copy(root, os.path.join(boot, "root.elf"))
        write(os.path.join(boot, "grub/grub.cfg"), MENU)
        write(os.path.join(folder, "bochsrc"), SETTINGS)
        write(os.path.join(folder, "go"), "c\n")  # Debian's has the debugger built in
        image = os.path.join(folder, "hv.iso")
        subprocess.run(["grub-mkrescue", "-o", image, os.path.join(folder, "cd")], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        master, slave = pty.openpty()
        bochs = subprocess.Popen(["bochs", "-q", "-f", "bochsrc", "-rc", "go"], cwd=folder, stdin=slave, stdout=slave, stderr=slave,
                                 env=dict(os.environ, TERM="xterm"))
        os.set_blocking(master, False)
        end = time.monotonic() + LIMIT
        text = ""
        serial = os.path.join(folder, "com1.txt")
        while time.monotonic() < end and bochs.poll() is None and "rules kept" not in text and "panic" not in text:
            time.sleep(1)
            try:
                os.read(master, 1 << 20)
            except BlockingIOError:
                pass
            if os.path.exists(serial):
                with open(serial, encoding="latin1") as f:
                    text = f.read()
        bochs.kill()
        bochs.wait()
        print(text[-2000:])
        if " 0 broken" not in text:
            with open(os.path.join(folder, "bochs.log"), encoding="latin1") as f:
                print("".join(f.readlines()[-20:]))
    return 0 if " 0 broken" in text else "FAIL: the sum of hvtest is missing or bad"


sys.exit(main())
