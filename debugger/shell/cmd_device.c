/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The board and the processors' model-specific parts. Devices print the state that a snapshot would hold. */
#include "base/bytes.h"
#include "cpu/apic.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "debugger/shell/shell_priv.h"
#include "devices/ioapic.h"
#include "devices/iommu/iommu.h"
#include "devices/pci.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a state visitor prints, line by line to the user. */
static void show_state(struct shell *s, void (*visit)(void *self, struct state_io *io), void *self)
{
    char *text = NULL, *save = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    struct state_io io;
    if (f == NULL) {
        return;
    }
    state_init_print(&io, f);
    visit(self, &io);
    (void)fclose(f);
    for (char *line = strtok_r(text, "\n", &save); line != NULL && s->page_lines != ~0u;
         line = strtok_r(NULL, "\n", &save)) {
        say(s, "%s\n", line);
    }
    free(text);
}

static void visit_apic(void *self, struct state_io *io)
{
    apic_state(self, io);
}

void cmd_apic(struct shell *s, const char *args)
{
    struct cpu *cpu = shell_cpu(s);
    u64 base = apic_mmio_base(cpu->apic);
    UNUSED(args);
    if (base == ~(u64)0) {
        say(s, "cpu%u: no page of registers (x2APIC mode, or off); TPR %" PRIx64 "\n", s->cpu, apic_get_cr8(cpu->apic));
    } else {
        say(s, "cpu%u: registers at %" PRIx64 "; TPR %" PRIx64 "\n", s->cpu, base, apic_get_cr8(cpu->apic));
    }
    show_state(s, visit_apic, cpu->apic);
}

void cmd_ioapic(struct shell *s, const char *args)
{
    static const char *const modes[] = {"fixed", "lowest", "SMI", "?", "NMI", "INIT", "?", "ExtINT"};
    UNUSED(args);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        u64 r = ioapic_redirection(s->m->ioapic, pin);
        say(s, "pin %-2u vector %02x %-6s %s %s%s%s to %02x%s\n", pin, (unsigned)(r & 0xff), modes[r >> 8 & 7],
            (r >> 15 & 1) != 0 ? "level" : "edge ", (r >> 13 & 1) != 0 ? "low " : "high",
            (r >> 14 & 1) != 0 ? " in service" : "", (r >> 16 & 1) != 0 ? " masked" : "", (unsigned)(r >> 56),
            (r >> 11 & 1) != 0 ? " (logical)" : "");
    }
}

static bool show_device(struct shell *s, const char *id)
{
    for (unsigned i = 0; i < s->m->bus.device_count; i++) {
        const struct device *d = &s->m->bus.devices[i];
        if (strcmp(d->id, id) == 0) {
            show_state(s, d->ops->state, d->self);
            return true;
        }
    }
    return false;
}

void cmd_pic(struct shell *s, const char *args)
{
    UNUSED(args);
    for (unsigned i = 0; i < s->m->bus.device_count; i++) {
        const struct device *d = &s->m->bus.devices[i];
        if (strcmp(d->ops->type, "i8259") == 0) {
            show_state(s, d->ops->state, d->self);
        }
    }
}

void cmd_devices(struct shell *s, const char *args)
{
    if (args[0] != '\0') {
        if (!show_device(s, args)) {
            refuse(s, "%s: no such device; `devices` lists them", args);
        }
        return;
    }
    for (unsigned i = 0; i < s->m->bus.device_count; i++) {
        const struct device *d = &s->m->bus.devices[i];
        say(s, "%-28s %s\n", d->id, d->ops->type);
    }
}

void cmd_pci(struct shell *s, const char *args)
{
    UNUSED(args);
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_function *fn = pci_bus_function(s->m->pci, (u8)devfn);
        if (fn == NULL) {
            continue;
        }
        say(s, "00:%02x.%x %04x:%04x class %06x%s%s\n", PCI_SLOT(devfn), PCI_FUNC(devfn), pci_get_config(fn, 0, 2),
            pci_get_config(fn, 2, 2), pci_get_config(fn, 8, 4) >> 8, pci_is_bus_master(fn) ? ", bus master" : "",
            pci_msix_is_enabled(fn) ? ", MSI-X" : pci_msi_is_enabled(fn) ? ", MSI" : "");
        for (unsigned i = 0; i < PCI_BARS; i++) {
            const struct pci_bar *b = &fn->bars[i];
            if (b->kind != PCI_BAR_NONE) {
                say(s, "        BAR%u %s %" PRIx64 "-%" PRIx64 "%s\n", i, b->kind == PCI_BAR_IO ? "ports " : "memory",
                    b->base, b->base + b->size - 1, b->mapped ? "" : " (off)");
            }
        }
    }
}

