/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's messages to its broker (spawner/tell.c), which the test plays:
 * its table, its link, and the other end of that.
 */
#ifndef SPAWNER_TOLD_H
#define SPAWNER_TOLD_H

#define PART_HAS_BROKER
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

int orders_take_one(void)
{
    return 0;
}

static int config_error;

int config_for_broker(spawn_writer *w, int *fds, unsigned *ret_count)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    static char path[4000]; /* more than a small piece of memory */
    const uint64_t role = SPAWN_FD_INBOX;
    size_t mark;

    *ret_count = 0;
    spawn_writer_begin(w, SPAWN_M_CONFIGURE, 0);
    if (config_error)
        return config_error;
    memset(path, '/', sizeof(path) - 1);
    fds[0] = spawner.fds[SPAWN_FD_INBOX];
    *ret_count = 1;
    spawn_put_str(w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_bytes(w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_u64v(w, SPAWN_A_FD_ROLES, &role, 1);
    mark = spawn_open_nest(w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(w, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(w, SPAWN_A_MAX_QUEUED, 10);
    spawn_close(w, mark);
    spawn_put_str(w, SPAWN_A_STORE_PATH, path);
    spawn_put_str(w, SPAWN_A_SOCKET_PATH, "/s");
    return spawn_writer_finish(w, 1);
}

#include "spawner/table.c"
#include "spawner/template_note.c"
#include "spawner/template_word.c"
#include "spawner/tell.c"
#include "spawner/broker.c"
#include "t/unit/spawner_internal.h"

static inline void tell_nothing(void)
{
    memset(&spawner.tell, 0, sizeof(spawner.tell));
    spawner.tell.cursor = 1;
    spawner.tell.held_cursor = NULL;
}

static int broker = -1; /* its end */

static inline int start(void **state)
{
    int ends[2];

    (void)state;
    no_state();
    tell_nothing();
    config_error = 0;
    make_pair(ends);
    spawner.link = ends[0];
    broker = ends[1];
    spawner.fds[SPAWN_FD_INBOX] = spawn_os_memfd("inbox");
    spawner.fds[SPAWN_FD_LISTEN] = spawn_os_memfd("listening");
    return table_init();
}

static inline int stop(void **state)
{
    (void)state;
    while (held_first())
        held_remove(&held_first()->id);
    spawn_packet_close(&part_packet);
    memset(&part_packet, 0, sizeof(part_packet));
    spawn_close_fds(&spawner.link, 1);
    spawn_close_fds(&broker, 1);
    spawn_close_fds(&spawner.fds[SPAWN_FD_INBOX], 1);
    spawn_close_fds(&spawner.fds[SPAWN_FD_LISTEN], 1);
    return 0;
}

/* ---- playing the broker ---- */

static inline spawn_id id_of(uint8_t n)
{
    spawn_id id = {{n, 1}};

    return id;
}

static inline job *have(uint8_t n, job_state state)
{
    spawn_id id = id_of(n);
    job *j = table_add(&id);

    j->state = (uint8_t)state;
    j->pid = 100 + n;
    return j;
}

static inline bool told(unsigned type)
{
    return comes(broker, SPAWN_FROM_SPAWNER, type);
}

static inline bool told_of(unsigned type, uint8_t n)
{
    spawn_id id, wanted = id_of(n);

    if (!told(type) || !spawn_has(&got, SPAWN_A_ID))
        return false;
    spawn_attr_id(&got.attr[SPAWN_A_ID], &id);
    return spawn_id_equal(&id, &wanted);
}

static inline uint64_t number_of(unsigned attr)
{
    return spawn_u64_or(&got, attr, 999999);
}

#define expect_told(type)                                                      \
    do {                                                                       \
        assert_true(tell_flush());                                             \
        assert_true(told(type));                                               \
        expect_quiet(broker);                                                  \
    } while (0)

#endif
