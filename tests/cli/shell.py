#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The debugger's shell: every command, at a terminal and by files; the lessons it is there for; and that looking changes
nothing. usage: shell.py VITRINE TINY_GUESTS INPUTS SOURCE_ROOT BUILD"""
import os
import re
import shutil
import subprocess
import sys

from case import VITRINE, call, case, judge, problem, run, tiny, write
from terminal import Terminal

ROOT, BUILD = sys.argv[4:6]
PROMPT = r"\(vitrine\) "

def kernel(name):
    return ["--kernel", tiny(name)]


def stack(cpu, hypervisor="hv"):
    """Our hypervisor with the root that makes every call, on two processors."""
    return ["--cpu", cpu, "--smp", "2", "--memory", "128M", "--kernel", os.path.join(BUILD, f"hv/{hypervisor}.elf"),
            "--initrd", os.path.join(BUILD, "guests/hvtest/hvtest.elf")]


# Sessions: a machine, and lines with what each must answer. Every command of the table has to be among them.
MOMENTS = ([*kernel("moments"), "--smp", "2"], [
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
    ("break physical work", r"Point"),
    ("c", r"in work \("),
    ("delete", r"^$"),
    ("pbreak work", r"Point \d+: physical work"),
    ("c", r"in work \("),
    ("delete all", r"^$"),
    ("break interrupt 0x20", r"Point"),
    ("c", r"vector 32 at cpu0"),
    ("delete", r"^$"),
    ("break io 0x3f8-0x3ff w", r"Point"),
    ("c", r"Point \d+ \(io 0x3f8-0x3ff w\)"),
    ("delete", r"^$"),
    ("break cr 0 r", r"Point \d+: cr 0 r"),
    ("c", r"Point \d+ \(cr 0 r\)"),
    ("break cr 0 x", r"break cr \[N\] \[r\|w\]"),
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
    ("info idt 0x20", r"20 interrupt gate +\w+:\w+ DPL 0"),
    ("descriptors gdt", r"8 code readable .*32-bit.*28 code.*64-bit"),
    ("info gdt 8", r"^ +8 code"),
    ("descriptors ldt", r"No local"),
    ("tss", r"TR \w+ base"),
    ("descriptors x", r"no such table"),
    ("creg", r"CR0 .*CR4"),
    ("dreg", r"dr0\t0.*dr7\t0x400"),
    ("print-stack", r"(0x\w+.*){4}"),
    ("ptime", r"position \d+"),
    ("blist", r"No points are set"),
    ("vmexitbp if $cpu == 9", r"Point"),
    ("info breakpoints", r"exit +if \$cpu == 9"),
    ("delete", r"^$"),
    ("sba 200", r"at 200,"),
    ("kaslr", r"not known yet"),
    ("goto end", r"cpu\d at"),
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

BAD_FIELD = (kernel("vmx_bad"), [
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
    ("break vmfail", r"Point"),
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

STRAY = (kernel("stray"), [
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

SVM = ([*kernel("svm_calls"), "--cpu", "amd"], [
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


NESTED = (stack("intel"), [
    ("symbols load {hv} L0", r"level L0, offset 0, \d+ symbols, lines"),
    ("symbols load {guest} L1", r"level L1, offset 0, \d+ symbols, lines"),
    ("symbols relocate L1 0x1000", r"1 file at offset 0x1000"),
    ("symbols relocate L1 0", r"1 file at offset 0"),
    ("symbols relocate L1 auto", r"cpu0 is at L0 now"),
    ("break child_calls level L1", r"Point 1"),
    ("c", r"guest, in child_calls"),
    ("checkpoint", r"Checkpoint 1"),
    ("delete", r"^$"),
    ("goto 0", r"at 0,"),
    ("break vp_cpuid if leaf == 0x40000001", r"Point 2"),
    ("c", r"Point 2 .*in vp_cpuid \("),
    ("delete", r"^$"),
    ("locals", r"vp = 0x\w+\nleaf = 1073741825 \(0x40000001\)\nsub = 0\n"),
    ("print *vp", r"= {partition = 0x\w+ <partitions>, cpu = 0x\w+ <cpus>, .*gpr = {1073741825 .*vtl_enabled = |= {partition.*vtl_enabled = false.*gpr = {1073741825 "),
    ("print vp->gpr[0] + 1 == 0x40000002 && vp->partition == &partitions", r"= 0x1 "),
    ("p/x ((struct vp *)vp)->gpr[0]", r"= 0x40000001\n"),
    ("print vp->nothing", r"vp has no member nothing"),
    ("print leaf->x", r"this is no pointer"),
    ("print vp->gpr[", r"missing"),
    ("frame 1", r"#1 .*in exit_cpuid\+\w+ \(exit.c:\d+\)\n=> \d+\t"),
    ("info locals", r"exit = 0x"),
    ("list", r"exit_cpuid|=> \d+\t"),
    ("up", r"#2 .*in cpu_loop"),
    ("down", r"#1 .*in exit_cpuid"),
    ("frame 99", r"there are frames 0 to \d"),
    ("frame 0", r"#0 .*in vp_cpuid"),
    ("watch vp->gpr[0]", r"Point 3: watch vp->gpr\[0\]"),
    ("c", r"written at \w+ by cpu0: 0x40000001 -> 0x\w+\n.*in exit_cpuid\+"),
    ("reverse-continue", r"to be written at .*\n.*in exit_cpuid\+\w+ \(exit.c:\d+\)\n=> \d+\t"),
    ("last-write vp->gpr[0]", r"Before the last write to"),
    ("delete", r"^$"),
    ("break nested-fault", r"Point 4"),
    ("c", r"Point 4 .*EPT entry not present\n.*in vmx_exit"),
    ("why", r"EPT_VIOLATION.*guest-physical 0x\w+.*the tables allow ---"),
    ("delete", r"^$"),
    ("break ept-change", r"Point"),
    ("c", r"written at \w+ by cpu0: now 0x\w+\n.*in (slat_map|entry_in)\+\w+ \(slat.c:\d+\)"),
    ("bt 3", r"#0 .*slat.c:.*#1 .*#2 "),
    ("reverse-continue", r"to be written at \w+ by cpu0: \w+ before\n.*in (slat_map|entry_in)\+0x\w+ \(slat.c:\d+\)\n=> \d+\t"),
    ("delete", r"^$"),
    ("break exit EPT_VIOLATION", r"Point"),
    ("rc", r"Point .*EPT_VIOLATION"),
    ("ept $rip", r"EPT"),
    ("ept GUEST_PHYSICAL_ADDRESS writers", r"EPT PML4 .*written last at \d+ by cpu\d at \w+ <(slat|entry)_\w+"),
    ("ept dump", r"-> \w+ rw"),
    ("ept diff 100", r"no guest|all of|added|tables|->"),
    ("delete", r"^$"),
    ("break vmcs GUEST_RIP", r"Point"),
    ("c", r"written at \w+ by cpu\d: 0x\w+ -> 0x\w+"),
    ("vmcs diff", r"the exit at \d+ against"),
    ("delete", r"^$"),
    ("goto #1", r"cpu\d at"),
    ("break entry guest 2", r"Point"),
    ("watch -g 0x1000 8 level L1", r"Point"),
    ("info breakpoints", r"entry guest 2\n.*watch -g 0x1000 8 level L1"),
    ("c", r"entry guest 2\), cpu\d: vcpu=0x\w+ rip=0x\w+ root=0x"),
    ("p $partition == 2 && $level == 1 && $guest", r"= 0x1 "),
    ("walk $rip", r"EPT PML4 .*is machine address"),
    ("translate $rip", r"gpa: 0x"),
    ("levels", r"L0 .*\n  L1 guest 1: VMCS .*\n  L1 guest 2: .*runs it"),
    ("exits", r"CPUID +last at .*in all"),
    ("hypercalls last 5", r"hyper-v \w+\("),
    ("sharing", r"The watch is on|pages shared by strangers: 0"),
    ("q", None),
])

SHARING = (stack("amd", "hv_sharing"), [
    ("break violation", r"Point 1"),
    ("c", r"Point 1 \(violation\), cpu\d: page=0x\w+ "),
    ("sharing", r"\w+-\w+ \(\d+ pages\): guest 1 and guest 2, since \d+ by 0x"),
    ("reverse-continue", r"Point 1 \(violation\)"),
    ("npt dump", r"-> \w+ rw"),
    ("q", None),
])

FIRMWARE = (["--firmware", "seabios", "--device", "intel-iommu", "--memory", "64M"], [
    ("info status", r"real mode, CPL 0"),
    ("x/i $pc", r"0xfffffff0:\tljmp"),
    ("break mmio 0-0xffffffffffff w", r"Point 1"),
    ("c", r"Point 1 .*cpu0: address=0x\w+ size=\d value="),
    ("break mmio 0-0xffffffffffff if size == 4", r"Point 2.*Point 3"),
    ("iommu", r"intel-iommu\n00:00\.0 direct"),
    ("pci", r"00:1f\.2"),
    ("q", None),
])

SESSIONS = [("the commands", MOMENTS), ("a bad VMCS field", BAD_FIELD), ("a stray write", STRAY), ("SVM", SVM),
            ("the stack", NESTED), ("shared memory", SHARING), ("firmware", FIRMWARE)]


def environment(folder):
    return dict(os.environ, HOME=folder)


def names():
    files = {n: tiny(n) for n in ("moments", "vmx_bad", "stray")}
    return dict(files, hv=os.path.join(BUILD, "hv/hv64.elf"), guest=os.path.join(BUILD, "guests/hvtest/hvtest64.elf"))


def judge_answer(what, line, answer, wanted):
    multiline = re.M if wanted.startswith("^ ") or wanted == "^two words$" else 0
    if not re.search(wanted, answer, re.S | multiline):
        problem(what, f"{line}: {answer[-600:]!r} does not show {wanted!r}")


def session(what, folder, machine, lines):
    """All lines through standard input; answers are told apart by echoes."""
    text = ""
    for i, (line, _) in enumerate(lines):
        text += line.format(**names()) if "{" in line else line
        text += f"\necho @@{i}@@\n"
    done = subprocess.run([VITRINE, "debug", *machine], input=text.encode(), timeout=300, capture_output=True,
                          env=environment(folder))
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
        judge_answer(what, line, out[at:mark], wanted)
        at = mark + len(f"@@{i}@@\n")


def words_of_the_table():
    """Commands and all that may be typed for them."""
    table = call(["debug", "--commands", "markdown"]).stdout.decode()
    rows = re.findall(r"^\| `([a-z-]+)(?:[^|\\]|\\.)*\| ([^|]*) \|", table, re.M)
    aliases = re.findall(r"^\| `([a-z0-9-]+)` \| `", table, re.M)
    rows = [(name, also) for name, also in rows if name not in aliases and f"| `{name}" in table.split("### Other")[0]]
    return table, [name for name, _ in rows], [w for _, also in rows for w in also.split()] + aliases


def typed(line, commands, others):
    """A person's keys for a line: the shortest beginning of the command and Tab, where Tab can know."""
    command = re.match(r"[a-z-]+", line)
    name = command.group(0) if command else ""
    for n in range(1, len(name)) if name in commands else ():
        if [w for w in sorted(set(commands + others)) if w.startswith(name[:n])] == [name]:
            rest = line[len(name):]
            return name[:n] + "\t" + (rest[1:] if rest.startswith(" ") else "\b" + rest if rest else ""), True
    return line, False


