/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The board as ACPI sees it: what is the same in every machine. What differs (processors, which ports
 * exist, the 64-bit PCI window, the PCI interrupt routing) is in an SSDT that acpi_ssdt.c builds:
 *
 *   \BCOM  bit per serial port     \BPS2, \BHPT  0x0f or 0: _STA of the PS/2 devices and the HPET
 *   \P64F, \P64L  first and last byte of the 64-bit PCI window; equal to 0 when there is none
 *   \_SB.PCI0.PRTP, \_SB.PCI0.PRTA  _PRT with link devices (8259) and with GSIs (I/O APIC)
 */
DefinitionBlock ("", "DSDT", 2, "VITRIN", "VITDSDT ", 0x00000001)
{
    External (\BCOM, IntObj)
    External (\BPS2, IntObj)
    External (\BHPT, IntObj)
    External (\P64F, IntObj)
    External (\P64L, IntObj)
    External (\_SB.PCI0.PRTP, PkgObj)
    External (\_SB.PCI0.PRTA, PkgObj)

    /* Sleep types of the PM block (devices/pm.h). */
    Name (\_S0, Package (4) { 0x00, 0x00, 0x00, 0x00 })
    Name (\_S3, Package (4) { 0x01, 0x01, 0x00, 0x00 })
    Name (\_S5, Package (4) { 0x00, 0x00, 0x00, 0x00 })

    /* 0: the system uses the 8259s, 1: the I/O APIC. */
    Name (\PICF, 0x00)
    Method (\_PIC, 1, NotSerialized)
    {
        \PICF = Arg0
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, 0x00)
            Name (_SEG, 0x00)
            Name (_BBN, 0x00)

            /* Native hot plug and PME are not for the system to have; the rest is. */
            Method (_OSC, 4, Serialized)
            {
                CreateDWordField (Arg3, 0x00, CDW1)
                If (Arg0 == ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766"))
                {
                    CreateDWordField (Arg3, 0x08, CDW3)
                    Local0 = CDW3
                    /* Capability structure control and AER. */
                    Local0 &= 0x18
                    If (Arg1 != One)
                    {
                        CDW1 |= 0x08    /* unknown revision */
                    }
                    If (CDW3 != Local0)
                    {
                        CDW1 |= 0x10    /* some were refused */
                    }
                    CDW3 = Local0
                }
                Else
                {
                    CDW1 |= 0x04        /* unknown UUID */
                }
                Return (Arg3)
            }

            Name (CRES, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000, 0x0000, 0x00FF, 0x0000, 0x0100)
                IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0000, 0x0CF7, 0x0000, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0D00, 0xFFFF, 0x0000, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x00000000, 0x000A0000, 0x000BFFFF, 0x00000000, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0x00000000, 0xC0000000, 0xFEBFFFFF, 0x00000000, 0x3EC00000)
            })
            Name (CR64, ResourceTemplate ()
            {
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x0000000000000000, 0x0000008000000000, 0x000000FFFFFFFFFF, 0x0000000000000000,
                    0x0000008000000000, , , W64B)
            })
            Method (_CRS, 0, Serialized)
            {
                If (\P64L == Zero)
                {
                    Return (CRES)
                }
                CreateQWordField (CR64, \_SB.PCI0.W64B._MIN, WMIN)
                CreateQWordField (CR64, \_SB.PCI0.W64B._MAX, WMAX)
                CreateQWordField (CR64, \_SB.PCI0.W64B._LEN, WLEN)
                WMIN = \P64F
                WMAX = \P64L
                WLEN = \P64L - \P64F + One
                Return (ConcatenateResTemplate (CRES, CR64))
            }

            Method (_PRT, 0, NotSerialized)
            {
                If (\PICF)
                {
                    Return (PRTA)
                }
                Return (PRTP)
            }

            /* The LPC bridge: routing of PIRQA-H to ISA interrupts, and the ISA devices. */
            Device (ISA)
            {
                Name (_ADR, 0x001F0000)
                OperationRegion (PIRQ, PCI_Config, 0x60, 0x0C)
                Field (PIRQ, ByteAcc, NoLock, Preserve)
                {
                    PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8,
                    Offset (0x08),
                    PRQE, 8, PRQF, 8, PRQG, 8, PRQH, 8
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
                        IO (Decode16, 0x0072, 0x0072, 0x01, 0x02)
                        IRQNoFlags () { 8 }
                    })
                }

                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Method (_STA, 0, NotSerialized)
                    {
                        Return (\BPS2)
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0060, 0x0060, 0x01, 0x01)
                        IO (Decode16, 0x0064, 0x0064, 0x01, 0x01)
                        IRQNoFlags () { 1 }
                    })
                }

                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Method (_STA, 0, NotSerialized)
                    {
                        Return (\BPS2)
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IRQNoFlags () { 12 }
                    })
                }

                Method (COMS, 1, NotSerialized)
                {
                    If ((\BCOM >> Arg0) & One)
                    {
                        Return (0x0F)
                    }
                    Return (0x00)
                }

                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 0x01)
                    Method (_STA, 0, NotSerialized)
                    {
                        Return (COMS (0))
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
                        IRQNoFlags () { 4 }
                    })
                }

                Device (COM2)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 0x02)
                    Method (_STA, 0, NotSerialized)
                    {
                        Return (COMS (1))
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x02F8, 0x02F8, 0x01, 0x08)
                        IRQNoFlags () { 3 }
                    })
                }

                Device (COM3)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 0x03)
                    Method (_STA, 0, NotSerialized)
                    {
                        Return (COMS (2))
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03E8, 0x03E8, 0x01, 0x08)
                        IRQNoFlags () { 4 }
                    })
                }

                Device (COM4)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 0x04)
                    Method (_STA, 0, NotSerialized)
                    {
                        Return (COMS (3))
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x02E8, 0x02E8, 0x01, 0x08)
                        IRQNoFlags () { 3 }
                    })
                }
            }
        }

        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_UID, 0x00)
            Method (_STA, 0, NotSerialized)
            {
                Return (\BHPT)
            }
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadOnly, 0xFED00000, 0x00000400)
            })
        }

        /* What the board decodes outside PCI: the configuration space window, and ports. */
        Device (MBRD)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 0x01)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xB0000000, 0x10000000)
                IO (Decode16, 0x0092, 0x0092, 0x01, 0x01)
                IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x02)
                IO (Decode16, 0x04D0, 0x04D0, 0x01, 0x02)
                IO (Decode16, 0x0510, 0x0510, 0x01, 0x0C)
                IO (Decode16, 0x0600, 0x0600, 0x01, 0x80)
            })
        }

        /* Link devices: for the 8259 the routing registers of the LPC bridge decide. */
        Name (PRSL, ResourceTemplate ()
        {
            IRQ (Level, ActiveLow, Shared) { 5, 10, 11 }
        })
        Name (CRSL, ResourceTemplate ()
        {
            IRQ (Level, ActiveLow, Shared, LIRQ) { 11 }
        })
        /* _CRS for a routing register's value; bit 7: not routed. */
        Method (LCRS, 1, Serialized)
        {
            CreateWordField (CRSL, 0x01, IMSK)
            IMSK = Zero
            If (!(Arg0 & 0x80))
            {
                IMSK = One << (Arg0 & 0x0F)
            }
            Return (CRSL)
        }
        Method (LSTA, 1, NotSerialized)
        {
            If (Arg0 & 0x80)
            {
                Return (0x09)
            }
            Return (0x0B)
        }
        /* The routing register's value for what _SRS was given. */
        Method (LSRS, 1, NotSerialized)
        {
            CreateWordField (Arg0, 0x01, IMSK)
            FindSetRightBit (IMSK, Local0)
            If (Local0)
            {
                Local0--
                Return (Local0)
            }
            Return (0x80)
        }

        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x01)
            Method (_STA, 0, NotSerialized) { Return (LSTA (\_SB.PCI0.ISA.PRQA)) }
            Method (_DIS, 0, NotSerialized) { \_SB.PCI0.ISA.PRQA |= 0x80 }
            Method (_PRS, 0, NotSerialized) { Return (PRSL) }
            Method (_CRS, 0, NotSerialized) { Return (LCRS (\_SB.PCI0.ISA.PRQA)) }
            Method (_SRS, 1, NotSerialized) { \_SB.PCI0.ISA.PRQA = LSRS (Arg0) }
        }
        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x02)
            Method (_STA, 0, NotSerialized) { Return (LSTA (\_SB.PCI0.ISA.PRQB)) }
            Method (_DIS, 0, NotSerialized) { \_SB.PCI0.ISA.PRQB |= 0x80 }
            Method (_PRS, 0, NotSerialized) { Return (PRSL) }
            Method (_CRS, 0, NotSerialized) { Return (LCRS (\_SB.PCI0.ISA.PRQB)) }
            Method (_SRS, 1, NotSerialized) { \_SB.PCI0.ISA.PRQB = LSRS (Arg0) }
        }
        Device (LNKC)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x03)
            Method (_STA, 0, NotSerialized) { Return (LSTA (\_SB.PCI0.ISA.PRQC)) }
            Method (_DIS, 0, NotSerialized) { \_SB.PCI0.ISA.PRQC |= 0x80 }
            Method (_PRS, 0, NotSerialized) { Return (PRSL) }
            Method (_CRS, 0, NotSerialized) { Return (LCRS (\_SB.PCI0.ISA.PRQC)) }
            Method (_SRS, 1, NotSerialized) { \_SB.PCI0.ISA.PRQC = LSRS (Arg0) }
        }
        Device (LNKD)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x04)
            Method (_STA, 0, NotSerialized) { Return (LSTA (\_SB.PCI0.ISA.PRQD)) }
            Method (_DIS, 0, NotSerialized) { \_SB.PCI0.ISA.PRQD |= 0x80 }
            Method (_PRS, 0, NotSerialized) { Return (PRSL) }
            Method (_CRS, 0, NotSerialized) { Return (LCRS (\_SB.PCI0.ISA.PRQD)) }
            Method (_SRS, 1, NotSerialized) { \_SB.PCI0.ISA.PRQD = LSRS (Arg0) }
        }
        Device (LNKE)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x05)
            Method (_STA, 0, NotSerialized) { Return (LSTA (\_SB.PCI0.ISA.PRQE)) }
            Method (_DIS, 0, NotSerialized) { \_SB.PCI0.ISA.PRQE |= 0x80 }
            Method (_PRS, 0, NotSerialized) { Return (PRSL) }
            Method (_CRS, 0, NotSerialized) { Return (LCRS (\_SB.PCI0.ISA.PRQE)) }
            Method (_SRS, 1, NotSerialized) { \_SB.PCI0.ISA.PRQE = LSRS (Arg0) }
        }
        Device (LNKF)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x06)
            Method (_STA, 0, NotSerialized) { Return (LSTA (\_SB.PCI0.ISA.PRQF)) }
            Method (_DIS, 0, NotSerialized) { \_SB.PCI0.ISA.PRQF |= 0x80 }
            Method (_PRS, 0, NotSerialized) { Return (PRSL) }
            Method (_CRS, 0, NotSerialized) { Return (LCRS (\_SB.PCI0.ISA.PRQF)) }
            Method (_SRS, 1, NotSerialized) { \_SB.PCI0.ISA.PRQF = LSRS (Arg0) }
        }
        Device (LNKG)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x07)
            Method (_STA, 0, NotSerialized) { Return (LSTA (\_SB.PCI0.ISA.PRQG)) }
            Method (_DIS, 0, NotSerialized) { \_SB.PCI0.ISA.PRQG |= 0x80 }
            Method (_PRS, 0, NotSerialized) { Return (PRSL) }
            Method (_CRS, 0, NotSerialized) { Return (LCRS (\_SB.PCI0.ISA.PRQG)) }
            Method (_SRS, 1, NotSerialized) { \_SB.PCI0.ISA.PRQG = LSRS (Arg0) }
        }
        Device (LNKH)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x08)
            Method (_STA, 0, NotSerialized) { Return (LSTA (\_SB.PCI0.ISA.PRQH)) }
            Method (_DIS, 0, NotSerialized) { \_SB.PCI0.ISA.PRQH |= 0x80 }
            Method (_PRS, 0, NotSerialized) { Return (PRSL) }
            Method (_CRS, 0, NotSerialized) { Return (LCRS (\_SB.PCI0.ISA.PRQH)) }
            Method (_SRS, 1, NotSerialized) { \_SB.PCI0.ISA.PRQH = LSRS (Arg0) }
        }
    }
}
