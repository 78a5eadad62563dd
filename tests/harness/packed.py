# SPDX-License-Identifier: GPL-3.0-or-later
"""What kernels and their modules are packed by: xz, zstd, gzip, bzip2. unpack(bytes): one stream from its beginning, what is behind it left alone."""
import bz2
import ctypes
import lzma
import zlib


def zstd(packed, size):
    """Python has none before 3.14: the library that Vitrine is linked with."""
    library = ctypes.CDLL("libzstd.so.1")
    for name in ("ZSTD_decompress", "ZSTD_findFrameCompressedSize"):
        getattr(library, name).restype = ctypes.c_size_t
    library.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    frame = min(library.ZSTD_findFrameCompressedSize(packed, ctypes.c_size_t(len(packed))), len(packed))
    size = size or library.ZSTD_getFrameContentSize(packed, ctypes.c_size_t(frame))
    if size > 1 << 30: # not said in the frame, or no frame
        return None
    out = ctypes.create_string_buffer(size)
    return out.raw if library.ZSTD_decompress(out, ctypes.c_size_t(size), packed, ctypes.c_size_t(frame)) == size else None


UNPACKERS = {
    b"\xfd7zXZ": lambda packed, size: lzma.LZMADecompressor().decompress(packed),
    b"\x28\xb5\x2f\xfd": zstd,
    b"\x1f\x8b": lambda packed, size: zlib.decompressobj(31).decompress(packed),
    b"BZh": lambda packed, size: bz2.BZ2Decompressor().decompress(packed),
}


def unpack(packed, size=0):
    """None: packed by nothing of these. `size`: of what comes out, if it is known."""
    for magic, unpacker in UNPACKERS.items():
        if packed.startswith(magic):
            return unpacker(packed, size)
    return None
