/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers that the decoder puts in place of what the mode or privilege does not allow. */
#ifndef VITRINE_CPU_EXEC_FAULT_H
#define VITRINE_CPU_EXEC_FAULT_H

#include "cpu/insn.h"

exec_fn exec_invalid;         /* #UD */
exec_fn exec_too_long;        /* #GP(0): more than 15 bytes */
exec_fn exec_unit_fault;      /* #UD, #NM or #MF, from the unit in osz and the live registers */
exec_fn exec_privilege_fault; /* #GP(0) */
exec_fn exec_hooked;          /* guest mode: asks virt_insn, then runs the row's handler */
exec_fn exec_mov_moffs;       /* MOV between rAX and a 64-bit absolute offset in imm */

#endif
