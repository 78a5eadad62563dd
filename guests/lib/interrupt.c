/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interrupts by the local APIC in x2APIC mode; exceptions end the guest in words. */
#include "guests/lib/lib.h"

#define X2APIC_EOI 0x80b
#define X2APIC_SPURIOUS 0x80f
#define VECTORS 256

extern const u8 interrupt_stubs[];

struct gate {
    u16 offset_low, selector, attributes, offset_middle;
    u32 offset_high, reserved;
};

static struct gate idt[VECTORS];
static interrupt_handler handlers[VECTORS];
bool (*exception_hook)(struct interrupt_frame *f);

void interrupt_init(void)
{
    for (unsigned i = 0; i < VECTORS; i++) {
        u64 at = address_of(interrupt_stubs) + 16ull * i;
        idt[i] = (struct gate){(u16)at, 8, 0x8e00, (u16)(at >> 16), (u32)(at >> 32), 0};
    }
    interrupt_load();
}

void interrupt_load(void)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) idtr = {sizeof idt - 1, address_of(idt)};
    __asm__ volatile("lidt %0" : : "m"(idtr));
    wrmsr(X2APIC_SPURIOUS, 0x1ff);
}

void interrupt_set(u8 vector, interrupt_handler handler) { handlers[vector] = handler; }

void interrupt_entry(struct interrupt_frame *f)
{
    if (f->vector < 32 && exception_hook != NULL && exception_hook(f)) {
        return;
    }
    if (f->vector < 32) {
        u64 cr2;
        __asm__("mov %%cr2, %0" : "=r"(cr2));
        die("exception %lu, error code %lx, at %lx, CR2 %lx", f->vector, f->error, f->rip, cr2);
    }
    wrmsr(X2APIC_EOI, 0);
    if (handlers[f->vector] != NULL) {
        handlers[f->vector]();
    }
}
