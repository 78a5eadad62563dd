#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The debugger's shell: every command, at a terminal and by files; the lessons it is there for; and that looking changes
nothing. usage: shell.py VITRINE TINY_GUESTS INPUTS SOURCE_ROOT"""
import os
import re
import subprocess
import sys

from case import VITRINE, call, case, judge, problem, run, tiny, write
from terminal import Terminal

ROOT = sys.argv[4]
PROMPT = r"\(vitrine\) "

# Sessions: a guest, options, and lines with what each must answer. Every command of the table has to be among them.
MOMENTS = ("moments", ["--smp", "2"], [
    ("symbols load {moments}", r"level any, offset 0, \d+ symbols"),
    ("info symbols", r"moments\.elf"),
    ("break work", r"Point 1: work"),
    ("continue", r"Point 1 \(work\), cpu0\n.*in work \(moments\.S:\d+\)\n=> \d+\t +incl ROUNDS\n=> 0x\w+ <work\+0>:\tincl 0x504"),
    ("b nonsense", r"nonsense: no symbol, register or field"),
    ("regs", r"RAX [0-9a-f]{16} .*RFLAGS 00000202 \[IF\]"),
    ("regs system", r"CR0 .*GDTR|GDTR .*CR0"),
    ("regs vector", r"MXCSR 00001f80.*YMM15"),
    ("regs rip cs", r"rip\t0x\w+\ncs\t0x8"),
    ("r zmm", r"no such register"),
    ("info registers", r"RIP 0"),
    ("x/4xw 0x500", r"0x500:\t0x00000000\t0x00000000"),
    ("x/2i work", r"incl 0x504\n.*movl 0x504, %eax"),
    ("xp/2xb work", r"0x1002\w+ <work>:\t0xff\t0x05"),
    ("x/s 0xffffffffffff", r"not mapped"),
    ("print work + 1", r"\$1 = 0x\w+ <work\+0x1 \(moments\.S:\d+\)>"),
    ("p/d *(u32 *)0x504 * 3 + (1 << 4) - -1", r"= 17\n"),
    ("p/x $1 & 0xff | 0x100", r"= 0x1\w\w"),
    ("p (u8)0x1ff == 0xff && u16(work) == 0x5ff ? 7 : 8", r"= 0x7 "),
    ("p/t 5", r"= 101\n"),
    ("p 1/0", r"division by zero"),
    ("p (1", r"a \) is missing"),
    ("p $nothing", r"no register or variable"),
    ("? p32(0x504)", r"= 0 "),
    ("set $mine = 5 + 1", r"^$"),
    ("p $mine", r"= 0x6 "),
    ("set 5 = 6", r"no place"),
    ("disassemble work 3", r"=> 0x\w+ <work\+0>:\tincl 0x504\n   0x"),
    ("syntax intel", r"intel"),
    ("disas/2", r"inc dword ptr \[0x504\]"),
    ("syntax att", r"att"),
    ("backtrace", r"#0 .* in work \(.*\)\n#1 .* in start\+0x"),
    ("list", r"work:\n=> \d+\t +incl ROUNDS"),
    ("list moments.S:60", r"cmpl|call work"),
    ("stepi", r"in work\+0x6"),
    ("si 2", r"in work\+0x10"),
    ("step", r"in work\+0x12"),
    ("nexti", r"in changed \("),
    ("next", r"in changed\+0x2"),
    ("reverse-stepi", r"in changed \("),
    ("reverse-step 2", r"in work\+0x12"),
    ("reverse-step", r"in work\+0x10"),
    ("finish", r"in start\+0x"),
    ("reverse-next", r"Point 1 \(work\).*in work \("),
    ("finish", r"in start\+0x"),
    ("disable 1", r"^$"),
    ("reverse-nexti", r"calll \S+ <work>"),
    ("reverse-next", r"in start"),
    ("until work", r"in work \("),
    ("si", r"in work\+0x6"),
    ("reverse-finish", r"calll \S+ <work>"),
    ("when", r"position \d+, time \d+ ns; history from 0 to \d+"),
    ("info replay", r"history from 0"),
    ("checkpoint", r"Checkpoint 1"),
    ("watch *(u32*)0x504", r"Point 2: watch"),
    ("c", r"Point 2 .*written at 504 by cpu0: 0 -> 0x1"),
    ("continue", r"Point 2 .*written at 504 by cpu0: 0x1 -> 0x2"),
    ("reverse-continue", r"to be written at 504 by cpu0: 0x1 -> 0x2\n.*incl 0x504"),
    ("rc", r"to be written at 504 by cpu0: 0 -> 0x1"),
    ("rc", r"This is where history begins"),
    ("goto #1", r"calll"),
    ("goto 100", r"at 100,"),
    ("goto nowhere", r"no symbol"),
    ("info checkpoints", r"#1 position \d+"),
    ("enable", r"^$"),
    ("condition 1 u32(0x504) == 3", r"^$"),
    ("delete 2", r"^$"),
    ("c", r"Point 1"),
    ("p u32(0x504)", r"= 0x3 "),
    ("ignore 1 1", r"next 1 times"),
    ("condition 1", r"^$"),
    ("c", r"Point 1"),
    ("p u32(0x504)", r"= 0x5 "),
    ("commands 1 p 77; p 78", r"^$"),
    ("info breakpoints", r"1 on  work  met \d+ times\n      then: p 77; p 78"),
    ("c", r"= 0x4d .*= 0x4e "),
    ("delete", r"^$"),
    ("rwatch 0x504 4", r"Point"),
    ("c", r"read at 504"),
    ("delete", r"^$"),
    ("awatch -p 0x508 4", r"Point"),
    ("c", r"(read|written) at 508"),
    ("delete", r"^$"),
    ("watch -p x work", r"Point"),
    ("c", r"in work \("),
    ("delete", r"^$"),
    ("tbreak work if u32(0x504) > 7", r"Point"),
    ("c", r"in work \("),
    ("info b", r"No points are set"),
    ("pbreak work", r"Point \d+: physical work"),
    ("c", r"in work \("),
    ("delete all", r"^$"),
    ("break interrupt 0x20", r"Point"),
    ("c", r"vector 32 at cpu0"),
    ("delete", r"^$"),
    ("break io 0x3f8-0x3ff w", r"Point"),
    ("c", r"Point \d+ \(io 0x3f8-0x3ff w\)"),
    ("delete", r"^$"),
    ("break cr 0", r"Point"),
    ("c", r"cr 0"),
    ("walk work", r"linear 0x1002\w+.*PD   at .*large.*MTRR"),
    ("walk 0x40001000 writers", r"PT   at .*written last at|fails"),
    ("translate work", r"gpa: 0x1002"),
    ("pages", r"-> \w+ rw|-> \w+ rwx"),
    ("info mem", r"-> "),
    ("delete", r"^$"),
    ("break exception pf", r"Point"),
    ("c", r"vector 14"),
    ("why", r"Exception #PF .*supervisor \w+ of 0x40001"),
    ("delete", r"^$"),
    ("break msr efer w", r"Point"),
    ("c", r"wrmsr|Point"),
    ("delete", r"^$"),
    ("break mmio 0xfec00000-0xfec00fff", r"Point \d+.*Point \d+"),
    ("delete", r"^$"),
    ("break event cpu_change", r"Point"),
    ("c", r"Point"),
    ("delete", r"^$"),
    ("break event nothing", r"no such event"),
    ("last-write -p 0x504 4", r"Before the last write to 504:"),
    ("lw 0x504 4", r"Before the last write"),
    ("goto end", r"cpu\d at"),
    ("cpu", r"\* cpu\d .*\n  cpu1|  cpu0 .*\n\* cpu1"),
    ("cpu 1", r"cpu1 at"),
    ("cpu 7", r"there are processors 0 to 1"),
    ("cpu 0", r"cpu0 at"),
    ("cpuid 0", r"00000000\.0: eax"),
    ("cpuid", r"80000000\.0"),
    ("msr efer", r"c0000080 \S+"),
    ("msr 0x1b", r"0000001b .*fee00"),
    ("msr 0x12345", r"no MSR"),
    ("apic", r"cpu0: registers at fee00000"),
    ("ioapic", r"pin 0  vector"),
    ("pic", r"i8259"),
    ("pci", r"00:00\.0 8086:29c0"),
    ("mtrr", r"default"),
    ("mtrr 0x1000", r"1000: "),
    ("devices", r"serial0"),
    ("devices serial0", r"serial0|uart"),
    ("devices nothing", r"no such device"),
    ("memory", r"ram\): "),
    ("info mtree", r"i/o\)"),
    ("iommu", r"no IOMMU"),
    ("exits", r"0  in all"),
    ("hypercalls", r"None so far"),
    ("levels", r"L0 the machine's owner"),
    ("sharing", r"watch is on"),
    ("vmcs", r"no VMCS is in use"),
    ("vmcb", r"no VMCB is in use"),
    ("ept", r"no guest with second-level tables"),
    ("hash", r"hash [0-9a-f]{16}"),
    ("stop", r"stands still"),
    ("info nonsense", r"unknown command"),
    ("echo two words", r"^two words$"),
    ("help", r"Running\n  continue"),
    ("help wat", r"watch .*\n.*Also: wa"),
    ("re", r"re may be: reverse-continue"),
    ("contniue", r"did you mean continue\?"),
    ("type \\n", r"^$"),
    ("source /nonexistent", r"cannot be read"),
    ("c", r"come to its end: power-off"),
    ("c", r"the machine has come to its end"),
    ("reverse-stepi", r"cpu\d at \d+"),
    ("quit", None),
])

BAD_FIELD = ("vmx_bad", [], [
    ("symbols load {vmx_bad}", r"symbols"),
    ("break entry-failure", r"Point 1"),
    ("continue", r"Point 1 .*GUEST_RFLAGS"),
    ("why", r"VM entry refused: GUEST_RFLAGS_RESERVED GUEST_RFLAGS .*GUEST_RFLAGS \(Guest RFLAGS\) is 0"),
    ("vmcs GUEST_RFLAGS", r"GUEST_RFLAGS +0\n"),
    ("vmcs history GUEST_RFLAGS", r"last time first:\n +\d+ cpu0 at \w+ <bad_write \(vmx_calls\.S:\d+\)>: 0x2 -> 0\n"),
    ("break vmcs GUEST_RFLAGS", r"Point 2"),
    ("disable 1", r"^$"),
    ("reverse-continue", r"Point 2 .*0x2 -> 0\n.*in bad_write \(.*vmwrite"),
    ("vmcs", r"VMCS at \w+, current\n.*PRIMARY_CONTROLS .*HLT"),
    ("vmcs GUEST_CS_ACCESS_RIGHTS EXIT_REASON", r"code DPL 0 32-bit pages\nEXIT_REASON .*VMCALL"),
    ("vmcs diff", r"VMCS \w+: the exit at .*GUEST_RIP"),
    ("vmcs NOTHING", r"NOTHING: no symbol"),
    ("p GUEST_RIP == vmcs.GUEST_RIP", r"= 0x1 "),
    ("exits", r"\d+  VMCALL .*\d+  in all"),
    ("exits last 2", r"VMCALL"),
    ("hypercalls last 3", r"xen \w+\("),
    ("levels", r"L0 .*\n  L1 guest 1: VMCS .*\n  L1 guest 2"),
    ("why", r"VM exit VMCALL"),
    ("goto begin", r"at 0,"),
    ("delete", r"^$"),
    ("break exit CPUID", r"Point"),
    ("c", r"CPUID"),
    ("delete", r"^$"),
    ("break exit if reason == HLT", r"Point"),
    ("c", r"HLT"),
    ("delete", r"^$"),
    ("break hypercall xen:sched_op", r"Point"),
    ("c", r"Point"),
    ("rc", r"vmcall"),
    ("delete", r"^$"),
    ("break hypercall nobody:x", r"no such interface"),
    ("break entry", r"Point"),
    ("c", r"Point .*VMX guest"),
    ("q", None),
])

STRAY = ("stray", [], [
    ("symbols load {stray}", r"symbols"),
    ("b crash", r"Point"),
    ("c", r"in crash"),
    ("why", r"#PF .*0x40000000: not present"),
    ("walk", r"PT   at \w+ = 00000010 not present.*fails"),
    ("walk 0x40000000 writers", r"PT .*\n        written last at \d+ by cpu0 at \w+ <stray_write \(stray\.S:\d+\)>"),
    ("last-write -p table 4", r"in stray_write \(.*movl %eax"),
    ("p $edx", r"= 0x10 "),
    ("q", None),
])

SVM = ("svm_calls", ["--cpu", "amd"], [
    ("break exit VMMCALL", r"Point 1"),
    ("c", r"Point 1"),
    ("why", r"VM exit VMMCALL"),
    ("vmcb rip exitcode", r"rip .*\nexitcode .*VMMCALL"),
    ("vmcb history rip 2", r"rip is .*cpu0"),
    ("p vmcb.rip", r"= 0x"),
    ("break vmcb rip", r"Point 2"),
    ("rc", r"Point"),
    ("vmcb", r"VMCB at .*intercept_cr"),
    ("levels", r"L1 guest 1: VMCB"),
    ("q", None),
])


def environment(folder):
    return dict(os.environ, HOME=folder)


def session(what, folder, name, options, lines):
    """All lines through standard input; answers are told apart by echoes."""
    names = {n: tiny(n) for n in ("moments", "vmx_bad", "stray")}
    text = ""
    for i, (line, _) in enumerate(lines):
        text += line.format(**names) if "{" in line else line
        text += f"\necho @@{i}@@\n"
    done = subprocess.run([VITRINE, "debug", "--kernel", tiny(name), *options], input=text.encode(), timeout=300,
                          capture_output=True, env=environment(folder))
    judge(what, done, 0)
    out = done.stdout.decode("latin1")
    at = 0
    for i, (line, wanted) in enumerate(lines):
        mark = out.find(f"@@{i}@@\n", at)
        if wanted is None:
            break
        if mark < 0:
            problem(what, f"{line}: no answer; the end is {out[-300:]!r}")
            break
        answer = out[at:mark]
        if not re.search(wanted, answer, re.S | (re.M if wanted == "^two words$" else 0)):
            problem(what, f"{line}: {answer[-600:]!r} does not show {wanted!r}")
        at = mark + len(f"@@{i}@@\n")


def every_command_is_there():
    table = call(["debug", "--commands", "markdown"]).stdout.decode()
    names = re.findall(r"^\| `([a-z-]+)", table, re.M)
    said = set()
    for _, _, lines in (MOMENTS, BAD_FIELD, STRAY, SVM):
        said |= {re.match(r"[a-z-]+|\?", line).group(0) for line, _ in lines if re.match(r"[a-z-]+|\?", line)}
    said |= {"disassemble", "x", "xp", "print"}
    missing = [n for n in names if n not in said]
    if not names or missing:
        problem("commands without a test", " ".join(missing))
    readme = open(os.path.join(ROOT, "debugger/README.md"), encoding="utf-8").read()
    if table.strip() not in readme:
        problem("debugger/README.md", "is not what `vitrine debug --commands=markdown` prints")
    man = call(["debug", "--commands=man"]).stdout.decode()
    if any(f'.It Sy "{n}"' not in man for n in names):
        problem("the man page", "lacks commands")
    case(["debug", "--commands", "poem"], 64, "markdown or man")
    for shell, pattern in (("bash", "complete -o filenames -F _vitrine"), ("zsh", "#compdef vitrine"),
                           ("fish", "complete -c vitrine")):
        case(["completion", shell], 0, out=pattern)
    case(["completion", "csh"], 64, "bash, zsh or fish")
    case(["debug", "--help"], 0, out="-batch")
    case(["debug", "--kernel", tiny("hello"), "--gdb", "1234"], 64, "monitor")
    case(["debug", "--kernel", tiny("hello"), "-ex"], 64, "wants an argument")
    case(["debug", "--kernel", tiny("hello"), "-nx", "-batch", "-x", "/nonexistent"], 0, out="cannot be read")


def looking_changes_nothing(folder):
    """The same hash at the end: plain, and with everything on."""
    def ending(arguments):
        done = subprocess.run([VITRINE, *arguments], capture_output=True, timeout=300, env=environment(folder),
                              preexec_fn=lambda: os.close(0))
        found = re.findall(r"^(position .*)$", done.stdout.decode("latin1"), re.M)
        return re.sub(r" end .*", "", found[-1]) if found else done.stderr.decode("latin1")

    for name, options, commands in (
            ("moments", ["--smp", "2"], ["symbols load " + tiny("moments"), "break work", "watch 0x504 4", "c", "c", "rc", "walk work writers", "delete",
                                         "rwatch 0x508 4", "break exception", "break io 0x3f8", "c 30", "rc",
                                         "delete", "goto 2000", "goto end", "msr", "cpuid", "pci", "apic", "devices rtc"]),
            ("vmx_calls", [], ["break exit", "break entry", "c 9", "vmcs", "vmcs diff", "vmcs history GUEST_RIP", "levels",
                               "sharing", "why", "delete"])):
        plain = ending(["run", "--kernel", tiny(name), *options, "--hash"])
        more = []
        for c in commands:
            more += ["-ex", c]
        for engine in ("interp", "jit"):
            seen = ending(["debug", "--kernel", tiny(name), *options, "-nx", "--engine", engine, "-batch", *more,
                           "-ex", "c", "-ex", "hash"])
            if plain != seen:
                problem(f"{name} under the shell, {engine}", f"ends otherwise: {plain} {seen}")


def at_a_terminal(folder):
    """Keys of a person: completion, history, an empty line, Ctrl-C, pages, colours; leaving by Ctrl-D."""
    write(folder, ".vitrinerc", b"echo from the file\n")
    t = Terminal([VITRINE, "debug", "--kernel", tiny("spin"), "--serial", "none"], rows=24, environment={"HOME": folder})

    def step(what, keys, wanted):
        t.keys(keys)
        seen = t.expect(wanted)
        if seen is None:
            problem("terminal", f"{what}: {t.fresh[-500:]!r} does not show {wanted!r}")

    if t.expect("from the file.*" + PROMPT) is None:
        problem("terminal", f"no prompt: {t.fresh[-500:]!r}")
    step("Tab completes a file", "symbols load " + tiny("spin")[:-2] + "\t\r", r"spin\.elf: level any.*" + PROMPT)
    step("Tab completes a command", "disass\t /2\r", r"disassemble .*=> .*" + PROMPT)
    step("Tab completes a symbol", "print star\t\r", r"print start.*\$1 = .*" + PROMPT)
    step("Tab completes a reason", "break exit CPU\t\r", r"break exit CPUID.*Point 1.*" + PROMPT)
    step("Tab completes a field", "vmcs GUEST_RFL\t\r", r"vmcs GUEST_RFLAGS.*no VMCS is in use.*" + PROMPT)
    step("Tab lists", "reverse-\t\t", r"reverse-continue .*reverse-stepi.*reverse-")
    step("the rest of the word", "stepi\r", r"this is where history begins.*" + PROMPT)
    step("a step", "stepi\r", r"\033\[2mcpu0\033\[0m at 1,.*" + PROMPT)
    step("an empty line steps on", "\r", r" at 2,.*" + PROMPT)
    step("the line before", "\033[A\033[A\r", r"stepi.* at \d,.*" + PROMPT)
    t.keys("continue\r")
    if t.expect(r"continue\r\n") is None or t.expect("anything", 1) is not None:
        problem("terminal", "the machine does not run")
    step("Ctrl-C stops the guest", "\003", r"Stopped\..*" + PROMPT)
    step("Ctrl-C at the prompt", "nonsense\003", PROMPT)
    step("long output waits", "help\r", r"--More-- \(q: enough\)")
    step("and goes on", " ", r"--More--")
    step("until it is enough", "q", PROMPT)
    t.keys("\004")
    if t.end() != 0:
        problem("terminal", "Ctrl-D does not leave with status 0")
    history = os.path.join(folder, ".vitrine_history")
    if not os.path.exists(history) or "disassemble" not in open(history).read():
        problem("terminal", "no history is kept")


def recordings(folder):
    """The same shell on a recording: the past cannot be changed; reaching the end checks it."""
    trace = os.path.join(folder, "a.trace")
    case(["run", "--kernel", tiny("moments"), "--smp", "2", "--record", trace, "--serial", "none"], 0)
    case(["replay", trace, "--debug", "-nx", "-batch", "-ex", "watch 0x504 4", "-ex", "c", "-ex", "rc", "-ex",
          "set $rax = 5"], 0, out=r"written at 504.*to be written at 504.*what is recorded cannot be changed\n$")
    case(["replay", trace, "--debug", "-nx", "-batch", "-ex", "type x"], 0, out=r"type: what is recorded cannot be changed")
    case(["replay", trace, "--debug", "-nx", "-batch", "-ex", "set *(u32 *)0x700 = 5"], 0, out="cannot be changed")
    case(["replay", trace, "--debug", "-nx", "-batch", "-ex", "goto 5000", "-ex", "goto 100", "-ex", "c"], 0,
         "is the recorded run", "come to its end: power-off")
    again = os.path.join(folder, "b.trace")
    case(["debug", "--kernel", tiny("moments"), "--smp", "2", "--record", again, "--serial", "none", "-nx", "-batch",
          "-ex", "watch 0x504 4", "-ex", "c", "-ex", "c", "-ex", "rc", "-ex", "set $rax = 1", "-ex", "goto 50"], 0,
         out="cannot be changed")
    case(["replay", again], 0, "is the recorded run")


def writing(folder):
    """Live, the guest can be changed; history begins anew there."""
    case(["debug", "--kernel", tiny("moments"), "-nx", "-batch", "-ex", "set $rbx = 0x1234", "-ex", "regs rbx", "-ex",
          "set *(u16 *)0x700 = 0xabcd", "-ex", "x/1xh 0x700", "-ex", "set p8(0x701) = 0x12", "-ex", "xp/1xh 0x700",
          "-ex", "reverse-stepi"], 0, out=r"rbx\t0x1234\n0x700:\t0xabcd\n0x700:\t0x12cd\nthis is where history begins")


def main(folder):
    every_command_is_there()
    for what, (name, options, lines) in (("the commands", MOMENTS), ("a bad VMCS field", BAD_FIELD),
                                         ("a stray write", STRAY), ("SVM", SVM)):
        session(what, folder, name, options, lines)
    writing(folder)
    recordings(folder)
    looking_changes_nothing(folder)
    at_a_terminal(folder)


run(main)
