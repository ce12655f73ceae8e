/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker with workers: this program plays spawner, template, worker and
 * caller, so that each message comes when the test wants it.
 */
#ifndef BROKER_CALLS_H
#define BROKER_CALLS_H

#include "common/spawn_slate.h"
#include "t/unit/broker_caller.h"

typedef struct {
    spawn_id id;
    int link;
    int kept[4]; /* board, the broker's end of the link, ticket, stderr */
} worker;

/* ---- workers ---- */

/* Its order has come. */
static inline void take_worker(worker *ret)
{
    static const int kept[] = {2, 3, 4, 5};
    int i;

    assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_WORKER));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &ret->id);
    assert_int_equal(packet.fds_count, 6);
    ret->link = packet.fds[1];
    packet.fds[1] = -1;
    for (i = 0; i < 4; i++) {
        ret->kept[i] = packet.fds[kept[i]];
        packet.fds[kept[i]] = -1;
    }
}

/* It is ordered, and nothing is said of it. */
static inline void worker_ordered(worker *ret)
{
    expect(SPAWN_M_LAUNCH);
    take_worker(ret);
}

static inline void worker_starts(worker *ret)
{
    worker_ordered(ret);
    say_started(&ret->id);
}

/* In the place of getting ready. */
static inline void says_it_cannot(const worker *w)
{
    uint8_t room[128];
    spawn_writer said;

    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, SPAWN_M_RETURNED, 0);
    spawn_put_u64(&said, SPAWN_A_CODE, SPAWN_E_START_FAILED);
    spawn_put_str(&said, SPAWN_A_TEXT, "no such luck");
    (void)spawn_writer_finish(&said, 0);
    assert_int_equal(
        spawn_packet_send(w->link, said.data, said.length, NULL, 0), 0);
}

/* call NULL: it is ready. */
static inline int say_with(const worker *w, const spawn_id *call, uint32_t seq)
{
    uint8_t room[128];
    spawn_writer said;

    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, SPAWN_M_RETURNED, seq);
    if (call)
        spawn_put_id(&said, SPAWN_A_ID, call);
    else
        spawn_put_u64(&said, SPAWN_A_CODE, SPAWN_E_OK);
    (void)spawn_writer_finish(&said, 0);
    return spawn_packet_send(w->link, said.data, said.length, NULL, 0);
}

static inline int try_to_say(const worker *w, const spawn_id *call)
{
    return say_with(w, call, call ? 0 : SPAWN_SLATE_FORM);
}

/* It is ready, and of a release that knows no leases. */
static inline void older_worker_says(const worker *w)
{
    assert_int_equal(say_with(w, NULL, 0), 0);
}

static inline void worker_says(const worker *w, const spawn_id *call)
{
    assert_int_equal(try_to_say(w, call), 0);
}

static inline void worker_returns(const worker *w, const spawn_id *call)
{
    spawn_board *board = spawn_board_map(w->kept[0]);

    assert_non_null(board);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    worker_says(w, call);
}

static inline void expect_call(const worker *w, const spawn_id *id)
{
    spawn_id got;

    assert_int_equal(receive_at(w->link, SPAWN_FROM_BROKER_TO_SPAWNER), 1);
    assert_int_equal(message.header.type, SPAWN_M_CALL);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    assert_true(spawn_id_equal(&got, id));
}

/* It reads the end of its calls. */
static inline void expect_no_more(const worker *w)
{
    assert_int_equal(receive_at(w->link, SPAWN_FROM_BROKER_TO_SPAWNER), 0);
}

static inline void begin_running_worker(spawn_writer *said, const worker *w)
{
    static const uint64_t keep[] = {
        0, SPAWN_KEEP_BOARD,  1, SPAWN_KEEP_WORKER,
        2, SPAWN_KEEP_TICKET, 3, SPAWN_KEEP_ERR_PIPE};

    begin(said, SPAWN_M_RUNNING, &w->id);
    spawn_put_u64(said, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(said, SPAWN_A_PID, 4000000);
    spawn_put_u64(said, SPAWN_A_IS_WORKER, 1);
    spawn_put_u64v(said, SPAWN_A_KEEP, keep, 8);
}

static inline void say_running_worker(const worker *w)
{
    spawn_writer said;

    begin_running_worker(&said, w);
    send_fds(&said, w->kept, 4);
}

/* ---- calls ---- */

static inline void submit(spawn_id *ret, spawn_reply reply)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin(&w, SPAWN_M_SUBMIT, ret);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

/* The same, as its caller does that got no answer. */
static inline void call_again(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_SUBMIT, id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
}

static inline void answers(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_TEMPLATES, NULL);
    ask(&w);
    do {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    } while (message.header.type == SPAWN_M_PROCESS);
    assert_int_equal(message.header.type, SPAWN_M_END);
}

/* It answers, and has heard what was said before this. */
static inline void is_there(void)
{
    answers();
    comes_to_rest();
}

/* Jobs that it stores a moment later are stored: at rest it has set the timer.
 */
static inline void a_moment_passes(void)
{
    comes_to_rest();
    (void)usleep(50000);
    is_there(); /* a turn whose timers have come */
    is_there();
}

/* ---- the broker ---- */

static inline void reach_workers(unsigned min, unsigned max, spawn_id *template)
{
    rules = "A";
    workers_min = min;
    workers_max = max;
    if (inbox_fd < 0)
        make_inbox(); /* of what is sent to a worker */
    reach_go();
    template_starts(template, true);
    call_in();
}

/* One worker, which waits for a call. */
static inline void reach_a_worker(worker *ret, spawn_id *template)
{
    reach_workers(1, 1, template);
    worker_starts(ret);
    worker_says(ret, NULL);
    is_there(); /* and it knows that */
}

static inline void say_running_app(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_RUNNING, id);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 2);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    send_fds(&w, NULL, 0);
}

/* But on its ticket: neither in the store nor in a slot. */
static inline void call_stands_nowhere_else(void)
{
    run_sql("DELETE FROM job");
    empty_inbox();
}

/* Another broker is told what there is. */
static inline void start_another(const worker *w, const spawn_id *template)
{
    start_broker();
    say_running_app(template);
    say_running_worker(w);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

#endif
