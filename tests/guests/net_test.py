#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest gets an address, pings the gateway and downloads from a server on the host's loopback. One
run: what the outside does is not the same twice (record and replay have tests of their own).

usage: net_test.py --vitrine PATH [--needs FILE]... -- RUN_ARGUMENTS    (PORT in them is replaced)"""
import argparse
import hashlib
import http.server
import os
import random
import re
import subprocess
import sys
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
    command = [a.vitrine, "run", "--nic", "user", *[x.replace("PORT", port) for x in arguments]]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=a.timeout)
    except subprocess.TimeoutExpired as e:
        sys.exit((e.stdout or b"").decode("latin1")[-3000:] + f"\nFAIL: no end after {a.timeout} s")
    text = done.stdout.decode("latin1")
    problems = [] if done.returncode == 0 else [f"exit status {done.returncode}; {done.stderr.decode('latin1')}"]
    for pattern in (r"@@ DHCP 10\.0\.2\.15 gateway 10\.0\.2\.2", r"3 packets transmitted, 3 packets received",
                    hashlib.sha256(BLOB).hexdigest(), r"@@ DONE"):
        if not re.search(pattern, text):
            problems.append(f"console never showed {pattern}")
    if problems:
        print(text[-4000:])
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0


sys.exit(main())
