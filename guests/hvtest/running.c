/* SPDX-License-Identifier: GPL-3.0-or-later */
/* With a child that makes the hypercalls it is told to: intercepts, ports, messages, signals, what a child may not do. */
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/x86/registers.h"
#include "guests/hvtest/hvtest.h"

extern const u8 child_program[], child_program_end[];

u64 resume_at; /* RIP behind the OUT at which the child waits */

void *child_memory(u64 gpa)
{
    return (u8 *)at_address(child_pages[gpa >> PAGE_SHIFT] << PAGE_SHIFT) + (gpa & PAGE_MASK);
}

u64 read_gpa(u64 gpa)
{
    *(struct hv_gpa_input *)(void *)hypercall_input =
        (struct hv_gpa_input){.partition = child, .count = 8, .gpa = gpa};
    check("ReadGpa", hypercall(HV_CALL_ReadGpa), HV_SUCCESS);
    u64 value;
    memcpy(&value, hypercall_output + 8, sizeof value);
    return value;
}

void write_gpa(u64 gpa, u64 value)
{
    struct hv_gpa_input *in = (void *)hypercall_input;
    *in = (struct hv_gpa_input){.partition = child, .count = 8, .gpa = gpa};
    memcpy(in->data, &value, sizeof value);
    check("WriteGpa", hypercall(HV_CALL_WriteGpa), HV_SUCCESS);
    check("WriteGpa's result", *(u64 *)(void *)hypercall_output, HV_GPA_OK);
}

void child_tables(void)
{
    u64 *pml4 = child_memory(CHILD_TABLES);
    u64 *pdpt = child_memory(CHILD_TABLES + 0x1000);
    u64 *pd = child_memory(CHILD_TABLES + 0x2000);
    pml4[0] = (CHILD_TABLES + 0x1000) | 3;
    pdpt[0] = (CHILD_TABLES + 0x2000) | 3;
    pdpt[CHILD_LOCAL_APIC >> 30] = (CHILD_TABLES + 0x2000) | 3;
    pd[0] = 0x83;
    pd[CHILD_LOCAL_APIC >> 21 & 511] = CHILD_LOCAL_APIC | 0x83;
}

void map_child(void)
{
    u32 done;
    for (u32 at = 0; at < 512; at += 256) {
        check("map", map_pages(at, 256, &child_pages[at], HV_MAP_ALL, &done), HV_SUCCESS);
    }
}

static void prepare(void)
{
    child_tables();
    memcpy(child_memory(CHILD_CODE), child_program, (size_t)(child_program_end - child_program));
    map_child();
    const struct hv_segment code = {0, 0xffffffff, 0x08, 0xa09b};
    const struct hv_segment data = {0, 0xffffffff, 0x10, 0xc093};
    const struct hv_segment tr = {0, 0x67, 0, 0x8b};
    const struct register_write list[] = {
        {HV_REG_RIP, {.low = CHILD_CODE}},
        {HV_REG_RSP, {.low = CHILD_STACK}},
        {HV_REG_CR0, {.low = CR0_PE | CR0_ET | CR0_NE | CR0_PG}},
        {HV_REG_CR3, {.low = CHILD_TABLES}},
        {HV_REG_CR4, {.low = CR4_PAE | CR4_OSFXSR}},
        {HV_REG_EFER, {.low = EFER_LME | EFER_LMA}},
        {HV_REG_CS, {.segment = code}},
        {HV_REG_SS, {.segment = data}},
        {HV_REG_DS, {.segment = data}},
        {HV_REG_ES, {.segment = data}},
        {HV_REG_TR, {.segment = tr}},
    };
    check("registers", set_registers(child, 0, list, ARRAY_LEN(list)), HV_SUCCESS);
    struct hv_intercept_input *in = (void *)hypercall_input;
    *in = (struct hv_intercept_input){child, HV_INTERCEPT_READ, HV_INTERCEPT_IO, 0};
    check("port intercept of reads only", hypercall(HV_CALL_InstallIntercept), HV_INVALID_PARAMETER);
    *in = (struct hv_intercept_input){child, HV_INTERCEPT_READ | HV_INTERCEPT_WRITE, HV_INTERCEPT_IO, 0};
    check("port intercept", hypercall(HV_CALL_InstallIntercept), HV_SUCCESS);
    const struct register_write go = {HV_REG_EXPLICIT_SUSPEND, {.low = 0}};
    check("go", set_registers(child, 0, &go, 1), HV_SUCCESS);
}

