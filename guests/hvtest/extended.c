/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What callers may do besides: input in XMM registers, 32-bit code, sets of VPs; overlays, intercepts of exceptions and hypercalls, sparse
 * maps, ports' properties, signals and messages without ports, the layouts of old, the local APIC's window; and each privilege. */
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/x86/msr.h"
#include "guests/hvtest/hvtest.h"

#define REPS(n) ((u64)(n) << HV_CONTROL_REPS_SHIFT)
#define BANKS(n) ((u64)(n) << HV_CONTROL_VARHEAD_SHIFT)
#define SINT_DIRECT 0u /* a child's is free: it has no children */
#define OUTSIDE 0x10000000u /* beyond the child's memory */
#define APIC_SPURIOUS 0xf0u
#define APIC_ID 0x20u
#define APIC_LVT_TIMER 0x320u

static u16 set_one(u32 name, u64 value)
{
    const struct register_write w = {name, {.low = value}};
    return set_registers(child, 0, &w, 1);
}

static u64 gpa_result(u64 gpa)
{
    *(struct hv_gpa_input *)(void *)hypercall_input = (struct hv_gpa_input){.partition = child, .count = 8, .gpa = gpa};
    check("ReadGpa", hypercall(HV_CALL_ReadGpa), HV_SUCCESS);
    return *(u64 *)(void *)hypercall_output;
}

static void test_xmm(void)
{
    const u64 ipi = HV_CALL_SendSyntheticClusterIpiEx | HV_CONTROL_FAST | BANKS(1);
    write_gpa(CHILD_XMM, 1); /* valid banks */
    write_gpa(CHILD_XMM + 8, 2); /* VP 1 */
    check("IPI to a set, in XMM registers", child_calls(ipi, 0x51, HV_VP_SET_SPARSE), HV_SUCCESS);
    check("format 7", child_calls(ipi, 0x51, 7), HV_INVALID_PARAMETER);
    check("vector 3", child_calls(ipi, 3, HV_VP_SET_SPARSE), HV_INVALID_PARAMETER);
    write_gpa(CHILD_XMM, 3);
    check("fewer banks than the mask says", child_calls(ipi, 0x51, HV_VP_SET_SPARSE), HV_INVALID_HYPERCALL_INPUT);
    write_gpa(CHILD_XMM, 0);
    check("an empty set", child_calls(HV_CALL_SendSyntheticClusterIpiEx | HV_CONTROL_FAST, 0x51, HV_VP_SET_SPARSE), HV_SUCCESS);
    check("more than fits", child_calls(HV_CALL_SendSyntheticClusterIpiEx | HV_CONTROL_FAST | BANKS(12), 0x51, 0),
          HV_INVALID_HYPERCALL_INPUT);
    write_gpa(CHILD_XMM, 3);
    check("flush, in XMM registers", child_calls(HV_CALL_FlushVirtualAddressSpace | HV_CONTROL_FAST, 0, 2), HV_SUCCESS);
    check("flush with an unknown flag", child_calls(HV_CALL_FlushVirtualAddressSpace | HV_CONTROL_FAST, 0, 0x100),
          HV_INVALID_PARAMETER);
    write_gpa(CHILD_XMM + 8, CHILD_CODE);
    check("flush of a list, in XMM registers", child_calls(HV_CALL_FlushVirtualAddressList | HV_CONTROL_FAST | REPS(1), 0, 0),
          REPS(1));
    check("CR3 as it is", child_calls(HV_CALL_SwitchVirtualAddressSpace | HV_CONTROL_FAST, CHILD_TABLES, 0), HV_SUCCESS);
    check("CR3 beyond all memory", child_calls(HV_CALL_SwitchVirtualAddressSpace | HV_CONTROL_FAST, ~0ull, 0),
          HV_INVALID_PARAMETER);
}

