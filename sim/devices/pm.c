/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Power management of an ICH9-like board [ACPI "ACPI Hardware Specification"; ICH9 "Power
 * Management I/O Registers"].
 *
 * Modelled: PM1a status, enable and control, PM timer of 24 or 32 bits with its overflow, GPE0 (64
 * events), SMI_EN and SMI_STS with the APMC source, APM ports 0xb2 and 0xb3, port 0x92, reset
 * control 0xcf9, sleep and wake-up. The board has no SMM firmware of its own, so the APM commands
 * that turn ACPI on and off act directly on SCI_EN as well.
 *
 * The status of the PM timer is brought up to date when somebody looks; a timer runs only while its
 * event is enabled and clear.
 *
 * Left out: TCO watchdog, throttling and C-state registers (read 0), SMIs of other sources, power
 * button override. */
#include "devices/pm.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>

/* Offsets of double words in the block. */
enum {
    REG_PM1_EVT = 0x00, /* PM1_STS, PM1_EN */
    REG_PM1_CNT = 0x04,
    REG_PM_TMR = 0x08,
    REG_GPE0_STS = 0x20,
    REG_GPE0_EN = 0x28,
    REG_SMI_EN = 0x30,
    REG_SMI_STS = 0x34,
};

enum {
    PM1_TMR = 1 << 0,
    PM1_BM_STS = 1 << 4,
    PM1_GBL = 1 << 5,
    PM1_PWRBTN = 1 << 8,
    PM1_SLPBTN = 1 << 9,
    PM1_RTC = 1 << 10,
    PM1_WAK_STS = 1 << 15,
    PM1_STS_BITS = PM1_TMR | PM1_BM_STS | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC | PM1_WAK_STS,
    PM1_EN_BITS = PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC,
    PM1_WAKE_BITS = PM1_PWRBTN | PM1_SLPBTN | PM1_RTC,

    CNT_SCI_EN = 1 << 0,
    CNT_SLP_EN = 1 << 13,
    CNT_STORED = 0x1c03, /* SLP_TYP, BM_RLD, SCI_EN */

    SMI_GBL_EN = 1 << 0,
    SMI_APMC_EN = 1 << 5,
    SMI_APM_STS = 1 << 5,

    PORT92_INIT_NOW = 1 << 0,
    PORT92_A20 = 1 << 1,
    CF9_SYS_RST = 1 << 1,
    CF9_RST_CPU = 1 << 2,
    CF9_FULL_RST = 1 << 3,
};

struct pm {
    char id[32];             /* configuration */
    struct clock *clock;     /* configuration */
    struct bus *bus;         /* configuration */
    struct pm_config config; /* configuration: base is where it starts */
    unsigned ports;          /* configuration: the block's range on the bus */
    struct timer timer;

    u16 base;
    bool base_enabled;
    u16 sts, en, cnt;
    u64 gpe_sts, gpe_en;
    u32 smi_en, smi_sts;
    u64 overflows_seen; /* PM timer: changes of its top bit that are in sts */
    u8 apm_command, apm_status;
    u8 port92, cf9;
    bool kbd_a20;
    bool rtc_level;
    bool asleep;
};

static unsigned timer_top_bit(const struct pm *pm)
{
    return pm->config.timer_32bit ? 31 : 23;
}

static u64 timer_ticks(const struct pm *pm)
{
    return clock_ticks(pm->clock, PM_TIMER_HZ);
}

/* [ACPI "Power Management Timer"] TMR_STS is set whenever the counter's top bit changes. */
static void sync_timer(struct pm *pm)
{
    u64 overflows = timer_ticks(pm) >> timer_top_bit(pm);
    if (overflows != pm->overflows_seen) {
        pm->overflows_seen = overflows;
        pm->sts |= PM1_TMR;
    }
}

static void update(struct pm *pm)
{
    bool event = (pm->sts & pm->en & PM1_EN_BITS) != 0 || (pm->gpe_sts & pm->gpe_en) != 0;
    irq_set(&pm->config.sci, event && (pm->cnt & CNT_SCI_EN) != 0);

    if ((pm->en & PM1_TMR) != 0 && (pm->sts & PM1_TMR) == 0) {
        u64 next = (pm->overflows_seen + 1) << timer_top_bit(pm);
        timer_arm(&pm->timer, clock_time_of_tick(next, PM_TIMER_HZ));
    } else {
        timer_cancel(&pm->timer);
    }

    bool wake = (pm->sts & pm->en & PM1_WAKE_BITS) != 0 || (pm->gpe_sts & pm->gpe_en) != 0;
    if (pm->asleep && wake && pm->config.callbacks.wake != NULL) {
        pm->config.callbacks.wake(pm->config.callbacks.self);
    }
}

static void timer_fired(void *self)
{
    struct pm *pm = self;
    sync_timer(pm);
    update(pm);
}

static void set_a20(struct pm *pm)
{
    if (pm->config.callbacks.a20 != NULL) {
        pm->config.callbacks.a20(pm->config.callbacks.self,
                                 pm->kbd_a20 || (pm->port92 & PORT92_A20) != 0);
    }
}

static void request_reset(struct pm *pm, enum pm_reset kind)
{
    if (pm->config.callbacks.reset != NULL) {
        pm->config.callbacks.reset(pm->config.callbacks.self, kind);
    }
}

static u32 read_dword(struct pm *pm, u32 reg)
{
    switch (reg) {
    case REG_PM1_EVT:
        return pm->sts | (u32)pm->en << 16;
    case REG_PM1_CNT:
        return pm->cnt;
    case REG_PM_TMR:
        return (u32)(timer_ticks(pm) & (((u64)2 << timer_top_bit(pm)) - 1));
    case REG_GPE0_STS:
    case REG_GPE0_STS + 4:
        return (u32)(pm->gpe_sts >> (8 * (reg - REG_GPE0_STS)));
    case REG_GPE0_EN:
    case REG_GPE0_EN + 4:
        return (u32)(pm->gpe_en >> (8 * (reg - REG_GPE0_EN)));
    case REG_SMI_EN:
        return pm->smi_en;
    case REG_SMI_STS:
        return pm->smi_sts;
    default:
        return 0;
    }
}

/* The bytes of value that mask covers are written. */
static void write_dword(struct pm *pm, u32 reg, u32 value, u32 mask)
{
    value &= mask;
    switch (reg) {
    case REG_PM1_EVT:
        pm->sts &= (u16)~value | (u16)~PM1_STS_BITS;
        pm->en = (u16)(((pm->en & ~(mask >> 16)) | value >> 16) & PM1_EN_BITS);
        break;
    case REG_PM1_CNT:
        pm->cnt = (u16)(((pm->cnt & ~mask) | value) & CNT_STORED);
        if ((value & CNT_SLP_EN) != 0) {
            unsigned type = pm->cnt >> 10 & 7;
            pm->asleep = type == PM_SLP_TYP_S3;
            if (pm->config.callbacks.sleep != NULL) {
                pm->config.callbacks.sleep(pm->config.callbacks.self, type);
            }
        }
        break;
    case REG_GPE0_STS:
    case REG_GPE0_STS + 4:
        pm->gpe_sts &= ~((u64)value << (8 * (reg - REG_GPE0_STS)));
        break;
    case REG_GPE0_EN:
    case REG_GPE0_EN + 4: {
        unsigned shift = 8 * (reg - REG_GPE0_EN);
        pm->gpe_en = (pm->gpe_en & ~((u64)mask << shift)) | (u64)value << shift;
        break;
    }
    case REG_SMI_EN:
        pm->smi_en = (pm->smi_en & ~mask) | value;
        break;
    case REG_SMI_STS:
        pm->smi_sts &= ~value;
        break;
    default: /* the timer is read-only */
        break;
    }
}

static u32 block_read(void *self, u16 offset, unsigned size)
{
    struct pm *pm = self;
    sync_timer(pm);
    u32 value = 0;
    for (unsigned i = 0; i < size; i++) {
        u32 reg = (offset + i) & ~3u;
        value |= (read_dword(pm, reg) >> (8 * ((offset + i) & 3)) & 0xff) << (8 * i);
    }
    update(pm);
    return value;
}

static void block_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct pm *pm = self;
    sync_timer(pm);
    for (unsigned i = 0; i < size;) {
        unsigned shift = 8 * ((offset + i) & 3);
        unsigned n = size - i < 4 - shift / 8 ? size - i : 4 - shift / 8;
        write_dword(pm, (offset + i) & ~3u, value >> (8 * i) << shift, (u32)size_mask(n) << shift);
        i += n;
    }
    update(pm);
}

