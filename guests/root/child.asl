/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a child finds by ACPI: soft-off, and a serial port without an interrupt, which Linux then polls. */
DefinitionBlock ("", "DSDT", 2, "VITRIN", "CHILD   ", 0x00000001)
{
    /* Written to the sleep control register by hardware-reduced systems. */
    Name (\_S5, Package (2) { 0x05, 0x00 })

    Scope (\_SB)
    {
        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 0x01)
            Name (_STA, 0x0f)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03f8, 0x03f8, 0x01, 0x08)
            })
        }

        /* Guests look for the bus by this; it has no ports and no window, but they want a list of them. */
        Device (VMBS)
        {
            Name (_HID, "MSFT1000")
            Name (_CID, "VMBUS")
            Name (_UID, 0x02)
            Name (_STA, 0x0f)
            Name (_CRS, Buffer (0x02) { 0x79, 0x00 })
        }
    }
}
