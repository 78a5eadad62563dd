#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk and a network adapter come to a running enlightened child and go (hotplug.py): a stock kernel's hv_storvsc and hv_netvsc. What the child has is
what its kernel shows, looked at again and again.
usage: vmbus_hotplug.py VITRINE CPU ROUNDS HV ROOT KERNEL INITRD"""
import os
import sys

import hotplug
import judging

STEPS = [("disk add a virtio1 --lun 1", "HAS 1 adapters 2 disks"), ("nic add a", "HAS 2 adapters 2 disks"),
         ("disk remove a --lun 1", "HAS 2 adapters 1 disks"), ("nic remove a 1", "HAS 1 adapters 1 disks")]
ENLIGHTENED = hotplug.Kind("/dev/sda", STEPS, ['send "poweroff -f\\r"'])
WATCH = ("(w=; while usleep 20000; do set -- /sys/class/net/eth*; n=$#; set -- /sys/block/sd*; n=${n}a$#; case $w in $n) ;; "
         "*) w=$n; echo @@ H${x}AS ${n%a*} adapters ${n#*a} disks;; esac; done &)")
PREPARE = ["ip link set eth0 up", "ip addr add 10.0.2.40/24 dev eth0"]


def main():
    vitrine, cpu, rounds, hv, *modules = sys.argv[1:]
    root, kernel, initrd = modules
    if judging.is_missing((kernel, initrd)):
        return judging.SKIPPED
    create = (f"vm create a --kernel {os.path.basename(kernel)} --initrd {os.path.basename(initrd)} --memory 160M --append console=ttyS0 quiet && "
              "disk add a virtio0 && nic add a && vm start a && vm console a")
    text, problems = hotplug.run(ENLIGHTENED, "a", int(rounds), [*PREPARE, WATCH], create,
                                 [vitrine, "run", "--cpu", cpu, "--smp", "1", "--memory", "384M", "--kernel", hv, "--max-instructions", "200000000000"],
                                 [root, kernel, initrd])
    for command, answer in STEPS:
        if text.count("@@ " + answer) < int(rounds):
            problems.append(f"{command}: {text.count('@@ ' + answer)} of {rounds} times")
    return judging.finish(text, problems)


sys.exit(main())
