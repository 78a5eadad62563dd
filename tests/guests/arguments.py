# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tests of guests are called: --vitrine PATH [--needs FILE]... [their own options] -- RUN_ARGUMENTS"""
import argparse
import os
import sys

# One engine for all that a test runs; None: each run has its own.
ENGINE = os.environ.get("VITRINE_ENGINE")


def engine(*options):
    """Options of one run for its engine, unless there is one for all."""
    return [] if ENGINE else list(options)


def parser(timeout):
    """Its own options are added by the caller. timeout: seconds for one run."""
    ap = argparse.ArgumentParser()
    ap.add_argument("--vitrine", required=True)
    ap.add_argument("--needs", action="append", default=[], help="a file without which the test is skipped")
    ap.add_argument("--timeout", type=float, default=timeout)
    ap.add_argument("arguments", nargs=argparse.REMAINDER)
    return ap


def skip_without(files):
    """Ends the test with 77 (skipped) when one of the files is missing."""
    for need in files:
        if not os.path.exists(need):
            script = "make-userland makes" if "/.cache/userland/" in need else "fetch-inputs gets"
            print(f"SKIP: {need} is missing; scripts/{script} it")
            sys.exit(77)


def parse(ap):
    a = ap.parse_args()
    a.arguments = a.arguments[1:] if a.arguments[:1] == ["--"] else a.arguments
    skip_without(a.needs)
    return a
