/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots of the inbox, and the jobs that have them. Time stands still, as in
 * broker_unstored.c. The protocol of broker_found.h.
 */
#ifndef BROKER_SLOTTED_H
#define BROKER_SLOTTED_H

#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

#include "broker/caller/inbox.h"

#define MARK_AT  5 /* of a message in a slot: it is launched */
#define NO_EVENT 200

static spawn_id template;
static worker the_worker;

/* ---- slots ---- */

static inline bool is_full(unsigned slot)
{
    static const uint8_t zeros[SPAWN_WIRE_HEADER];
    uint8_t head[SPAWN_WIRE_HEADER];

    assert_int_equal(
        pread(inbox_fd, head, sizeof(head), (off_t)slot * SLOT_SIZE),
        sizeof(head));
    return memcmp(head, zeros, sizeof(head)) != 0;
}

static inline bool is_marked(unsigned slot)
{
    uint8_t mark;

    assert_int_equal(
        pread(inbox_fd, &mark, 1, (off_t)slot * SLOT_SIZE + MARK_AT), 1);
    return mark != 0;
}

static inline spawn_inbox_note *note_of(uint8_t *map)
{
    return (spawn_inbox_note *)(void *)(map + SLOT_SIZE
                                        - sizeof(spawn_packet_control)
                                        - sizeof(spawn_inbox_note));
}

/* ---- jobs ---- */

static inline void begins(void)
{
    make_inbox();
    reach_go_and_call_in();
    time_stands();
}

static inline void submit_program(spawn_reply reply)
{
    spawn_writer w;

    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static inline void begin_call(spawn_writer *w, uint16_t type, const char *args)
{
    begin(w, type, &job);
    spawn_put_str(w, SPAWN_A_FUNCTION, "My::f");
    if (args)
        spawn_put_bytes(w, SPAWN_A_ARGS, args, strlen(args));
    spawn_put_str(w, SPAWN_A_LABEL, "a call");
}

static inline void submit_call(const char *args)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_SUBMIT, args);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
}

static inline void post_call(void)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_POST, NULL);
    send_post(&w);
}

static inline void a_call_runs(const char *args)
{
    (void)spawn_id_make(&job);
    submit_call(args);
    expect_call(&the_worker, &job);
    comes_to_rest();
}

static inline void returns_and_is_told(void)
{
    worker_returns(&the_worker, &job);
    expect_answer(SPAWN_M_JOB);
}

static inline void post_to(const char *queue)
{
    spawn_id id;
    spawn_writer w;

    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    send_post(&w);
}

static inline void get(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
}

#endif