static void test_sets(void)
{
    const u64 at = CHILD_BUFFER;
    const u64 words[6] = {0, HV_FLUSH_ALL_VPS, HV_VP_SET_SPARSE, 5, 1, 0xff};
    for (u32 i = 0; i < 6; i++) {
        write_gpa(at + 8 * i, words[i]);
    }
    write_gpa(at + 48, CHILD_CODE);
    const u64 list = HV_CALL_FlushVirtualAddressListEx | REPS(1);
    check("flush of a set", child_calls(HV_CALL_FlushVirtualAddressSpaceEx | BANKS(2), at, 0), HV_SUCCESS);
    check("flush of a list in a set", child_calls(list | BANKS(2), at, 0), REPS(1));
    check("one bank too few", child_calls(list | BANKS(1), at, 0), HV_INVALID_HYPERCALL_INPUT);
    check("no list", child_calls(HV_CALL_FlushVirtualAddressListEx | BANKS(2), at, 0), HV_INVALID_HYPERCALL_INPUT);
    write_gpa(at + 16, HV_VP_SET_ALL);
    check("all VPs", child_calls(HV_CALL_FlushVirtualAddressSpaceEx, at, 0), HV_SUCCESS);
    check("all VPs, and banks", child_calls(HV_CALL_FlushVirtualAddressSpaceEx | BANKS(2), at, 0), HV_SUCCESS);
    write_gpa(at + 16, 2);
    check("format 2", child_calls(HV_CALL_FlushVirtualAddressSpaceEx | BANKS(2), at, 0), HV_INVALID_PARAMETER);
    check("banks behind the page's end", child_calls(HV_CALL_FlushVirtualAddressSpaceEx | BANKS(2), at + 0x1000 - 40, 0),
          HV_INVALID_ALIGNMENT);
}

static void test_32(void)
{
    const u64 signal = HV_CALL_SignalEvent | HV_CONTROL_FAST;
    (void)synic_take_flag(SINT_EVENTS, 104);
    check("32-bit code signals", child_does(DO_CALL_32, signal, CONNECTION_EVENTS | 4ull << 32, 0), HV_SUCCESS);
    check("the flag is set", synic_take_flag(SINT_EVENTS, 104), true);
    check("32-bit code, unknown call", child_does(DO_CALL_32, 0x7777, 0, 0), HV_INVALID_HYPERCALL_CODE);
    write_gpa(CHILD_BUFFER, HV_PARTITION_SELF);
    write_gpa(CHILD_BUFFER + 8, 0);
    write_gpa(CHILD_BUFFER + 16, 1ull << 32);
    write_gpa(CHILD_BUFFER + 0x800, ~0ull);
    check("32-bit code, a list",
          child_does(DO_CALL_32, HV_CALL_GetVpIndexFromApicId | REPS(2), CHILD_BUFFER, CHILD_BUFFER + 0x800), REPS(2));
    check("its answers", read_gpa(CHILD_BUFFER + 0x800), 1ull << 32);
    check("input and output one in the other",
          child_calls(HV_CALL_GetVpIndexFromApicId | REPS(2), CHILD_BUFFER, CHILD_BUFFER + 16), HV_INVALID_PARAMETER);
    check("input in the hypercall page", child_calls(HV_CALL_GetVpIndexFromApicId | REPS(2), CHILD_HYPERCALL_PAGE, CHILD_BUFFER),
          HV_INVALID_PARAMETER);
    check("output in the hypercall page",
          child_calls(HV_CALL_GetVpIndexFromApicId | REPS(2), CHILD_BUFFER, CHILD_HYPERCALL_PAGE), HV_INVALID_PARAMETER);
}

