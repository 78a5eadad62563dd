/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guests of vmx_calls.S, whose hypervisor spoils a field of the child's VMCS at its third call. */
#define BAD_FIELD
#include "vmx_calls.S"
