/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The root partition's kernel: what its files offer each other. */
#ifndef GUESTS_ROOT_ROOT_H
#define GUESTS_ROOT_ROOT_H

#include "abi/hyperv/hypercall.h"
#include "guests/lib/lib.h"

/* boot.c: what hv handed over */
#define MODULES_MAX 16
struct module {
    u64 start, end;
    const char *text; /* file name and arguments */
};
extern struct module modules[MODULES_MAX];
extern u32 module_count;
extern const char *boot_script; /* commands, separated by ';' */
void boot_parse(u32 magic, u32 info);
/* By number from 0, or by file name (its last component). NULL: none. */
const struct module *module_find(const char *name);

/* memory.c: the root's free pages */
void memory_add(u64 start, u64 end);
/* Page numbers; 0 when there are none left. Contents: anything. */
u64 page_take(void);
void page_put(u64 pfn);
/* Contiguous, never given back. */
void *memory_take(u64 bytes);
u64 memory_free_pages(void);

/* hypercall.c */
void hypercall_init(void);
/* The input is in hypercall_input, the answer in hypercall_output. Returns the status; REP: *done elements. */
extern u8 hypercall_input[4096], hypercall_output[4096];
u16 hypercall(enum hv_call_code code);
u16 hypercall_rep(enum hv_call_code code, u32 count, u32 *done);
u16 hypercall_partition(enum hv_call_code code, u64 partition);
const char *status_name(u16 status);
struct register_write {
    u32 name;
    union hv_register_value value;
};
/* Of VTL 0, or of the level that the INPUT_VTL byte says. */
u16 set_registers(u64 partition, u32 vp, const struct register_write *list, u32 count);
u16 set_level_registers(u64 partition, u32 vp, u8 vtl, const struct register_write *list, u32 count);
/* INPUT_VTL of the level that an intercept came from. */
u8 level_of(const struct hv_intercept_header *h);
u16 get_register(u64 partition, u32 vp, u32 name, union hv_register_value *value);

/* message.c: SynIC */
void message_init(void);
/* Handles what waits; false: nothing did. */
bool message_poll(void);
extern u8 event_page[4096]; /* 2048 flags for each SINT */
#define VMBUS_ROOT_SINT 4u
extern volatile u32 tick_count; /* 10 ms each */
u64 reference_time(void);       /* 100 ns */

/* vm.c */
#define VM_MAX 4
#define VM_NAME 16
#define VM_TEXT 256
#define UART_FIFO 256
#define EXTRA_PAGES 64
#define HELD_BYTES 2048
enum vm_state { VM_FREE, VM_STOPPED, VM_RUNNING, VM_OFF };
struct uart {
    u8 ier, fcr, lcr, mcr, scr, dll, dlm;
    bool thre_pending;
    u8 input[UART_FIFO];
    u32 head, tail;
};
struct vm {
    enum vm_state state;
    char name[VM_NAME];
    char append[VM_TEXT];
    const struct module *kernel, *initrd, *adapter; /* adapter: for VTL 2, NULL none */
    u64 memory;
    u32 vps;
    u64 pinned; /* proximity domain of its VPs, 0: hv chooses */
    u64 partition;
    u32 *pages; /* page number of each guest page */
    u64 page_count;
    struct uart uart;
    bool has_console; /* the adapter's: the guest has opened it */
    u8 cmos_index;
    bool test_devices;
    u16 test_item; /* of the firmware configuration, selected */
    u32 test_offset, test_status;
    u8 held[HELD_BYTES]; /* output, while another console is shown */
    u32 held_count;
    u64 exits, messages;
    u32 extra_count; /* pages above its memory */
    u64 extra_gfn[EXTRA_PAGES], extra_page[EXTRA_PAGES];
};
extern struct vm vms[VM_MAX];
struct vm *vm_find(const char *name);
struct vm *vm_by_partition(u64 partition);
struct vm *vm_new(const char *name);
/* Creates the partition, loads the kernel, lets it run. False: said why. */
bool vm_start(struct vm *vm);
/* Pages for hv's structures of it. False: said why. */
bool vm_deposit(struct vm *vm, u64 count);
/* The partition goes, every page comes back. */
void vm_destroy(struct vm *vm);
/* Before the pages are the child's: copy to its memory. False: outside. */
bool vm_write(struct vm *vm, u64 gpa, const void *data, u64 size);

/* linux.c, acpi.c: a bzImage by the 64-bit boot protocol */
bool linux_load(struct vm *vm, struct register_write *list, u32 *count);
#define ACPI_AT 0xe0000u
void acpi_build(struct vm *vm);

/* elf.c */
struct elf_image {
    const u8 *data;
    u64 size;
    u64 low, high; /* guest-physical */
    u64 entry, pvh_entry; /* the latter by Xen's note, 0 none */
};
bool elf_is(const struct module *m, u8 elf_class);
bool elf_load(struct vm *vm, const struct module *m, struct elf_image *i);
/* 32-bit protected mode without paging, flat segments; how many. */
u32 protected_registers(struct register_write *list, u64 entry, u64 rax, u64 rbx);

/* multiboot.c */
bool multiboot_is_kernel(const struct module *m);
bool multiboot_load(struct vm *vm, struct register_write *list, u32 *count);

/* pvh.c: an ELF image by the PVH entry; upper: the registers of VTL 2, none without an adapter */
bool pvh_is_kernel(const struct module *m);
bool pvh_load(struct vm *vm, struct register_write *list, u32 *count, struct register_write *upper, u32 *upper_count);

/* adapter.c: the adapter's messages */
#define ADAPTER_CONNECTION 1u
#define ADAPTER_SINT 1u
u16 adapter_connect(struct vm *vm);
void adapter_disconnect(struct vm *vm);
void adapter_message(const struct hv_message *message);
/* What was typed at its console goes to the adapter as far as there is room. */
void adapter_flush_input(struct vm *vm);
/* Asks the guest to power off or reboot by itself. False: it is not there yet. */
bool adapter_control(struct vm *vm, u32 what);

/* port.c: a child's ports */
u64 clock_seconds(void); /* since 1970 */
void port_access(struct vm *vm, const struct hv_io_message *m);
/* False: no room. */
bool uart_type(struct vm *vm, u8 c);
bool uart_has_input(const struct uart *u);
u8 uart_take(struct uart *u);

/* test_device.c: what kvm-unit-tests look for */
#define TEST_SINT 3u
u64 test_device_read(struct vm *vm, u16 port);
/* False: the child ends, with vm->test_status. */
bool test_device_write(struct vm *vm, u16 port, u64 value);
void test_device_message(const struct hv_message *m);
void test_device_events(void);
void test_device_ended(struct vm *vm);

/* console.c */
extern struct vm *attached; /* whose console is shown and typed to */
void console_output(struct vm *vm, u8 c);
void console_poll(void);
void console_start(const char *script);
/* A line of the root's own about a child. */
void console_note(struct vm *vm, const char *text);
void console_vm_ended(struct vm *vm, const char *why);
_Noreturn void machine_off(void);

#endif
