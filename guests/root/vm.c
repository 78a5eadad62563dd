/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Children: created with the TLFS's calls, from memory of the root; every page comes back when they end. */
#include "abi/hyperv/registers.h"
#include "abi/hyperv/vsm.h"
#include "guests/root/ic/ic.h"
#include "guests/root/network/network.h"
#include "guests/root/storage/storage.h"
#include "hv/core/trace_port.h"

#define MAP_LIST ((4096 - sizeof(struct hv_map_input)) / 8)
#define DEPOSIT_LIST ((4096 - sizeof(struct hv_partition_input)) / 8)

struct vm vms[VM_MAX];

struct vm *vm_find(const char *name)
{
    for (u32 i = 0; i < VM_MAX; i++) {
        if (vms[i].state != VM_FREE && text_equal(vms[i].name, name)) {
            return &vms[i];
        }
    }
    return NULL;
}

struct vm *vm_by_partition(u64 partition)
{
    for (u32 i = 0; i < VM_MAX; i++) {
        if (vms[i].state == VM_RUNNING && vms[i].partition == partition) {
            return &vms[i];
        }
    }
    return NULL;
}

struct vm *vm_new(const char *name)
{
    for (u32 i = 0; i < VM_MAX; i++) {
        struct vm *vm = &vms[i];
        if (vm->state == VM_FREE) {
            memset(vm, 0, sizeof *vm);
            memcpy(vm->name, name, strlen(name) < VM_NAME ? strlen(name) : VM_NAME - 1);
            vm->state = VM_STOPPED;
            vm->memory = 256ull << 20;
            vm->vps = 1;
            return vm;
        }
    }
    return NULL;
}

static bool failed(const struct vm *vm, const char *what, u16 status)
{
    if (status != HV_SUCCESS) {
        print("root: %s: %s: %s (%x)\n", vm->name, what, status_name(status), (u32)status);
    }
    return status != HV_SUCCESS;
}

/* Pages for the hypervisor's own use: tables of second-level translation, VPs. */
bool vm_deposit(struct vm *vm, u64 count)
{
    while (count > 0) {
        u64 n = min_u64(count, DEPOSIT_LIST);
        struct hv_partition_input *in = (void *)hypercall_input;
        u64 *list = (u64 *)(void *)(in + 1);
        *in = (struct hv_partition_input){vm->partition};
        for (u64 i = 0; i < n; i++) {
            list[i] = page_take();
            if (list[i] == 0) {
                print("root: out of memory\n");
                return false;
            }
        }
        u32 done;
        if (failed(vm, "deposit", hypercall_rep(HV_CALL_DepositMemory, (u32)n, &done))) {
            return false;
        }
        count -= n;
    }
    return true;
}

static bool take_pages(struct vm *vm)
{
    vm->page_count = vm->memory >> PAGE_SHIFT;
    if (vm->pages == NULL) {
        vm->pages = memory_take(vm->page_count * sizeof vm->pages[0]);
    }
    for (u64 i = 0; vm->pages != NULL && i < vm->page_count; i++) {
        vm->pages[i] = (u32)page_take();
        if (vm->pages[i] == 0) {
            print("root: %s: out of memory after %lu of %lu pages\n", vm->name, i, vm->page_count);
            vm->page_count = i;
            return false;
        }
        memset(at_address((u64)vm->pages[i] << PAGE_SHIFT), 0, PAGE_SIZE);
    }
    return vm->pages != NULL;
}

bool vm_write(struct vm *vm, u64 gpa, const void *data, u64 size)
{
    const u8 *from = data;
    if (gpa > vm->memory || size > vm->memory - gpa) {
        return false;
    }
    while (size > 0) {
        u64 n = min_u64(size, PAGE_SIZE - (gpa & PAGE_MASK));
        memcpy(at_address(((u64)vm->pages[gpa >> PAGE_SHIFT] << PAGE_SHIFT) + (gpa & PAGE_MASK)), from, n);
        from += n;
        gpa += n;
        size -= n;
    }
    return true;
}

static bool map_pages(struct vm *vm)
{
    for (u64 at = 0; at < vm->page_count;) {
        u64 n = min_u64(vm->page_count - at, MAP_LIST);
        struct hv_map_input *in = (void *)hypercall_input;
        u64 *list = (u64 *)(void *)(in + 1);
        *in = (struct hv_map_input){vm->partition, at, HV_MAP_ALL, 0};
        for (u64 i = 0; i < n; i++) {
            list[i] = vm->pages[at + i];
        }
        u32 done;
        if (failed(vm, "map", hypercall_rep(HV_CALL_MapGpaPages, (u32)n, &done))) {
            return false;
        }
        at += n;
    }
    return true;
}

