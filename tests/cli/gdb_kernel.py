#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock gdb at Debian's kernel with the symbols of its -dbg package (scripts/fetch-symbols), on two processors: break,
backtrace, step, watch a variable and back to the write, with and without KASLR; then a guest of its KVM, and KVM's own
functions. With L2: a stock kernel that KVM runs, moved by KASLR. Skipped without the symbols.
usage: gdb_kernel.py VITRINE TINY_GUESTS INPUTS SYMBOLS MEDIA [L2]"""
import os
import shutil
import subprocess
import sys

from case import INPUTS, VITRINE, problem, run, want
from stock_gdb import session

SYMBOLS, MEDIA = sys.argv[4:6]
KERNEL = os.path.join(INPUTS, "vmlinuz-cloud")
VMLINUX, KVM_INTEL, KVM = (os.path.join(SYMBOLS, name) for name in ("vmlinux-cloud", "kvm-intel.ko", "kvm.ko"))
L2 = sys.argv[6:] == ["L2"]
SECONDS = 2500 if L2 else 500
SHELL, SHARE = os.path.join(MEDIA, "shell.cpio.gz"), os.path.join(MEDIA, "share.cpio")
NESTED = os.path.join(MEDIA, "nested-cloud.cpio")


def machine(initrd, smp, append, *options):
    return ["--kernel", KERNEL, "--initrd", initrd, "--append", f"console=ttyS0 quiet {append}", "--memory", "256M",
            "--smp", str(smp), *options]


def gdb(commands, arguments, file=()):
    return session(commands, arguments, [f"file {name}" for name in file], SECONDS)[0]


def shell(lines, arguments):
    words = []
    for line in lines:
        words += ["-ex", f"echo [{line}]", "-ex", line]
    done = subprocess.run([VITRINE, "debug", *arguments, "-nx", "-batch", *words], capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=SECONDS)
    return done.stdout.decode("latin1") + done.stderr.decode("latin1")


def kernel():
    """Breakpoints before there is a kernel in memory; the second processor; a variable's writes, forward and back."""
    text = gdb(["break start_kernel", "continue", "break kernel_clone", "continue", "backtrace", "next", "next", "step",
                "info locals", "print args->fn", "delete", "break start_secondary", "continue", "info threads", "backtrace",
                "delete", "watch __cpu_online_mask", "continue", "backtrace 3", "info threads", "p __cpu_online_mask",
                "reverse-continue", "p __cpu_online_mask", "stepi", "p __cpu_online_mask", "reverse-stepi", "finish", "kill"],
               machine(SHELL, 2, "nokaslr"), [VMLINUX])
    want("break", text, r"\[continue\]\n+Thread 1 hit Breakpoint 1, start_kernel \(\) at init/main\.c:\d+")
    want("backtrace", text, r"#0 +kernel_clone \(args=.*#1 .* in user_mode_thread \(fn=.*<kernel_init>.*#2 .* rest_init .*"
                            r"#\d+ .* in start_kernel \(\) at init/main\.c:\d+")
    want("steps", text, r"\[next\]\n\d+\tin kernel/fork\.c\n\[next\]\n\d+\tin kernel/fork\.c\n")
    want("locals", text, r"clone_flags = \d+\n.*\[print args->fn\]\n\$1 = .*<kernel_init>")
    want("the second processor", text, r"Thread 2 hit Breakpoint \d+, start_secondary .*\* 2 +Thread 2 \(CPU#1 \[running\]\)"
                                       r".*#0 +start_secondary .*secondary_startup_64")
    want("watch", text, r"Thread 2 hit Hardware watchpoint \d+: __cpu_online_mask\n+Old value = {bits = {1.*New value = {bits = {3"
                        r".*\[backtrace 3\]\n#0 .*set_cpu_online.*#\d .*start_secondary")
    want("back to the write", text, r"\[reverse-continue\]\n+Thread 2 hit Hardware watchpoint.*Old value = {bits = {3.*"
                                    r"New value = {bits = {1.*\[p __cpu_online_mask\]\n\$3 = {bits = {1.*"
                                    r"\[p __cpu_online_mask\]\n\$4 = {bits = {3")


