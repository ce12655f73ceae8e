/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of callers on their way out. Runs in the broker, which must make
 * no call on them but to pass them on: any other could block.
 */
#include "broker/base/passed.h"

#include <unistd.h>

#include "common/spawn_closer.h"
#include "common/spawn_packet.h"

static uid_t by;

static void give(int fd)
{
    spawn_closer_give(fd, by);
}

void spawn_passed_begin(void)
{
    by = geteuid();
    spawn_packets_close_by(give);
}

void spawn_passed_by(uid_t uid)
{
    by = uid;
}

void spawn_passed_close(int *fds, unsigned count, uid_t uid)
{
    uid_t before = by;

    by = uid;
    spawn_close_passed(fds, count);
    by = before;
}

bool spawn_passed_too_many(uid_t uid)
{
    return spawn_closer_waiting(uid) >= SPAWN_CLOSER_MANY;
}