static void test_overlays(void)
{
    const u64 assist = CHILD_SPARE;
    write_gpa(assist + 8, 0xabcd);
    (void)child_does(DO_WRMSR, HV_MSR_VP_ASSIST_PAGE, assist | HV_PAGE_MSR_ENABLE, 0);
    check("the assist page lies over memory", read_gpa(assist + 8), 0);
    write_gpa(assist + 8, 0x1234);
    (void)child_does(DO_WRMSR, HV_MSR_VP_ASSIST_PAGE, OUTSIDE | HV_PAGE_MSR_ENABLE, 0);
    check("what it covered is seen again", read_gpa(assist + 8), 0xabcd);
    check("its contents moved with it", read_gpa(OUTSIDE + 8), 0x1234);
    (void)child_does(DO_WRMSR, HV_MSR_REFERENCE_TSC, OUTSIDE | HV_PAGE_MSR_ENABLE, 0);
    check("of two the newer is seen", read_gpa(OUTSIDE), 1);
    check("a scale is there", read_gpa(OUTSIDE + 8) != 0, true);
    (void)child_does(DO_WRMSR, HV_MSR_VP_ASSIST_PAGE, 0, 0);
    check("the other one goes", read_gpa(OUTSIDE), 1);
    (void)child_does(DO_WRMSR, HV_MSR_REFERENCE_TSC, 0, 0);
    check("nothing is left there", gpa_result(OUTSIDE), HV_GPA_UNMAPPED);
    struct hv_translate_input *in = (void *)hypercall_input;
    *in = (struct hv_translate_input){.partition = child, .flags = HV_TRANSLATE_READ,
                                      .gva_page = CHILD_HYPERCALL_PAGE >> PAGE_SHIFT};
    check("translate", hypercall(HV_CALL_TranslateVirtualAddress), HV_SUCCESS);
    check("an overlay", ((const struct hv_translate_output *)(const void *)hypercall_output)->cache_overlay, HV_TRANSLATE_OVERLAY);
    u32 done;
    *(struct hv_map_input *)(void *)hypercall_input = (struct hv_map_input){child, CHILD_HYPERCALL_PAGE >> PAGE_SHIFT, 0, 0};
    check("unmap under an overlay", hypercall_rep(HV_CALL_UnmapGpaPages, 1, &done), HV_OBJECT_IN_USE);
    const u64 crash = 0xc0ffee;
    (void)child_does(DO_WRMSR, HV_MSR_CRASH_P0, crash, 0);
    check("crash parameters", child_does(DO_RDMSR, HV_MSR_CRASH_P0, 0, 0), crash);
    check("what a crash report can say", child_does(DO_RDMSR, HV_MSR_CRASH_CTL, 0, 0), HV_CRASH_NOTIFY | HV_CRASH_MESSAGE);
}

static u16 signal_direct(u8 sint, u16 flag, u64 *fresh)
{
    *(struct hv_signal_direct_input *)(void *)hypercall_input =
        (struct hv_signal_direct_input){.partition = child, .vp = 0, .sint = sint, .flag = flag};
    u16 status = hypercall(HV_CALL_SignalEventDirect);
    *fresh = *(u64 *)(void *)hypercall_output;
    return status;
}

static u16 post_direct(u8 sint, u32 type)
{
    struct hv_message m = {.type = type, .size = 8};
    struct hv_post_direct_input *in = (void *)hypercall_input;
    *in = (struct hv_post_direct_input){.partition = child, .vp = 0, .sint = sint};
    memcpy(in->message, &m, sizeof m);
    return hypercall(HV_CALL_PostMessageDirect);
}

