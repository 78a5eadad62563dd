/* SPDX-License-Identifier: GPL-3.0-or-later */
/* System management mode as a firmware leaves it: each processor's SMBASE lies in the compatible SMRAM window
 * with a handler that does nothing, and the window is locked. [APM2 "System-Management Mode"] */
#include "abi/x86/q35.h"
#include "devices/pci.h"
#include "machine/boot/boot.h"

#define SMRAM_WINDOW 0xa0000u
#define SMRAM_STEP 0x400u /* apart, so that save areas do not overlap */
#define SMM_ENTRY 0x8000u

void boot_smm_handler(struct machine *m)
{
    static const u8 rsm[] = {0x0f, 0xaa};
    pci_config_write(m->pci, 0, Q35_MCH_DEVFN, MCH_SMRAM,
                     MCH_SMRAM_C_BASE_SEG | MCH_SMRAM_G_SMRAME | MCH_SMRAM_D_OPEN, 1);
    for (unsigned i = 0; i < m->set.count; i++) {
        u64 smbase = SMRAM_WINDOW + i * SMRAM_STEP;
        m->set.cpu[i]->arch.smbase = smbase;
        phys_write(&m->phys, SPA(smbase + SMM_ENTRY), rsm, sizeof rsm);
    }
    pci_config_write(m->pci, 0, Q35_MCH_DEVFN, MCH_SMRAM,
                     MCH_SMRAM_C_BASE_SEG | MCH_SMRAM_G_SMRAME | MCH_SMRAM_D_LCK, 1);
}