/* Waits until the child is at its OUT. */
bool wait_for_turn(void)
{
    struct hv_message m;
    if (!synic_wait(0, &m)) {
        check("the child's intercept comes", 0, 1);
        return false;
    }
    const struct hv_io_message *io = (const void *)m.payload;
    check("I/O port message", m.type, HV_MESSAGE_IO_PORT);
    check("from the child", m.sender, child);
    check("of its port", io->port, CHILD_PORT);
    check("a write of one byte", (u64)io->header.access << 8 | io->info, HV_ACCESS_WRITE << 8 | 1);
    check("instruction's length", io->header.length_cr8 & 15, 2);
    check("CS of the child", io->header.cs.selector, 8);
    resume_at = io->header.rip + 2;
    return m.type == HV_MESSAGE_IO_PORT;
}

/* The child makes this call. Its result. */
u64 child_calls(u64 control, u64 rdx, u64 r8) { return child_does(DO_CALL, control, rdx, r8); }

u64 child_does(u64 what, u64 rcx, u64 rdx, u64 r8)
{
    child_told(what, rcx, rdx, r8);
    return wait_for_turn() ? read_gpa(CHILD_MAILBOX + 24) : ~0ull;
}

void child_told(u64 what, u64 control, u64 rdx, u64 r8)
{
    write_gpa(CHILD_MAILBOX + 32, what);
    write_gpa(CHILD_MAILBOX, control);
    write_gpa(CHILD_MAILBOX + 8, rdx);
    write_gpa(CHILD_MAILBOX + 16, r8);
    const struct register_write list[2] = {{HV_REG_RIP, {.low = resume_at}}, {HV_REG_INTERCEPT_SUSPEND, {.low = 0}}};
    check("resume", set_registers(child, 0, list, 2), HV_SUCCESS);
}

static u16 create_port(u32 id, u64 sender, struct hv_port_info info)
{
    *(struct hv_create_port_input *)(void *)hypercall_input =
        (struct hv_create_port_input){.owner = HV_PARTITION_SELF, .port = id, .sender = sender, .info = info};
    return hypercall(HV_CALL_CreatePort);
}

static u16 connect(u32 connection, u32 port, u32 kind)
{
    *(struct hv_connect_port_input *)(void *)hypercall_input =
        (struct hv_connect_port_input){.sender = child,
                                       .connection = connection,
                                       .owner = HV_PARTITION_SELF,
                                       .port = port,
                                       .kind = kind};
    return hypercall(HV_CALL_ConnectPort);
}

static void test_ports(void)
{
    const struct hv_port_info messages = {.kind = 1, .sint = SINT_MESSAGES, .vp = 0};
    const struct hv_port_info events = {.kind = 2, .sint = SINT_EVENTS, .vp = 0, .flag_base = 100, .flag_count = 8};
    struct hv_port_info odd = messages;
    odd.sint = 0;
    check("port on SINT 0", create_port(PORT_MESSAGES, child, odd), HV_INVALID_PARAMETER);
    odd = events;
    odd.flag_count = 2000;
    check("too many flags", create_port(PORT_EVENTS, child, odd), HV_INVALID_PARAMETER);
    odd = messages;
    odd.vp = 7;
    check("port at no VP", create_port(PORT_MESSAGES, child, odd), HV_INVALID_VP_INDEX);
    check("port to oneself", create_port(PORT_MESSAGES, HV_PARTITION_SELF, messages), HV_INVALID_PARTITION_ID);
    check("port id of 25 bits", create_port(0x1000000, child, messages), HV_INVALID_PORT_ID);
    *(struct hv_create_port_input *)(void *)hypercall_input =
        (struct hv_create_port_input){.owner = child, .port = 5, .vtl = 2, .sender = HV_PARTITION_SELF, .info = messages};
    check("port in a level that the owner has not", hypercall(HV_CALL_CreatePort), HV_INVALID_PARAMETER);
    check("message port", create_port(PORT_MESSAGES, child, messages), HV_SUCCESS);
    check("the same id", create_port(PORT_MESSAGES, child, messages), HV_INVALID_PORT_ID);
    check("event port", create_port(PORT_EVENTS, child, events), HV_SUCCESS);
    check("connect to no port", connect(CONNECTION_MESSAGES, 77, 1), HV_INVALID_PORT_ID);
    check("connect as the wrong kind", connect(CONNECTION_MESSAGES, PORT_MESSAGES, 2), HV_INVALID_PORT_ID);
    check("connect", connect(CONNECTION_MESSAGES, PORT_MESSAGES, 1), HV_SUCCESS);
    check("a port takes one connection", connect(CONNECTION_MESSAGES + 1, PORT_MESSAGES, 1), HV_INVALID_PORT_ID);
    check("connection id in use", connect(CONNECTION_MESSAGES, PORT_EVENTS, 2), HV_INVALID_CONNECTION_ID);
    check("connect for events", connect(CONNECTION_EVENTS, PORT_EVENTS, 2), HV_SUCCESS);
}

