/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Real-time clock and CMOS memory. See rtc.c for what is modelled. */
#ifndef VITRINE_DEVICES_RTC_H
#define VITRINE_DEVICES_RTC_H

#include "devices/bus.h"
#include "devices/device.h"

struct rtc;

/* CMOS bytes that have a meaning outside the chip. */
enum {
    CMOS_SHUTDOWN = 0x0f, /* why firmware starts: 0 power-on, 5/0x0a resume, 0xfe S3 */
    CMOS_BOOT_FLAG1 =
        0x38, /* SeaBIOS: third boot device in bits 7:4, bit 0 skips the floppy check */
    CMOS_BOOT_FLAG2 = 0x3d, /* SeaBIOS: first and second boot device */
};

struct rtc_config {
    i64 base_seconds; /* guest wall clock at virtual time 0: seconds since 1970-01-01 00:00 */
    u64 ram_below_4g; /* bytes; both become the sizes firmware reads */
    u64 ram_above_4g;
    unsigned cpu_count;
    u8 boot_order[3]; /* SeaBIOS: 1 floppy, 2 disk, 3 CD, 4 network, 0 none */
};

struct rtc_outputs {
    struct irq_line irq;   /* IRQ8#: level until register C is read */
    struct irq_line alarm; /* high while an enabled alarm is pending: the ACPI wake-up event */
    void (*nmi_mask)(void *self, bool masked); /* bit 7 of port 0x70; may be NULL */
    void *self;
};

/* Claims 0x70-0x73; owned by the bus. */
struct rtc *rtc_new(const struct device_env *env, const char *id, const struct rtc_config *config,
                    const struct rtc_outputs *out);

/* Plain bytes of CMOS memory (not the time and the status registers). */
u8 rtc_cmos_get(const struct rtc *rtc, u8 index);
void rtc_cmos_set(struct rtc *rtc, u8 index, u8 value);

bool rtc_nmi_masked(const struct rtc *rtc);

#endif
