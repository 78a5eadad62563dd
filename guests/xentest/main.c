/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A guest of Xen's that makes every call the adapter translates, those that a stock Linux does not make among them, rightly and wrongly. Two
 * vCPUs. Says what is broken by console_io, ends by sched_op shutdown. [Xen public/] */
#include "guests/xentest/xen.h"

#define REPORT_NAME "xentest"
#include "guests/xentest/report.h"

#define PENDING 2048
#define VCPU_TIME 32
#define RAM_PAGE 0x1800u /* at 24 MiB */

extern void second_entry(void);
static u8 shared[4096] __attribute__((aligned(4096)));
static u8 second_stack[4096] __attribute__((aligned(4096)));
static volatile u32 second_ran;
static void test_version(void)
{
    static char text[1024];
    u64 start;
    u32 features[2] = {0, 0};
    check("version", xen(VERSION, 0, 0, 0), 4 << 16 | 17);
    check("extraversion", xen(VERSION, 1, at(text), 0), 0);
    check("compile info", xen(VERSION, 2, at(text), 0), 0);
    check("changeset", xen(VERSION, 4, at(text), 0), 0);
    check("command line", xen(VERSION, 9, at(text), 0), 0);
    check("capabilities", xen(VERSION, 3, at(text), 0), 0);
    check("platform", xen(VERSION, 5, at(&start), 0), 0);
    check("features", xen(VERSION, 6, at(features), 0), 0);
    check("no domain 0", features[1] >> 11 & 1, 0);
    features[0] = 1;
    check("features beyond", xen(VERSION, 6, at(features), 0), -22);
    check("page size", xen(VERSION, 7, 0, 0), 4096);
    check("handle", xen(VERSION, 8, at(text), 0), 0);
    check("a pointer to nowhere", xen(VERSION, 1, 0x7000000000ull, 0), -14);
    check("a pointer into the adapter", xen(VERSION, 1, 0xe01000, 0), -14);
    u32 irq[4] = {9, 0, 0, 0};
    check("no physical interrupts: status", xen(PHYSDEV, 5, at(irq), 0), -38);
    check("their end", xen(PHYSDEV, 12, at(irq), 0), -38);
    check("mapping one", xen(PHYSDEV, 13, at(irq), 0), -38);
    check("a free one", xen(PHYSDEV, 23, at(irq), 0), -38);
    check("a control domain's call", xen(35, at(text), 0, 0), -1);
    check("and another", xen(36, at(text), 0, 0), -1);
    check("an unknown call", xen(60, 0, 0, 0), -38);
    check("assist", xen(ASSIST, 0, 5, 0), 0);
    check("assist off", xen(ASSIST, 1, 5, 0), 0);
    check("no such assist", xen(ASSIST, 0, 2, 0), -22);
}

static void test_memory(void)
{
    struct {
        u16 domain, size;
        u32 space;
        u64 index, gfn;
    } add = {SELF, 0, 0, 0, at(shared) >> 12};
    check("shared info", xen(MEMORY, 7, at(&add), 0), 0);
    add.gfn = 0xe00;
    check("shared info on the adapter", xen(MEMORY, 7, at(&add), 0) < 0, 1);
    add.space = 4;
    check("another domain's page", xen(MEMORY, 7, at(&add), 0), -22);
    struct {
        u64 list, count;
        u32 order, flags;
        u16 domain;
    } r = {0, 1, 0, 0, SELF};
    u64 gfn = RAM_PAGE;
    r.list = at(&gfn);
    *(volatile u64 *)at_address(RAM_PAGE << 12) = 77;
    i64 had = xen(MEMORY, 3, 0, 0);
    check("a page given up", xen(MEMORY, 1, at(&r), 0), 1);
    check("one less", xen(MEMORY, 3, 0, 0), had - 1);
    check("given up twice", xen(MEMORY, 1, at(&r), 0), 0);
    check("a page back", xen(MEMORY, 6, at(&r), 0), 1);
    check("zeroed", (i64) * (volatile u64 *)at_address(RAM_PAGE << 12), 0);
    gfn = 0xe00;
    check("the adapter's page", xen(MEMORY, 1, at(&r), 0), 0);
    struct {
        u16 domain, padding[3];
        u64 gfn;
    } remove = {SELF, {0}, RAM_PAGE};
    check("remove", xen(MEMORY, 15, at(&remove), 0), 0);
    gfn = RAM_PAGE;
    check("and back", xen(MEMORY, 6, at(&r), 0), 1);
    check("maximum", xen(MEMORY, 4, 0, 0), had);
    check("highest frame", xen(MEMORY, 14, 0, 0) > had, 1);
    static u8 entries[20 * 8];
    struct {
        u32 count, padding;
        u64 list;
    } map = {8, 0, at(entries)};
    check("memory map", xen(MEMORY, 9, at(&map), 0), 0);
    check("five ranges", map.count, 5);
    u32 v[2] = {SELF, 0};
    u32 q[4] = {SELF, 0, 0, 0};
    check("grant frames", xen(GRANT, 6, at(q), 1), 0);
    check("grant version", xen(GRANT, 10, at(v), 1), 0);
    check("is 1", v[1], 1);
    check("no version 2", xen(GRANT, 8, at(v), 1), -38);
}

