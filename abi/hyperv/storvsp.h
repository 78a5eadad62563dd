/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Synthetic SCSI over VMBus: packets of the storage provider. Read from Linux (drivers/scsi/storvsc_drv.c) and OpenVMM (storvsp_protocol). */
#ifndef ABI_HYPERV_STORVSP_H
#define ABI_HYPERV_STORVSP_H

#include <stdint.h>

/* ba6163d9-04a1-4d29-b605-72e2ffb1dc7f */
#define STORVSP_INTERFACE                                                                                    \
    {{0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f}}

enum storvsp_operation {
    STORVSP_COMPLETE_IO = 1,
    STORVSP_REMOVE_DEVICE = 2,
    STORVSP_EXECUTE_SRB = 3,
    STORVSP_RESET_LUN = 4,
    STORVSP_RESET_ADAPTER = 5,
    STORVSP_RESET_BUS = 6,
    STORVSP_BEGIN_INITIALIZATION = 7,
    STORVSP_END_INITIALIZATION = 8,
    STORVSP_QUERY_PROTOCOL_VERSION = 9,
    STORVSP_QUERY_PROPERTIES = 10,
    STORVSP_ENUMERATE_BUS = 11,
    STORVSP_CREATE_SUB_CHANNELS = 13,
};

#define STORVSP_VERSION_WIN8 0x0501u
#define STORVSP_VERSION_WIN8_1 0x0600u
#define STORVSP_VERSION_WIN10 0x0602u
#define STORVSP_MULTICHANNEL 1u
#define STORVSP_STATUS_FAILED 0xc0000001u

struct storvsp_srb {
    uint16_t length;
    uint8_t srb_status, scsi_status, port, path, target, lun, cdb_length, sense_length, direction, reserved0;
    uint32_t bytes;
    uint8_t cdb[20]; /* 16 used; in the answer the sense data */
    uint16_t reserved1;
    uint8_t queue_tag, queue_action;
    uint32_t flags, timeout, sort_key;
};
_Static_assert(sizeof(struct storvsp_srb) == 52, "SRB");
#define STORVSP_WRITE 0u
#define STORVSP_READ 1u
#define STORVSP_NO_DATA 2u
#define STORVSP_SENSE_BYTES 20u

struct storvsp_properties {
    uint32_t reserved0;
    uint16_t max_subchannels, reserved1;
    uint32_t flags, max_transfer;
    uint64_t reserved2;
};

struct storvsp_packet {
    uint32_t operation, flags, status;
    union {
        struct storvsp_srb srb;
        struct {
            uint16_t version, revision;
        } version;
        uint8_t properties[24]; /* struct storvsp_properties, 4 bytes off its alignment */
        uint16_t subchannels;
        uint8_t bytes[52];
    };
};
_Static_assert(sizeof(struct storvsp_packet) == 64, "storvsp packet");

#define SRB_SUCCESS 0x01u
#define SRB_ABORTED 0x02u
#define SRB_ERROR 0x04u
#define SRB_INVALID_REQUEST 0x06u
#define SRB_DATA_OVERRUN 0x12u
#define SRB_INVALID_LUN 0x20u
#define SRB_SENSE_VALID 0x80u

#endif
