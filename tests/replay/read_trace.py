#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of recordings, written from traces/FORMAT.md alone: what it and `vitrine trace dump` say must agree.
usage: read_trace.py FILE   prints one JSON object for each record"""
import ctypes
import ctypes.util
import json
import struct
import sys

MASK = (1 << 64) - 1
M = 0x9E3779B97F4A7C15


class Damaged(Exception):
    pass


class Cut(Exception):
    pass


def mix(h, v):
    h = (h ^ v) * M & MASK
    h ^= h >> 32
    h = h * 0xD6E8FEB86659FD93 & MASK
    return h ^ (h >> 29)


def hash_of(data):
    lane = [len(data), 0x8EBC6AF09C88C6E3, MASK, 0x589965CC75374CC3]
    whole = len(data) // 32 * 32
    for words in struct.iter_unpack("<4Q", data[:whole]):
        for i in range(4):
            x = (lane[i] ^ words[i]) * M & MASK
            lane[i] = x ^ (x >> 29)
    h = mix(mix(lane[0], lane[1]), mix(lane[2], lane[3]))
    rest = data[whole:]
    while len(rest) >= 8:
        h = mix(h, int.from_bytes(rest[:8], "little"))
        rest = rest[8:]
    if rest:
        h = mix(h, int.from_bytes(rest, "little") | len(rest) << 56)
    return h


def load_zstd():
    for name in (ctypes.util.find_library("zstd"), "libzstd.so.1"):
        if name:
            try:
                lib = ctypes.CDLL(name)
                lib.ZSTD_decompress.restype = ctypes.c_size_t
                lib.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
                return lib
            except OSError:
                pass
    sys.exit(77)


ZSTD = load_zstd()


def unpack(data, size):
    out = ctypes.create_string_buffer(size + 1)
    if ZSTD.ZSTD_decompress(out, size, data, len(data)) != size:
        raise Damaged("a frame")
    return out.raw[:size]


def chunks(data):
    if len(data) < 32 or data[:8] != b"VITRACE\n" or hash_of(data[:24]) != struct.unpack_from("<Q", data, 24)[0]:
        raise Damaged("not a recording")
    if struct.unpack_from("<I", data, 8)[0] != 2:
        raise Damaged("version")
    at = 32
    while at < len(data):
        if len(data) - at < 64:
            raise Cut(at)
        magic, kind, unpacked, stored, digest, first, last, count, check = struct.unpack_from("<4sIQQQQQQQ", data, at)
        if magic != b"CHNK" or check != hash_of(data[at:at + 56]) or unpacked > 1 << 26:
            raise Damaged(f"chunk at {at}")
        if len(data) - at - 64 < stored:
            raise Cut(at)
        packed = data[at + 64:at + 64 + stored]
        if hash_of(packed) != digest:
            raise Damaged(f"chunk at {at}")
        yield kind, unpack(packed, unpacked), first, last, count
        at += 64 + stored


class Trace:
    def __init__(self, path):
        self.config, self.events, self.end = None, {}, ""
        self.data = open(path, "rb").read()

    def list_events(self, text):
        for line in text.decode().split("\n"):
            words = line.split(" ", 6)
            if words[0] == "event":
                schema = [tuple(f.split(":")) for f in words[6].split(" ")]
                self.events[int(words[1])] = (words[2], words[3], int(words[4]), words[5] == "bytes", schema)

    def records(self):
        """All that can be read; then self.end says "", "cut" or "damaged"."""
        try:
            for kind, body, first, last, count in chunks(self.data):
                if kind == 1:
                    self.config = body.decode()
                elif kind == 4:
                    self.list_events(body)
                elif kind == 2:
                    yield from self.of_chunk(body, first, last, count)
        except Cut:
            self.end = "cut"
        except Damaged as why:
            self.end = f"damaged: {why}"

    def of_chunk(self, body, first, last, count):
        at = n = 0
        while at < len(body):
            if len(body) - at < 64:
                raise Damaged("part of a record")
            position, ns, event, cpu, argc, size = struct.unpack_from("<QQHBBI", body, at)
            args = struct.unpack_from(f"<{argc}Q", body, at + 24) if argc <= 5 else None
            payload = body[at + 64:at + 64 + size]
            if event not in self.events or args is None or argc != self.events[event][2] or len(payload) != size:
                raise Damaged("a record")
            if n == 0 and position != first or position > last:
                raise Damaged("positions of a chunk")
            name, _, _, _, schema = self.events[event]
            yield position, ns, cpu, name, schema, args, payload
            at += 64 + (size + 63) // 64 * 64
            n += 1
        if n != count:
            raise Damaged("number of records")


def main():
    trace = Trace(sys.argv[1])
    last = (0, 0)
    for position, ns, cpu, name, schema, args, payload in trace.records():
        if (position, ns) < last and (position < last[0] or ns < last[1]):
            sys.exit(f"goes back: {last} to {(position, ns)}")
        last = (position, ns)
        row = {"position": position, "ns": ns, "cpu": cpu, "event": name, "args": list(args), "payload": payload.hex(),
               "fields": [n for n, _ in schema]}
        print(json.dumps(row))
    print(f"end: {trace.end or 'whole'}", file=sys.stderr)


if __name__ == "__main__":
    main()