static bool is_pending(u32 port) { return (shared[PENDING + port / 8] >> (port % 8) & 1) != 0; }
static void clear(u32 port) { (void)__atomic_fetch_and(&shared[PENDING + port / 8], (u8) ~(1u << (port % 8)), __ATOMIC_SEQ_CST); }

static u64 xen_time(void)
{
    u64 now;
    memcpy(&now, shared + VCPU_TIME + 16, 8);
    return now;
}

static void test_events(void)
{
    u32 virq[3] = {0, 0, 0};
    u32 ipi[2] = {1, 0};
    u32 port[2];
    u32 status[6] = {SELF, 0};
    struct {
        u64 ports;
        u32 count, padding;
        u64 timeout;
    } poll = {at(virq + 2), 1, 0, 0};
    check("timer's port", xen(EVENT, 1, at(virq), 0), 0);
    check("only once", xen(EVENT, 1, at(virq), 0), -17);
    check("IPI port of vCPU 1", xen(EVENT, 7, at(ipi), 0), 0);
    check("send", xen(EVENT, 4, at(ipi + 1), 0), 0);
    check("pending", is_pending(ipi[1]), 1);
    status[1] = ipi[1];
    check("status", xen(EVENT, 5, at(status), 0), 0);
    check("an IPI", status[2], 5);
    check("of vCPU 1", status[3], 1);
    port[0] = ipi[1];
    port[1] = 0;
    check("IPIs stay", xen(EVENT, 8, at(port), 0), -22);
    check("unmask", xen(EVENT, 9, at(port), 0), 0);
    check("close", xen(EVENT, 3, at(port), 0), 0);
    check("closed", xen(EVENT, 4, at(port), 0), -22);
    u32 interdomain[3] = {0, 5, 0};
    check("nobody else's port", xen(EVENT, 0, at(interdomain), 0), -22);
    u32 unbound[2] = {SELF, 0};
    check("unbound", xen(EVENT, 6, at(unbound), 0), 0);
    u64 control[3] = {RAM_PAGE, 0, 0};
    check("FIFO is not there", xen(EVENT, 11, at(control), 0), -38);
    check("nor its arrays", xen(EVENT, 12, at(control), 0), -38);
    control[0] = ~1ull;
    check("a control block that is no memory", xen(EVENT, 11, at(control), 0), -22);
    check("nor priorities", xen(EVENT, 13, at(unbound), 0), -38);
    check("poll that finds nothing", xen(SCHED, 3, at(&poll), 0), 0);
    check("set_timer_op", xen(SET_TIMER, xen_time() + 1, 0, 0), 0);
    for (u32 i = 0; i < 100000 && !is_pending(virq[2]); i++) {
        check("poll", xen(SCHED, 3, at(&poll), 0), 0);
    }
    check("the timer fires", is_pending(virq[2]), 1);
    clear(virq[2]);
    struct {
        u64 timeout;
        u32 flags, padding;
    } single = {1, 1, 0};
    check("a time that is over", xen(VCPU, 8, 0, at(&single)), -62);
    single.flags = 0;
    check("at once", xen(VCPU, 8, 0, at(&single)), 0);
    check("yield", xen(SCHED, 0, 0, 0), 0);
    check("the timer fires again", is_pending(virq[2]), 1);
    check("timer off", xen(VCPU, 9, 0, 0), 0);
    check("periodic off", xen(VCPU, 7, 0, 0), 0);
    shared[0] = 1; /* an upcall waits: block comes back at once */
    check("block", xen(SCHED, 1, 0, 0), 0);
    shared[0] = 0;
    u16 domain = SELF;
    check("reset", xen(EVENT, 10, at(&domain), 0), 0);
    check("the timer's port is closed", xen(EVENT, 4, at(virq + 2), 0), -22);
}