void cmd_memory(struct shell *s, const char *args)
{
    static const char *const kinds[] = {"ram", "rom", "i/o"};
    const struct phys *p = &s->m->phys;
    UNUSED(args);
    for (unsigned i = 0; i < p->span_count; i++) {
        const struct phys_span *span = &p->spans[i];
        if (span->region != NULL) {
            say(s, "%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s\n", span->first, span->last,
                span->region->priority, kinds[span->region->kind], span->region->name);
        }
    }
}

void cmd_mtrr(struct shell *s, const char *args)
{
    static const char *const types[] = {"UC", "WC", "?", "?", "WT", "WP", "WB", "UC-"};
    const struct cpu *cpu = shell_cpu(s);
    const struct cpu_arch *a = &cpu->arch;
    u64 at;
    if (args[0] != '\0') {
        if (expr_all(s, args, &at)) {
            say(s, "%" PRIx64 ": %s\n", at, types[mtrr_type(cpu, at) & 7]);
        }
        return;
    }
    say(s, "default %s, %s, fixed ranges %s\n", types[a->mtrr_def & 7], (a->mtrr_def >> 11 & 1) != 0 ? "on" : "off",
        (a->mtrr_def >> 10 & 1) != 0 ? "on" : "off");
    for (unsigned i = 0; i < MTRR_VAR_COUNT; i++) {
        if ((a->mtrr_mask[i] >> 11 & 1) != 0) {
            say(s, "%u: base %016" PRIx64 " mask %016" PRIx64 " %s\n", i, a->mtrr_base[i] & ~PAGE_MASK,
                a->mtrr_mask[i] & ~PAGE_MASK, types[a->mtrr_base[i] & 7]);
        }
    }
    for (unsigned i = 0; i < 11; i++) {
        say(s, "fixed %u: %016" PRIx64 "\n", i, a->mtrr_fixed[i]);
    }
    say(s, "PAT %016" PRIx64 "\n", a->pat);
}

/* ---- Descriptor tables ---- */

/* [SDM3 "Segment Descriptors"], [SDM3 "System Descriptor Types"] */
static void put_descriptor(struct shell *s, u64 number, const u64 *d, bool wide)
{
    static const char *const system[] = {"?",        "TSS16", "LDT", "TSS16 busy", "call gate 16", "task gate", "interrupt gate 16",
                                         "trap gate 16", "?", "TSS", "?",   "TSS busy",   "call gate",    "?",         "interrupt gate",
                                         "trap gate"};
    unsigned type = (unsigned)(d[0] >> 40 & 15), dpl = (unsigned)(d[0] >> 45 & 3);
    bool code_or_data = (d[0] >> 44 & 1) != 0;
    const char *present = (d[0] >> 47 & 1) != 0 ? "" : " not present";
    char where[160] = "";
    if (!code_or_data && (type == 5 || type == 4 || type == 12 || (type | 9) == 15 || (type & 6) == 6)) {
        u64 at = (d[0] & 0xffff) | (d[0] >> 48) << 16 | (wide ? d[1] << 32 : 0);
        describe_address(s, at, where, sizeof where);
        say(s, "%4" PRIx64 " %-16s %04x:%016" PRIx64 " DPL %u IST %u%s%s%s%s\n", number, system[type],
            (unsigned)(d[0] >> 16 & 0xffff), at, dpl, wide ? (unsigned)(d[0] >> 32 & 7) : 0, present,
            where[0] != '\0' ? " <" : "", where, where[0] != '\0' ? ">" : "");
        return;
    }
    u64 base = (d[0] >> 16 & 0xffffff) | (d[0] >> 56) << 24 | (!code_or_data && wide ? d[1] << 32 : 0);
    u64 limit = (d[0] & 0xffff) | (d[0] >> 32 & 0xf0000);
    limit = (d[0] >> 55 & 1) != 0 ? limit << 12 | 0xfff : limit;
    say(s, "%4" PRIx64 " %-16s base %016" PRIx64 " limit %08" PRIx64 " DPL %u%s%s%s\n", number,
        !code_or_data ? system[type] : (type & 8) != 0 ? ((type & 2) != 0 ? "code readable" : "code")
                                                       : (type & 2) != 0 ? "data writable" : "data",
        base, limit, dpl,
        !code_or_data ? "" : (d[0] >> 53 & 1) != 0 ? " 64-bit" : (d[0] >> 54 & 1) != 0 ? " 32-bit" : " 16-bit", present,
        code_or_data && (type & 1) != 0 ? " accessed" : "");
}

