# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the command line share. A case is one call of vitrine: what it is given, the exit
status, what stands on stderr (exactly one line where something is wrong, nothing where not)."""
import os
import re
import subprocess
import sys
import tempfile

VITRINE, TINY, INPUTS = (sys.argv + ["", "", ""])[1:4]
_problems = []
_count = 0


def tiny(name):
    return os.path.join(TINY, name + ".elf")


def problem(what, detail):
    _problems.append(what)
    print(f"FAIL: {what}: {detail}")


def want(what, text, pattern):
    """One check: the regular expression, its dot any character, is somewhere in the text. Returns the match."""
    global _count
    _count += 1
    found = re.search(pattern, text, re.S)
    if not found:
        problem(what, f"no {pattern!r} in: {text[-6000:]}")
    return found


def same(what, seen, wanted):
    global _count
    _count += 1
    if seen != wanted:
        problem(what, f"{seen!r} is not {wanted!r}")


def count():
    """Checks made so far."""
    return _count


def counted():
    """A check that the caller makes by itself."""
    global _count
    _count += 1


def call(arguments, program=None, seconds=120, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([program or VITRINE, *arguments], capture_output=True, timeout=seconds, **options)


def judge(what, done, status, err=None, out=None):
    """err: a regular expression that the one line on stderr must hold; None: stderr is empty."""
    global _count
    _count += 1
    text = done.stderr.decode("latin1")
    lines = text.splitlines()
    if done.returncode != status:
        problem(what, f"exit status {done.returncode}, expected {status}; stderr: {text.strip()[:300]}")
    elif err is None and text:
        problem(what, f"stderr should be empty: {text.strip()[:300]}")
    elif err is not None and (len(lines) != 1 or not text.endswith("\n")):
        problem(what, f"{len(lines)} lines on stderr, one is wanted: {text.strip()[:300]}")
    elif err is not None and not lines[0].startswith("vitrine: "):
        problem(what, f"the line does not begin with 'vitrine: ': {lines[0][:300]}")
    elif err is not None and not re.search(err, lines[0]):
        problem(what, f"the line does not say {err!r}: {lines[0][:300]}")
    elif re.search(r"internal error|AddressSanitizer|runtime error|Segmentation|Assertion", text):
        problem(what, text.strip()[:300])
    elif out is not None and not re.search(out, done.stdout.decode("latin1"), re.S):
        problem(what, f"stdout does not show {out!r}: {done.stdout[-300:]!r}")


def case(arguments, status, err=None, out=None, **options):
    try:
        judge(" ".join(arguments), call(arguments, **options), status, err, out)
    except subprocess.TimeoutExpired:
        problem(" ".join(arguments), "no end")


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def run(main):
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
    print(f"{_count} cases, {len(_problems)} wrong")
    sys.exit(1 if _problems or _count == 0 else 0)