void second_main(void);
void second_main(void)
{
    second_ran = 1;
    (void)xen(VCPU, 2, 1, 0);
    second_ran = 2; /* never */
}

static void test_vcpus(void)
{
    u64 area = at(second_stack);
    u8 state[48];
    u64 context[16] = {1};
    u64 cr0, cr3, cr4;
    __asm__("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2" : "=r"(cr0), "=r"(cr3), "=r"(cr4));
    context[5] = at(second_stack) + sizeof second_stack - 8;
    context[9] = at((const void *)(uintptr_t)second_entry);
    context[10] = 2;
    context[11] = cr0;
    context[12] = cr3;
    context[13] = cr4;
    context[14] = rdmsr(0xc0000080);
    check("run state", xen(VCPU, 4, 0, at(state)), 0);
    check("of nobody", xen(VCPU, 4, 9, at(state)), -2);
    check("its area", xen(VCPU, 5, 0, at(&area)), 0);
    check("time's area", xen(VCPU, 13, 0, at(&area)), 0);
    check("vCPU 1 is down", xen(VCPU, 3, 1, 0), 0);
    check("initialise", xen(VCPU, 0, 1, at(context)), 0);
    check("up", xen(VCPU, 1, 1, 0), 0);
    for (u32 i = 0; i < 10000 && (second_ran == 0 || xen(VCPU, 3, 1, 0) == 1); i++) {
        (void)xen(SCHED, 0, 0, 0);
    }
    check("vCPU 1 ran", second_ran, 1);
    check("and went down", xen(VCPU, 3, 1, 0), 0);
    check("no physical id", xen(VCPU, 12, 0, 0), -1);
    check("NMI for a vCPU that waits for its start", xen(VCPU, 11, 1, 0), 0);
    struct {
        u64 gfn;
        u32 offset, padding;
    } info = {at(second_stack) >> 12, 1024, 0};
    check("vcpu_info", xen(VCPU, 10, 1, at(&info)), 0);
    check("only once", xen(VCPU, 10, 1, at(&info)), -16);
}

static void test_params(void)
{
    struct {
        u16 domain, padding;
        u32 index;
        u64 value;
    } p = {SELF, 0, 18, 0};
    check("console's port", xen(HVM, 1, at(&p), 0), 0);
    check("is not 0", p.value != 0, 1);
    p.index = 17;
    check("not to be set", xen(HVM, 0, at(&p), 0), -1);
    u8 vector[8] = {0, 0, 0, 0, 0x60};
    check("upcall vector", xen(HVM, 23, at(vector), 0), 0);
    vector[4] = 3;
    check("too low a vector", xen(HVM, 23, at(vector), 0), -22);
    check("no such thing", xen(HVM, 9, at(&p), 0), -38);
    struct {
        u64 number, result, args[6];
    } list[3] = {{VERSION, 99, {0}}, {VERSION, 99, {7}}, {MULTICALL, 99, {0}}};
    check("multicall", xen(MULTICALL, at(list), 3, 0), 0);
    check("its first", (i64)list[0].result, 4 << 16 | 17);
    check("its second", (i64)list[1].result, 4096);
    check("none in another", (i64)list[2].result, -22);
}

void guest_main(u32 magic, u32 info)
{
    u32 base[4];
    (void)magic;
    (void)info;
    xen_find_vendor();
    cpuid(0x40000000, base);
    check("Xen's leaves", base[1], 0x566e6558);
    interrupt_init();
    test_version();
    test_memory();
    test_params();
    test_events();
    test_vcpus();
    report();
    power_off();
}
