#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ELF image out of a bzImage whose payload is packed by xz: unpack.py BZIMAGE OUT

[Linux Documentation/arch/x86/boot.rst: payload_offset, payload_length]"""
import lzma
import os
import struct
import sys


def main():
    if not os.path.exists(sys.argv[1]):
        sys.exit(77)
    with open(sys.argv[1], "rb") as f:
        image = f.read()
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    unpacker = lzma.LZMADecompressor()  # stops at the stream's end: four bytes of size follow
    elf = unpacker.decompress(image[start:start + length])
    if elf[:4] != b"\x7fELF":
        sys.exit(f"{sys.argv[1]}: what is inside is no ELF image")
    with open(sys.argv[2], "wb") as f:
        f.write(elf)


main()
