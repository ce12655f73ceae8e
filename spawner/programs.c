/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are the programs that run those that are installed? Another build may have
 * the same release: a package with a correction, or what a developer has built.
 * So files are compared: installing makes a new one, and the one that is
 * executed keeps its number as long as it is. Runs in the spawner only. A file
 * that cannot be compared counts as the same: then the release decides
 * (parent.c).
 */
#include <sys/stat.h>

#include "spawner/spawner.h"

static bool other_file(int fd, const struct stat *running)
{
    struct stat installed;

    return fstat(fd, &installed) == 0 && S_ISREG(installed.st_mode)
           && (installed.st_ino != running->st_ino
               || installed.st_dev != running->st_dev);
}

void programs_note_broker(void)
{
    struct stat s;
    bool known = fstat(spawner.fds[SPAWN_FD_BROKER_BIN], &s) == 0;

    spawner.broker_file = known ? s.st_ino : 0;
    spawner.broker_device = known ? s.st_dev : 0;
}

bool programs_replaced(void)
{
    struct stat own, broker = {.st_ino = spawner.broker_file,
                               .st_dev = spawner.broker_device};

    if (stat("/proc/self/exe", &own) == 0
        && other_file(spawner.fds[SPAWN_FD_SPAWNER_BIN], &own))
        return true;
    return spawner.broker_file
           && other_file(spawner.fds[SPAWN_FD_BROKER_BIN], &broker);
}
