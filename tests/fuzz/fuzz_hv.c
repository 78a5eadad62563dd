/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hostile hypercalls, synthetic MSRs and accesses to the local APIC's window against the hypervisor's own code, run as a program of the
 * host: what it needs of a processor is replaced below. The root, a child and a child with VTL 2 call in turn. After each input every page is
 * where the ownership table says, and when the children are gone every page is the root's again. */
#include "abi/hyperv/hypercall.h"
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/hyperv/vsm.h"
#include "abi/x86/registers.h"
#include "hv/boot/boot.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/string.h"
#include "hv/hypercall/hypercall.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/msr.h"

#include "fuzz_stream.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define MEMORY (16ull << 20)
#define IMAGE_AT "0x100000"
#define DEPOSIT 64u
#define PAGES 24u /* of a child */
#define INPUT_AT 0x3000ull
#define OUTPUT_AT 0x5000ull
#define CODE_AT 0x7000ull
#define HYPERCALL_AT 0x8000ull
#define ROOT_AREA 0x200000ull /* where the root keeps the same */

u8 hv_host_memory[MEMORY] __attribute__((aligned(4096)));
extern u8 hv_image_start[], hv_image_end[];
__asm__(".globl hv_image_start, hv_image_end\n"
        ".set hv_image_start, hv_host_memory + " IMAGE_AT "\n"
        ".set hv_image_end, hv_host_memory + " IMAGE_AT " + 0x10000\n");

/* What the rest of hv offers. */
struct boot_info boot_info = {.range_count = 1, .ranges = {{0, MEMORY, MEMORY_RAM}}};
u64 boot_pdpt[512];
struct cpu cpus[CPU_MAX];
u32 cpu_count = 1;
u64 tsc_hz = 2000000000, apic_timer_hz = 1000000000, time_scale = 92233720368547758ull;

u64 boot_ram_end(void) { return MEMORY; }
void cpu_kick(struct cpu *c) { c->work = 1; }
u64 time_reference(void) { return 1000; }
u64 time_tsc_of(u64 reference) { return reference * 200; }
bool msr_read_safe(u32 msr, u64 *value)
{
    *value = msr;
    return false;
}
bool msr_write_safe(u32 msr, u64 value)
{
    (void)msr;
    (void)value;
    return false;
}
void log_line(const char *format, ...) { (void)format; }
_Noreturn void panic(const char *format, ...)
{
    (void)fprintf(stderr, "panic: %s\n", format);
    abort();
}
u64 fpu_xcr0_allowed(void) { return 7; }
void debug_save(struct vp *vp) { (void)vp; }

void fpu_read_xmm(u8 *to)
{
    for (unsigned i = 0; i < 96; i += 8) {
        u64 v = take(8);
        memcpy(to + i, &v, 8);
    }
}

/* A vendor of its own. */
static bool fake_init(struct vp *vp)
{
    vp->control = pool_alloc(&vp->partition->pool);
    return vp->control != NULL;
}
static void fake_free(struct vp *vp) { pool_free(&vp->partition->pool, vp->control); }
static void fake_nothing(struct vp *vp) { (void)vp; }
#define LARGE 0x80ull
#define TYPE_SHIFT 52
static u64 fake_leaf(u64 spa, enum slat_rights rights, enum slat_type type, bool large)
{
    return (spa & SLAT_ADDRESS) | rights | (large ? LARGE : 0) | (u64)type << TYPE_SHIFT;
}
static u64 fake_table(u64 spa) { return spa | SLAT_RWX; }
static bool fake_is_large(u64 entry) { return (entry & LARGE) != 0; }
static void fake_decode(u64 entry, enum slat_rights *rights, enum slat_type *type)
{
    *rights = (enum slat_rights)(entry & SLAT_RWX);
    *type = (enum slat_type)(entry >> TYPE_SHIFT & 1);
}
#define FAKE                                                                                                 \
    {.hypercall_code = {0x0f, 0x01, 0xc1, 0xc3}, .vp_init = fake_init, .vp_free = fake_free, .vp_save = fake_nothing,               \
     .vp_load = fake_nothing, .slat_leaf = fake_leaf, .slat_table = fake_table, .slat_is_large = fake_is_large,                    \
     .slat_decode = fake_decode}
const struct arch arch_svm = FAKE;
const struct arch arch_vmx = FAKE;
const struct arch *arch = &arch_svm;

static void must(bool ok, const char *what, u64 value)
{
    if (!ok) {
        (void)fprintf(stderr, "%s: %#llx\n", what, (unsigned long long)value);
        abort();
    }
}

static void be_64_bit(struct vp *vp)
{
    vp->r.cr0 = CR0_PE | CR0_ET;
    vp->r.efer = EFER_LME | EFER_LMA;
    vp->r.segment[SEG_CS].attributes = SEG_P | SEG_S | SEG_L | 0xb;
    vp->r.segment[SEG_SS].attributes = SEG_P | SEG_S | 3;
    vp->suspend = 0;
}

