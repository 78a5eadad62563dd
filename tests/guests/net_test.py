#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest gets an address, pings the gateway, looks names up and downloads by name from a server on the host's
loopback. One run, since what the outside does is not the same twice; it is recorded, and the replay, for which
there is no network, must be equal.

usage: net_test.py --vitrine PATH [--needs FILE]... [--expect REGEX]... -- RUN_ARGUMENTS    (PORT and NAME in them are replaced)"""
import hashlib
import http.server
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

from arguments import parse, parser

BLOB = random.Random(1).randbytes(1500000)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BLOB)))
        self.end_headers()
        self.wfile.write(BLOB)

    def log_message(self, *_):
        pass


def loopback_name():
    """A name of this host that means its loopback, beside localhost."""
    name = socket.gethostname()
    try:
        return name if socket.gethostbyname(name).startswith("127.") and name != "localhost" else "host.vitrine"
    except OSError:
        return "host.vitrine"


def frames_differ(vitrine, trace):
    """Does tshark, where it is installed, read the frames that were recorded?"""
    if not shutil.which("tshark"):
        return []
    with tempfile.TemporaryDirectory() as folder:
        capture = os.path.join(folder, "net.pcapng")
        subprocess.run([vitrine, "trace", "export", "--format", "pcapng", trace, "-o", capture], check=True, capture_output=True)
        recorded = subprocess.run([vitrine, "trace", "dump", "--event", "net_frame", trace], check=True, capture_output=True).stdout
        read = subprocess.run(["tshark", "-n", "-r", capture, "-T", "fields", "-e", "frame.number", "-e", "_ws.malformed", "-e", "dns.qry.name"],
                              capture_output=True, check=False)
    lines = read.stdout.decode().splitlines()
    print(f"tshark reads {len(lines)} frames")
    if read.returncode != 0 or len(lines) != recorded.count(b"\n") or not any("host.vitrine" in line for line in lines):
        return [f"tshark: status {read.returncode}, {len(lines)} frames of {recorded.count(bytes([10]))}; {read.stderr.decode()}"]
    return []


def main():
    ap = parser(600)
    ap.add_argument("--expect", action="append", default=[])
    a = parse(ap)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_address[1])
    name = loopback_name()
    trace = tempfile.NamedTemporaryFile(prefix="vitrine-net-")
    command = [a.vitrine, "run", "--nic", "user", "--record", trace.name, "--trace", "net",
               *[x.replace("PORT", port).replace("NAME", name) for x in a.arguments]]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=a.timeout)
    except subprocess.TimeoutExpired as e:
        sys.exit((e.stdout or b"").decode("latin1")[-3000:] + f"\nFAIL: no end after {a.timeout} s")
    server.shutdown()
    text = done.stdout.decode("latin1")
    problems = [] if done.returncode == 0 else [f"exit status {done.returncode}; {done.stderr.decode('latin1')}"]
    wanted = [r"Name:\s+host\.vitrine\s+Address: *10\.0\.2\.2\s", r"can't find nosuch\.invalid: NXDOMAIN",
              r"2\.2\.0\.10\.in-addr\.arpa\s+name = host\.vitrine"]
    if name != "host.vitrine":
        wanted.append(rf"Name:\s+{re.escape(name)}\s+Address: *10\.0\.2\.2\s")
    for pattern in (*wanted, r"@@ DHCP 10\.0\.2\.15 gateway 10\.0\.2\.2", r"3 packets transmitted, 3 packets received",
                    hashlib.sha256(BLOB).hexdigest(), r"@@ DONE", *a.expect):
        if not re.search(pattern, text):
            problems.append(f"console never showed {pattern}")
    if not problems:
        again = subprocess.run([a.vitrine, "replay", trace.name], stdin=subprocess.DEVNULL, capture_output=True,
                               timeout=a.timeout)
        if again.returncode != 0 or again.stdout != done.stdout:
            problems.append(f"the replay differs: status {again.returncode}, {again.stderr.decode('latin1').strip()}")
        problems += frames_differ(a.vitrine, trace.name)
    if problems:
        print(text[-4000:])
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0


sys.exit(main())
