/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each attempt begins anew: what was told of the one before it, who ended it,
 * where it ran and what it wrote is nothing of the next. The protocol of
 * broker_retried.h.
 */
#include "t/unit/broker_retried.h"

static const uint64_t no_pause[] = {SPAWN_BACKOFF_FIXED, 0};
static const uint64_t hour[] = {SPAWN_BACKOFF_FIXED, 3600000};

static void look(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

/* ---- what is promised ---- */

static void nothing_is_told_of_the_one_before(void **state)
{
    static const uint16_t attrs[] = {
        SPAWN_A_PID,     SPAWN_A_STARTED_AT, SPAWN_A_ENDED_AT,
        SPAWN_A_OUTCOME, SPAWN_A_EXIT_CODE,  SPAWN_A_ELAPSED,
        SPAWN_A_DEAD,    SPAWN_A_TEXT,       SPAWN_A_OUT};
    spawn_writer w;
    unsigned i, k;

    (void)state;
    begins();
    begin_program(&w, 1, hour, 2);
    is_submitted(&w);
    say_started(&job);
    fails_and_waits(1);
    for (i = 0; i < 2; i++) {
        look();
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
        for (k = 0; k < sizeof(attrs) / sizeof(attrs[0]); k++) {
            if (spawn_has(&message, attrs[k]))
                fail_msg("%s", spawn_attr_name(attrs[k]));
        }
        time_moves(3600000);
        has_heard();
        if (i == 0)
            expect_attempt(2); /* and has not begun */
    }
}

/* It was no wish to end it. */
static void a_signal_is_none_of_the_next(void **state)
{
    spawn_writer w;

    (void)state;
    begins();
    begin_program(&w, 1, no_pause, 2);
    is_submitted(&w);
    say_started(&job);
    kill_it(SIGUSR1);
    expect_signal(SIGUSR1);
    expect_answer(SPAWN_M_DONE);
    fails_and_waits(1);
    expect_attempt(2);
    has_heard();
    kill_broker();
    expect_sql("SELECT attempt || ' ' || cancel FROM job", "2 0");
}

/* The broker watches the group of one that it had sent TERM. */
static void its_group_is_none_of_the_next(void **state)
{
    static const uint64_t timeout[] = {SPAWN_RETRY_ON_TIMEOUT};
    spawn_writer w;
    unsigned i;

    (void)state;
    ONLY_ROOT_LOOKS;
    begins();
    begin_program(&w, 1, no_pause, 2);
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 1000);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, timeout, 1);
    is_submitted(&w);
    for (i = 1; i <= 2; i++) {
        child_runs(CHILD_OBEYS);
        begin(&w, SPAWN_M_STARTED, &job);
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
        spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
        send_fds(&w, NULL, 0);
        has_heard();
        assert_int_equal(has_open("pidfd"), 0);
        time_moves(1100);
        has_heard();
        expect_signal(SIGTERM);
        assert_int_equal(has_open("pidfd"), 1);
        child_ends();
        attempt_ends(i, SIGTERM);
        is_forgotten();
        if (i == 1)
            expect_attempt(2);
    }
    has_heard();
    assert_int_equal(has_open("pidfd"), 0);
}

/* While it waits for the next attempt. */
static void what_it_wrote_is_not_kept(void **state)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_stdio out;
    spawn_writer w;
    int pipe;

    (void)state;
    ONLY_ROOT_LOOKS;
    begins();
    begin_program(&w, 1, hour, 2);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    is_submitted(&w);
    spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
    pipe = packet.fds[out.fd];
    packet.fds[out.fd] = -1;
    assert_int_equal(write(pipe, "first", 5), 5);
    (void)close(pipe);
    fails_and_waits(1);
    has_heard();
    assert_int_equal(has_open("spawn-stdout"), 0);
}

/* The first ran on without its spawner, and what it wrote is lost. */
static void one_whose_spawner_has_gone_is_none_of_the_next(void **state)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    spawn_stdio out;
    size_t mark;
    int pipe;

    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    (void)spawn_id_make(&job);
    begin_order(&w, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, no_pause, 2);
    put_order(&job, SPAWN_STATE_RUNNING, &w);
    run_sql("UPDATE job SET retries = 1");
    it_runs_as(child, child_started);
    another_spawner();
    reach_go_and_call_in();
    has_heard();
    assert_int_equal(kill(child, SIGKILL), 0); /* ours, not yet reaped */
    child_was_killed(SIGKILL);
    expect_attempt(2);
    spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
    pipe = packet.fds[out.fd];
    packet.fds[out.fd] = -1;
    assert_int_equal(write(pipe, "second", 6), 6);
    (void)close(pipe);
    say_started(&job);
    kill_it(SIGTERM);
    expect_signal(SIGTERM); /* by its spawner */
    expect_answer(SPAWN_M_DONE);
    attempt_ends(2, SIGTERM);
    expect_id(SPAWN_M_FORGET, &job);
    look();
    assert_int_equal(message.attr[SPAWN_A_OUT].length, 6);
    assert_memory_equal(message.attr[SPAWN_A_OUT].data, "second", 6);
    assert_false(spawn_has(&message, SPAWN_A_OUT_LOST));
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(nothing_is_told_of_the_one_before),
        ALONE(a_signal_is_none_of_the_next),
        ALONE(its_group_is_none_of_the_next),
        ALONE(what_it_wrote_is_not_kept),
        ALONE(one_whose_spawner_has_gone_is_none_of_the_next),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker retry anew", tests, NULL, NULL);
}
