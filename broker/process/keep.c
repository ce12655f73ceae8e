/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that the spawner keeps for a process. Runs in the broker. Must
 * take each of them once.
 */
#include "broker/process/keep.h"

int spawn_keep_take(const spawn_message *m, int *fds, spawn_keep_role role)
{
    const spawn_attr *keep = &m->attr[SPAWN_A_KEEP];
    uint32_t i;

    for (i = 0; i < spawn_u64v_count(keep); i += 2) {
        int *fd = &fds[spawn_u64v_at(keep, i)];

        if (spawn_u64v_at(keep, i + 1) == role) {
            int taken = *fd;

            *fd = -1;
            return taken;
        }
    }
    return -1;
}
