/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jobs ended that have no parent any more: what the kernel tells of it to
 * strangers, when it does; when they ended and how long they took; and what is
 * said of what cannot be known.
 */
#include "t/unit/broker_stepped.h"

#include "t/unit/broker_found.h"

#include "t/unit/corner.h"

#define TIMEOUT 100000 /* ms; the clock is stepped over it */

#define PIDFD_GET_INFO 0xc040ff0b /* _IOWR(0xff, 11, 64 bytes) */

static int64_t earliest,
    shortest; /* when it ended, how long it took, at least */

/* As on a kernel that is too old for it. */
static void nothing_is_told(void)
{
    deny_when(SYS_ioctl, 1, PIDFD_GET_INFO, ENOTTY);
}

static void it_can_end(void)
{
    earliest = spawn_wall_ms();
    shortest = spawn_boot_ms() - child_started;
    assert_true(shortest > 0);
}

/* The child is a job of a spawner that was killed; its broker follows it. */
static void it_is_followed(const char *function, uint64_t timeout)
{
    child_runs(CHILD_OBEYS);
    if (function) {
        (void)spawn_id_make(&job);
        put_job(&job, SPAWN_STATE_RUNNING, function);
    }
    else {
        put_program(SPAWN_STATE_RUNNING, timeout, 0, false);
    }
    it_runs_as(child, child_started);
    another_spawner();
    start_broker();
    go();
    call_in();
    it_can_end();
}

static void ask_for_its_end(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

static void its_end_is_told(void)
{
    ask_for_its_end();
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DONE);
    assert_in_range(spawn_u64_or(&message, SPAWN_A_ENDED_AT, 0), earliest,
                    spawn_wall_ms());
    assert_in_range(spawn_u64_or(&message, SPAWN_A_ELAPSED, 0) / 1000, shortest,
                    spawn_boot_ms() - child_started);
}

static void has_said(spawn_outcome outcome, const char *text)
{
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0), outcome);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""), text);
}

static void it_is_killed(int signo)
{
    assert_int_equal(kill(child, signo), 0); /* ours, not yet reaped */
    child_was_killed(signo);
}

static void what_the_kernel_tells_is_kept(void **state)
{
    (void)state;
    LEAVE_OUT_IF(!ends_are_told(),
                 "no exit codes for strangers on this kernel");
    make_store();
    it_is_followed(NULL, 0);
    it_is_killed(SIGUSR1);
    its_end_is_told();
    has_said(SPAWN_OUTCOME_SIGNALLED, "");
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNAL]), SIGUSR1);
    end_broker();
    it_is_followed(NULL, 0);
    child_ends();
    its_end_is_told();
    has_said(SPAWN_OUTCOME_EXITED, "");
    assert_true(spawn_has(&message, SPAWN_A_EXIT_CODE));
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_EXIT_CODE]), 0);
}

/* Also by a broker that comes later, and to who asks then. */
static void what_it_wrote_is_told_to_be_lost(void **state)
{
    static const char known[] = "its spawner was killed, and what it wrote is "
                                "lost with it";
    static const char unknown[] =
        "its parent had ended before it, and this kernel tells the exit code "
        "only to a parent; what it wrote is lost";
    bool told = ends_are_told();
    unsigned i;

    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    put_program(SPAWN_STATE_RUNNING, 0, 0, true);
    it_runs_as(child, child_started);
    another_spawner();
    for (i = 0; i < 2; i++) {
        if (i)
            kill_broker();
        start_broker();
        go();
        call_in();
    }
    child_ends();
    for (i = 0; i < 2; i++) {
        spawn_writer w;

        begin(&w, SPAWN_M_WAIT, &job);
        spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
        spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
        ask(&w);
        expect_answer(SPAWN_M_JOB);
        has_said(told ? SPAWN_OUTCOME_EXITED : SPAWN_OUTCOME_ENDED,
                 told ? known : unknown);
        assert_true(spawn_has(&message, SPAWN_A_OUT));
        assert_true(spawn_has(&message, SPAWN_A_ERR));
        assert_int_equal(message.attr[SPAWN_A_OUT].length, 0);
        assert_true(spawn_u64_or(&message, SPAWN_A_OUT_LOST, 0)
                    == SPAWN_LOST_ALL);
        assert_true(spawn_u64_or(&message, SPAWN_A_ERR_LOST, 0)
                    == SPAWN_LOST_ALL);
    }
}

/* Nobody saw its end. */
static void what_it_wrote_before_anybody_came_is_lost_too(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    put_program(SPAWN_STATE_RUNNING, 0, 0, true);
    it_runs_as(child, child_started);
    child_ends();
    another_spawner();
    start_broker();
    go();
    call_in();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    has_said(SPAWN_OUTCOME_ENDED,
             "it ended when neither its spawner nor a broker was there; what "
             "it wrote is lost");
    assert_true(spawn_u64_or(&message, SPAWN_A_OUT_LOST, 0) == SPAWN_LOST_ALL);
}

/* It never wrote any that anybody waits for. */
static void what_it_did_not_capture_is_not(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    it_is_followed(NULL, 0);
    child_ends();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_false(spawn_has(&message, SPAWN_A_OUT));
    assert_false(spawn_has(&message, SPAWN_A_OUT_LOST));
}