static void test_direct(void)
{
    const u64 events = CHILD_SPARE;
    const u64 messages = CHILD_SPARE + 0x1000;
    u64 fresh;
    check("signal where the SynIC is off", signal_direct(SINT_DIRECT, 5, &fresh), HV_INVALID_SYNIC_STATE);
    check("SynIC on, by the parent", set_one(HV_REG_SCONTROL, 1), HV_SUCCESS);
    check("event page", set_one(HV_REG_SIEFP, events | HV_PAGE_MSR_ENABLE), HV_SUCCESS);
    check("message page", set_one(HV_REG_SIMP, messages | HV_PAGE_MSR_ENABLE), HV_SUCCESS);
    check("a masked source", signal_direct(SINT_DIRECT, 5, &fresh), HV_INVALID_SYNIC_STATE);
    check("vector 5", set_one(HV_REG_SINT0 + SINT_DIRECT, 5), HV_INVALID_PARAMETER);
    check("vector", set_one(HV_REG_SINT0 + SINT_DIRECT, 0x60), HV_SUCCESS);
    check("signal", signal_direct(SINT_DIRECT, 5, &fresh), HV_SUCCESS);
    check("it is new", fresh, 1);
    check("signal again", signal_direct(SINT_DIRECT, 5, &fresh), HV_SUCCESS);
    check("it is not new", fresh, 0);
    check("the flag is set", read_gpa(events + 256 * SINT_DIRECT), 1u << 5);
    check("flag 2048", signal_direct(SINT_DIRECT, 2048, &fresh), HV_INVALID_PARAMETER);
    check("source 16", signal_direct(16, 0, &fresh), HV_INVALID_PARAMETER);
    check("message of no type", post_direct(SINT_DIRECT, 0), HV_INVALID_PARAMETER);
    check("message", post_direct(SINT_DIRECT, 77), HV_SUCCESS);
    check("it is there", read_gpa(messages + 256 * SINT_DIRECT), 77 | 8ull << 32);
    check("the next waits", post_direct(SINT_DIRECT, 78), HV_SUCCESS);
    check("the slot says so", read_gpa(messages + 256 * SINT_DIRECT), 77 | 8ull << 32 | (u64)HV_MESSAGE_FLAG_PENDING << 40);
    check("one waits, no more", post_direct(SINT_DIRECT, 79), HV_INSUFFICIENT_BUFFERS);
    write_gpa(messages + 256 * SINT_DIRECT, 0);
    check("end of message", set_one(HV_REG_EOM, 0), HV_SUCCESS);
    check("the next is there", read_gpa(messages + 256 * SINT_DIRECT), 78 | 8ull << 32);
    union hv_register_value value;
    check("SINT0's register", (get_register(child, 0, HV_REG_SINT0, &value), value.low), 0x60);
    check("SynIC off", set_one(HV_REG_SCONTROL, 0), HV_SUCCESS);
    check("pages off", set_one(HV_REG_SIMP, 0) | set_one(HV_REG_SIEFP, 0), HV_SUCCESS);
}

static u16 intercept(u32 access, u32 type, u64 parameter)
{
    *(struct hv_intercept_input *)(void *)hypercall_input = (struct hv_intercept_input){child, access, type, parameter};
    return hypercall(HV_CALL_InstallIntercept);
}

static void go_on_at(u64 rip)
{
    const struct register_write list[2] = {{HV_REG_RIP, {.low = rip}}, {HV_REG_INTERCEPT_SUSPEND, {.low = 0}}};
    check("go on", set_registers(child, 0, list, 2), HV_SUCCESS);
}

static void test_intercepts(void)
{
    struct hv_message m;
    check("exceptions that are read", intercept(HV_INTERCEPT_READ, HV_INTERCEPT_EXCEPTION, 6), HV_INVALID_PARAMETER);
    check("vector 2", intercept(HV_INTERCEPT_EXECUTE, HV_INTERCEPT_EXCEPTION, 2), HV_INVALID_PARAMETER);
    check("vector 32", intercept(HV_INTERCEPT_EXECUTE, HV_INTERCEPT_EXCEPTION, 32), HV_INVALID_PARAMETER);
    check("type 77", intercept(HV_INTERCEPT_EXECUTE, 77, 0), HV_INVALID_PARAMETER);
    check("vector 6", intercept(HV_INTERCEPT_EXECUTE, HV_INTERCEPT_EXCEPTION, 6), HV_SUCCESS);
    child_told(DO_UD, 0x1111, 0, 0);
    check("the exception comes", synic_wait(0, &m), true);
    const struct hv_exception_message *e = (const void *)m.payload;
    check("its type", m.type, HV_MESSAGE_EXCEPTION);
    check("its vector", e->vector, 6);
    check("no error code", e->info, 0);
    check("its instruction", e->count >= 2 ? e->bytes[0] | (u64)e->bytes[1] << 8 : 0, 0x0b0f);
    check("registers", e->gpr[1], 0x1111);
    go_on_at(e->header.rip + 2);
    check("the child goes on", wait_for_turn(), true);
    check("no more", intercept(0, HV_INTERCEPT_EXCEPTION, 6), HV_SUCCESS);
    check("hypercalls", intercept(HV_INTERCEPT_EXECUTE, HV_INTERCEPT_HYPERCALL, 0), HV_SUCCESS);
    child_told(DO_CALL, 0x4242, 0, 0);
    check("the hypercall comes", synic_wait(0, &m), true);
    const struct hv_hypercall_message *h = (const void *)m.payload;
    check("its type", m.type, HV_MESSAGE_HYPERCALL);
    check("its code", h->rcx, 0x4242);
    go_on_at(h->header.rip + 3);
    check("the child goes on", wait_for_turn(), true);
    check("no more", intercept(0, HV_INTERCEPT_HYPERCALL, 0), HV_SUCCESS);
    check("hv answers again", child_calls(0x4242, 0, 0), HV_INVALID_HYPERCALL_CODE);
}

