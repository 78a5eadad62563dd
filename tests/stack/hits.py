#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statuses each hypercall answered in the small stacks' golden lists (guests/stacks/golden, which stack.golden.* compare with what the
simulator records): a table, and an error when a call never succeeded or was never refused, or a status of hv's never came, or one that it
does not have, without being named here; and when what is named here is not so.
usage: hits.py SOURCE_ROOT"""
import collections
import glob
import os
import re
import sys

# Calls that are not refused here: nothing can be wrong with them.
NEVER_REFUSED = {"NotifyLongSpinWait": "takes any input"}
# Statuses that no call of these stacks can answer, and why: none.
NEVER_ANSWERED = {}
# VtlCall and VtlReturn: RAX behind them is the other level's, no status.
VTL_SWITCHES = (0x11, 0x12)
# What hvtest answers as the parent or VTL 2 that a call was intercepted for: no results of hv's, which have bits 31:16 and unknown statuses clear.
INTERCEPTED = (0x5eed, 0x30000)


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
            if m and int(m.group(2), 16) not in INTERCEPTED:
                hits[int(m.group(1), 16)][int(m.group(2), 16) & 0xffff] += 1
    wrong = []
    for number, name in calls.items():
        got = hits[number]
        print(f"{name}: " + " ".join(f"{statuses.get(s, hex(s))[3:]}={n}" for s, n in sorted(got.items())))
        if 0 not in got:
            wrong.append(f"{name} never succeeded")
        if len(got) < 2 and name not in NEVER_REFUSED:
            wrong.append(f"{name} was never refused")
        if name in NEVER_REFUSED and len(got) > 1:
            wrong.append(f"{name} was refused: it has no place in NEVER_REFUSED")
        wrong += [f"{name} answered {s:#x}, which is no status" for s in got if s not in statuses]
    unknown = {s for number, got in hits.items() for s in got if number not in calls and number not in VTL_SWITCHES}
    print("no such call: " + " ".join(statuses.get(s, hex(s))[3:] for s in sorted(unknown)))
    wrong += [f"a call that is not there answered {s:#x}" for s in unknown if statuses.get(s) != "HV_INVALID_HYPERCALL_CODE"]
    reached = {s for number in calls for s in hits[number] if s in statuses} | (unknown & statuses.keys())
    for value, name in statuses.items():
        if value not in reached and name not in NEVER_ANSWERED:
            wrong.append(f"{name} never came")
        if value in reached and name in NEVER_ANSWERED:
            wrong.append(f"{name} came: it has no place in NEVER_ANSWERED")
    print("\n".join(wrong))
    print(f"{len(calls)} calls, {len(reached)} of {len(statuses)} statuses, {len(wrong)} missing")
    return 1 if wrong else 0


sys.exit(main())