def keyed_session(what, folder, machine, lines):
    """The same at a terminal, with colours, commands completed by Tab. Returns the commands that were completed."""
    _, commands, others = words_of_the_table()
    t = Terminal([VITRINE, "debug", "-nx", *machine], rows=5000, columns=1000, environment={"HOME": folder})
    completed = set()
    if t.expect(PROMPT) is None:
        problem(what, f"no prompt: {t.fresh[-500:]!r}")
        return completed
    for line, wanted in lines:
        text = line.format(**names()) if "{" in line else line
        keys, by_tab = typed(text, commands, others)
        if wanted is None:
            t.keys(keys + "\r")
            break
        t.keys(keys + "\r")
        seen = t.expect(r"\n(?:[^\n]*\n)*?[^\n]{0,30}" + PROMPT, 120)
        if seen is None:
            problem(what, f"{line}: no prompt at the terminal: {t.fresh[-500:]!r}")
            break
        plain = re.sub(r"\033\[[0-9;?]*[a-zA-Z]", "", seen).replace("\r", "")
        echo, _, answer = plain.partition("\n")
        answer = answer[:answer.rindex("(vitrine) ")]
        name = re.match(r"[a-z-]+", line)
        if by_tab and name.group(0) not in echo:
            problem(what, f"{line}: Tab made it {echo!r}")
        elif by_tab:
            completed.add(name.group(0))
        judge_answer(what + " at a terminal", line, answer, wanted)
    if t.end(60) != 0:
        problem(what, "the terminal's session does not end with status 0")
    return completed


