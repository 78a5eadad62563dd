#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest gets an address, pings the gateway and downloads from a server on the host's loopback. What
the outside does is not the same twice, so the run is recorded, and its replay must be equal.

usage: net_test.py --vitrine PATH [--needs FILE]... -- RUN_ARGUMENTS    (PORT in them is replaced)"""
import argparse
import hashlib
import http.server
import os
import random
import re
import subprocess
import sys
import tempfile
import threading

BLOB = random.Random(1).randbytes(1500000)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BLOB)))
        self.end_headers()
        self.wfile.write(BLOB)

    def log_message(self, *_):
        pass


def run(a, arguments):
    command = [a.vitrine, *arguments, "--hash"]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=a.timeout)
    except subprocess.TimeoutExpired as e:
        sys.exit((e.stdout or b"").decode("latin1")[-3000:] + f"\nFAIL: no end after {a.timeout} s")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--vitrine", required=True)
    ap.add_argument("--needs", action="append", default=[])
    ap.add_argument("--timeout", type=float, default=600)
    ap.add_argument("arguments", nargs=argparse.REMAINDER)
    a = ap.parse_args()
    arguments = a.arguments[1:] if a.arguments[:1] == ["--"] else a.arguments
    for need in a.needs:
        if not os.path.exists(need):
            print(f"SKIP: {need} is missing; scripts/fetch-inputs gets it")
            return 77
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_address[1])
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace")
        done = run(a, ["run", "--nic", "user", *[x.replace("PORT", port) for x in arguments], "--record", trace])
        server.shutdown()
        text = done.stdout.decode("latin1")
        problems = [] if done.returncode == 0 else [f"exit status {done.returncode}; {done.stderr.decode('latin1')}"]
        for pattern in (r"@@ DHCP 10\.0\.2\.15 gateway 10\.0\.2\.2", r"3 packets transmitted, 3 packets received",
                        hashlib.sha256(BLOB).hexdigest(), r"@@ DONE"):
            if not re.search(pattern, text):
                problems.append(f"console never showed {pattern}")
        if not problems:
            again = run(a, ["replay", trace, "--tlb-entries", "16"])
            if (again.returncode, again.stdout) != (0, done.stdout):
                problems.append(f"the replay differs: status {again.returncode}, {again.stdout[-200:]!r} against "
                                f"{done.stdout[-200:]!r}; {again.stderr.decode('latin1')}")
    if problems:
        print(text[-4000:])
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0


sys.exit(main())