static u64 next_page = 0x400; /* the root's, in turn */

static u64 root_page(void)
{
    u64 seen;
    enum slat_rights rights;
    do {
        next_page = next_page + 1 < hv_area_start >> PAGE_SHIFT ? next_page + 1 : 0x400;
    } while (!slat_find(root_partition, next_page, &seen, &rights) || page_of(next_page)->state != PAGE_ROOT);
    return next_page;
}

static struct partition *make_child(bool vtl2)
{
    struct partition *p = partition_create(root_partition);
    must(p != NULL, "no partition", 0);
    p->has_vtl2 = vtl2;
    p->privileges = vtl2 ? HV_PRIVILEGES_VTL2 : HV_PRIVILEGES_CHILD;
    for (unsigned i = 0; i < DEPOSIT; i++) {
        must(page_deposit(root_page(), p), "deposit", i);
    }
    must(partition_take_pages(p), "pages", 0);
    p->state = HV_PARTITION_ACTIVE;
    for (u32 i = 0; i < 2; i++) {
        struct vp *vp = vp_create(p, i, &cpus[0]);
        must(vp != NULL, "VP", i);
        be_64_bit(vtl2 ? vp->other : vp);
    }
    for (u64 gfn = 0; gfn < PAGES; gfn++) {
        u64 pfn = root_page();
        must(page_give(pfn, p, gfn) && slat_map(p, gfn, pfn, SLAT_RWX, SLAT_WB), "map", gfn);
        p->private_pages++;
    }
    p->guest_os_id = 1;
    must(partition_write_hypercall_msr(p, HYPERCALL_AT | HV_PAGE_MSR_ENABLE), "hypercall page", 0);
    return p;
}

static void init(void)
{
    static bool done;
    if (done) {
        return;
    }
    done = true;
    cpus[0].self = &cpus[0];
    page_init(MEMORY);
    partition_make_root();
    be_64_bit(root_partition->vp[0]);
    root_partition->guest_os_id = 1;
    must(partition_write_hypercall_msr(root_partition, (ROOT_AREA + HYPERCALL_AT) | HV_PAGE_MSR_ENABLE), "hypercall page", 0);
}

/* Who calls: the root, or a VP of a child as long as there is one. */
static struct vp *caller(struct partition *const *children)
{
    u64 pick = take(1);
    struct partition *p = (pick & 3) == 0 ? root_partition : children[pick & 1];
    struct vp *vp = p->used && p->state == HV_PARTITION_ACTIVE ? p->vp[pick >> 2 & 1] : NULL;
    vp = vp != NULL && vp->other != NULL && (pick & 8) == 0 ? vp->other : vp;
    return vp != NULL ? vp : root_partition->vp[0];
}

static u64 some_partition(struct partition *const *children)
{
    switch (take(1) & 7) {
    case 0:
        return HV_PARTITION_SELF;
    case 1:
        return 1;
    case 2:
        return take(8);
    default:
        return children[take(1) & 1]->id;
    }
}

static u64 some_word(void)
{
    u64 pick = take(1);
    if ((pick & 7) == 2) { /* a channel, and a right to lend for */
        return (pick >> 3 & 3) << 32 | pick >> 5;
    }
    return (pick & 7) == 0 ? take(8) : ((pick & 7) == 1 ? root_page() : pick >> 3);
}

enum { SIMPLE = 0, REP = 1, SIMPLE_SET = 2, REP_SET = 3 };
static const struct {
    u16 code;
    u8 kind;
} calls[] = {
#define HYPERCALL(code, name, kind, fast, header, element, output, privilege, handler) {code, kind},
#include "abi/hyperv/hypercall.def"
#undef HYPERCALL
};

static void call(struct vp *vp, struct partition *const *children)
{
    u64 base = vp->partition == root_partition ? ROOT_AREA : 0;
    u64 words[64];
    words[0] = some_partition(children);
    for (unsigned i = 1; i < 64; i++) {
        words[i] = some_word();
    }
    u64 how = take(1);
    u64 row = take(1) % ARRAY_LEN(calls);
    u64 control = calls[row].code | ((calls[row].kind & REP) != 0 ? take(1) % 5 : 0) << HV_CONTROL_REPS_SHIFT |
                  ((calls[row].kind & SIMPLE_SET) != 0 ? take(1) % 3 : 0) << HV_CONTROL_VARHEAD_SHIFT;
    control = (how & 7) == 0 ? control | take(8) : control;
    control = (how & 24) == 8 ? control | HV_CONTROL_FAST : control & ~(u64)HV_CONTROL_FAST;
    (void)guest_write(vp->partition, base + INPUT_AT, words, sizeof words);
    u64 input = (how & 0x70) == 0 ? take(8) : base + INPUT_AT;
    u64 output = (how & 0xe0) == 0x20 ? take(8) : base + OUTPUT_AT;
    bool wide = (how & 0x38) != 0x38;
    if ((control & HV_CONTROL_FAST) != 0) {
        input = words[0];
        output = words[1];
    }
    vp->r.segment[SEG_CS].attributes = (u16)(SEG_P | SEG_S | (wide ? SEG_L : SEG_DB) | 0xb);
    vp->gpr[X86_RCX] = wide ? control : (u32)input;
    vp->gpr[X86_RDX] = wide ? input : control >> 32;
    vp->gpr[8] = output;
    vp->gpr[X86_RAX] = control;
    vp->gpr[X86_RBX] = input >> 32;
    vp->gpr[X86_RDI] = output >> 32;
    vp->gpr[X86_RSI] = (u32)output;
    struct hv_exit exit = {.kind = HV_EXIT_HYPERCALL, .length = 3};
    hypercall_exit(vp, &exit);
    vp->event = (struct event){0};
}

