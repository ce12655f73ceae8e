/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short look before a sleep: spawn_spin.h. Runs in callers and workers. Must
 * not go on looking where that has not helped.
 */
#include "common/spawn_spin.h"

#include <poll.h>

#include "common/spawn_os.h"

bool spawn_spin_look(spawn_spin *spin, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t until;

    if (spin->skip > 0) {
        spin->skip--;
        return false;
    }
    until = spawn_mono_us() + SPAWN_SPIN_US;
    do {
        if (poll(&p, 1, 0) > 0) {
            spin->vain = 0;
            return true;
        }
    } while (spawn_mono_us() < until);
    spin->vain = spin->vain < 127 ? (uint8_t)(2 * spin->vain + 1) : 255;
    spin->skip = spin->vain;
    return false;
}