static void put_table(struct shell *s, u64 base, u64 limit, bool gates, const char *only)
{
    const struct cpu *cpu = shell_cpu(s);
    u64 wanted = 0;
    bool all = only[0] == '\0';
    unsigned step = gates ? (cpu->d.long_mode ? 16 : 8) : 8;
    if (!all && !expr_all(s, only, &wanted)) {
        return;
    }
    wanted &= gates ? ~(u64)0 : ~(u64)7;
    for (u64 at = 0; at + step - 1 <= limit && at < 0x10000 && s->page_lines != ~0u;) {
        u64 d[2] = {0, 0}, number = gates ? at / step : at;
        if (memory_read(s, base + at, d, 8) != 8) {
            say(s, "%4" PRIx64 " not mapped\n", number);
            return;
        }
        bool system = (d[0] >> 44 & 1) == 0 && d[0] != 0;
        bool wide = cpu->d.long_mode && (gates || (system && (d[0] >> 40 & 15) != 5));
        if (wide) {
            (void)memory_read(s, base + at + 8, &d[1], 8);
        }
        if ((all && d[0] != 0) || (!all && number == wanted)) {
            put_descriptor(s, number, d, wide);
        }
        at += wide ? 16 : step;
    }
}

static void put_tss(struct shell *s)
{
    const struct cpu *cpu = shell_cpu(s);
    u64 base = cpu->arch.tr.base, v;
    u8 bytes[104];
    say(s, "TR %04x base %016" PRIx64 " limit %x\n", cpu->arch.tr.sel, base, cpu->arch.tr.limit);
    if (memory_read(s, base, bytes, sizeof bytes) != sizeof bytes) {
        refuse(s, "the task-state segment is not mapped");
        return;
    }
    for (unsigned i = 0; i < (cpu->d.long_mode ? 10u : 3u); i++) { /* [SDM3 "Task Management in 64-bit Mode"] */
        unsigned at = cpu->d.long_mode ? (i < 3 ? 4 + 8 * i : 36 + 8 * (i - 3)) : 4 + 8 * i;
        v = cpu->d.long_mode ? load_le64(bytes + at) : load_le32(bytes + at);
        if (cpu->d.long_mode && i >= 3) {
            say(s, "IST%u %016" PRIx64 "\n", i - 2, v);
        } else {
            say(s, "%s%u %016" PRIx64 "\n", cpu->d.long_mode ? "RSP" : "ESP", i, v);
        }
    }
    say(s, "I/O map at %x\n", load_le16(bytes + 102));
}

void cmd_descriptors(struct shell *s, const char *args)
{
    const struct cpu_arch *a = &shell_cpu(s)->arch;
    char word[16];
    if (!next_word(&args, word, sizeof word)) {
        refuse(s, "which table? gdt, idt, ldt or tss");
    } else if (strcmp(word, "gdt") == 0) {
        put_table(s, a->gdtr.base, a->gdtr.limit, false, args);
    } else if (strcmp(word, "idt") == 0) {
        put_table(s, a->idtr.base, a->idtr.limit, true, args);
    } else if (strcmp(word, "ldt") == 0) {
        if ((a->ldtr.sel & ~7u) == 0) {
            say(s, "No local descriptor table is loaded.\n");
        } else {
            put_table(s, a->ldtr.base, a->ldtr.limit, false, args);
        }
    } else if (strcmp(word, "tss") == 0) {
        put_tss(s);
    } else {
        refuse(s, "%s: no such table; gdt, idt, ldt or tss", word);
    }
}

/* ---- MSRs, CPUID ---- */

/* Reading must leave no trace: neither in the guest nor in what watches. */
static bool read_msr(struct shell *s, u32 index, u64 *value)
{
    struct cpu *cpu = shell_cpu(s);
    struct event was = cpu->event;
    struct trace *trace = cpu->trace;
    struct log *log = cpu->log;
    struct log quiet = {0};
    cpu->trace = NULL;
    cpu->log = &quiet;
    bool ok = msr_read(cpu, index, value) == CPU_OK;
    cpu->trace = trace;
    cpu->log = log;
    cpu->event = was;
    return ok;
}

