# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests that run a stack have in common: inputs that are missing, what was said and what was not, the end."""
import http.server
import os
import platform
import re
import threading

SKIPPED = 77
# What no kernel of a child may say.
TROUBLE = ("BUG:", "WARNING: CPU", "panic", "Oops", "soft lockup", "unchecked MSR", "is dropped", "a ring that cannot be")
# The translator, where it runs.
ENGINE = ["--engine", "jit"] if platform.machine() in ("x86_64", "AMD64") else []


def is_missing(needs):
    for need in needs:
        if not os.path.exists(need):
            print(f"SKIP: {need} is missing")
            return True
    return False


def text_of(output):
    return output.decode("latin1").replace("\r", "")


def problems_of(text, expect=(), reject=(), status=0, wanted=0):
    problems = [] if status == wanted else [f"exit status {status}, expected {wanted}"]
    problems += [f"does not say {p!r}" for p in expect if not re.search(p, text, re.M)]
    return problems + [f"says {m.group(0)!r}" for m in (re.search(p, text, re.M) for p in reject) if m]


def serve(page):
    """A server on the host, which the machine's user networking reaches as 10.0.2.2."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def finish(text, problems, shown=300):
    """The exit status of the test."""
    print(text[-6000:] if problems else text[-shown:])
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0
