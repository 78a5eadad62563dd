/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The management console on COM1: commands from the script that hv passed on, then from the keyboard; or a child's console. */
#include "abi/adapter_root.h"
#include "guests/root/block/block.h"
#include "guests/root/devices.h"
#include "guests/root/ic/ic.h"
#include "guests/root/net/link.h"
#include "guests/root/pci/pci.h"
#include "guests/root/root.h"

#define LINE 512
#define WORDS 24
#define DETACH 0x1d /* Ctrl-] */
#define SLEEP_ENABLE 0x2000u

struct vm *attached;
static const char *script;
static char until[32]; /* that the shown console prints before the next command; empty: nothing */
static u32 matched;
static char line[LINE];
static u32 line_length;
static bool listening;
static bool at_line_start = true; /* what the shown console has printed */

struct command {
    const char *first, *second; /* words; second NULL: any */
    void (*run)(char **words, u32 count);
    const char *help;
};

#define COMMANDS 36 /* with the end of the list, at least */
static const struct command commands[COMMANDS];

static void show_console(struct vm *vm);

static void prompt(void)
{
    if (attached == NULL) {
        print("root> ");
    }
}

static void cmd_help(char **words, u32 count)
{
    (void)words;
    (void)count;
    for (const struct command *c = commands; c->first != NULL; c++) {
        print("  %s %-10s %s\n", c->first, c->second != NULL ? c->second : "", c->help);
    }
}

static const char *const state_names[] = {
    [VM_FREE] = "free", [VM_STOPPED] = "stopped", [VM_RUNNING] = "running", [VM_OFF] = "off"};

static void cmd_vm_list(char **words, u32 count)
{
    (void)words;
    (void)count;
    for (u32 i = 0; i < VM_MAX; i++) {
        const struct vm *vm = &vms[i];
        if (vm->state != VM_FREE) {
            print("  %-12s %-8s %lu MiB, %u VP, partition %lu, %lu intercepts\n", vm->name, state_names[vm->state],
                  vm->memory >> 20, vm->vps, vm->partition, vm->exits);
        }
    }
}

/* --append takes the rest of the command, words joined again. */
static void join(char *to, char **words, u32 count)
{
    u32 n = 0;
    for (u32 i = 0; i < count; i++) {
        for (const char *s = words[i]; *s != 0 && n + 2 < VM_TEXT; s++) {
            to[n++] = *s;
        }
        to[n++] = i + 1 < count ? ' ' : 0;
    }
}

/* One option of vm create. False: said why. */
static bool set_option(struct vm *vm, const char *name, const char *value)
{
    u64 n = 0;
    bool number = text_number(value, &n);
    if (text_equal(name, "--memory") && number && n >= 32ull << 20 && n <= 3ull << 30) {
        vm->memory = align_down(n, 2ull << 20);
    } else if (text_equal(name, "--vp") && number && n >= 1 && n <= 16) {
        vm->vps = (u32)n;
    } else if (text_equal(name, "--pin") && number && n < 16) {
        vm->pinned = HV_PROXIMITY_VALID | n;
    } else if (text_equal(name, "--kernel") && module_find(value) != NULL) {
        vm->kernel = module_find(value);
    } else if (text_equal(name, "--initrd") && module_find(value) != NULL) {
        vm->initrd = module_find(value);
    } else if (text_equal(name, "--devices") && text_equal(value, "test")) {
        vm->test_devices = true;
    } else if (text_equal(name, "--xen") && module_find(value) != NULL) {
        vm->adapter = module_find(value);
    } else {
        print("root: vm create: %s %s: unknown, out of range, or no such module\n", name, value);
        return false;
    }
    return true;
}