static void test_messages(void)
{
    struct hv_message m;
    const u64 post = HV_CALL_PostMessage;
    write_gpa(CHILD_BUFFER, CONNECTION_MESSAGES);
    write_gpa(CHILD_BUFFER + 8, 8ull << 32 | 1234);
    write_gpa(CHILD_BUFFER + 16, 0xfeedfacecafebeefull);
    check("the child posts", child_calls(post, CHILD_BUFFER, 0), HV_SUCCESS);
    check("the message comes", synic_wait(SINT_MESSAGES, &m), true);
    check("its type", m.type, 1234);
    check("its length", m.size, 8);
    check("its sender is the port", m.sender, PORT_MESSAGES);
    u64 payload;
    memcpy(&payload, m.payload, sizeof payload);
    check("its payload", payload, 0xfeedfacecafebeefull);
    u64 result = HV_SUCCESS;
    u32 sent = 0;
    while (sent < 40 && result == HV_SUCCESS) {
        result = child_calls(post, CHILD_BUFFER, 0);
        sent += result == HV_SUCCESS ? 1 : 0;
    }
    check("buffers run out", result, HV_INSUFFICIENT_BUFFERS);
    u32 received = 0;
    while (received < sent && synic_wait(SINT_MESSAGES, &m)) {
        received++;
    }
    check("every queued message comes", received, sent);
    write_gpa(CHILD_BUFFER + 8, 8ull << 32 | 0x80000001);
    check("a hypervisor's message type", child_calls(post, CHILD_BUFFER, 0), HV_INVALID_PARAMETER);
    write_gpa(CHILD_BUFFER + 8, 241ull << 32 | 1);
    check("241 bytes", child_calls(post, CHILD_BUFFER, 0), HV_INVALID_PARAMETER);
    write_gpa(CHILD_BUFFER, 999);
    write_gpa(CHILD_BUFFER + 8, 8ull << 32 | 1);
    check("no such connection", child_calls(post, CHILD_BUFFER, 0), HV_INVALID_CONNECTION_ID);
}

static void test_signals(void)
{
    const u64 signal = HV_CALL_SignalEvent | HV_CONTROL_FAST;
    check("the child signals", child_calls(signal, CONNECTION_EVENTS | 3ull << 32, 0), HV_SUCCESS);
    check("the flag is set", synic_take_flag(SINT_EVENTS, 103), true);
    check("no other is", synic_take_flag(SINT_EVENTS, 102), false);
    check("flag beyond the port's", child_calls(signal, CONNECTION_EVENTS | 8ull << 32, 0), HV_INVALID_PARAMETER);
    check("signal on a message connection", child_calls(signal, CONNECTION_MESSAGES, 0), HV_INVALID_PORT_ID);
}