static bool create_partition(struct vm *vm)
{
    *(struct hv_create_partition_input *)(void *)hypercall_input =
        (struct hv_create_partition_input){.flags = vm->adapter != NULL ? HV_CREATE_VTL2 : 0};
    if (failed(vm, "create partition", hypercall(HV_CALL_CreatePartition))) {
        return false;
    }
    vm->partition = *(u64 *)(void *)hypercall_output;
    trace_claim_with(CLAIM_partition_named, vm->name, (u32)strlen(vm->name), vm->partition);
    if (!vm_deposit(vm, (vm->adapter != NULL ? 2 : 1) * (64 + 8ull * vm->vps + (vm->page_count >> 8))) ||
        failed(vm, "initialize", hypercall_partition(HV_CALL_InitializePartition, vm->partition))) {
        return false;
    }
    struct hv_intercept_input *in = (void *)hypercall_input;
    *in = (struct hv_intercept_input){vm->partition, HV_INTERCEPT_READ | HV_INTERCEPT_WRITE, HV_INTERCEPT_IO, 0};
    if (failed(vm, "install intercept", hypercall(HV_CALL_InstallIntercept))) {
        return false;
    }
    for (u32 i = 0; i < vm->vps; i++) {
        struct hv_create_vp_input *vp = (void *)hypercall_input;
        *vp = (struct hv_create_vp_input){.partition = vm->partition, .vp = i, .proximity = vm->pinned};
        if (failed(vm, "create VP", hypercall(HV_CALL_CreateVp))) {
            return false;
        }
    }
    return true;
}

static bool load(struct vm *vm, struct register_write *list, u32 *count, struct register_write *upper, u32 *upper_count)
{
    if (pvh_is_kernel(vm->kernel)) {
        return pvh_load(vm, list, count, upper, upper_count);
    }
    return multiboot_is_kernel(vm->kernel) ? multiboot_load(vm, list, count) : linux_load(vm, list, count);
}

/* Its bus, and what is on it. Tests of the SynIC have its connections to themselves. */
static bool devices_start(struct vm *vm)
{
    if (vm->test_devices) {
        return true;
    }
    if (!bus_start(vm) || !storage_start(vm) || !network_start(vm) || !ic_start(vm)) {
        print("root: %s: no room for its devices\n", vm->name);
        return false;
    }
    return true;
}

bool vm_start(struct vm *vm)
{
    static struct register_write list[64], upper[64];
    u32 count = 0;
    u32 upper_count = 0;
    vm->state = VM_OFF; /* what follows is undone by vm_destroy */
    vm->partition = 0;
    memset(&vm->uart, 0, sizeof vm->uart);
    vm->has_console = false;
    vm->held_count = 0;
    vm->test_status = 0;
    if (!take_pages(vm) || !load(vm, list, &count, upper, &upper_count) ||
        !create_partition(vm) || !map_pages(vm) ||
        failed(vm, "set registers", set_registers(vm->partition, 0, list, count)) ||
        (upper_count > 0 &&
         (failed(vm, "set registers of VTL 2",
                 set_level_registers(vm->partition, 0, HV_INPUT_VTL_USE | 2, upper, upper_count)) ||
          failed(vm, "connect the adapter", adapter_connect(vm)))) ||
        !devices_start(vm)) {
        vm_destroy(vm);
        return false;
    }
    vm->state = VM_RUNNING;
    for (u32 i = 0; i < vm->vps; i++) {
        struct register_write go = {HV_REG_EXPLICIT_SUSPEND, {.low = 0}};
        (void)failed(vm, "start", set_registers(vm->partition, i, &go, 1));
    }
    return true;
}

static void withdraw(struct vm *vm)
{
    u16 status;
    do {
        struct hv_balance_input *in = (void *)hypercall_input;
        *in = (struct hv_balance_input){vm->partition, 0};
        u32 done;
        status = hypercall_rep(HV_CALL_WithdrawMemory, 512, &done);
        for (u32 i = 0; i < done; i++) {
            page_put(((u64 *)(void *)hypercall_output)[i]);
        }
    } while (status == HV_SUCCESS);
}

void vm_destroy(struct vm *vm)
{
    if (vm->partition != 0) {
        if (vm->adapter != NULL) {
            adapter_disconnect(vm);
        }
        test_device_ended(vm);
        bus_stop(vm);
        storage_wait(vm);
        (void)failed(vm, "finalize", hypercall_partition(HV_CALL_FinalizePartition, vm->partition));
        withdraw(vm);
        (void)failed(vm, "delete", hypercall_partition(HV_CALL_DeletePartition, vm->partition));
        vm->partition = 0;
    }
    for (u64 i = 0; vm->pages != NULL && i < vm->page_count; i++) {
        page_put(vm->pages[i]);
    }
    for (u32 i = 0; i < vm->extra_count; i++) {
        page_put(vm->extra_page[i]);
    }
    vm->extra_count = 0;
    vm->page_count = 0;
    vm->state = VM_STOPPED;
}
