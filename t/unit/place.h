/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the directories of tests are. Durable jobs want a disk, and /tmp is in
 * memory on many machines. Below t/run they are in its own, TEST_PLACE, which
 * it removes, since a test that is killed removes nothing. And their end: a
 * test that fails does not come to the line that removes its own.
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/magic.h>
#include <sys/vfs.h>

/* For mkdtemp; room for 40 bytes. */
static inline void place_of_tests(char *ret)
{
    const char *of_run = getenv("TEST_PLACE");
    struct statfs fs;
    int in_memory = statfs("/tmp", &fs) == 0 && fs.f_type == TMPFS_MAGIC;

    if (!of_run || strlen(of_run) > 20)
        of_run = in_memory ? "/var/tmp" : "/tmp";
    (void)snprintf(ret, 40, "%s/broker-test-XXXXXX", of_run);
}

#define GOING 64

static char going[GOING][128];
static unsigned going_count;
static pid_t going_of;

static inline void remove_going(void)
{
    char command[160];

    if (getpid() != going_of) /* a child that exits has not made them */
        return;
    while (going_count > 0) {
        const char *its_place = going[--going_count];

        if (access(its_place, F_OK) < 0)
            continue;
        (void)snprintf(command, sizeof(command), "rm -rf %s", its_place);
        if (system(command))
            (void)fprintf(stderr, "%s stays\n", its_place);
    }
}

/* When this program ends it is removed, if it is still there. */
static inline void goes_at_exit(const char *its_place)
{
    unsigned i = going_count;

    if (going_of != getpid()) {
        going_of = getpid();
        going_count = i = 0;
        (void)atexit(remove_going);
    }
    while (i > 0 && access(going[i - 1], F_OK) < 0)
        i--;
    if (i < GOING)
        (void)snprintf(going[i++], sizeof(going[0]), "%s", its_place);
    going_count = i;
}

#endif
