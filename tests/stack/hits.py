#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statuses each hypercall answered in the small stacks' golden lists (guests/stacks/golden, which stack.golden.* compare with what the
simulator records): a table, and an error when a call never succeeded or was never refused, or a status never came, without being named here.
usage: hits.py SOURCE_ROOT"""
import collections
import glob
import os
import re
import sys

# Calls that are not refused here: nothing can be wrong with them.
NEVER_REFUSED = {"NotifyLongSpinWait": "takes any input"}
# Statuses that no call of these stacks can answer, and why.
NEVER_ANSWERED = {"HV_PARTITION_TOO_DEEP": "children have no privilege to create partitions",
                  "HV_STATUS_ACKNOWLEDGED": "needs an ExtInt that was acknowledged and not cleared: hv clears it at once"}


def main():
    root = sys.argv[1]
    calls = {}
    for line in open(os.path.join(root, "abi/hyperv/hypercall.def"), encoding="utf-8"):
        m = re.match(r"HYPERCALL\((0x\w+), (\w+),", line)
        if m:
            calls[int(m.group(1), 16)] = m.group(2)
    statuses = {}
    text = open(os.path.join(root, "abi/hyperv/hypercall.h"), encoding="utf-8").read()
    for name, value in re.findall(r"^    (HV_\w+) = (0x\w+),", text[text.index("enum hv_status"):text.index("struct hv_partition_input")], re.M):
        statuses[int(value, 16)] = name
    hits = collections.defaultdict(collections.Counter)
    for golden in glob.glob(os.path.join(root, "guests/stacks/golden/*.golden")):
        for line in open(golden, encoding="utf-8"):
            m = re.search(r"hypercall_done interface=hyper-v number=(0x\w+) .*result=(0x\w+)", line)
            if m:
                hits[int(m.group(1), 16)][int(m.group(2), 16) & 0xffff] += 1
    wrong = []
    for number, name in calls.items():
        got = hits[number]
        print(f"{name}: " + " ".join(f"{statuses.get(s, hex(s))[3:]}={n}" for s, n in sorted(got.items())))
        if 0 not in got:
            wrong.append(f"{name} never succeeded")
        if len(got) < 2 and name not in NEVER_REFUSED:
            wrong.append(f"{name} was never refused")
    reached = {s for got in hits.values() for s in got if s in statuses}
    for value, name in statuses.items():
        if value not in reached and name not in NEVER_ANSWERED:
            wrong.append(f"{name} never came")
    print("\n".join(wrong))
    print(f"{len(calls)} calls, {len(reached)} of {len(statuses)} statuses, {len(wrong)} missing")
    return 1 if wrong else 0


sys.exit(main())