static void cmd_vm_create(char **words, u32 count)
{
    if (count < 3 || vm_find(words[2]) != NULL) {
        print("root: vm create NAME: a new name is needed\n");
        return;
    }
    struct vm *vm = vm_new(words[2]);
    if (vm == NULL) {
        print("root: %u children are all that there is room for\n", VM_MAX);
        return;
    }
    for (u32 i = 3; i < count; i += 2) {
        if (text_equal(words[i], "--append")) {
            join(vm->append, words + i + 1, count - i - 1);
            break;
        }
        if (i + 1 == count || !set_option(vm, words[i], words[i + 1])) {
            vm->state = VM_FREE;
            return;
        }
    }
    if (vm->kernel == NULL) {
        print("root: vm create %s: --kernel MODULE is needed\n", vm->name);
        vm->state = VM_FREE;
    } else if (vm->adapter != NULL && !pvh_is_kernel(vm->kernel)) {
        print("root: vm create %s: --xen takes an ELF kernel with a PVH entry\n", vm->name);
        vm->state = VM_FREE;
    }
}

static struct vm *named(char **words, u32 count)
{
    struct vm *vm = count > 2 ? vm_find(words[2]) : NULL;
    if (vm == NULL) {
        print("root: vm %s NAME: no such child\n", words[1]);
    }
    return vm;
}

static void cmd_vm_start(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    if (vm != NULL && vm->state == VM_STOPPED && vm_start(vm)) {
        print("root: %s runs as partition %lu\n", vm->name, vm->partition);
    }
}

static void cmd_vm_stop(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    if (vm != NULL && vm->state == VM_RUNNING) {
        console_vm_ended(vm, "stopped");
    }
}

/* Words as if they were typed at its console, and Enter. */
static void cmd_vm_type(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    for (u32 i = 3; vm != NULL && i < count; i++) {
        for (const char *s = words[i]; *s != 0; s++) {
            (void)uart_type(vm, (u8)*s);
        }
        (void)uart_type(vm, i + 1 < count ? ' ' : '\r');
    }
}

static void cmd_vm_shutdown(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    if (vm != NULL && vm->state == VM_RUNNING &&
        !(vm->adapter != NULL ? adapter_control(vm, ADAPTER_POWER_OFF) : ic_shutdown(vm))) {
        print("root: %s has no way to be asked; vm stop ends it\n", vm->name);
    }
}

static void cmd_vm_console(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    if (vm != NULL && vm->state == VM_RUNNING) {
        bool limited = count > 4 && text_equal(words[3], "--until") && strlen(words[4]) < sizeof until;
        print("root: console of %s; Ctrl-] comes back\n", vm->name);
        memcpy(until, limited ? words[4] : "", limited ? strlen(words[4]) + 1 : 1);
        matched = 0;
        show_console(vm);
    }
}

static void cmd_memory(char **words, u32 count)
{
    (void)words;
    (void)count;
    print("  %lu pages free\n", memory_free_pages());
}

static void cmd_poweroff(char **words, u32 count)
{
    (void)words;
    (void)count;
    machine_off();
}

