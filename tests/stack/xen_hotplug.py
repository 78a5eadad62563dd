#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk and a network adapter come to a running Xen child and go (hotplug.py): blkfront and netfront, the adapter, VMBus. Linux's
netfront never frees the 256 pages that it granted for frames of an adapter that goes (its pool of pages keeps a user): the child has memory enough.
usage: xen_hotplug.py VITRINE CPU ROUNDS HV ROOT ADAPTER VMLINUX INITRD"""
import os
import sys

import hotplug
import judging

XEN = hotplug.Kind("/dev/xvda", [("disk add xen virtio1 --lun 1", "blkfront: xvdb"), ("nic add xen", "vif 1 has the address"),
                                 ("disk remove xen --lun 1", "vbd ca10 is gone"), ("nic remove xen 1", "vif 1 is gone")],
                   ['send "poweroff -f\\r"'])
PREPARE = ["ip link set eth0 up", "ip addr add 10.0.2.40/24 dev eth0"]


def main():
    vitrine, cpu, rounds, hv, *modules = sys.argv[1:]
    root, adapter, vmlinux, initrd = modules
    if judging.is_missing((vmlinux, initrd)):
        return judging.SKIPPED
    create = (f"vm create xen --kernel vmlinux --initrd {os.path.basename(initrd)} --xen adapter.elf --memory 320M --append console=hvc0 && "
              "disk add xen virtio0 && nic add xen && vm start xen && vm console xen")
    text, problems = hotplug.run(XEN, "xen", int(rounds), PREPARE, create,
                                 [vitrine, "run", "--cpu", cpu, "--smp", "1", "--memory", "640M", "--kernel", hv, "--max-instructions", "200000000000"],
                                 [root, vmlinux, initrd, adapter])
    gone = text.count("vbd ca10 is gone"), text.count("vif 1 is gone")
    if gone != (int(rounds), int(rounds)):
        problems.append(f"gone {gone} of {rounds} times")
    return judging.finish(text, problems)


sys.exit(main())
