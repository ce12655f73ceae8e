/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that are lent: this program plays spawner, template, worker and
 * caller.
 */
#ifndef BROKER_LEASED_H
#define BROKER_LEASED_H

#include "common/spawn_digest.h"
#include "common/spawn_slate.h"
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"

static int direct; /* the caller's end */
static int served; /* the worker's */
static uint64_t lease;
static spawn_slate *slate;
static spawn_board *board;
static unsigned timeout_ms; /* of calls that begin; 0: none */

/* It is a child of httpd. release NULL: it tells none. */
static inline void proves(const char *release)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    spawn_writer w;

    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    if (release)
        spawn_put_str(&w, SPAWN_A_RELEASE, release);
    ask(&w);
    expect_answer(SPAWN_M_WELCOME);
}

static inline void is_served(const worker *w)
{
    spawn_id id;

    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(w, &id);
    worker_returns(w, &id);
}

static inline void map_slate(const worker *w)
{
    board = spawn_board_map(w->kept[0]);
    assert_non_null(board);
    slate = spawn_board_slate(board);
}

/* After three calls, which come shortly after each other: time stands. */
static inline void is_lent(const worker *w)
{
    bool stands = steps[2] != 0;
    spawn_id id;
    int i;

    if (!stands)
        time_stands();
    for (i = 0; i < 2; i++) {
        is_served(w);
        expect_answer(SPAWN_M_JOB);
    }
    is_served(w);
    expect_answer(SPAWN_M_LEASE);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    assert_true(spawn_id_equal(&id, &w->id));
    assert_string_equal(spawn_attr_str(&message.attr[SPAWN_A_QUEUE]),
                        "default");
    assert_int_equal(packet.fds_count, 1);
    direct = packet.fds[0];
    packet.fds_count = 0;
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(receive_at(w->link, SPAWN_FROM_BROKER_TO_SPAWNER), 1);
    assert_int_equal(message.header.type, SPAWN_M_LEND);
    lease = spawn_attr_u64(&message.attr[SPAWN_A_SEQ]);
    assert_int_equal(packet.fds_count, 1);
    served = packet.fds[0];
    packet.fds_count = 0;
    map_slate(w);
    assert_int_equal(slate->lease, lease);
    if (!stands)
        time_goes_on();
}

/* The board has what it had. */
static inline void notes(spawn_id *ret, const char *queue)
{
    spawn_slate_call call;
    spawn_writer w;

    memset(&call, 0, sizeof(call));
    (void)spawn_id_make(ret);
    begin(&w, SPAWN_M_SUBMIT, ret);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    if (queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    if (timeout_ms)
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, timeout_ms);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    call.id = *ret;
    call.length = (uint32_t)(w.length - SPAWN_WIRE_HEADER);
    memcpy(call.order, w.data + SPAWN_WIRE_HEADER, call.length);
    call.digest = spawn_digest(call.order, call.length);
    call.started_at = spawn_wall_ms();
    call.mono_us = spawn_mono_us();
    spawn_writer_free(&w);
    assert_true(spawn_slate_begins(slate, &call));
}

static inline void begins(spawn_id *ret, const char *queue)
{
    spawn_board_clear(board);
    notes(ret, queue);
}

static inline void ends(unsigned kind)
{
    spawn_slate_call *call = spawn_slate_running(slate);

    assert_int_equal(spawn_board_put_result(board, kind, "value", 5), 0);
    call->kind = kind;
    call->ended_at = call->started_at;
    call->elapsed_us = 7777777; /* no other call takes that */
    call->usage[SPAWN_RU_UTIME_US] = 55;
    spawn_slate_ends(slate);
}

static inline void runs(unsigned kind)
{
    spawn_id id;

    begins(&id, NULL);
    ends(kind);
    spawn_slate_answered(slate);
}

static inline void tells(const worker *w, unsigned type, uint64_t which,
                         const spawn_id *last)
{
    uint8_t room[128];
    spawn_writer said;

    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, (uint16_t)type, 0);
    if (which)
        spawn_put_u64(&said, SPAWN_A_SEQ, which);
    if (last)
        spawn_put_id(&said, SPAWN_A_ID, last);
    (void)spawn_writer_finish(&said, 0);
    assert_int_equal(
        spawn_packet_send(w->link, said.data, said.length, NULL, 0), 0);
}

static inline void gives_back(const worker *w, const spawn_id *last)
{
    tells(w, SPAWN_M_GIVEN_BACK, lease, last);
}

static inline void expect_take_back(const worker *w)
{
    assert_int_equal(receive_at(w->link, SPAWN_FROM_BROKER_TO_SPAWNER), 1);
    assert_int_equal(message.header.type, SPAWN_M_TAKE_BACK);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SEQ]), lease);
    assert_true(spawn_slate_is_held(slate));
}

static inline void says_lost(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LEASE_LOST, id);
    ask(&w);
}

static inline void reach_lent(worker *w)
{
    spawn_id template;

    reach_workers(1, 1, &template);
    worker_starts(w);
    worker_says(w, NULL);
    proves(SPAWN_RELEASE);
    is_lent(w);
}

#endif
