/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner keeps a broker (spawner/broker.c): its orders, the clock and fork
 * are played.
 */
#ifndef SPAWNER_BROKERS_H
#define SPAWNER_BROKERS_H

#define PART_HAS_BROKER
#define PART_HAS_TABLE
#define PART_HAS_RESERVE
#define PART_HAS_PROGRAMS
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

/* The count of messages that the dead broker had sent. */
static int ordered;

static int its_end = -1;

int orders_take_one(void)
{
    if (its_end >= 0 && send(its_end, "x", 1, MSG_NOSIGNAL) >= 0)
        note("more can come");
    note("order");
    return ordered-- > 0;
}

int config_for_broker(spawn_writer *w, int *fds, unsigned *ret_count)
{
    (void)w;
    (void)fds;
    *ret_count = 0;
    return -EBADMSG;
}

static unsigned noted, used_up, filled; /* so often */
static bool filled_with_link;           /* the last time */

void programs_note_broker(void)
{
    noted++;
}

void reserve_use(void)
{
    used_up++;
}

void reserve_fill(void)
{
    filled++;
    filled_with_link = spawner.link >= 0;
}

/* Its own clock. */
static int64_t clock_ms = 1000000;
#define spawn_mono_ms() clock_ms

static int the_fork; /* 0: a real one, else what it returns */

static inline pid_t make_process(void)
{
    if (the_fork)
        errno = EAGAIN;
    return the_fork ? the_fork : fork();
}
#define fork() make_process()

static bool on_its_way_out;

static inline bool is_exiting(pid_t pid)
{
    note("look at %d", (int)pid);
    return on_its_way_out;
}
#define spawn_os_exiting(pid) is_exiting(pid)

#include "spawner/table.c"
#include "spawner/template_note.c"
#include "spawner/template_word.c"
#include "spawner/tell.c"
#include "spawner/broker.c"
#include "t/unit/spawner_internal.h"
#undef fork

static inline int start(void **state)
{
    (void)state;
    no_state();
    told_to_end = httpd_has_gone = false;
    spawner.job_as.groups_count = spawner.broker_as.groups_count = -1;
    spawner.fds[SPAWN_FD_BROKER_BIN] =
        open("/proc/self/exe", O_PATH | O_CLOEXEC);
    (void)strcpy(spawner.socket_path, "/its/socket");
    spawner.notify = -1;
    the_fork = 4242;
    ordered = 0;
    read_log();
    return table_init();
}

static inline int stop(void **state)
{
    (void)state;
    spawn_close_fds(&its_end, 1);
    spawn_close_fds(&spawner.link, 1);
    spawn_close_fds(&spawner.fds[SPAWN_FD_BROKER_BIN], 1);
    return 0;
}

#endif
