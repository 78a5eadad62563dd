/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small answerer of key-value pairs in a stock Linux child: registers with the kernel's hv_kvp, hands two pairs of its own over when they are asked
 * for one by one, and prints what it is told to keep. Left out: everything else that hv_kvp_daemon does; refused. */
#include <fcntl.h>
#include <linux/hyperv.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void enumerate(struct hv_kvp_msg *m, unsigned pool, const char *release)
{
    const char *const pairs[2][2] = {{"Name", "an enlightened child"}, {"OSVersion", release}};
    __u32 index = pool == KVP_POOL_AUTO ? m->body.kvp_enum_data.index : 2;
    struct hv_kvp_exchg_msg_value *v = &m->body.kvp_enum_data.data;
    m->error = (int)(index < 2 ? HV_S_OK : HV_S_CONT);
    if (index < 2) {
        v->value_type = REG_SZ;
        snprintf((char *)v->key, sizeof v->key, "%s", pairs[index][0]);
        snprintf((char *)v->value, sizeof v->value, "%s", pairs[index][1]);
        v->key_size = (__u32)strlen((char *)v->key) + 1;
        v->value_size = (__u32)strlen((char *)v->value) + 1;
    }
}

int main(void)
{
    static struct hv_kvp_msg m;
    struct utsname u;
    int device = open("/dev/vmbus/hv_kvp", O_RDWR);
    uname(&u);
    m.kvp_hdr.operation = KVP_OP_REGISTER1;
    if (device < 0 || write(device, &m, sizeof m) != sizeof m) {
        printf("@@ KVP there is none\n");
        return 1;
    }
    while (read(device, &m, sizeof m) == sizeof m) {
        const struct hv_kvp_exchg_msg_value *v = &m.body.kvp_set.data;
        const struct hv_kvp_hdr asked = m.kvp_hdr; /* the answer lies over it */
        switch (asked.operation) {
        case KVP_OP_REGISTER1:
            printf("@@ KVP registered, version %s\n", m.body.kvp_register.version);
            break;
        case KVP_OP_ENUMERATE:
            enumerate(&m, asked.pool, u.release);
            break;
        case KVP_OP_SET:
            m.error = HV_S_OK;
            break;
        default:
            m.error = (int)HV_E_FAIL;
        }
        if (asked.operation != KVP_OP_REGISTER1 && write(device, &m, sizeof m) != sizeof m) {
            return 1;
        }
        if (asked.operation == KVP_OP_SET) { /* said when the host has its answer */
            printf("@@ KVP pool %u: %.512s is %.2048s\n", asked.pool, v->key, v->value);
        }
        fflush(stdout);
    }
    return 1;
}
