/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker whose store is on a small disk, which others can fill; only root
 * mounts one. For unit tests.
 */
#ifndef BROKER_DISK_H
#define BROKER_DISK_H

#include "t/unit/broker_clock.h"

#include <sched.h>
#include <sys/mount.h>

static const char *disk_size = "4m";

static inline int set_up_disk(void **state)
{
    char options[40];

    (void)snprintf(options, sizeof(options), "size=%s,mode=0700", disk_size);
    if (set_up_clock(state)
        || mount("spawn-test", dir, "tmpfs", 0, options) < 0)
        return -1;
    (void)snprintf(listen_path, sizeof(listen_path), "%s/spool", dir);
    return mkdir(listen_path, 0700);
}

static inline int tear_down_disk(void **state)
{
    if (broker > 0) {
        (void)kill(broker, SIGKILL); /* our child, not yet reaped */
        (void)waitpid(broker, NULL, 0);
        broker = 0;
    }
    (void)umount2(dir, MNT_DETACH);
    return tear_down_clock(state);
}

/* This program has mounts of its own, which go with it. */
static inline bool no_small_disk(void)
{
    if (unshare(CLONE_NEWNS) == 0
        && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return false;
    (void)puts("1..0 # SKIP only root mounts a small disk");
    return true;
}

static inline void fill_disk(void)
{
    static const uint8_t bytes[4096];
    char path[80];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/filler", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, bytes, sizeof(bytes)) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    (void)close(fd);
}

static inline void leave_room(off_t bytes)
{
    char path[80];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/filler", dir);
    assert_int_equal(stat(path, &st), 0);
    bytes = bytes < st.st_size ? st.st_size - bytes : 0;
    assert_int_equal(truncate(path, bytes), 0);
}

static inline void empty_disk(void)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "%s/filler", dir);
    assert_int_equal(unlink(path), 0);
}

#endif
