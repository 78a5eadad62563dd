/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A root partition's kernel that makes and unmakes small children: 32 at a time, round after round, and one killed at any instant beside two
 * that go on. No page and no message may get lost. The script says how often: "ROUNDS KILLS". */
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/x86/registers.h"
#include "guests/root/root.h"

#define CHILDREN 32u
#define PAGES 8u /* of a child */
#define DEPOSIT 24u
#define MESSAGES 20u
#define FOREVER (~0ull)
#define VECTOR 0x40u
#define SINT 2u
#define PORT_MESSAGE 1u
#define CODE_AT 0x4000u
#define HOW_MANY_AT 0x7000u
#define PATIENCE 50000000ull /* 5 s */

extern const u8 churn_program[], churn_program_end[];

struct child {
    bool used, done;
    u64 partition, next; /* next: the message's number that has to come */
    u64 pages[PAGES];
};
static struct child children[CHILDREN];
static u8 message_page[4096] __attribute__((aligned(4096)));
static u64 messages;

static void must(const char *what, u64 got, u64 wanted)
{
    if (got != wanted) {
        print("churn: BROKEN: %s: %lx, should be %lx\n", what, got, wanted);
        out16(0x604, 0x2000);
        die("the machine does not switch off");
    }
}

static u64 now(void) { return rdmsr(HV_MSR_TIME_REF_COUNT); }

static void init(void)
{
    wrmsr(HV_MSR_SIMP, address_of(message_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SINT0, VECTOR);
    wrmsr(HV_MSR_SINT0 + SINT, VECTOR + 1);
    wrmsr(HV_MSR_SCONTROL, 1);
}

static bool take(unsigned sint, struct hv_message *m)
{
    struct hv_message *slot = (struct hv_message *)(void *)message_page + sint;
    if (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) == HV_MESSAGE_NONE) {
        return false;
    }
    memcpy(m, slot, sizeof *m);
    __atomic_store_n(&slot->type, HV_MESSAGE_NONE, __ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING) != 0) {
        wrmsr(HV_MSR_EOM, 0);
    }
    return true;
}

/* What has come from children. */
static void receive(void)
{
    struct hv_message m;
    while (take(SINT, &m)) {
        struct child *c = m.sender < CHILDREN ? &children[m.sender] : NULL;
        u64 number;
        memcpy(&number, m.payload, sizeof number);
        must("a message of a child that is there", c != NULL && c->used, true);
        must("messages in order, none lost", number, c->next);
        c->next++;
        messages++;
    }
    while (take(0, &m)) {
        for (u32 i = 0; i < CHILDREN; i++) {
            if (children[i].used && children[i].partition == m.sender) {
                must("the child's intercept", m.type, HV_MESSAGE_IO_PORT);
                children[i].done = true;
            }
        }
    }
}

/* Others run meanwhile: halted until something comes or a moment is over. */
static void wait(void)
{
    wrmsr(HV_MSR_STIMER0_CONFIG, HV_STIMER_DIRECT | HV_STIMER_AUTO_ENABLE | (u64)(VECTOR + 3) << HV_STIMER_VECTOR_SHIFT);
    wrmsr(HV_MSR_STIMER0_CONFIG + 1, now() + 1000);
    __asm__ volatile("sti; hlt; cli");
    receive();
}

static void set_up(const struct child *c, u64 how_many)
{
    u64 *pml4 = at_address(c->pages[1] << PAGE_SHIFT);
    u64 *pdpt = at_address(c->pages[2] << PAGE_SHIFT);
    u64 *pd = at_address(c->pages[3] << PAGE_SHIFT);
    pml4[0] = 0x2003;
    pdpt[0] = 0x3003;
    pd[0] = 0x83;
    memcpy(at_address(c->pages[CODE_AT >> PAGE_SHIFT] << PAGE_SHIFT), churn_program, (size_t)(churn_program_end - churn_program));
    *(u64 *)at_address(c->pages[HOW_MANY_AT >> PAGE_SHIFT] << PAGE_SHIFT) = how_many;
}

