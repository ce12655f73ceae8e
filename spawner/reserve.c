/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that are kept for a broker's start, however many jobs and handles
 * have the others: a pair without a broker serves nobody, until those have
 * ended. Runs in the spawner only.
 */
#include <fcntl.h>

#include "spawner/spawner.h"

void reserve_fill(void)
{
    unsigned i;

    for (i = 0; i < SPAWNER_RESERVE; i++) {
        if (spawner.reserve[i] <= 0) /* 0: there never was one */
            spawner.reserve[i] = fcntl(spawner.signals, F_DUPFD_CLOEXEC, 3);
    }
}

void reserve_use(void)
{
    unsigned i;

    for (i = 0; i < SPAWNER_RESERVE; i++) {
        if (spawner.reserve[i] > 0)
            spawn_close_fds(&spawner.reserve[i], 1);
    }
}
