#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ELF image out of a bzImage: unpack.py BZIMAGE OUT

[Linux Documentation/arch/x86/boot.rst: payload_offset, payload_length]"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../harness"))
from packed import unpack


def main():
    if not os.path.exists(sys.argv[1]):
        sys.exit(77)
    with open(sys.argv[1], "rb") as f:
        image = f.read()
    if image[0x202:0x206] != b"HdrS":
        sys.exit(f"{sys.argv[1]}: no bzImage")
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    payload = image[start:start + length] # the last four bytes: the size of what was packed
    elf = unpack(payload, struct.unpack("<I", payload[-4:])[0])
    if elf is None or elf[:4] != b"\x7fELF":
        sys.exit(f"{sys.argv[1]}: what is inside is no ELF image that is packed by xz, zstd, gzip or bzip2")
    with open(sys.argv[2], "wb") as f:
        f.write(elf)


main()