static void test_sparse(void)
{
    struct hv_sparse_input *in = (void *)hypercall_input;
    struct hv_sparse_page *list = (void *)(in + 1);
    const u64 pages[2] = {page_take(), page_take()};
    u32 done;
    *in = (struct hv_sparse_input){child, HV_MAP_ALL, 0};
    list[0] = (struct hv_sparse_page){0x20000, pages[0]};
    list[1] = (struct hv_sparse_page){0x30000, 0x100};
    check("sparse map, a page of hv's", hypercall_rep(HV_CALL_MapSparseGpaPages, 2, &done), HV_OPERATION_DENIED);
    check("the first is mapped", done, 1);
    list[1] = (struct hv_sparse_page){0x30000, pages[1]};
    check("the first is there already", hypercall_rep(HV_CALL_MapSparseGpaPages, 2, &done), HV_OBJECT_IN_USE);
    list[0] = (struct hv_sparse_page){0x30000, pages[1]};
    check("the second alone", hypercall_rep(HV_CALL_MapSparseGpaPages, 1, &done), HV_SUCCESS);
    write_gpa(0x20000000, 1);
    write_gpa(0x30000000, 2);
    for (u32 i = 0; i < 2; i++) {
        *(struct hv_map_input *)(void *)hypercall_input = (struct hv_map_input){child, 0x20000 + 0x10000 * i, 0, 0};
        check("unmap", hypercall_rep(HV_CALL_UnmapGpaPages, 1, &done), HV_SUCCESS);
        check("zeroed", *(u64 *)at_address(pages[i] << PAGE_SHIFT), 0);
        page_put(pages[i]);
    }
}

static u16 port_property(enum hv_call_code call, u32 port, u32 code, u64 value)
{
    *(struct hv_port_property_input *)(void *)hypercall_input =
        (struct hv_port_property_input){.partition = HV_PARTITION_SELF, .port = port, .code = code, .value = value};
    return hypercall(call);
}

static void test_port_properties(void)
{
    const enum hv_call_code get = HV_CALL_GetPortProperty;
    const enum hv_call_code set = HV_CALL_SetPortProperty;
    check("how many came", port_property(get, PORT_EVENTS, HV_PORT_POST_COUNT, 0), HV_SUCCESS);
    u64 before = *(u64 *)(void *)hypercall_output;
    check("one more", child_calls(HV_CALL_SignalEvent | HV_CONTROL_FAST, CONNECTION_EVENTS | 1ull << 32, 0), HV_SUCCESS);
    check("how many came", port_property(get, PORT_EVENTS, HV_PORT_POST_COUNT, 0), HV_SUCCESS);
    check("is counted", *(u64 *)(void *)hypercall_output, before + 1);
    check("a port that is not there", port_property(get, 99, HV_PORT_POST_COUNT, 0), HV_INVALID_PORT_ID);
    check("a property that is not there", port_property(get, PORT_EVENTS, 9, 0), HV_UNKNOWN_PROPERTY);
    check("the count is not to be set", port_property(set, PORT_EVENTS, HV_PORT_POST_COUNT, 0), HV_UNKNOWN_PROPERTY);
    check("a target that is not there", port_property(set, PORT_EVENTS, HV_PORT_TARGET_VP, 3), HV_INVALID_VP_INDEX);
    check("any target", port_property(set, PORT_EVENTS, HV_PORT_TARGET_VP, HV_VP_ANY), HV_SUCCESS);
    check("the target", (port_property(get, PORT_EVENTS, HV_PORT_TARGET_VP, 0), *(u64 *)(void *)hypercall_output), HV_VP_ANY);
    check("signal to any", child_calls(HV_CALL_SignalEvent | HV_CONTROL_FAST, CONNECTION_EVENTS | 2ull << 32, 0), HV_SUCCESS);
}