static u32 apm_read(void *self, u16 offset, unsigned size)
{
    const struct pm *pm = self;
    UNUSED(size);
    return offset == 0 ? pm->apm_command : pm->apm_status;
}

static void apm_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct pm *pm = self;
    UNUSED(size);
    if (offset != 0) {
        pm->apm_status = (u8)value;
        return;
    }
    pm->apm_command = (u8)value;
    sync_timer(pm);
    if (value == PM_APM_ACPI_ENABLE) {
        pm->cnt |= CNT_SCI_EN;
    } else if (value == PM_APM_ACPI_DISABLE) {
        pm->cnt &= (u16)~CNT_SCI_EN;
    }
    update(pm);
    if ((pm->smi_en & (SMI_GBL_EN | SMI_APMC_EN)) == (SMI_GBL_EN | SMI_APMC_EN)) {
        pm->smi_sts |= SMI_APM_STS;
        if (pm->config.callbacks.smi != NULL) {
            pm->config.callbacks.smi(pm->config.callbacks.self, (u8)value);
        }
    }
}

static u32 port92_read(void *self, u16 offset, unsigned size)
{
    const struct pm *pm = self;
    UNUSED(offset);
    UNUSED(size);
    return pm->port92;
}

static void port92_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct pm *pm = self;
    UNUSED(offset);
    UNUSED(size);
    bool init = (value & PORT92_INIT_NOW) != 0 && (pm->port92 & PORT92_INIT_NOW) == 0;
    pm->port92 = (u8)value & (PORT92_INIT_NOW | PORT92_A20);
    set_a20(pm);
    if (init) {
        request_reset(pm, PM_RESET_INIT);
    }
}