def moved_kernel():
    """KASLR: our shell finds where the kernel went; gdb is told."""
    arguments = machine(SHELL, 1, "")
    lines = [f"symbols load {VMLINUX}", "break msr LSTAR w", "continue", "stepi", "symbols relocate auto", "delete",
             "break kernel_clone", "continue", "backtrace", "list", "info symbols"]
    text = shell(lines, arguments)
    found = want("the shell finds the kernel", text, r"1 file at offset (0x[0-9a-f]+)\n")
    want("frames by DWARF", text, r"#0 .* in kernel_clone \(fork\.c:\d+\)\n#1 .* in user_mode_thread.*in rest_init.*in start_kernel")
    if found and int(found.group(1), 16) == 0:
        problem("KASLR", "did not move the kernel")
    if found:
        text = gdb([f"add-symbol-file {VMLINUX} -o {found.group(1)}", "break kernel_clone", "continue", "backtrace 2", "kill"],
                   arguments)
        want("gdb, moved", text, r"Breakpoint 1, kernel_clone.*#1 .* in user_mode_thread")


def guest_of_kvm():
    """L2: KVM runs two small guests in real mode. gdb stops inside, then in KVM's own handler of the exit."""
    def module(link):
        return f"set $module = (struct module *)((char *){link}.next - (long)&((struct module *)0)->list)"

    text = gdb(["hbreak *0x1000", "continue", "info registers rip cs", "monitor levels", "monitor print $guest", "delete",
                "stepi", module("modules"), "p $module->name", f"add-symbol-file {KVM_INTEL} $module->core_layout.base",
                module("$module->list"), "p $module->name", f"add-symbol-file {KVM} $module->core_layout.base",
                "break handle_io", "continue", "backtrace", "p vcpu->stat.exits != 0", "monitor why", "monitor exits last 1",
                # back into the guest, before its OUT
                "delete", "reverse-stepi", "monitor goto 0", "kill"],
               machine(SHARE, 2, "nokaslr", "--cpu", "intel"), [VMLINUX])
    # The same by our shell, which finds KVM's modules itself; variables of KVM's beside the VMCS.
    said = shell([f"symbols load {VMLINUX} L0", "break exit IO", "continue", "why", f"symbols load {KVM_INTEL} L0",
                  f"symbols load {KVM} L0", "backtrace 5", "delete", "break handle_io", "continue", "backtrace", "locals",
                  "print vcpu->kvm->created_vcpus", "print ((struct vcpu_vmx *)vcpu)->exit_reason.basic == EXIT_REASON & 0xffff",
                  "vmcs history GUEST_RIP 2", "break kernel_clone level L1", "levels"],
                 machine(SHARE, 2, "nokaslr", "--cpu", "intel"))
    want("the shell: an exit", said, r"VM exit IO: .*\n.*\n  OUT of 1 byte, port 0x3f8\n")
    want("the shell: KVM's modules", said, r"kvm-intel\.ko: level L0, offset 0, \d+ symbols, lines.*kvm\.ko: level L0")
    want("the shell: where KVM gets its exits", said, r"#0 .* in vmx_vmexit .*#\d .* in vmx_vcpu_run\+")
    want("the shell: KVM's frames", said, r"#0 .* in handle_io \(vmx\.c:\d+\)\n#1 .* in vmx_handle_exit\+.*kvm_vcpu_ioctl\+.*do_syscall_64\+")
    want("the shell: KVM's variables", said, r"vcpu = 0xffff\w+\n.*= 1\n.*basic == EXIT_REASON & 0xffff\]\n\$\d+ = 0x1 ")
    want("the shell: who wrote RIP", said, r"last time first:\n +\d+ cpu\d at 0x\w+.*: 0x\w+ -> 0x1008\n")
    want("inside L2", text, r"Breakpoint 1, 0x0*1000 in .*rip +0x1000 .*cs +0x0 ")
    want("L2's levels", text, r"L0 the machine's owner.*\n  L1 guest 1: VMCS .*runs it")
    want("the processor is in a guest", text, r"\$1 = 0x1 ")
    want("KVM's modules", text, r'= "kvm_intel".*= "kvm"')
    want("KVM's handler", text, r"hit Breakpoint 2[.0-9]*, handle_io \(vcpu=0x[0-9a-f]+\).*#0 +handle_io.*#1 .*__vmx_handle_exit"
                                r".*kvm_vcpu_ioctl .*do_syscall_64")
    want("KVM's variables", text, r"\[p vcpu->stat\.exits != 0\]\n\$\d+ = 1\n")
    want("why", text, r"VM exit IO: ")