static void test_old_layouts(void)
{
    const struct hv_port_info info = {.kind = 1, .sint = SINT_MESSAGES, .vp = 0};
    *(struct hv_create_port_input *)(void *)hypercall_input =
        (struct hv_create_port_input){.owner = HV_PARTITION_SELF, .port = 20, .sender = child, .info = info};
    check("port of old", hypercall(HV_CALL_CreatePortV2), HV_SUCCESS);
    *(struct hv_connect_port_input *)(void *)hypercall_input = (struct hv_connect_port_input){
        .sender = child, .connection = 70, .owner = HV_PARTITION_SELF, .port = 20, .kind = 1};
    check("connection of old", hypercall(HV_CALL_ConnectPortV2), HV_SUCCESS);
    struct hv_port_input *port = (void *)hypercall_input;
    *port = (struct hv_port_input){HV_PARTITION_SELF, 20, 0};
    check("delete the port", hypercall(HV_CALL_DeletePort), HV_SUCCESS);
    *port = (struct hv_port_input){child, 70, 0};
    check("disconnect", hypercall(HV_CALL_DisconnectPort), HV_SUCCESS);
    struct hv_assert_input *in = (void *)hypercall_input;
    *in = (struct hv_assert_input){.partition = child, .vector = 0x52, .vtl = 7};
    check("interrupt of old", hypercall(HV_CALL_AssertVirtualInterruptV2), HV_SUCCESS);
    in->vector = 4;
    check("vector 4 of old", hypercall(HV_CALL_AssertVirtualInterruptV2), HV_INVALID_PARAMETER);
}

/* CPUID can be made to fault in programs, which this child has not; XTF has. */
static void test_cpuid_faulting(void)
{
    check("CPUID can fault", child_does(DO_RDMSR, MSR_PLATFORM_INFO, 0, 0), 1ull << 31);
    (void)child_does(DO_WRMSR, MSR_MISC_FEATURES_ENABLES, 1, 0);
    check("and does", child_does(DO_RDMSR, MSR_MISC_FEATURES_ENABLES, 0, 0), 1);
    (void)child_does(DO_WRMSR, MSR_MISC_FEATURES_ENABLES, 0, 0);
    check("and does not", child_does(DO_RDMSR, MSR_MISC_FEATURES_ENABLES, 0, 0), 0);
}

#define DELIVERY_EXTINT 7

/* An ExtInt: asserted, acknowledged by the VP, cleared by the parent, in this order only. */
static void test_external(void)
{
    struct hv_assert_input *in = (void *)hypercall_input;
    for (u32 i = 0; i < 2; i++) {
        *in = (struct hv_assert_input){.partition = child, .control = DELIVERY_EXTINT, .vector = CHILD_VECTOR};
        check("ExtInt", hypercall(HV_CALL_AssertVirtualInterrupt), HV_SUCCESS);
        check("not acknowledged yet", hypercall_partition(HV_CALL_ClearVirtualInterrupt, child), HV_STATUS_NOT_ACKNOWLEDGED);
        check("it comes", child_does(DO_INTERRUPTS, 0, 0, 0), CHILD_VECTOR);
        check("once", child_does(DO_INTERRUPTS, 0, 0, 0), 0);
        *in = (struct hv_assert_input){.partition = child, .control = DELIVERY_EXTINT, .vector = CHILD_VECTOR};
        check("another before it is cleared", hypercall(HV_CALL_AssertVirtualInterrupt), HV_STATUS_ACKNOWLEDGED);
        check("clear", hypercall_partition(HV_CALL_ClearVirtualInterrupt, child), HV_SUCCESS);
        check("clear again", hypercall_partition(HV_CALL_ClearVirtualInterrupt, child), HV_STATUS_NOT_ACKNOWLEDGED);
    }
}