static u32 cf9_read(void *self, u16 offset, unsigned size)
{
    const struct pm *pm = self;
    UNUSED(offset);
    UNUSED(size);
    return pm->cf9;
}

/* [ICH9 "RST_CNT"] the reset comes when RST_CPU goes from 0 to 1. */
static void cf9_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct pm *pm = self;
    UNUSED(offset);
    UNUSED(size);
    bool now = (value & CF9_RST_CPU) != 0 && (pm->cf9 & CF9_RST_CPU) == 0;
    pm->cf9 = (u8)value & (CF9_SYS_RST | CF9_RST_CPU | CF9_FULL_RST);
    if (now) {
        request_reset(pm, (value & CF9_SYS_RST) == 0    ? PM_RESET_INIT
                          : (value & CF9_FULL_RST) != 0 ? PM_RESET_POWER
                                                        : PM_RESET_HARD);
    }
}

static const struct port_ops block_ports = {.read = block_read, .write = block_write};
static const struct port_ops apm_ports = {.read = apm_read, .write = apm_write, .max_size = 1};
static const struct port_ops port92_ports = {
    .read = port92_read, .write = port92_write, .max_size = 1};
static const struct port_ops cf9_ports = {.read = cf9_read, .write = cf9_write, .max_size = 1};

/* [ACPI "Waking Up the System"] a reset out of S3 finds the events that woke it, and WAK_STS. */
static void pm_reset(void *self, enum reset_kind kind)
{
    struct pm *pm = self;
    sync_timer(pm);
    if (pm->asleep && kind == RESET_HARD) {
        pm->sts |= PM1_WAK_STS;
    } else {
        pm->sts = 0;
        pm->en = 0;
        pm->gpe_sts = 0;
        pm->gpe_en = 0;
    }
    pm->asleep = false;
    pm->cnt = 0;
    pm->smi_en = 0;
    pm->smi_sts = 0;
    pm->apm_command = pm->apm_status = 0;
    pm->port92 = 0;
    pm->cf9 = 0;
    pm_set_base(pm, pm->config.base, true);
    set_a20(pm);
    update(pm);
}

