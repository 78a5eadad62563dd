#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels, initrds and disk images that are missing, cut, foreign or too large.
usage: images.py VITRINE TINY_GUESTS INPUTS"""
import os
import shutil
import struct
import subprocess

from case import INPUTS, case, run, tiny, write

RUN = ["run", "--no-reboot", "--max-instructions", "20000"]


def elf(machine, bits=32, entry=0x100060, phoff=52, phnum=1, segment=(1, 0, 0x100000, 0x100000, 0x62, 0x62)):
    """A small ELF file with one program header and the Multiboot header behind it."""
    ident = b"\x7fELF" + bytes([1 if bits == 32 else 2, 1, 1]) + bytes(9)
    if bits == 32:
        head = ident + struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, entry, phoff, 0, 0, 52, 32, phnum, 40, 0, 0)
        program = struct.pack("<IIIIIIII", *segment, 7, 4)
    else:
        head = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, phnum, 64, 0, 0)
        kind, offset, va, pa, filesz, memsz = segment
        program = struct.pack("<IIQQQQQQ", kind, 7, offset, va, pa, filesz, memsz, 4)
    body = head + program
    return body + bytes(-len(body) % 4) + struct.pack("<III", 0x1BADB002, 0, 2**32 - 0x1BADB002) + b"\xfa\xf4"


def kernels(folder):
    case([*RUN, "--kernel", os.path.join(folder, "none")], 66, "none': No such file")
    case([*RUN, "--kernel", ""], 66, "No such file")
    case([*RUN, "--kernel", folder], 65, "could not read kernel file")
    case([*RUN, "--kernel", write(folder, "empty", b"")], 65, "neither a bzImage nor an ELF kernel")
    case([*RUN, "--kernel", write(folder, "text", b"no kernel at all\n" * 99)], 65, "neither a bzImage nor")
    case([*RUN, "--kernel", "/dev/null"], 65, "neither a bzImage nor an ELF kernel")
    case([*RUN, "--kernel", write(folder, "good", elf(3))], 75)
    for machine in (0, 8, 40, 183, 243):
        case([*RUN, "--kernel", write(folder, "foreign", elf(machine))], 65, f"another architecture.*{machine}")
        case([*RUN, "--kernel", write(folder, "foreign", elf(machine)[:-14])], 65, "another architecture")
    plain = elf(62, 64)[:-14]
    case([*RUN, "--kernel", write(folder, "plain", plain)], 65, "neither a bzImage nor an ELF kernel with")
    good = elf(3)
    for n in (5, 16, 17, 40, 51, 52, 60, 83):
        case([*RUN, "--kernel", write(folder, "cut", good[:n])], 65, "truncated|neither a bzImage")
    strange = {
        "high": elf(3, segment=(1, 0, 0, 0xF0000000, 0x60, 0x60)),
        "long": elf(3, segment=(1, 0, 0, 0x100000, 0x60, 0xFFFFFFFF)),
        "past": elf(3, segment=(1, 0x1000, 0, 0x100000, 0x60, 0x60)),
        "more in the file than in memory": elf(3, segment=(1, 0, 0, 0x100000, 0x60, 0x10)),
        "hole": elf(3, segment=(1, 0, 0, 0xA0000, 0x60, 0x60)),
        "nothing": elf(3, segment=(2, 0, 0, 0x100000, 0x60, 0x60)),
        "phnum": elf(3, phnum=60000),
        "phoff": elf(3, phoff=0xFFFFFFF0),
        "wrap": elf(62, 64, segment=(1, 0, 0, 2**64 - 0x20, 0x60, 0x60)),
        "entry": elf(62, 64, entry=2**63),
    }
    for name, data in strange.items():
        case([*RUN, "--kernel", write(folder, name, data)], 65, f"{name}: ")
    flat = struct.pack("<IIIIIIII", 0x1BADB002, 0x10000, 2**32 - 0x1BADB002 - 0x10000, 0x100000, 0x100000, 0, 0,
                       0x100020) + b"\xfa\xf4"
    case([*RUN, "--kernel", write(folder, "flat", flat)], 75)
    for n in (12, 20, 31):
        case([*RUN, "--kernel", write(folder, "flat", flat[:n])], 65, "truncated")
    wrong = flat[:12] + struct.pack("<IIII", 0x100000, 0x200000, 0, 0) + flat[28:]
    case([*RUN, "--kernel", write(folder, "flat", wrong)], 65, "impossible addresses")
    big = flat[:20] + struct.pack("<I", 0x900000) + flat[24:]
    case([*RUN, "--kernel", write(folder, "flat", big)], 65, "truncated")


def linux(folder):
    path = os.path.join(INPUTS, "vmlinuz-cloud")
    if not os.path.exists(path):
        print("note: no stock kernel (scripts/fetch-inputs gets it); its cases are left out")
        return
    data = open(path, "rb").read()
    case([*RUN, "--kernel", path], 124)
    size = len(data)
    for n in (1, 0x200, 0x202, 0x206, 0x240, 0x268, 0x269, 0x400, 0x1000, 0x4000, 0x4001, size // 4, size // 2,
              size - 100000):
        case([*RUN, "--kernel", write(folder, "cut", data[:n])], 65, "truncated|neither a bzImage")
    def patched(offset, form, value):
        changed = bytearray(data)
        struct.pack_into(form, changed, offset, value)
        return write(folder, "patched", changed)

    case([*RUN, "--kernel", patched(0x258, "<Q", 2**64 - 0x1000)], 65, "does not fit")
    case([*RUN, "--kernel", patched(0x258, "<Q", 0x8000)], 65, "does not fit")
    case([*RUN, "--kernel", patched(0x260, "<I", 0xFFFFFFFF)], 65, "does not fit")
    case([*RUN, "--kernel", patched(0x206, "<H", 0x100)], 65, "64-bit entry|bzImage")
    case([*RUN, "--kernel", patched(0x202, "<I", 0)], 65, "neither a bzImage")
    case([*RUN, "--kernel", path, "-m", "16M"], 65, "does not fit.*more --memory")
    case([*RUN, "--kernel", path, "--append", "x" * 70000], 64, "--append is longer")
    initrd = write(folder, "initrd", bytes(8 << 20))
    case([*RUN, "--kernel", path, "--initrd", initrd], 124)
    case([*RUN, "--kernel", path, "--initrd", os.path.join(folder, "none")], 66, "none")
    case([*RUN, "--kernel", path, "--initrd", folder], 65, "could not read")
    big = os.path.join(folder, "big")
    with open(big, "wb") as f:
        f.truncate(300 << 20)
    case([*RUN, "--kernel", path, "--initrd", big, "-m", "256M"], 65, "initrd .*does not fit.*more --memory")
    case([*RUN, "--kernel", path, "--initrd", "/dev/null"], 124)


def modules(folder):
    halt = tiny("halt")
    small = write(folder, "small", b"module")
    big = os.path.join(folder, "bigmodule")
    with open(big, "wb") as f:
        f.truncate(64 << 20)
    case([*RUN, "--kernel", halt, "--initrd", f"{small} with args,{small}"], 75)
    case([*RUN, "--kernel", halt, "--module", small, "--module", f"{small},args"], 75)
    case([*RUN, "--kernel", halt, "--initrd", f"{small},/nonexistent/x"], 66, "/nonexistent/x")
    case([*RUN, "--kernel", halt, "--initrd", big, "-m", "32M"], 65, "does not fit.*more --memory")
    case([*RUN, "--kernel", halt, "--append", "x" * 30000], 64, "too long")


def disks(folder):
    halt = ["--kernel", tiny("halt")]
    raw = os.path.join(folder, "disk.raw")
    with open(raw, "wb") as f:
        f.truncate(1 << 20)
    case([*RUN, *halt, "--drive", f"file={raw}"], 75)
    case([*RUN, *halt, "--drive", f"file={raw},if=ahci,format=raw"], 75)
    case([*RUN, *halt, "--hda", raw, "--cdrom", raw], 65, "in use|opened twice|same")
    case([*RUN, *halt, "--drive", f"file={folder}/none"], 66, "none: no such file")
    case([*RUN, *halt, "--cdrom", f"{folder}/none"], 66, "none: no such file")
    case([*RUN, *halt, "--drive", f"file={folder}"], 65, "not a regular file|directory")
    case([*RUN, *halt, "--drive", f"file={raw},format=qcow2"], 65, "qcow2")
    os.chmod(raw, 0o444)
    case([*RUN, *halt, "--drive", f"file={raw}"], 65, "not writable; use readonly=on or snapshot=on")
    case([*RUN, *halt, "--drive", f"file={raw},readonly=on"], 75)
    case([*RUN, *halt, "--drive", f"file={raw},snapshot=on"], 75)
    case([*RUN, *halt, "--cdrom", raw], 75)
    with_comma = os.path.join(folder, "a,b.raw")
    shutil.copyfile(raw, with_comma)
    case([*RUN, *halt, "--drive", f"file={with_comma.replace(',', ',,')}"], 75)
    case([*RUN, *halt, *[x for i in range(7) for x in ("--cdrom", raw)]], 64, "ports")


def qcow2(folder):
    if shutil.which("qemu-img") is None:
        print("note: no qemu-img; its cases are left out")
        return
    halt = ["--kernel", tiny("halt")]
    path = os.path.join(folder, "disk.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "4M"], check=True)
    case([*RUN, *halt, "--drive", f"file={path}"], 75)
    data = open(path, "rb").read()
    for n in (4, 8, 71, 72, 103, 0x10000, 0x20000, 0x30000):
        cut = write(folder, "cut.qcow2", data[:n])
        case([*RUN, *halt, "--drive", f"file={cut}"], 65, "cut.qcow2: ")
    for offset, value in ((4, 99), (20, 60), (20, 0), (32, 5), (36, 2**31), (100, 60), (96, 7)):
        changed = bytearray(data)
        struct.pack_into(">I", changed, offset, value)
        bad = write(folder, "bad.qcow2", changed)
        case([*RUN, *halt, "--drive", f"file={bad}"], 65, "bad.qcow2: ")
    for offset in (40, 48):
        changed = bytearray(data)
        struct.pack_into(">Q", changed, offset, 0x123456789ABCDE01)
        bad = write(folder, "bad.qcow2", changed)
        case([*RUN, *halt, "--drive", f"file={bad}"], 65, "bad.qcow2: ")
    child = os.path.join(folder, "child.qcow2")
    base = os.path.join(folder, "base.qcow2")
    shutil.copyfile(path, base)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", child], check=True)
    case([*RUN, *halt, "--drive", f"file={child}"], 75)
    os.unlink(base)
    case([*RUN, *halt, "--drive", f"file={child}"], 66, "base.qcow2")


def main(folder):
    kernels(folder)
    linux(folder)
    modules(folder)
    disks(folder)
    qcow2(folder)


run(main)
