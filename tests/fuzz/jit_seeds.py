#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds for fuzz_jit: pieces of the code of programs, 64-bit and 32-bit ones by their ELF class, with every choice of byte 0 and 1 in turn.

usage: jit_seeds.py FOLDER PROGRAM..."""
import os
import struct
import sys

BYTES, PIECES = 96, 600


def code(elf):
    """The largest executable segment."""
    wide = elf[4] == 2
    at, size, count = struct.unpack_from("<Q14xHH" if wide else "<I10xHH", elf, 32 if wide else 28) if wide else \
        (struct.unpack_from("<I", elf, 28)[0], *struct.unpack_from("<HH", elf, 42))
    segments = []
    for i in range(count):
        head = struct.unpack_from("<IIQQQQ" if wide else "<IIIIIII", elf, at + i * size)
        kind, flags, offset, length = (head[0], head[1], head[2], head[5]) if wide else (head[0], head[6], head[1], head[4])
        if kind == 1 and flags & 1:
            segments.append(elf[offset:offset + length])
    return wide, max(segments, key=len, default=b"")


def main():
    folder, *programs = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    for p in programs:
        with open(p, "rb") as f:
            wide, text = code(f.read())
        for i in range(min(PIECES, len(text) // BYTES)):
            at = i * (len(text) // PIECES) if len(text) > PIECES * BYTES else i * BYTES
            head = bytes([i * 2 % 256 | (0 if wide else 1), i % 64])
            with open(os.path.join(folder, f"{os.path.basename(p)}.{i}"), "wb") as f:
                f.write(head + text[at:at + BYTES])


main()