static const struct command commands[COMMANDS] = {
    {"help", NULL, cmd_help, "this list"},
    {"vm", "list", cmd_vm_list, "children"},
    {"vm", "create", cmd_vm_create, "NAME --kernel MODULE [--initrd MODULE] [--xen ADAPTER] [--memory N] [--vp N] [--pin PROCESSOR] [--devices test] [--append TEXT]"},
    {"vm", "start", cmd_vm_start, "NAME"},
    {"vm", "stop", cmd_vm_stop, "NAME: ends it, its memory comes back"},
    {"vm", "type", cmd_vm_type, "NAME WORDS: types them at its console"},
    {"vm", "shutdown", cmd_vm_shutdown, "NAME: asks the guest to power off"},
    {"vm", "heartbeat", cmd_vm_heartbeat, "[NAME]: do they answer"},
    {"vm", "pairs", cmd_vm_pairs, "NAME: what the guest says of itself"},
    {"vm", "pair", cmd_vm_pair, "NAME KEY VALUE: tells it to the guest"},
    {"vm", "console", cmd_vm_console, "NAME [--until WORD]: until it ends, prints the word, or Ctrl-]"},
    {"disk", "add", cmd_disk_add, "VM BACKING [--controller N] [--lun N] [--cd] [--read-only]"},
    {"disk", "remove", cmd_disk_remove, "VM [--controller N] [--lun N]"},
    {"disk", "list", cmd_disk_list, "disks of children"},
    {"nic", "add", cmd_nic_add, "VM [--isolated]: a network adapter on the switch"},
    {"nic", "remove", cmd_nic_remove, "VM N"},
    {"nic", "list", cmd_nic_list, "network adapters of children"},
    {"switch", "show", cmd_switch_show, "ports, and which address is behind which"},
    {"memory", NULL, cmd_memory, "what is free"},
    {"pci", "list", cmd_pci_list, "the machine's functions"},
    {"block", "list", cmd_block_list, "what disks can be made of"},
    {"block", "read", cmd_block_read, "NAME SECTOR [COUNT]: a sum of them, and what the first begins with"},
    {"block", "write", cmd_block_write, "NAME SECTOR WORDS: one sector, zeros behind them"},
    {"block", "load", cmd_block_load, "NAME MIB [read|write]: how fast"},
    {"block", "overlay", cmd_block_overlay, "NAME BASE [BYTES]: a disk whose writes stay in memory; without BASE it goes"},
    {"net", "probe", cmd_net_probe, "[LINK]: an address by DHCP, and the router's by ARP"},
    {"poweroff", NULL, cmd_poweroff, "the whole machine"},
    {NULL, NULL, NULL, NULL},
};

static void run_line(char *text)
{
    char *words[WORDS];
    u32 count = 0;
    for (char *s = text; *s != 0 && count < WORDS;) {
        while (*s == ' ') {
            *s++ = 0;
        }
        if (*s != 0) {
            words[count++] = s;
        }
        while (*s != 0 && *s != ' ') {
            s++;
        }
    }
    if (count == 0) {
        return;
    }
    for (const struct command *c = commands; c->first != NULL; c++) {
        if (text_equal(c->first, words[0]) && (c->second == NULL || (count > 1 && text_equal(c->second, words[1])))) {
            c->run(words, count);
            return;
        }
    }
    print("root: %s: no such command; try help\n", words[0]);
}

/* The next command of the script; false: none. */
static bool run_script(void)
{
    u32 n = 0;
    while (*script == ' ' || *script == ';' || *script == '&') {
        script++;
    }
    if (*script == 0) {
        return false;
    }
    while (*script != 0 && *script != ';' && *script != '&') {
        if (n + 1 < LINE) {
            line[n++] = *script;
        }
        script++;
    }
    line[n] = 0;
    print("root> %s\n", line);
    run_line(line);
    return true;
}

static void key(char c)
{
    if (c == '\r' || c == '\n') {
        print("\n");
        line[line_length] = 0;
        line_length = 0;
        run_line(line);
        prompt();
    } else if ((c == 8 || c == 127) && line_length > 0) {
        line_length--;
        print("\b \b");
    } else if (c >= ' ' && line_length + 1 < LINE) {
        line[line_length++] = c;
        serial_put(c);
    }
}

void console_start(const char *text)
{
    script = text;
    if (*script == 0) {
        prompt();
    }
}

/* Keys are taken, and the receive interrupt is asked for so that a peer sees it, when there is somebody for them: the
 * prompt, or a child that has opened its port. */
static void listen(void)
{
    bool wants = attached == NULL ? *script == 0 : (attached->uart.ier & 1) != 0 || attached->has_console;
    if (wants != listening) {
        listening = wants;
        serial_listen(wants);
    }
}