static void connect(u32 index, u64 partition)
{
    *(struct hv_create_port_input *)(void *)hypercall_input =
        (struct hv_create_port_input){.owner = HV_PARTITION_SELF, .port = index, .sender = partition,
                                      .info = {.kind = PORT_MESSAGE, .sint = SINT, .vp = 0}};
    must("CreatePort", hypercall(HV_CALL_CreatePort), HV_SUCCESS);
    *(struct hv_connect_port_input *)(void *)hypercall_input =
        (struct hv_connect_port_input){.sender = partition, .connection = 1, .owner = HV_PARTITION_SELF, .port = index,
                                       .kind = PORT_MESSAGE};
    must("ConnectPort", hypercall(HV_CALL_ConnectPort), HV_SUCCESS);
}

static void start(u64 partition)
{
    const struct hv_segment code = {0, 0xffffffff, 0x08, 0xa09b};
    const struct hv_segment data = {0, 0xffffffff, 0x10, 0xc093};
    const struct hv_segment tr = {0, 0x67, 0, 0x8b};
    const struct register_write list[] = {
        {HV_REG_RIP, {.low = CODE_AT}},
        {HV_REG_RSP, {.low = HOW_MANY_AT + 0x1000}},
        {HV_REG_CR0, {.low = CR0_PE | CR0_ET | CR0_NE | CR0_PG}},
        {HV_REG_CR3, {.low = 0x1000}},
        {HV_REG_CR4, {.low = CR4_PAE}},
        {HV_REG_EFER, {.low = EFER_LME | EFER_LMA}},
        {HV_REG_CS, {.segment = code}},
        {HV_REG_SS, {.segment = data}},
        {HV_REG_DS, {.segment = data}},
        {HV_REG_ES, {.segment = data}},
        {HV_REG_TR, {.segment = tr}},
        {HV_REG_EXPLICIT_SUSPEND, {.low = 0}},
    };
    must("SetVpRegisters", set_registers(partition, 0, list, ARRAY_LEN(list)), HV_SUCCESS);
}

static void make(u32 index, u64 how_many)
{
    struct child *c = &children[index];
    u32 done;
    *(struct hv_create_partition_input *)(void *)hypercall_input = (struct hv_create_partition_input){0};
    must("CreatePartition", hypercall(HV_CALL_CreatePartition), HV_SUCCESS);
    *c = (struct child){.used = true, .partition = *(u64 *)(void *)hypercall_output};
    struct hv_partition_input *in = (void *)hypercall_input;
    u64 *list = (u64 *)(void *)(in + 1);
    *in = (struct hv_partition_input){c->partition};
    for (u32 i = 0; i < DEPOSIT; i++) {
        list[i] = page_take();
    }
    must("DepositMemory", hypercall_rep(HV_CALL_DepositMemory, DEPOSIT, &done), HV_SUCCESS);
    must("InitializePartition", hypercall_partition(HV_CALL_InitializePartition, c->partition), HV_SUCCESS);
    *(struct hv_intercept_input *)(void *)hypercall_input =
        (struct hv_intercept_input){c->partition, HV_INTERCEPT_READ | HV_INTERCEPT_WRITE, HV_INTERCEPT_IO, 0};
    must("InstallIntercept", hypercall(HV_CALL_InstallIntercept), HV_SUCCESS);
    *(struct hv_create_vp_input *)(void *)hypercall_input = (struct hv_create_vp_input){.partition = c->partition};
    must("CreateVp", hypercall(HV_CALL_CreateVp), HV_SUCCESS);
    for (u32 i = 0; i < PAGES; i++) {
        c->pages[i] = page_take();
        memset(at_address(c->pages[i] << PAGE_SHIFT), 0, PAGE_SIZE);
    }
    set_up(c, how_many);
    struct hv_map_input *map = (void *)hypercall_input;
    *map = (struct hv_map_input){c->partition, 0, HV_MAP_ALL, 0};
    memcpy(map + 1, c->pages, sizeof c->pages);
    must("MapGpaPages", hypercall_rep(HV_CALL_MapGpaPages, PAGES, &done), HV_SUCCESS);
    connect(index, c->partition);
    start(c->partition);
}