def kernel_of_a_guest():
    """Debian's kernel in QEMU on KVM: our shell finds where it lies; a breakpoint, frames, variables and back to a write inside
    L2; then gdb with the offset."""
    arguments = machine(NESTED, 1, "nokaslr machines=microvm", "--cpu", "intel", "--engine", "jit")
    arguments[arguments.index("256M")] = "1G"
    said = shell([f"symbols load {VMLINUX} L0", f"symbols load {VMLINUX} L1", "break exit WRMSR if $rcx == 0xc0000082", "continue",
                  "why", "delete", "break entry level L1", "continue", "delete", "symbols relocate L1 auto",
                  "break kernel_clone level L1", "continue", "backtrace", "print *args", "print init_task.comm", "levels", "delete",
                  "watch nr_threads", "continue", "backtrace 3", "reverse-continue", "walk $rip"], arguments)
    want("L2's system calls are set up", said, r"VM exit WRMSR.*MSR 0xc0000082 IA32_LSTAR")
    found = want("L2's kernel is found", said, r"1 file at offset (0x[0-9a-f]+)\n")
    want("inside L2's kernel", said, r"VMX guest, in kernel_clone \(fork\.c:\d+\).*#1 .* in user_mode_thread.*in rest_init.*in start_kernel")
    want("its variables", said, r"fn = 0x\w+ <kernel_init .*\"swapper/0\"")
    want("a write in L2, and back", said, r"watch nr_threads\), written at \w+ by cpu0: 0 -> 0x1.*VMX guest, in copy_process.*"
                                         r"to be written at \w+ by cpu0: 0 -> 0x1.*VMX guest, in copy_process")
    if found:
        text = gdb([f"add-symbol-file {VMLINUX} -o {found.group(1)}", "hbreak kernel_clone", "continue", "backtrace", "p *args",
                    "monitor levels", "delete", "watch nr_threads", "continue", "reverse-continue", "backtrace 1", "kill"], arguments)
        want("gdb inside L2's kernel", text, r"Breakpoint 1, kernel_clone .*#1 .* in user_mode_thread.*in start_kernel")
        want("gdb: a write in L2", text, r"Old value = 0\nNew value = 1\n.*\[reverse-continue\].*Old value = 1\nNew value = 0\n.*copy_process")
        want("gdb: levels", text, r"L1 guest \d+: VMCS .*cpu0 runs it")


def main(_folder):
    if L2:
        kernel_of_a_guest()
        return
    kernel()
    moved_kernel()
    guest_of_kvm()


for needed in (KERNEL, VMLINUX, SHELL, SHARE, *([NESTED] if L2 else [])):
    if not os.path.exists(needed):
        print(f"SKIP: {needed} is not there; scripts/fetch-inputs and scripts/fetch-symbols get it, ctest -R guest.media makes the media")
        sys.exit(77)
if shutil.which("gdb") is None:
    print("SKIP: gdb is not installed")
    sys.exit(77)
run(main)
