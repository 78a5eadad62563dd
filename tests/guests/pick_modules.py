#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy kernel modules and what they depend on, and write the order to load them in. What is part of the kernel needs no module.

usage: pick_modules.py INPUTS KERNEL OUT_DIR NAME...   -> OUT_DIR/*.ko and OUT_DIR/load; KERNEL: vmlinuz, vmlinuz-cloud"""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../harness"))
from packed import unpack


def contents(path):
    with open(path, "rb") as f:
        data = f.read()
    return data if path.endswith(".ko") else unpack(data)


def name_of(path):
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def tree_of(inputs, kernel):
    """Where a distribution has one /lib, under usr."""
    version = os.path.basename(os.path.realpath(os.path.join(inputs, kernel))).removeprefix("vmlinuz-")
    trees = [os.path.join(inputs, "root", lib, "modules", version) for lib in ("lib", "usr/lib")]
    return next((t for t in trees if os.path.exists(os.path.join(t, "modules.builtin"))), None) or sys.exit(f"{trees[0]}: no modules of {kernel}")


def main():
    tree, out, wanted = tree_of(*sys.argv[1:3]), sys.argv[3], sys.argv[4:]
    found = {}
    for folder, _, files in os.walk(tree):
        for f in files:
            if f.endswith((".ko", ".ko.xz", ".ko.zst", ".ko.gz")):
                found[name_of(f)] = os.path.join(folder, f)
    with open(os.path.join(tree, "modules.builtin"), encoding="ascii") as f:
        builtin = {name_of(line.strip()) for line in f}
    order = []

    def visit(name):
        name = name.replace("-", "_")
        if name in order or (name in builtin and name not in found):
            return
        if name not in found:
            sys.exit(f"{tree}: no module {name}")
        at = contents(found[name])
        start = at.find(b"\0depends=") + 9
        for needed in at[start:at.index(b"\0", start)].decode().split(","):
            if needed:
                visit(needed)
        order.append(name)

    for name in wanted:
        visit(name)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    for name in order:
        with open(os.path.join(out, name + ".ko"), "wb") as f:
            f.write(contents(found[name]))
    with open(os.path.join(out, "load"), "w") as f:
        f.write("".join(f"{name}.ko\n" for name in order))


main()
