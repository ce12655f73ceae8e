/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the directories of tests are. Durable jobs want a disk, and /tmp is in
 * memory on many machines.
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdio.h>
#include <linux/magic.h>
#include <sys/vfs.h>

/* For mkdtemp; room for 40 bytes. */
static inline void place_of_tests(char *ret)
{
    struct statfs fs;
    int in_memory = statfs("/tmp", &fs) == 0 && fs.f_type == TMPFS_MAGIC;

    (void)snprintf(ret, 40, "%s/broker-test-XXXXXX",
                   in_memory ? "/var/tmp" : "/tmp");
}

#endif