def every_command_is_there():
    table, commands, others = words_of_the_table()
    lines = [line for _, (_, lines) in SESSIONS for line, _ in lines]
    said = {re.match(r"[a-z-]+|", line).group(0) for line in lines}
    missing = [n for n in commands if n not in said]
    if len(commands) < 60 or not others or missing:
        problem("commands without a test", " ".join(missing))
    # Every kind of `break` has been met: a line that sets it, and somewhere after it one that goes on.
    kinds = re.search(r"WHAT is one of\n(.*)", call(["debug", "--kernel", tiny("halt"), "-nx", "-batch", "-ex", "help break"]).stdout.decode(), re.S).group(1)
    for kind in re.findall(r"^ {4}([a-z-]+)|, ([a-z]+-?[a-z]*)(?= [A-Z\[])", kinds, re.M):
        kind = kind[0] or kind[1]
        if not any(re.match(rf"break {kind}\b", line) for line in lines):
            problem("break without a test", kind)
    readme = open(os.path.join(ROOT, "debugger/README.md"), encoding="utf-8").read()
    if table.strip() not in readme:
        problem("debugger/README.md", "is not what `vitrine debug --commands=markdown` prints")
    man = call(["debug", "--commands=man"]).stdout.decode()
    if any(f'.It Sy "{n}"' not in man for n in commands):
        problem("the man page", "lacks commands")
    case(["debug", "--commands", "poem"], 64, "markdown or man")
    for shell, pattern in (("bash", "complete -o filenames -F _vitrine"), ("zsh", "#compdef vitrine"),
                           ("fish", "complete -c vitrine")):
        case(["completion", shell], 0, out=pattern)
    case(["completion", "csh"], 64, "bash, zsh or fish")
    # Man pages of all commands, without a complaint of groff's; completion that the shells themselves can read.
    listed = re.findall(r"^  ([a-z]+) +", call(["--help"]).stdout.decode(), re.M)
    for command in listed:
        page = call(["debug", "--commands=man"] if command == "debug" else ["completion", "man", command]).stdout
        if f"vitrine-{command}" not in page.decode() or b".Sh DESCRIPTION" not in page:
            problem("man page", command)
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-mdoc", "-ww", "-Tutf8"], input=page, capture_output=True, check=False)
            if done.stderr or done.returncode or len(done.stdout) < 300:
                problem("man page of " + command, done.stderr.decode()[:300])
    case(["completion", "man", "nothing"], 64, "no such command")
    options = "vitrine debug --ker"
    script = call(["completion", "bash"]).stdout.decode() + f"""
complete_one() {{ COMP_WORDS=($1); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _vitrine; echo "$1: ${{COMPREPLY[*]}}"; }}
complete_one "{options}"; complete_one "vitrine trace d"; complete_one "vitrine re"; complete_one "vitrine debug -ba"
"""
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False).stdout
    for wanted in ("--ker: --kernel", "trace d: dump diff", "re: replay", "-ba: -batch"):
        if wanted not in said:
            problem("bash completion", f"{wanted!r} is not in {said!r}")
    for shell, flags in (("zsh", ["-n"]), ("fish", ["--no-execute"])):
        if shutil.which(shell):
            done = subprocess.run([shell, *flags, "/dev/stdin"], input=call(["completion", shell]).stdout, capture_output=True, check=False)
            if done.returncode or done.stderr:
                problem(shell + " completion", done.stderr.decode()[:300])
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

    every_kind = ["symbols load " + names()["hv"] + " L0", "break entry", "c 4", "delete", "break exit if 0", "break entry if 0",
                  "break entry-failure", "break vmfail", "break hypercall hyper-v:0x40 if 0", "break msr efer", "break io 0x80",
                  "break mmio 0xfee00000-0xfeefffff if 0", "break cr", "break interrupt 0x31", "break exception gp",
                  "break nested-fault if 0", "break violation", "break event deliver if 0", "break exit_cpuid if 0", "c 3",
                  "break ept-change if 0", "watch -p 0x200000 8", "rwatch -p 0x201000 64", "awatch -p 0x202000 8 level L1",
                  "break event vm_entry", "goto 44000000", "c 5", "rc", "rc", "delete"]
    vendors = {"intel": ["break exit EPT_VIOLATION if $rax == 5", "break vmcs GUEST_RIP", "c 3", "vmcs", "vmcs diff", "vmcs history GUEST_RIP 3"],
               "amd": ["break exit NPF if $rax == 5", "break vmcb rip", "c 3", "vmcb", "vmcb diff", "vmcb history rip 3"]}
    look = ["levels", "sharing", "why", "exits", "hypercalls", "ept dump", "walk $rip writers", "sharing", "iommu", "memory",
            "descriptors idt", "regs all", "msr", "delete", "stepi 5", "reverse-stepi 3", "goto 46000000"]
    for name, machine, commands in (
            ("moments", [*kernel("moments"), "--smp", "2"], ["symbols load " + tiny("moments"), "break work", "watch 0x504 4", "c", "c", "rc", "walk work writers", "delete",
                                         "rwatch 0x508 4", "break exception", "break io 0x3f8", "c 30", "rc",
                                         "delete", "goto 2000", "goto end", "msr", "cpuid", "pci", "apic", "devices rtc"]),
            ("vmx_calls", kernel("vmx_calls"), ["break exit", "break entry", "c 9", "vmcs", "vmcs diff", "vmcs history GUEST_RIP", "levels",
                               "sharing", "why", "delete"]),
            ("intel's stack", stack("intel"), [*every_kind, *vendors["intel"], *look]),
            ("amd's stack", stack("amd"), [*every_kind, *vendors["amd"], *look])):
        plain = ending(["run", *machine, "--hash"])
        more = []
        for c in commands:
            more += ["-ex", c]
        for engine in ("interp", "jit"):
            seen = ending(["debug", *machine, "-nx", "--engine", engine, "-batch", *more, "-ex", "c", "-ex", "hash"])
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
    completed = set()
    for what, (machine, lines) in SESSIONS:
        session(what, folder, machine, lines)
        completed |= keyed_session(what, folder, machine, lines)
    _, commands, others = words_of_the_table()
    # Those of which Tab can know nothing before they are whole: x and xp, vmcs and vmcb ...
    whole = {c for c in commands if any(w != c and w.startswith(c[:-1]) for w in commands + others) or len(c) < 2} | {"quit"}
    missing = set(commands) - completed - whole
    if missing:
        problem("commands that Tab never completed", " ".join(sorted(missing)))
    writing(folder)
    recordings(folder)
    looking_changes_nothing(folder)
    at_a_terminal(folder)


run(main)
