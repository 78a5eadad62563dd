# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and network adapters added to a running child and taken away again, many times, through the management console, while it writes
another disk without end and pings. The child runs once before, for what the root takes once and keeps: afterwards as many pages are free as
between the two runs, and the disk under load has what was written."""
import os
import re
import subprocess
import tempfile

import judging

MIB = 1 << 20
LINE = b"what is written\n"
DISK = 4 * MIB
# Counts what came back; one lost ends it.
LOAD = ("n=0; while yes 'what is written' | dd of=DISK bs=16k count=4 seek=$((n%64*4)) iflag=fullblock conv=fsync 2>/dev/null; do "
        "n=$((n+1)); echo $n > /tmp/written; done &")
PINGS = "m=0; while ping -c 1 -W 5 10.0.2.2 > /tmp/ping 2>&1; do m=$((m+1)); echo $m > /tmp/pinged; done &"
MEMORY = ['send "memory\\r"', 'expect "pages free"', 'expect "root> "']


class Kind:
    """How one kind of child names things: the disk under load, what it says when a disk or adapter came and went."""

    def __init__(self, disk, steps, end):
        self.disk, self.steps, self.end = disk, steps, end


def script_lines(kind, rounds, prepare):
    lines = ["timeout 1000", 'expect "# "', *kind.end, 'expect "powered off"', *MEMORY, 'send "vm start CHILD\\r"', 'expect "root> "',
             'send "vm console CHILD\\r"', 'expect "# "']
    for command in [*prepare, LOAD, PINGS]:
        lines += [f'send "{command}\\r"', 'expect "# "']
    lines += ['send "\\x1d"', 'expect "root> "']
    for _ in range(rounds):
        for command, answer in kind.steps:
            lines += [f'send "{command}\\r"', f'expect "{answer}"']
    return lines + ['send "vm console CHILD\\r"', 'expect "console of CHILD"',
                    "send \"echo @@ LO${x}AD written=$(cat /tmp/written) pinged=$(cat /tmp/pinged); kill %1 %2; wait; yes 'what is written' | dd of=DISK bs=64k count=64 iflag=fullblock conv=fsync; echo @@ LO${x}ADED\\r\"", 'expect "@@ LOADED"',
                    *kind.end, 'expect "powered off"', *MEMORY, 'send "poweroff\\r"']


def run(kind, child, rounds, prepare, create, command, modules):
    """`create`: what makes and starts the child, whose first disk is virtio0 and whose disk that comes and goes is virtio1."""
    with tempfile.TemporaryDirectory() as folder:
        images = [os.path.join(folder, name) for name in ("load.img", "hot.img", "script")]
        for path, size in zip(images, (DISK, 2 * MIB)):
            with open(path, "wb") as f:
                f.write(b"\0" * size)
        with open(images[2], "w", encoding="ascii") as f:
            f.write("\n".join(script_lines(kind, rounds, prepare)).replace("CHILD", child).replace("DISK", kind.disk) + "\n")
        drives = [a for path in images[:2] for a in ("--drive", f"file={path},format=raw,if=virtio")]
        done = subprocess.run([*command, *drives, "--nic", "user", "--script", images[2], "--initrd",
                               f"{modules[0]} {create},{','.join(modules[1:])}"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=3400, check=False)
        with open(images[0], "rb") as f:
            written = f.read()
    text = judging.text_of(done.stdout + done.stderr)
    problems = judging.problems_of(text, ("powered off", "switched off"), (*judging.TROUBLE, "I/O error, dev xvda", "I/O error, dev sda"),
                                   done.returncode)
    free = re.findall(r"(\d+) pages free", text)
    if len(free) != 2 or free[0] != free[1]:
        problems.append(f"pages free before and after: {free}")
    load = re.search(r"^@@ LOAD written=(\d+) pinged=(\d+)", text, re.M)
    if load is None or min(int(n) for n in load.groups()) < rounds // 4:
        problems.append("there was hardly a load")
    if written != (LINE * (DISK // len(LINE) + 1))[:DISK]:
        problems.append("the disk under load is not what was written")
    print(load.group(0) if load else "", f"pages free before and after: {free}")
    return text, problems