static void access_msr(struct vp *vp)
{
    u64 pick = take(2);
    u32 msr = (pick & 0x8000) != 0 ? 0x800 + (u32)(pick & 0xff) : HV_MSR_FIRST + (u32)(pick & 0x1ff);
    u64 value = take(1) % 3 == 0 ? take(8) : (take(1) % 32) << PAGE_SHIFT | (take(1) & 3);
    if ((pick & 0x4000) != 0) {
        (void)vp_read_msr(vp, msr, &value);
    } else {
        (void)vp_write_msr(vp, msr, value);
    }
}

static void access_apic(struct vp *vp)
{
    u8 code[16];
    for (unsigned i = 0; i < sizeof code; i++) {
        code[i] = (u8)take(1);
    }
    (void)guest_write(vp->partition, CODE_AT, code, sizeof code);
    vp->r.rip = CODE_AT;
    (void)lapic_write_base(vp, 0xfee00000 | take(2));
    struct hv_exit exit = {.kind = HV_EXIT_SLAT, .slat = {.gpa = 0xfee00000 + (take(1) << 4), .access = (u8)(take(1) & 1 ? SLAT_W : SLAT_R)}};
    (void)lapic_access(vp, &exit);
}

/* Pages are where the table says: what is a child's, or deposited, the root does not see. */
static void check_pages(void)
{
    for (u64 pfn = 0; pfn < MEMORY >> PAGE_SHIFT; pfn++) {
        const struct page *page = page_of(pfn);
        u64 seen;
        enum slat_rights rights;
        bool roots = overlay_find_under(root_partition, pfn, &seen, &rights) && seen == pfn;
        const struct partition *lender = page != NULL && page->state == PAGE_PRIVATE ? partition_at(page->owner) : NULL;
        bool lent = lender != NULL && lend_is_open(lender, page->gfn);
        must(page == NULL || roots == (page->state == PAGE_ROOT || lent), "the root and the table differ about", pfn);
        must(!lent || (rights & SLAT_X) == 0, "the root executes what is lent", pfn);
        if (page != NULL && page->state == PAGE_PRIVATE) {
            const struct partition *p = partition_at(page->owner);
            must(p != NULL && overlay_find_under(p, page->gfn, &seen, &rights) && seen == pfn, "the owner does not see", pfn);
        }
    }
}

static void tear_down(void)
{
    for (u16 i = 0; i < PARTITION_MAX; i++) {
        struct partition *p = partition_at(i);
        if (p == NULL || p == root_partition) {
            continue;
        }
        if (p->state != HV_PARTITION_FINALIZED) {
            partition_finalize(p);
        }
        while (page_withdraw(p) != PFN_NONE) {
        }
        must(p->pool.in_use == 0, "pages in use after the end", p->pool.in_use);
        partition_delete(p);
    }
    port_drop_all(root_partition);
    struct vp *vp = root_partition->vp[0];
    overlay_remove(root_partition, &vp->assist);
    overlay_remove(root_partition, &vp->synic.messages);
    overlay_remove(root_partition, &vp->synic.events);
    overlay_remove(root_partition, &root_partition->reference_tsc);
    be_64_bit(vp);
    for (u64 pfn = 0; pfn < MEMORY >> PAGE_SHIFT; pfn++) {
        const struct page *page = page_of(pfn);
        must(page == NULL || page->state == PAGE_ROOT || page->state == PAGE_HV, "a page did not come back", pfn);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    in = (struct input){data, size};
    init();
    root_partition->guest_os_id = 1;
    root_partition->hypercall_msr |= HV_PAGE_MSR_ENABLE;
    struct partition *const children[2] = {make_child(false), make_child(true)};
    while (in.n > 0) {
        struct vp *vp = caller(children);
        u64 what = take(1);
        if (what < 208) {
            call(vp, children);
        } else if (what < 240) {
            access_msr(vp);
        } else if (vp->partition != root_partition) {
            access_apic(vp);
        }
    }
    check_pages();
    tear_down();
    return 0;
}
