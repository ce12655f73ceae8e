/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that run before the store has them, each in every way in which one
 * can come. This program plays spawner and caller. The protocol of
 * broker_found.h.
 */
#ifndef BROKER_UNSTORED_H
#define BROKER_UNSTORED_H

#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

#define MARK_AT  5   /* of a message in a slot: it is launched */
#define NO_EVENT 200 /* ms */

static inline void begins(void)
{
    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
}

/* The next broker, without GO yet. */
static inline void comes_anew(void)
{
    kill_broker();
    start_broker();
}

static inline void submit_for(spawn_reply reply)
{
    spawn_writer w;

    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static inline void waits_for_its_end(void)
{
    (void)spawn_id_make(&job);
    submit_for(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static inline void is_accepted(void)
{
    (void)spawn_id_make(&job);
    submit_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static inline void is_posted(void)
{
    post(&job);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void (*const ways[])(void) = {waits_for_its_end, is_accepted, is_posted};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static inline void is_anew(void)
{
    assert_int_equal(tear_down_clock(NULL) || set_up_clock(NULL), 0);
}

static inline bool says_launched(void)
{
    uint8_t *map = slots();
    bool says = map[MARK_AT] != 0;

    (void)munmap(map, (size_t)SIZE);
    return says;
}

#endif
