/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WATCH is answered when a job is no more as the caller has seen it: when its
 * state changes, or what it says of its progress; at once when that has
 * happened, or it has ended. Only so many watch. The protocol of
 * broker_caller.h.
 */
#include "common/spawn_seen.h"
#include "t/unit/broker_caller.h"

#define LONG_MS 600000

static spawn_id job; /* of the test */
static uint64_t seen;

static void watch_at_most(uint64_t wait_ms, uint64_t most)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WATCH, &job);
    spawn_put_u64(&w, SPAWN_A_SEEN, seen);
    spawn_put_u64(&w, SPAWN_A_WAIT_MS, wait_ms);
    if (most)
        spawn_put_u64(&w, SPAWN_A_WATCHERS, most);
    ask(&w);
}

static void watch(uint64_t wait_ms)
{
    watch_at_most(wait_ms, 0);
}

static void is_told(spawn_state state)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]), state);
    assert_true(spawn_seen_of(&message) != seen);
    seen = spawn_seen_of(&message);
}

/* As it is now. */
static void look(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    seen = spawn_seen_of(&message);
}

/* It answers, and nothing that was asked before, though it has looked some
 * times. */
static void nothing_is_told(void)
{
    spawn_writer w;
    spawn_id nobody;

    (void)poll(NULL, 0, 700);
    (void)spawn_id_make(&nobody);
    begin(&w, SPAWN_M_GET, &nobody);
    ask(&w);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

static void a_job_begins(void)
{
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void a_change_of_its_state_is_told(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_job_begins();
    look();
    watch(LONG_MS);
    nothing_is_told();
    say_started(&job);
    is_told(SPAWN_STATE_RUNNING);
    watch(LONG_MS);
    nothing_is_told();
    say_exited(&job, 0, 0);
    is_told(SPAWN_STATE_DONE);
    watch(LONG_MS); /* it has ended: at once */
    expect_answer(SPAWN_M_JOB);
}

static void what_it_says_is_told(void **state)
{
    spawn_board *board;
    spawn_id template;
    spawn_writer w;

    (void)state;
    reach_a_template(&template);
    begin_function(&w, &job);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(&job, &template);
    board = spawn_board_map(packet.fds[place_of(SPAWN_KEEP_BOARD)]);
    assert_non_null(board);
    say_started(&job);
    look();
    watch(LONG_MS);
    spawn_board_put_progress(board, "1", "2", "half");
    is_told(SPAWN_STATE_RUNNING);
    assert_string_equal(spawn_strv_next(&message.attr[SPAWN_A_PROGRESS], NULL),
                        "1");
    watch(LONG_MS);
    nothing_is_told();
    spawn_board_put_progress(board, "1", "2", "half"); /* again */
    nothing_is_told();
    spawn_board_put_progress(board, "2", "2", "half");
    is_told(SPAWN_STATE_RUNNING);
    seen++; /* not what it is */
    watch(LONG_MS);
    expect_answer(SPAWN_M_JOB);
}

static void it_has_an_end(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_job_begins();
    look();
    watch(1);
    expect_refusal(SPAWN_E_TIMED_OUT);
    assert_int_equal(message.header.type, SPAWN_M_REFUSED);
    (void)spawn_id_make(&job);
    watch(LONG_MS);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

/* All callers together; one that leaves makes room. */
static void so_many_may_watch(void **state)
{
    int first, i;

    (void)state;
    reach_go_and_call_in();
    a_job_begins();
    look();
    watch_at_most(LONG_MS, 2);
    first = caller;
    call_in();
    watch_at_most(LONG_MS, 2);
    watch_at_most(LONG_MS, 2);
    expect_refusal(SPAWN_E_QUEUE_FULL);
    (void)close(first);
    nothing_is_told();
    watch_at_most(LONG_MS, 2);
    nothing_is_told();
    for (i = 2; i < 64; i++)
        watch(LONG_MS);
    watch(LONG_MS);
    expect_refusal(SPAWN_E_INVALID); /* of one connection */
    say_started(&job);
    for (i = 0; i < 64; i++) {
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                         SPAWN_STATE_RUNNING);
    }
}

/* A caller that watches a job with news all the time waits, too, and counts. */
static void who_watches_what_has_changed_is_counted(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_job_begins();
    look();
    watch_at_most(LONG_MS, 1);
    nothing_is_told();
    seen++; /* not what it is */
    watch_at_most(LONG_MS, 1);
    expect_refusal(SPAWN_E_QUEUE_FULL);
    watch_at_most(LONG_MS, 2);
    expect_answer(SPAWN_M_JOB);
    watch_at_most(LONG_MS, 2); /* which made room */
    expect_answer(SPAWN_M_JOB);
}

/* It is written down for nobody, and nobody's failure is kept from the log. */
static void who_watches_and_leaves_is_forgotten(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_job_begins();
    look();
    watch(LONG_MS);
    (void)close(caller);
    call_in();
    nothing_is_told();
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    look();
    nothing_is_told();
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(a_change_of_its_state_is_told),
        ALONE(what_it_says_is_told),
        ALONE(it_has_an_end),
        ALONE(so_many_may_watch),
        ALONE(who_watches_what_has_changed_is_counted),
        ALONE(who_watches_and_leaves_is_forgotten)};

    find_broker();
    return cmocka_run_group_tests_name("broker watch", tests, NULL, NULL);
}
