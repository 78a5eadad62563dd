#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ELF image out of a bzImage whose payload is packed by xz, zstd, gzip or bzip2: unpack.py BZIMAGE OUT

[Linux Documentation/arch/x86/boot.rst: payload_offset, payload_length]"""
import bz2
import ctypes
import lzma
import os
import struct
import sys
import zlib


def zstd(packed, size):
    """Python has none before 3.14: the library that Vitrine is linked with."""
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
    frame = library.ZSTD_findFrameCompressedSize(packed, ctypes.c_size_t(len(packed)))
    out = ctypes.create_string_buffer(size)
    done = library.ZSTD_decompress(out, ctypes.c_size_t(size), packed, ctypes.c_size_t(min(frame, len(packed))))
    return out.raw if done == size else b""


# Each stops at its stream's end: behind it come four bytes, the size of what was packed.
UNPACKERS = {
    b"\xfd7zXZ": lambda packed, size: lzma.LZMADecompressor().decompress(packed),
    b"\x28\xb5\x2f\xfd": zstd,
    b"\x1f\x8b": lambda packed, size: zlib.decompressobj(31).decompress(packed),
    b"BZh": lambda packed, size: bz2.BZ2Decompressor().decompress(packed),
}


def main():
    if not os.path.exists(sys.argv[1]):
        sys.exit(77)
    with open(sys.argv[1], "rb") as f:
        image = f.read()
    if image[0x202:0x206] != b"HdrS":
        sys.exit(f"{sys.argv[1]}: no bzImage")
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    packed = image[start:start + length]
    unpacker = next((u for magic, u in UNPACKERS.items() if packed.startswith(magic)), None)
    if unpacker is None:
        sys.exit(f"{sys.argv[1]}: packed by something else than xz, zstd, gzip or bzip2")
    elf = unpacker(packed, struct.unpack("<I", packed[-4:])[0])
    if elf[:4] != b"\x7fELF":
        sys.exit(f"{sys.argv[1]}: what is inside is no ELF image")
    with open(sys.argv[2], "wb") as f:
        f.write(elf)


main()