/* Pages come back zeroed, all of them. */
static void unmake(u32 index)
{
    struct child *c = &children[index];
    u32 back = 0;
    u16 status;
    *(struct hv_port_input *)(void *)hypercall_input = (struct hv_port_input){HV_PARTITION_SELF, index, 0};
    must("DeletePort", hypercall(HV_CALL_DeletePort), HV_SUCCESS);
    must("FinalizePartition", hypercall_partition(HV_CALL_FinalizePartition, c->partition), HV_SUCCESS);
    receive(); /* what had come before */
    do {
        u32 done;
        *(struct hv_balance_input *)(void *)hypercall_input = (struct hv_balance_input){c->partition, 0};
        status = hypercall_rep(HV_CALL_WithdrawMemory, DEPOSIT + 8, &done);
        for (u32 i = 0; i < done; i++) {
            u64 pfn = ((u64 *)(void *)hypercall_output)[i];
            must("a withdrawn page is zeroed", *(u64 *)at_address(pfn << PAGE_SHIFT), 0);
            page_put(pfn);
        }
        back += done;
    } while (status == HV_SUCCESS);
    must("every deposited page comes back", back, DEPOSIT);
    must("DeletePartition", hypercall_partition(HV_CALL_DeletePartition, c->partition), HV_SUCCESS);
    for (u32 i = 0; i < PAGES; i++) {
        must("a child's page is zeroed", *(u64 *)at_address((c->pages[i] << PAGE_SHIFT) + 0x10), 0);
        page_put(c->pages[i]);
    }
    c->used = false;
}

static void one_round(void)
{
    for (u32 i = 0; i < CHILDREN; i++) {
        make(i, MESSAGES);
    }
    u64 end = now() + PATIENCE;
    for (u32 i = 0; i < CHILDREN; i++) {
        while ((!children[i].done || children[i].next < MESSAGES) && now() < end) {
            wait();
        }
        must("every message of a child comes", children[i].next, MESSAGES);
    }
    for (u32 i = 0; i < CHILDREN; i++) {
        unmake(i);
    }
}

static u64 seed = 88172645463325252ull;

static u64 any(u64 below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Child 2 dies after up to 2 ms; 0 and 1 beside it go on. */
static void one_kill(void)
{
    make(2, FOREVER);
    u64 end = now() + any(20000);
    while (now() < end) {
        receive();
        if (any(3) == 0) {
            wait();
        }
    }
    unmake(2);
    for (u32 i = 0; i < 2; i++) {
        u64 had = children[i].next;
        end = now() + PATIENCE;
        while (children[i].next == had && now() < end) {
            wait();
        }
        must("a neighbour goes on", children[i].next > had, true);
    }
}

static u64 number_at(const char **s)
{
    u64 n = 0;
    while (**s == ' ') {
        (*s)++;
    }
    while (**s >= '0' && **s <= '9') {
        n = n * 10 + (u64)(*(*s)++ - '0');
    }
    return n;
}

void guest_main(u32 magic, u32 info)
{
    serial_init();
    interrupt_init();
    boot_parse(magic, info);
    hypercall_init();
    init();
    const char *script = boot_script;
    u64 rounds = number_at(&script);
    u64 kills = number_at(&script);
    u64 free = memory_free_pages();
    for (u64 i = 0; i < rounds; i++) {
        one_round();
        must("no page is lost", memory_free_pages(), free);
    }
    print("churn: %lu rounds of %u children, %lu messages, %lu pages free before and after\n", rounds, CHILDREN, messages, free);
    make(0, FOREVER);
    make(1, FOREVER);
    for (u64 i = 0; i < kills; i++) {
        one_kill();
    }
    unmake(0);
    unmake(1);
    must("no page is lost", memory_free_pages(), free);
    print("churn: %lu children killed, their neighbours went on, %lu messages; done\n", kills, messages);
    out16(0x604, 0x2000);
    die("the machine does not switch off");
}