static void put_msr(struct shell *s, u32 index)
{
    u64 value;
    const char *name = msr_name(shell_cpu(s), index);
    if (name != NULL && read_msr(s, index, &value)) {
        say(s, "%08x %-28s %016" PRIx64 "\n", index, name, value);
    }
}

u32 msr_number(unsigned i)
{
    return i < 0x2000 ? i : i < 0x4000 ? 0xc0000000u + i - 0x2000 : 0xc0010000u + i - 0x4000;
}

bool msr_find(const struct shell *s, const char *typed, u32 *index)
{
    for (unsigned i = 0; i < MSR_NUMBERS; i++) {
        const char *name = msr_name(shell_cpu(s), msr_number(i));
        bool prefixed = name != NULL && strncmp(name, "IA32_", 5) == 0;
        if (name != NULL && (strcasecmp(name, typed) == 0 || (prefixed && strcasecmp(name + 5, typed) == 0))) {
            *index = msr_number(i);
            return true;
        }
    }
    return false;
}

void cmd_msr(struct shell *s, const char *args)
{
    u64 index, value;
    u32 found;
    for (unsigned i = 0; args[0] == '\0' && i < MSR_NUMBERS; i++) {
        put_msr(s, msr_number(i));
    }
    if (args[0] == '\0') {
        return;
    }
    if (msr_find(s, args, &found)) {
        put_msr(s, found);
        return;
    }
    if (!expr_all(s, args, &index)) {
        return;
    }
    const char *name = msr_name(shell_cpu(s), (u32)index);
    if (!read_msr(s, (u32)index, &value)) {
        refuse(s, "this processor has no MSR %" PRIx64, index);
        return;
    }
    say(s, "%08" PRIx64 " %-28s %016" PRIx64 "\n", index, name != NULL ? name : "", value);
}

static void put_leaf(struct shell *s, u32 leaf, u32 subleaf)
{
    struct cpuid_regs r = cpuid_lookup(shell_cpu(s), leaf, subleaf);
    say(s, "%08x.%x: eax %08x ebx %08x ecx %08x edx %08x\n", leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
}

void cmd_cpuid(struct shell *s, const char *args)
{
    u64 leaf, subleaf = 0;
    struct error err = {0};
    if (args[0] != '\0') {
        if (!expr_eval(s, &args, &leaf, &err)) {
            refuse_error(s, &err);
        } else if (*args == '\0' || expr_all(s, args, &subleaf)) {
            put_leaf(s, (u32)leaf, (u32)subleaf);
        }
        return;
    }
    static const u32 first[] = {0, 0x80000000u};
    for (unsigned k = 0; k < 2; k++) {
        u32 max = cpuid_lookup(shell_cpu(s), first[k], 0).eax;
        for (u32 i = first[k]; i <= max && i < first[k] + 0x40; i++) {
            put_leaf(s, i, 0);
        }
    }
}

void cmd_iommu(struct shell *s, const char *args)
{
    static const char *const paths[] = {"blocked",      "direct",     "VT-d second level",
                                        "x86 tables",   "AMD-Vi host", "AMD-Vi guest"};
    struct machine *m = s->m;
    UNUSED(args);
    if (m->iommu == NULL) {
        say(s, "The machine has no IOMMU; -device intel-iommu or amd-iommu adds one.\n");
        return;
    }
    say(s, "%s\n", m->iommu->ops->type);
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_function *fn = pci_bus_function(m->pci, (u8)devfn);
        struct iommu_route r = {0};
        if (fn != NULL) {
            iommu_find_route(m->iommu, pci_requester(fn), &r);
            say(s, "00:%02x.%x %s root %" PRIx64 " levels %u domain %u %s%s\n", PCI_SLOT(devfn), PCI_FUNC(devfn),
                paths[r.path], r.root, r.levels, r.domain, r.read ? "r" : "-", r.write ? "w" : "-");
        }
    }
    const struct iommu_last_fault *f = &m->iommu->last;
    if (f->count > 0) {
        const char *words = iommu_fault_words(m->iommu, f->reason);
        say(s, "%" PRIu64 " faults; the last: %02x:%02x.%x %s %" PRIx64 ": %s\n", f->count, f->requester >> 8,
            f->requester >> 3 & 31, f->requester & 7, f->interrupt ? "interrupt" : f->write ? "write" : "read",
            f->address, words != NULL ? words : "?");
    }
}
