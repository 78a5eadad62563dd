/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A Linux bzImage by the 64-bit boot protocol. [Linux Documentation/arch/x86/boot.rst, zero-page.rst] It unpacks itself. */
#include "abi/hyperv/registers.h"
#include "abi/x86/registers.h"
#include "guests/root/root.h"

/* Guest-physical places. */
#define TABLES_AT 0x1000u /* page tables, six pages */
#define GDT_AT 0x8000u
#define PARAMS_AT 0x9000u
#define CMDLINE_AT 0xa000u
#define KERNEL_AT 0x1000000u

/* Offsets in the zero page. */
#define ZP_RSDP 0x070
#define ZP_E820_COUNT 0x1e8
#define ZP_HEADER 0x1f1
#define ZP_LOADER 0x210
#define ZP_RAMDISK 0x218
#define ZP_RAMDISK_SIZE 0x21c
#define ZP_CMDLINE 0x228
#define ZP_E820 0x2d0

#define XLF_KERNEL_64 1u

static u8 params[4096];

static u32 load32(const u8 *p) { return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24; }
static void store32(u8 *p, u32 v) { memcpy(p, &v, 4); }
static void store64(u8 *p, u64 v) { memcpy(p, &v, 8); }

static void add_range(u64 start, u64 end, u32 type)
{
    u8 *e = params + ZP_E820 + 20 * params[ZP_E820_COUNT]++;
    store64(e, start);
    store64(e + 8, end - start);
    store32(e + 16, type);
}

/* The first 4 GiB one to one; flat segments where Linux's __BOOT_CS and __BOOT_DS are. */
static bool put_tables(struct vm *vm)
{
    static u64 page[512];
    static const u64 gdt[4] = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};
    memset(page, 0, sizeof page);
    page[0] = (TABLES_AT + 0x1000) | 3;
    bool ok = vm_write(vm, TABLES_AT, page, sizeof page);
    for (u64 i = 0; i < 4; i++) {
        page[i] = (TABLES_AT + 0x2000 + i * 0x1000) | 3;
    }
    ok = ok && vm_write(vm, TABLES_AT + 0x1000, page, sizeof page);
    for (u64 t = 0; t < 4; t++) {
        for (u64 i = 0; i < 512; i++) {
            page[i] = (t * 512 + i) << 21 | 0x83;
        }
        ok = ok && vm_write(vm, TABLES_AT + 0x2000 + t * 0x1000, page, sizeof page);
    }
    return ok && vm_write(vm, GDT_AT, gdt, sizeof gdt);
}

static void put_registers(struct register_write *list, u32 *count)
{
    const struct hv_segment code = {0, 0xffffffff, 0x10, 0xa09b};
    const struct hv_segment data = {0, 0xffffffff, 0x18, 0xc093};
    const struct hv_segment tr = {0, 0x67, 0, 0x8b};
    u32 n = 0;
    list[n++] = (struct register_write){HV_REG_RIP, {.low = KERNEL_AT + 0x200}};
    list[n++] = (struct register_write){HV_REG_RSI, {.low = PARAMS_AT}};
    list[n++] = (struct register_write){HV_REG_RFLAGS, {.low = RFLAGS_ONE}};
    list[n++] = (struct register_write){HV_REG_CR0, {.low = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG}};
    list[n++] = (struct register_write){HV_REG_CR3, {.low = TABLES_AT}};
    list[n++] = (struct register_write){HV_REG_CR4, {.low = CR4_PAE}};
    list[n++] = (struct register_write){HV_REG_EFER, {.low = EFER_LME | EFER_LMA}};
    list[n++] = (struct register_write){HV_REG_GDTR, {.table = {{0, 0, 0}, 31, GDT_AT}}};
    list[n++] = (struct register_write){HV_REG_CS, {.segment = code}};
    for (u32 name = HV_REG_ES; name < HV_REG_ES + 6; name++) {
        if (name != HV_REG_CS) {
            list[n++] = (struct register_write){name, {.segment = data}};
        }
    }
    list[n++] = (struct register_write){HV_REG_TR, {.segment = tr}};
    *count = n;
}

bool linux_load(struct vm *vm, struct register_write *list, u32 *count)
{
    const struct module *k = vm->kernel;
    u64 size = k->end - k->start;
    const u8 *image = at_address(k->start);
    if (size < 0x1000 || memcmp(image + 0x202, "HdrS", 4) != 0 || (image[0x236] & XLF_KERNEL_64) == 0) {
        print("root: %s: the kernel is no bzImage with a 64-bit entry\n", vm->name);
        return false;
    }
    u64 setup = ((u64)(image[0x1f1] != 0 ? image[0x1f1] : 4) + 1) * 512;
    memset(params, 0, sizeof params);
    memcpy(params + ZP_HEADER, image + ZP_HEADER, 0x202 + image[0x201] - ZP_HEADER);
    params[ZP_LOADER] = 0xff;
    store32(params + ZP_CMDLINE, CMDLINE_AT);
    store64(params + ZP_RSDP, ACPI_AT);
    add_range(0, 0x9f000, 1);
    add_range(0x9f000, 0x100000, 2);
    add_range(0x100000, vm->memory, 1);
    u32 init_size = load32(image + 0x260);
    u64 need = KERNEL_AT + init_size;
    bool ok = vm_write(vm, KERNEL_AT, image + setup, size - setup) && need < vm->memory;
    if (vm->initrd != NULL) {
        u64 bytes = vm->initrd->end - vm->initrd->start;
        u64 at = align_down(vm->memory - bytes, PAGE_SIZE);
        store32(params + ZP_RAMDISK, (u32)at);
        store32(params + ZP_RAMDISK_SIZE, (u32)bytes);
        ok = ok && at >= need && vm_write(vm, at, at_address(vm->initrd->start), bytes);
    }
    if (!ok) {
        print("root: %s: too little memory for the kernel and its initial RAM disk (%lu MiB needed)\n", vm->name,
              (need >> 20) + 1);
        return false;
    }
    acpi_build(vm);
    put_registers(list, count);
    return put_tables(vm) && vm_write(vm, CMDLINE_AT, vm->append, strlen(vm->append) + 1) &&
           vm_write(vm, PARAMS_AT, params, sizeof params);
}