/* What a child is not allowed. */
static void test_denied(void)
{
    write_gpa(CHILD_BUFFER, 1);
    check("child creates a partition", child_calls(HV_CALL_CreatePartition, CHILD_BUFFER, CHILD_BUFFER + 0x800),
          HV_PARTITION_TOO_DEEP);
    check("child maps", child_calls(HV_CALL_MapGpaPages | 1ull << 32, CHILD_BUFFER, 0), HV_ACCESS_DENIED);
    check("child sets registers", child_calls(HV_CALL_SetVpRegisters | 1ull << 32, CHILD_BUFFER, 0), HV_ACCESS_DENIED);
    check("child asks for its id", child_calls(HV_CALL_GetPartitionId, 0, CHILD_BUFFER), HV_ACCESS_DENIED);
    check("child finalizes the root", child_calls(HV_CALL_FinalizePartition | HV_CONTROL_FAST, 1, 0),
          HV_ACCESS_DENIED);
    check("child asserts an interrupt", child_calls(HV_CALL_AssertVirtualInterrupt, CHILD_BUFFER, 0),
          HV_ACCESS_DENIED);
    check("child makes a port", child_calls(HV_CALL_CreatePort, CHILD_BUFFER, 0), HV_ACCESS_DENIED);
    check("unknown call", child_calls(0x7777, CHILD_BUFFER, 0), HV_INVALID_HYPERCALL_CODE);
    check("input outside of its memory", child_calls(HV_CALL_PostMessage, 0x40000000, 0), HV_INVALID_PARAMETER);
    check("input in the hypercall page is no gain", child_calls(HV_CALL_PostMessage, CHILD_HYPERCALL_PAGE, 0),
          HV_INVALID_PARAMETER);
}

static void test_translate(void)
{
    struct hv_translate_input *in = (void *)hypercall_input;
    const struct hv_translate_output *out = (const void *)hypercall_output;
    *in = (struct hv_translate_input){.partition = child, .vp = 0, .flags = HV_TRANSLATE_READ,
                                      .gva_page = CHILD_CODE >> PAGE_SHIFT};
    check("translate", hypercall(HV_CALL_TranslateVirtualAddress), HV_SUCCESS);
    check("found", out->result, HV_TRANSLATE_OK);
    check("one to one", out->gpa_page, CHILD_CODE >> PAGE_SHIFT);
    in->gva_page = 0x400;
    check("translate", hypercall(HV_CALL_TranslateVirtualAddress), HV_SUCCESS);
    check("not present", out->result, HV_TRANSLATE_NOT_PRESENT);
}

static void test_assert(void)
{
    struct hv_assert_input *in = (void *)hypercall_input;
    *in = (struct hv_assert_input){.partition = child, .control = 0, .destination = 0, .vector = 5};
    check("vector 5", hypercall(HV_CALL_AssertVirtualInterrupt), HV_INVALID_PARAMETER);
    in->vector = 0x50;
    in->destination = 9;
    check("no such VP", hypercall(HV_CALL_AssertVirtualInterrupt), HV_INVALID_VP_INDEX);
    in->destination = 0;
    check("assert", hypercall(HV_CALL_AssertVirtualInterrupt), HV_SUCCESS);
}

#define SECOND_CODE 0x12000u
#define SECOND_RESULT 0x13000u

static void write_segment(u64 gpa, u16 selector, u16 attributes)
{
    write_gpa(gpa, 0);
    u64 limit = (attributes & 0x8000) != 0 ? 0xffffffff : 0x67;
    write_gpa(gpa + 8, limit | (u64)selector << 32 | (u64)attributes << 48);
}

