/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control word, status, inputs and outputs of hypercalls. [TLFS "Hypercall Interface"] The list is hypercall.def. */
#ifndef ABI_HYPERV_HYPERCALL_H
#define ABI_HYPERV_HYPERCALL_H

#include "abi/hyperv/synic.h"

#include <stdint.h>

enum hv_call_code {
#define HYPERCALL(code, name, kind, fast, header, element, output, privilege, handler) HV_CALL_##name = code,
#include "abi/hyperv/hypercall.def"
#undef HYPERCALL
};

#define HV_CONTROL_CODE 0xffffull
#define HV_CONTROL_FAST 0x10000ull
#define HV_CONTROL_VARHEAD_SHIFT 17
#define HV_CONTROL_VARHEAD 0x7fe0000ull
#define HV_CONTROL_REPS_SHIFT 32
#define HV_CONTROL_START_SHIFT 48
#define HV_CONTROL_REPS 0xfffull
#define HV_CONTROL_RESERVED 0xf000f000f8000000ull

enum hv_status {
    HV_SUCCESS = 0x0,
    HV_INVALID_HYPERCALL_CODE = 0x2,
    HV_INVALID_HYPERCALL_INPUT = 0x3,
    HV_INVALID_ALIGNMENT = 0x4,
    HV_INVALID_PARAMETER = 0x5,
    HV_ACCESS_DENIED = 0x6,
    HV_INVALID_PARTITION_STATE = 0x7,
    HV_OPERATION_DENIED = 0x8,
    HV_UNKNOWN_PROPERTY = 0x9,
    HV_PROPERTY_VALUE_OUT_OF_RANGE = 0xa,
    HV_INSUFFICIENT_MEMORY = 0xb,
    HV_PARTITION_TOO_DEEP = 0xc,
    HV_INVALID_PARTITION_ID = 0xd,
    HV_INVALID_VP_INDEX = 0xe,
    HV_INVALID_PORT_ID = 0x11,
    HV_INVALID_CONNECTION_ID = 0x12,
    HV_INSUFFICIENT_BUFFERS = 0x13,
    HV_STATUS_NOT_ACKNOWLEDGED = 0x14,
    HV_INVALID_VP_STATE = 0x15,
    HV_STATUS_ACKNOWLEDGED = 0x16,
    HV_INVALID_SYNIC_STATE = 0x18,
    HV_OBJECT_IN_USE = 0x19,
    HV_INVALID_PROXIMITY_DOMAIN = 0x1a,
    HV_NO_DATA = 0x1b,
    HV_INVALID_REGISTER_VALUE = 0x50,
    HV_INVALID_VTL_STATE = 0x51,
    HV_VTL_ALREADY_ENABLED = 0x86,
};

struct hv_partition_input { /* Initialize, Finalize, Delete, ClearVirtualInterrupt */
    uint64_t partition;
};

struct hv_create_partition_input {
    uint64_t flags, proximity;
    uint32_t compatibility, padding;
    uint64_t disabled_features[2], disabled_xsave, reserved;
};
_Static_assert(sizeof(struct hv_create_partition_input) == 56, "CreatePartition");

struct hv_property_input {
    uint64_t partition;
    uint32_t code, reserved;
    uint64_t value; /* Set only */
};

struct hv_next_child_input {
    uint64_t parent, previous;
};

struct hv_balance_input {
    uint64_t partition, proximity;
};

struct hv_map_input {
    uint64_t partition, base;
    uint32_t flags, reserved;
};
#define HV_MAP_READ 0x1u
#define HV_MAP_WRITE 0x2u
#define HV_MAP_EXECUTE 0xcu /* kernel and user */
#define HV_MAP_ALL (HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE)

/* LendGpaPages, ReturnGpaPages, our own: numbers of a child's pages follow. The parent may touch them, in their places in its own address
 * space (the answer: page numbers), until it gives them back. Rights 0: it only asks whether it could. */
struct hv_lend_input {
    uint64_t partition;
    uint32_t channel; /* what for; the same word gives it back */
    uint8_t rights, reserved[3];
};
#define HV_LEND_READ 1u
#define HV_LEND_WRITE 2u /* never alone */

struct hv_intercept_input {
    uint64_t partition;
    uint32_t access, type;
    uint64_t parameter;
};
#define HV_INTERCEPT_IO 0u
#define HV_INTERCEPT_MSR 1u
#define HV_INTERCEPT_CPUID 2u
#define HV_INTERCEPT_EXCEPTION 3u
#define HV_INTERCEPT_HYPERCALL 8u
#define HV_INTERCEPT_READ 1u
#define HV_INTERCEPT_WRITE 2u
#define HV_INTERCEPT_EXECUTE 4u

struct hv_create_vp_input {
    uint64_t partition;
    uint32_t vp;
    uint8_t reserved[3], subnode_type;
    uint64_t subnode, proximity, flags;
};
_Static_assert(sizeof(struct hv_create_vp_input) == 40, "CreateVp");
/* A proximity domain: its number in 31:0; preferred, or elsewhere if there is none such; the rest counts. */
#define HV_PROXIMITY_PREFERRED (1ull << 32)
#define HV_PROXIMITY_VALID (1ull << 63)

struct hv_vp_input { /* DeleteVp, Get- and SetVpRegisters */
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl, reserved[3];
};

struct hv_table {
    uint16_t padding[3], limit;
    uint64_t base;
};

union hv_register_value {
    uint64_t low;
    uint64_t words[2];
    struct hv_segment segment;
    struct hv_table table;
};
_Static_assert(sizeof(union hv_register_value) == 16, "register value");