static void pm_state(void *self, struct state_io *io)
{
    struct pm *pm = self;
    state_section(io, pm->id, 1);
    state_u16(io, "base", &pm->base);
    state_bool(io, "base_enabled", &pm->base_enabled);
    state_u16(io, "sts", &pm->sts);
    state_u16(io, "en", &pm->en);
    state_u16(io, "cnt", &pm->cnt);
    state_u64(io, "gpe_sts", &pm->gpe_sts);
    state_u64(io, "gpe_en", &pm->gpe_en);
    state_u32(io, "smi_en", &pm->smi_en);
    state_u32(io, "smi_sts", &pm->smi_sts);
    state_u64(io, "overflows_seen", &pm->overflows_seen);
    state_u8(io, "apm_command", &pm->apm_command);
    state_u8(io, "apm_status", &pm->apm_status);
    state_u8(io, "port92", &pm->port92);
    state_u8(io, "cf9", &pm->cf9);
    state_bool(io, "kbd_a20", &pm->kbd_a20);
    state_bool(io, "rtc_level", &pm->rtc_level);
    state_bool(io, "asleep", &pm->asleep);
    timer_state(&pm->timer, io, "timer");
    if (state_is_load(io)) {
        bus_set_ports(pm->bus, pm->ports, pm->base, pm->base_enabled);
    }
}

static const struct device_ops pm_ops = {
    .type = "pm", .reset = pm_reset, .state = pm_state, .destroy = free};

struct pm *pm_new(const struct device_env *env, const char *id, const struct pm_config *config)
{
    struct pm *pm = calloc(1, sizeof *pm);
    sim_assert(pm != NULL);
    (void)snprintf(pm->id, sizeof pm->id, "%s", id);
    pm->clock = env->clock;
    pm->bus = env->bus;
    pm->config = *config;
    pm->base = config->base;
    pm->base_enabled = true;
    pm->kbd_a20 = true;
    timer_init(&pm->timer, env->clock, "pm timer", timer_fired, pm);
    pm->ports = bus_add_ports(env->bus, config->base, PM_PORTS, &block_ports, pm, "acpi pm");
    bus_add_ports(env->bus, 0x92, 1, &port92_ports, pm, "port 92");
    bus_add_ports(env->bus, 0xb2, 2, &apm_ports, pm, "apm");
    bus_add_ports(env->bus, 0xcf9, 1, &cf9_ports, pm, "reset control");
    bus_add_device(env->bus, &pm_ops, pm, id);
    return pm;
}

void pm_set_base(struct pm *pm, u16 base, bool enabled)
{
    pm->base = base;
    pm->base_enabled = enabled;
    bus_set_ports(pm->bus, pm->ports, base, enabled);
}

void pm_power_button(struct pm *pm)
{
    sync_timer(pm);
    pm->sts |= PM1_PWRBTN;
    if (pm->asleep) {
        pm->en |= PM1_PWRBTN; /* wakes whether enabled or not */
    }
    update(pm);
}

void pm_gpe(struct pm *pm, unsigned n)
{
    sim_assert(n < 64);
    sync_timer(pm);
    pm->gpe_sts |= BIT(n);
    update(pm);
}

static void rtc_changed(void *self, unsigned n, bool level)
{
    struct pm *pm = self;
    UNUSED(n);
    if (level && !pm->rtc_level) {
        sync_timer(pm);
        pm->sts |= PM1_RTC;
    }
    pm->rtc_level = level;
    update(pm);
}

struct irq_line pm_rtc_input(struct pm *pm)
{
    return (struct irq_line){.set = rtc_changed, .target = pm, .n = 0};
}

static void a20_changed(void *self, unsigned n, bool level)
{
    struct pm *pm = self;
    UNUSED(n);
    if (level != pm->kbd_a20) {
        pm->kbd_a20 = level;
        set_a20(pm);
    }
}

struct irq_line pm_a20_input(struct pm *pm)
{
    return (struct irq_line){.set = a20_changed, .target = pm, .n = 0};
}

void pm_enable_acpi(struct pm *pm)
{
    sync_timer(pm);
    pm->cnt |= CNT_SCI_EN;
    update(pm);
}