/* The child starts its second VP itself, and what it may not say. */
static void test_start(void)
{
    static const u8 code[] = {0x48, 0xc7, 0x04, 0x25, 0x00, 0x30, 0x01, 0x00, 0x77, 0, 0, 0, 0xf4, 0xeb, 0xfd, 0x90};
    const u64 context = CHILD_BUFFER + 16;
    *(struct hv_create_vp_input *)(void *)hypercall_input = (struct hv_create_vp_input){.partition = child, .vp = 1};
    check("a second VP", hypercall(HV_CALL_CreateVp), HV_SUCCESS);
    const struct register_write go = {HV_REG_EXPLICIT_SUSPEND, {.low = 0}};
    check("it waits for its start", set_registers(child, 1, &go, 1), HV_SUCCESS);
    for (u64 i = 0; i < sizeof code; i += 8) {
        u64 word;
        memcpy(&word, code + i, 8);
        write_gpa(SECOND_CODE + i, word);
    }
    for (u64 i = 0; i < 240; i += 8) {
        write_gpa(CHILD_BUFFER + i, 0);
    }
    write_gpa(CHILD_BUFFER, HV_PARTITION_SELF);
    write_gpa(CHILD_BUFFER + 8, 1);
    write_gpa(context, SECOND_CODE);
    write_gpa(context + 8, CHILD_STACK);
    write_gpa(context + 16, 2);
    write_segment(context + 24, 8, 0xa09b);
    for (u64 i = 1; i < 6; i++) {
        write_segment(context + 24 + 16 * i, 0x10, 0xc093);
    }
    write_segment(context + 24 + 16 * 6, 0, 0x8b);
    write_segment(context + 24 + 16 * 7, 0, 0x82);
    write_gpa(context + 184, EFER_LME | EFER_LMA);
    write_gpa(context + 192, CR0_PE | CR0_ET | CR0_NE | CR0_PG);
    write_gpa(context + 200, CHILD_TABLES);
    write_gpa(context + 208, CR4_PAE);
    write_gpa(context + 216, 0x0007040600070406ull);
    const u64 start = HV_CALL_StartVirtualProcessor;
    check("VTL 2, which it has not", child_calls(HV_CALL_EnableVpVtl, CHILD_BUFFER, 0), HV_ACCESS_DENIED);
    write_gpa(CHILD_BUFFER + 8, 0);
    check("start oneself", child_calls(start, CHILD_BUFFER, 0), HV_INVALID_PARAMETER);
    write_gpa(CHILD_BUFFER + 8, 9);
    check("start a VP that is not there", child_calls(start, CHILD_BUFFER, 0), HV_INVALID_VP_INDEX);
    write_gpa(CHILD_BUFFER + 8, 1 | 2ull << 32);
    check("start in a higher level", child_calls(start, CHILD_BUFFER, 0), HV_ACCESS_DENIED);
    write_gpa(CHILD_BUFFER + 8, 1);
    write_gpa(context + 208, CR4_PAE | 1u << 13);
    check("start with VMX on", child_calls(start, CHILD_BUFFER, 0), HV_INVALID_PARAMETER);
    write_gpa(context + 208, CR4_PAE);
    write_gpa(CHILD_BUFFER, 1);
    check("start another partition's", child_calls(start, CHILD_BUFFER, 0), HV_ACCESS_DENIED);
    write_gpa(CHILD_BUFFER, HV_PARTITION_SELF);
    check("start", child_calls(start, CHILD_BUFFER, 0), HV_SUCCESS);
    check("start what runs", child_calls(start, CHILD_BUFFER, 0), HV_INVALID_VP_STATE);
    for (u32 i = 0; i < 1000 && read_gpa(SECOND_RESULT) == 0; i++) {
        (void)child_calls(HV_CALL_NotifyLongSpinWait | HV_CONTROL_FAST, 0, 0);
    }
    check("it ran", read_gpa(SECOND_RESULT), 0x77);
    write_gpa(CHILD_BUFFER + 8, 0);
    write_gpa(CHILD_BUFFER + 16, 1);
    const u64 index = HV_CALL_GetVpIndexFromApicId | 1ull << HV_CONTROL_REPS_SHIFT;
    check("VP of local APIC 1", child_calls(index, CHILD_BUFFER, CHILD_BUFFER + 0x800), 1ull << HV_CONTROL_REPS_SHIFT);
    check("is 1", read_gpa(CHILD_BUFFER + 0x800) & 0xffffffff, 1);
    write_gpa(CHILD_BUFFER + 16, 9);
    check("of local APIC 9", child_calls(index, CHILD_BUFFER, CHILD_BUFFER + 0x800), HV_INVALID_PARAMETER);
}

void test_running(void)
{
    prepare();
    if (!wait_for_turn()) {
        return;
    }
    test_translate();
    test_denied();
    test_ports();
    test_messages();
    test_signals();
    test_assert();
    test_start();
    test_extended();
}