struct hv_set_register {
    uint32_t name, reserved0;
    uint64_t reserved1;
    union hv_register_value value;
};

struct hv_vp_context {
    uint64_t rip, rsp, rflags;
    struct hv_segment cs, ds, es, fs, gs, ss, tr, ldtr;
    struct hv_table idtr, gdtr;
    uint64_t efer, cr0, cr3, cr4, pat;
};
_Static_assert(sizeof(struct hv_vp_context) == 224, "initial VP context");

struct hv_start_vp_input { /* EnableVpVtl, StartVirtualProcessor */
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl, reserved[3];
    struct hv_vp_context context;
};

struct hv_apic_id_input { /* GetVpIndexFromApicId; ids follow */
    uint64_t partition;
    uint8_t vtl, reserved[7];
};

struct hv_translate_input {
    uint64_t partition;
    uint32_t vp, reserved;
    uint64_t flags, gva_page;
};
#define HV_TRANSLATE_READ 0x1ull
#define HV_TRANSLATE_WRITE 0x2ull
#define HV_TRANSLATE_EXECUTE 0x4ull
#define HV_TRANSLATE_PRIVILEGE_EXEMPT 0x8ull
enum hv_translate_result {
    HV_TRANSLATE_OK,
    HV_TRANSLATE_NOT_PRESENT,
    HV_TRANSLATE_PRIVILEGE,
    HV_TRANSLATE_RESERVED_BITS,
    HV_TRANSLATE_UNMAPPED,
};
#define HV_TRANSLATE_OVERLAY 0x100u /* in cache_overlay */
struct hv_translate_output {
    uint32_t result;
    uint32_t cache_overlay;
    uint64_t gpa_page;
};

struct hv_gpa_input { /* ReadGpa; WriteGpa: data follow */
    uint64_t partition;
    uint32_t vp, count;
    uint64_t gpa, control;
    uint8_t data[16];
};
struct hv_read_gpa_output {
    uint64_t result;
    uint8_t data[16];
};
#define HV_GPA_OK 0u
#define HV_GPA_UNMAPPED 1u

struct hv_assert_input {
    uint64_t partition;
    uint64_t control; /* 31:0 type, 32 level, 33 logical */
    uint64_t destination;
    uint32_t vector;
    uint8_t vtl, reserved[3];
};

struct hv_protection_input { /* ModifyVtlProtectionMask */
    uint64_t partition;
    uint32_t flags;
    uint8_t vtl, reserved[3];
};

struct hv_port_info {
    uint32_t kind, reserved;
    uint32_t sint, vp;
    uint16_t flag_base, flag_count;
    uint32_t reserved2;
};
_Static_assert(sizeof(struct hv_port_info) == 24, "port information");

struct hv_create_port_input {
    uint64_t owner;
    uint32_t port;
    uint8_t vtl, minimum_vtl;
    uint16_t reserved;
    uint64_t sender;
    struct hv_port_info info;
    uint64_t proximity[2];
};
_Static_assert(sizeof(struct hv_create_port_input) == 64, "CreatePort");

struct hv_connect_port_input {
    uint64_t sender;
    uint32_t connection;
    uint8_t vtl, reserved0[3];
    uint64_t owner;
    uint32_t port, reserved1;
    uint32_t kind, reserved2;
    uint64_t info[3];
    uint64_t proximity[2];
};
_Static_assert(sizeof(struct hv_connect_port_input) == 80, "ConnectPort");

struct hv_port_input { /* DeletePort, DisconnectPort */
    uint64_t partition;
    uint32_t id, reserved;
};

struct hv_post_input {
    uint32_t connection, reserved, type, size;
    uint8_t payload[HV_MESSAGE_PAYLOAD];
};

struct hv_signal_input {
    uint32_t connection;
    uint16_t flag, reserved;
};

struct hv_port_property_input {
    uint64_t partition;
    uint32_t port, reserved0;
    uint32_t code, reserved1;
    uint64_t value; /* Set only */
};
#define HV_PORT_POST_COUNT 0u
#define HV_PORT_TARGET_VP 1u

struct hv_signal_direct_input {
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl, sint;
    uint16_t flag;
};

struct hv_post_direct_input {
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl, reserved0[3];
    uint8_t sint, reserved1[3];
    uint8_t message[256]; /* struct hv_message, four bytes off its alignment */
    uint32_t reserved2;
};
_Static_assert(sizeof(struct hv_post_direct_input) == 280, "PostMessageDirect");

struct hv_flush_input {
    uint64_t space, flags, vps;
};
#define HV_FLUSH_ALL_VPS 1ull
#define HV_FLUSH_KNOWN 0xfull

/* A set of VPs; a bank of 64 for each bit of `valid` follows as the variable header. */
struct hv_vp_set {
    uint64_t format, valid;
};
#define HV_VP_SET_SPARSE 0u
#define HV_VP_SET_ALL 1u

struct hv_flush_set_input {
    uint64_t space, flags;
    struct hv_vp_set set;
};

struct hv_ipi_set_input {
    uint32_t vector;
    uint8_t vtl, reserved[3];
    struct hv_vp_set set;
};

struct hv_sparse_input { /* MapSparseGpaPages; pairs follow */
    uint64_t partition;
    uint32_t flags, reserved;
};
struct hv_sparse_page {
    uint64_t target, source;
};

struct hv_ipi_input {
    uint32_t vector;
    uint8_t vtl, reserved[3];
    uint64_t vps;
};

#endif
