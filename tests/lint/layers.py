#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may include whom: every #include is read; forbidden edges and circles of folders fail.
usage: layers.py SOURCE_ROOT"""
import os
import re
import sys

# Each layer and the layers it may include beside itself and abi/.
ALLOWED = {
    "base": set(),
    "trace": {"base"},
    "mmu": {"trace", "base"},
    "cpu": {"mmu", "trace", "base"},
    "jit": {"cpu", "mmu", "trace", "base"},
    "devices": {"mmu", "trace", "base"},  # of mmu only phys.h, see below
    "watch": {"mmu", "trace", "base"},
    "machine": {"jit", "cpu", "devices", "watch", "mmu", "trace", "base"},
    "traces": {"machine", "jit", "cpu", "devices", "watch", "mmu", "trace", "base"},
    "debugger": {"traces", "machine", "jit", "cpu", "devices", "watch", "mmu", "trace", "base"},
    "hv": set(),  # the hypervisor and the guests know nothing of the simulator, nor of each other
    "guests": set(),
}
# Of hv's, for guests too: the decoder of accesses to devices, the writer of the trace port.
SHARED = ("hv/decode/", "hv/core/trace_port.h")
SIM = {"jit", "base", "trace", "mmu", "cpu", "devices", "watch", "machine"}


def layer_of(path):
    parts = path.split(os.sep)
    return parts[1] if parts[0] == "sim" and len(parts) > 2 else parts[0]


def main():
    root = sys.argv[1]
    errors = []
    for top in ("abi", "sim", "traces", "debugger", "hv", "guests"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if not name.endswith((".c", ".h", ".def")):
                    continue
                path = os.path.relpath(os.path.join(folder, name), root)
                layer = layer_of(path)
                for number, line in enumerate(open(os.path.join(root, path), encoding="utf-8"), 1):
                    m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                    if not m:
                        continue
                    target = m.group(1)
                    where = f"{path}:{number}"
                    first = target.split("/")[0]
                    if ".." in target:
                        errors.append(f"{where}: includes {target}: no ../")
                    elif first == "abi":
                        continue
                    elif layer == "abi":
                        errors.append(f"{where}: abi/ is a leaf, it includes {target}")
                    elif target.endswith(".c"):
                        errors.append(f"{where}: includes a .c file")
                    elif first == layer or (layer == "guests" and target.startswith(SHARED)):
                        continue
                    elif first not in ALLOWED.get(layer, set()):
                        errors.append(f"{where}: {layer} must not include {target}")
                    elif layer == "devices" and first == "mmu" and target != "mmu/phys.h":
                        errors.append(f"{where}: devices see only mmu/phys.h, not {target}")
    for e in errors:
        print(e)
    return 1 if errors else 0


sys.exit(main())