void console_poll(void)
{
    while (attached == NULL && run_script()) {
        if (attached == NULL && *script == 0) {
            prompt();
        }
    }
    listen();
    for (int c = listening ? serial_get() : -1; c >= 0; c = serial_get()) {
        if (attached == NULL) {
            key((char)c);
        } else if (c == DETACH) {
            show_console(NULL);
        } else {
            (void)uart_type(attached, (u8)c);
        }
    }
    for (u32 i = 0; i < VM_MAX; i++) {
        if (vms[i].state == VM_RUNNING && vms[i].adapter != NULL) {
            adapter_flush_input(&vms[i]);
        }
    }
}

/* Output of the others comes line by line, behind their names, where a line of what is shown ends. */
static void put_held(struct vm *vm)
{
    if (vm->held_count == 0) {
        return;
    }
    bool start = true;
    for (u32 i = 0; i < vm->held_count; i++) {
        if (start) {
            print("%s| ", vm->name);
        }
        serial_put((char)vm->held[i]);
        start = vm->held[i] == '\n';
    }
    if (!start) {
        print("\n");
    }
    vm->held_count = 0;
}

static bool ends_line(const struct vm *vm) { return vm->held_count > 0 && vm->held[vm->held_count - 1] == '\n'; }

static void put_all_held(void)
{
    for (u32 i = 0; i < VM_MAX; i++) {
        if (ends_line(&vms[i])) {
            put_held(&vms[i]);
        }
    }
}

void console_output(struct vm *vm, u8 c)
{
    if (attached == vm) {
        serial_put((char)c);
        at_line_start = c == '\n';
        if (at_line_start) {
            put_all_held();
        }
        matched = c == (u8)until[matched] ? matched + 1 : (c == (u8)until[0] ? 1 : 0);
        if (matched > 0 && until[matched] == 0) {
            show_console(NULL);
        }
        return;
    }
    vm->held[vm->held_count++] = c;
    if (vm->held_count == HELD_BYTES || (c == '\n' && attached != NULL && at_line_start)) {
        if (!at_line_start) {
            print("\n");
            at_line_start = true;
        }
        put_held(vm);
    } else if (c == '\n' && attached == NULL && line_length == 0 && *script == 0) {
        print("\r");
        put_held(vm);
        prompt();
    }
}

/* NULL: the prompt. */
static void show_console(struct vm *vm)
{
    if (vm == NULL) {
        print("\n");
        put_all_held();
    }
    attached = vm;
    at_line_start = true;
    if (vm != NULL) {
        put_all_held();
        for (u32 i = 0; i < vm->held_count; i++) { /* the line that it is in */
            serial_put((char)vm->held[i]);
            at_line_start = false;
        }
        vm->held_count = 0;
    } else if (*script == 0) {
        prompt();
    }
}

void console_note(struct vm *vm, const char *text)
{
    print("%sroot: %s: %s\n", at_line_start ? "" : "\n", vm->name, text);
    at_line_start = true;
}

void console_vm_ended(struct vm *vm, const char *why)
{
    vm_destroy(vm);
    if (attached != vm) {
        if (attached != NULL && !at_line_start) {
            print("\n");
        }
        put_held(vm);
    }
    if (vm->test_devices && vm->test_status != 0) {
        print("\nroot: %s: exit status %u; %lu intercepts\n", vm->name, vm->test_status, vm->exits);
    } else {
        print("\nroot: %s: %s; %lu intercepts\n", vm->name, why, vm->exits);
    }
    at_line_start = true;
    if (attached == vm) {
        show_console(NULL);
    } else if (attached == NULL && *script == 0) {
        prompt();
    }
}

/* The machine's own soft-off: PM1a control block from the FADT, sleep type 0 (the board's S5). */
_Noreturn void machine_off(void)
{
    print("root: the machine is switched off\n");
    out16(0x604, SLEEP_ENABLE); /* where firmware puts it on q35 */
    out16(0xb004, SLEEP_ENABLE);
    die("the machine does not switch off");
}