static void what_it_does_not_tell_is_not_made_up(void **state)
{
    (void)state;
    make_store();
    in_broker = nothing_is_told;
    it_is_followed(NULL, 0);
    it_is_killed(SIGUSR1);
    its_end_is_told();
    has_said(SPAWN_OUTCOME_ENDED,
             "its parent had ended before it, and this kernel tells the exit "
             "code only to a parent");
    assert_false(spawn_has(&message, SPAWN_A_EXIT_CODE));
    assert_false(spawn_has(&message, SPAWN_A_SIGNAL));
}

static void what_a_function_returned_is_lost_with_its_spawner(void **state)
{
    (void)state;
    LEAVE_OUT_IF(!ends_are_told(),
                 "no exit codes for strangers on this kernel");
    make_store();
    it_is_followed("My::f", 0);
    child_ends();
    its_end_is_told();
    has_said(SPAWN_OUTCOME_EXITED,
             "its spawner was killed, and what it may have returned is lost "
             "with it");
}

/* Its board came with what the spawner told: it is there. */
static void not_when_its_template_went(void **state)
{
    static const uint64_t keep[] = {0, SPAWN_KEEP_BOARD};
    int fd = spawn_board_make();
    spawn_writer w;

    (void)state;
    LEAVE_OUT_IF(!ends_are_told(),
                 "no exit codes for strangers on this kernel");
    make_store();
    child_runs(CHILD_OBEYS);
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_RUNNING, "My::f");
    start_broker();
    begin_running(&w, SPAWN_STATE_RUNNING, child,
                  spawn_boot_ms() - child_started);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2);
    send_fds(&w, &fd, 1);
    (void)close(fd);
    say_orphaned(child, child_started);
    go();
    call_in();
    it_can_end();
    child_ends();
    its_end_is_told();
    has_said(SPAWN_OUTCOME_EXITED, "");
}

/* The sender of KILL is not known, only that its time was over. */
static void who_is_killed_after_its_time_has_timed_out(void **state)
{
    (void)state;
    LEAVE_OUT_IF(!ends_are_told(),
                 "no exit codes for strangers on this kernel");
    make_store();
    it_is_followed(NULL, TIMEOUT);
    broker_sleeps();
    steps[1] += TIMEOUT / 1000 + 1;
    it_is_killed(SIGKILL);
    broker_goes_on();
    ask_for_its_end();
    has_said(SPAWN_OUTCOME_TIMED_OUT, "");
}

/* ---- it is not reaped at once ---- */

/* Nobody has waited for it yet. */
static void it_ends_unreaped(void)
{
    siginfo_t info;

    (void)close(gate);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
}

/* It ends shortly before its time is over, which is before it is reaped. The
 * clock stands so long after its start, however long all took until here. */
static void it_ends_in_time(void)
{
    it_is_followed(NULL, TIMEOUT);
    time_stands();
    time_moves(TIMEOUT - 300 - (int)(spawn_boot_ms() - child_started));
    has_heard();
    it_ends_unreaped();
    has_heard();
    time_moves(500);
    has_heard();
}

static void who_ends_in_time_has_not_timed_out(void **state)
{
    (void)state;
    LEAVE_OUT_IF(!ends_are_told(),
                 "no exit codes for strangers on this kernel");
    make_store();
    it_ends_in_time();
    assert_int_equal(waitpid(child, NULL, 0), child);
    ask_for_its_end();
    has_said(SPAWN_OUTCOME_EXITED, "");
}

static void nor_has_who_is_reaped_late(void **state)
{
    (void)state;
    make_store();
    in_broker = nothing_is_told;
    it_ends_in_time();
    time_moves(600);
    ask_for_its_end();
    has_said(SPAWN_OUTCOME_ENDED,
             "its parent had ended before it, and this kernel tells the exit "
             "code only to a parent");
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* Its broker was killed, and its time is over when the next one comes. */
static void nor_has_who_is_found_unreaped(void **state)
{
    (void)state;
    LEAVE_OUT_IF(!ends_are_told(),
                 "no exit codes for strangers on this kernel");
    make_store();
    it_is_followed(NULL, TIMEOUT);
    kill_broker();
    it_ends_unreaped();
    steps[1] += TIMEOUT / 1000 + 1;
    start_broker();
    expect_ready();
    call_in();
    has_heard();
    assert_int_equal(waitpid(child, NULL, 0), child);
    ask_for_its_end();
    has_said(SPAWN_OUTCOME_EXITED, "");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(what_the_kernel_tells_is_kept),
        ALONE(what_it_wrote_is_told_to_be_lost),
        ALONE(what_it_wrote_before_anybody_came_is_lost_too),
        ALONE(what_it_did_not_capture_is_not),
        ALONE(what_it_does_not_tell_is_not_made_up),
        ALONE(what_a_function_returned_is_lost_with_its_spawner),
        ALONE(not_when_its_template_went),
        STEPPED(who_is_killed_after_its_time_has_timed_out),
        STEPPED(who_ends_in_time_has_not_timed_out),
        STEPPED(nor_has_who_is_reaped_late),
        STEPPED(nor_has_who_is_found_unreaped)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("ends of orphans", tests, NULL, NULL);
}