/* Every call that needs a privilege which this child has not. What it has is to make partitions, which are too deep then, and no right to the root. */
static void test_privileges(void)
{
    enum { SIMPLE, REP, SIMPLE_SET, REP_SET };
    static const struct {
        u64 control, privilege;
        const char *name;
    } calls[] = {
#define ANY 0
#define HYPERCALL(code, name, kind, fast, header, element, output, privilege, handler)                       \
    {code | ((kind) == REP || (kind) == REP_SET ? 1ull << HV_CONTROL_REPS_SHIFT : 0), privilege, #name},
#include "abi/hyperv/hypercall.def"
#undef HYPERCALL
    };
    u32 count = 0;
    for (u64 at = 0; at < 64; at += 8) {
        write_gpa(CHILD_BUFFER + at, at == 0 ? 1 : 0); /* the root; or the flags of a new partition */
    }
    for (u32 i = 0; i < ARRAY_LEN(calls); i++) {
        if ((calls[i].privilege & ~HV_PRIVILEGES_CHILD) != 0) {
            u16 wanted = (calls[i].control & HV_CONTROL_CODE) == HV_CALL_CreatePartition ? HV_PARTITION_TOO_DEEP : HV_ACCESS_DENIED;
            check(calls[i].name, child_calls(calls[i].control, CHILD_BUFFER, CHILD_BUFFER + 0x800), wanted);
            count++;
        }
    }
    check("calls that need a privilege", count > 30, true);
}

/* x2APIC, off, xAPIC with its window, and back by way of off. */
static void test_apic_window(void)
{
    const u64 off = APIC_BASE_DEFAULT;
    const u64 on = APIC_BASE_DEFAULT | APIC_BASE_ENABLE;
    check("x2APIC mode at first", child_does(DO_RDMSR, MSR_IA32_APIC_BASE, 0, 0), on | APIC_BASE_X2APIC | APIC_BASE_BSP);
    (void)child_does(DO_WRMSR, MSR_IA32_APIC_BASE, off, 0);
    (void)child_does(DO_WRMSR, MSR_IA32_APIC_BASE, on, 0);
    check("xAPIC mode", child_does(DO_RDMSR, MSR_IA32_APIC_BASE, 0, 0), on | APIC_BASE_BSP);
    check("id", child_does(DO_LOAD, 0, CHILD_LOCAL_APIC + APIC_ID, 0), 0);
    (void)child_does(DO_STORE, 0, CHILD_LOCAL_APIC + APIC_SPURIOUS, 0x1ff);
    check("spurious vector", child_does(DO_LOAD, 0, CHILD_LOCAL_APIC + APIC_SPURIOUS, 0), 0x1ff);
    (void)child_does(DO_STORE, 0, CHILD_LOCAL_APIC + APIC_LVT_TIMER, 0x10040);
    check("timer", child_does(DO_LOAD, 0, CHILD_LOCAL_APIC + APIC_LVT_TIMER, 0), 0x10040);
    (void)child_does(DO_WRMSR, MSR_IA32_APIC_BASE, on | APIC_BASE_X2APIC, 0);
    check("x2APIC mode again, as it was", child_does(DO_RDMSR, MSR_X2APIC_FIRST + APIC_LVT_TIMER / 16, 0, 0), 0x10040);
}

void test_extended(void)
{
    test_xmm();
    test_sets();
    test_32();
    test_overlays();
    test_direct();
    test_intercepts();
    test_sparse();
    test_port_properties();
    test_old_layouts();
    test_cpuid_faulting();
    test_external();
    test_privileges();
    test_apic_window();
    test_lend();
    test_pages();
}
