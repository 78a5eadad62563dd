/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ACPI power management block, APM ports and reset registers of an ICH9. See pm.c. */
#ifndef VITRINE_DEVICES_PM_H
#define VITRINE_DEVICES_PM_H

#include "devices/bus.h"
#include "devices/device.h"

#define PM_TIMER_HZ 3579545u
#define PM_PORTS 0x80

/* What to write to the ports; firmware and the ACPI tables agree on these with QEMU's q35. */
enum {
    PM_APM_ACPI_ENABLE = 0x02,
    PM_APM_ACPI_DISABLE = 0x03,
    PM_SLP_TYP_S5 = 0,
    PM_SLP_TYP_S3 = 1,
    PM_SLP_TYP_S4 = 2,
};

enum pm_reset {
    PM_RESET_INIT,  /* INIT# to the processors: port 0x92, 0xcf9 without SYS_RST */
    PM_RESET_HARD,  /* PLTRST# */
    PM_RESET_POWER, /* 0xcf9 with FULL_RST: a power cycle */
};

/* Any may be NULL. They come in the middle of a guest's access: the machine takes note and acts at
 * the next instruction boundary. */
struct pm_callbacks {
    void (*sleep)(void *self, unsigned slp_typ); /* SLP_EN was written */
    void (*wake)(void *self); /* an enabled event while asleep: reset the board */
    void (*reset)(void *self, enum pm_reset kind);
    void (*a20)(void *self, bool enabled);
    void (*smi)(void *self, u8 command); /* APMC write with SMIs enabled for it */
    void *self;
};

struct pm_config {
    u16 base; /* PMBASE; enabled from the start */
    bool timer_32bit;
    struct irq_line sci; /* level */
    struct pm_callbacks callbacks;
};

struct pm;

/* Claims PM_PORTS ports at base, 0x92, 0xb2-0xb3, 0xcf9; owned by the bus. */
struct pm *pm_new(const struct device_env *env, const char *id, const struct pm_config *config);

/* The LPC bridge moves the block or switches it on and off. */
void pm_set_base(struct pm *pm, u16 base, bool enabled);

/* The user presses the power button. */
void pm_power_button(struct pm *pm);
/* A general-purpose event 0..63 happens. */
void pm_gpe(struct pm *pm, unsigned n);
/* The RTC's alarm output. */
struct irq_line pm_rtc_input(struct pm *pm);
/* The keyboard controller's A20 output; A20 is passed while this or port 0x92 says so. High at
 * start. */
struct irq_line pm_a20_input(struct pm *pm);

/* For direct boot: the state firmware leaves behind. */
void pm_enable_acpi(struct pm *pm);

#endif
