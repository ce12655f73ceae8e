/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time-outs: TERM, and KILL after the grace of the job, from its fork on; and
 * stops that kill do the same.
 */
#include "t/unit/broker_jobs.h"

static void a_time_out_is_term_then_kill(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(100, 100, SPAWN_REPLY_ACCEPTED);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(SIGKILL);
    expect_end("3 - 9");
}

static void who_obeys_a_time_out_gets_no_more_of_it(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(100, 1000, SPAWN_REPLY_ACCEPTED);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    ends(5 << 8);
    time_passes(2);
    quiet_for(1);
    expect_end("3 5 -");
    expect_sql("SELECT count(*) FROM grace", "0");
}

static void a_time_out_comes_neither_early_nor_by_itself(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    job_runs(FOREVER, 0, SPAWN_REPLY_ACCEPTED);
    time_passes(95);
    quiet_for(1);
    time_passes(6);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
}

/* A beginning may be noted up to a millisecond before it was. */
static void no_time_is_short_by_a_part_of_a_millisecond(void **state)
{
    (void)state;
    reach_go_and_call_in();
    time_stands();
    job_runs(FOREVER, 1000, SPAWN_REPLY_ACCEPTED);
    has_heard();
    time_moves(FOREVER);
    has_heard();
    quiet_for(1);
    time_moves(1);
    has_heard();
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    time_moves(1000);
    has_heard();
    quiet_for(1);
    time_moves(1);
    has_heard();
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
}

/* ---- a clock that is set ---- */

static const int sets[] = {86400, -86400, 3, -3, -3650 * 86400};

static void clock_is_set_by(int seconds)
{
    is_there();
    steps[0] += seconds;
    is_there();
}

static void a_clock_that_is_set_moves_no_time_out(void **state)
{
    size_t i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        job_runs(FOREVER, FOREVER, SPAWN_REPLY_ACCEPTED);
        time_passes(50);
        clock_is_set_by(sets[i]);
        time_passes(45);
        quiet_for(1);
        time_passes(6);
        expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
        clock_is_set_by(-sets[i]);
        time_passes(95);
        quiet_for(1);
        time_passes(6);
        expect_signal(SIGKILL, SPAWN_LEFT_KILL);
        ends(SIGKILL);
    }
    expect_end("3 - 9");
}

/* The job's beginning is stored by the clocks that are not set. */
static void nor_those_that_the_next_broker_finds(void **state)
{
    spawn_writer w;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        reach_go_and_call_in();
        job_runs(FOREVER, FOREVER, SPAWN_REPLY_ACCEPTED);
        time_passes(50);
        kill_broker();
        steps[0] += sets[i];
        start_broker();
        begin(&w, SPAWN_M_RUNNING, &job);
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
        spawn_put_u64(&w, SPAWN_A_PID, 4000000);
        spawn_put_u64(&w, SPAWN_A_MONO_STARTED,
                      (uint64_t)(spawn_mono_ms() + (steps[1] - 50) * 1000));
        spawn_put_u64(&w, SPAWN_A_BOOT_STARTED,
                      (uint64_t)(spawn_boot_ms() + (steps[1] - 50) * 1000));
        send_fds(&w, NULL, 0);
        expect_ready();
        say(SPAWN_M_GO);
        call_in();
        time_passes(45);
        quiet_for(1);
        time_passes(6);
        expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
        ends(SIGTERM);
        end_broker();
        (void)close(caller);
        caller = -1;
    }
    expect_end("3 - 15");
}

static void time_moves_and_somebody_asks(int seconds)
{
    spawn_writer w;
    spawn_id nobody;

    steps[0] += seconds;
    steps[1] += seconds;
    assert_int_equal(spawn_id_make(&nobody), 0);
    begin(&w, SPAWN_M_GET, &nobody);
    ask(&w);
}

static void nor_that_of_a_caller_who_waits(void **state)
{
    spawn_writer w;
    uint64_t codes;
    size_t i;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        begin(&w, SPAWN_M_WAIT, &job);
        spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
        spawn_put_u64(&w, SPAWN_A_WAIT_MS, FOREVER);
        ask(&w);
        clock_is_set_by(sets[i]);
        time_passes(95);
        is_there(); /* it answers this, and not that */
        time_moves_and_somebody_asks(6);
        expect_answer(SPAWN_M_REFUSED);
        codes = spawn_attr_u64(&message.attr[SPAWN_A_CODE]);
        expect_answer(SPAWN_M_REFUSED);
        codes += spawn_attr_u64(&message.attr[SPAWN_A_CODE]);
        assert_int_equal(codes, SPAWN_E_TIMED_OUT + SPAWN_E_NO_SUCH_JOB);
    }
}

static void grace_is_what_the_job_says(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(50, FOREVER, SPAWN_REPLY_ACCEPTED);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    time_passes(95);
    quiet_for(1);
    time_passes(6);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
}

static void a_time_out_counts_from_the_fork(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_for(FOREVER, FOREVER, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(4000000, FOREVER - 100, false);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
}

/* It hangs before exec: its pid is asked for, and limits count. */
static void who_starts_slowly_has_its_time_out_too(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    submit_for(FOREVER, 100, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_id(SPAWN_M_TELL_PID, &job);
    say_started_so(3999998, FOREVER - 200, true);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 3999998);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_STARTING);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(SIGKILL);
    expect_end("3 - 9");
}

/* A stopped process has its order, and its template goes. */
static void what_its_template_never_set_up_has_timed_out(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    reach_a_template(&template);
    begin_function(&w, &job);
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, FOREVER);
    function_is_ordered(&w, &job, &template);
    expect_id(SPAWN_M_TELL_PID, &job);
    say_started_so(3999998, FOREVER - 200, true);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
    expect_id(SPAWN_M_FORGET, &job);
    expect_end("3 - -");
}

/* Not when most are asked for theirs: that would be too late for it. */
static void its_pid_is_asked_for_within_its_time_out(void **state)
{
    spawn_id first;

    (void)state;
    reach_go_and_call_in();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    first = job;
    submit_for(20, 100, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_id(SPAWN_M_TELL_PID, &job);
    expect_id(SPAWN_M_TELL_PID, &first);
}

/* A job that has told that it runs, and has no time-out, is not asked for. */
static void who_has_started_is_not_asked_for(void **state)
{
    (void)state;
    reach_go_and_call_in();
    time_stands();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    is_there();
    time_goes_on();
    time_passes(1);
    quiet_for(1);
    assert_false(was_put_aside(&job));
}

/* Its board says that it is to end: it may ask, and go by itself. */
static void a_function_that_times_out_can_see_that(void **state)
{
    const spawn_board *board;
    spawn_id template;
    spawn_writer w;
    int fd;

    (void)state;
    reach_a_template(&template);
    begin_function(&w, &job);
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 200);
    function_is_ordered(&w, &job, &template);
    fd = packet.fds[place_of(SPAWN_KEEP_BOARD)];
    board = spawn_board_map(fd);
    assert_non_null(board);
    say_started(&job);
    assert_false(spawn_board_cancelled(board));
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    assert_true(spawn_board_cancelled(board));
}

/* SpawnOnStop kill: TERM, and KILL after the grace; that is a cancel, whichever
 * of the two ends it. */
static void a_stop_that_kills_cancels(void **state)
{
    (void)state;
    on_stop_kills = true;
    reach_go_and_call_in();
    job_runs(0, 100, SPAWN_REPLY_ACCEPTED);
    say(SPAWN_M_LINGER);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(SIGKILL);
    expect(SPAWN_M_BYE);
    expect_end("4 - 9");
}

/* TERM was sent: the time-out, which would begin with TERM again, is off. */
static void a_stop_that_kills_leaves_no_time_out(void **state)
{
    (void)state;
    on_stop_kills = true;
    reach_go_and_call_in();
    submit_for(300, FOREVER, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_id(SPAWN_M_TELL_PID, &job);
    say_started_so(4000000, 0, true);
    say(SPAWN_M_LINGER);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    say_started_so(4000000, 0, false);
    time_passes(1);
    quiet_for(1);
    ends(SIGTERM);
    expect(SPAWN_M_BYE);
    expect_end("4 - 15");
}

/* One message tells of its begin and its end: nobody cancelled it. */
static void a_stop_cancels_none_that_has_ended(void **state)
{
    (void)state;
    on_stop_kills = true;
    reach_go_and_call_in();
    submit_for(0, 100, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say(SPAWN_M_LINGER);
    say_started_and_exited(&job, SIGSEGV);
    expect_id(SPAWN_M_FORGET, &job);
    expect(SPAWN_M_BYE);
    expect_end("2 - 11");
}

/* The store takes no ends: the job is still there. */
static void who_has_ended_has_no_time_out(void **state)
{
    spawn_id template, function;
    spawn_writer w;

    (void)state;
    make_store_that_fails(NO_END);
    reach_a_template(&template);
    begin_function(&w, &function);
    function_is_ordered(&w, &function, &template);
    job_runs(5000, 0, SPAWN_REPLY_ACCEPTED);
    say_exited(&job, 0, 0);
    say_exited(&function, 0, 0); /* and that it was forked was not told */
    time_passes(31);
    quiet_for(1); /* its template is not waited for either */
}

/* Its TERM may have been sent by a broker that was killed then. */
static void an_end_after_its_time_is_one_by_time_out(void **state)
{
    static const struct {
        uint64_t timeout; /* ms */
        uint64_t elapsed; /* us */
        int cancel, status;
        const char *wanted;
    } ended[] = {{FOREVER, FOREVER * 1000, 0, SIGTERM, "3 - 15"},
                 {FOREVER, FOREVER * 1000, 0, SIGKILL, "3 - 9"},
                 {FOREVER, FOREVER * 1000 + 500, 0, SIGTERM, "3 - 15"},
                 {FOREVER, FOREVER * 1000 - 1, 0, SIGTERM, "2 - 15"},
                 {FOREVER, FOREVER * 1000, 0, SIGSEGV, "2 - 11"},
                 {FOREVER, FOREVER * 1000, 0, SIGTERM << 8, "1 15 -"},
                 {FOREVER, FOREVER * 1000, SIGTERM, SIGTERM, "4 - 15"},
                 {0, FOREVER * 1000, 0, SIGTERM, "2 - 15"}};
    spawn_writer w;
    size_t i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < sizeof(ended) / sizeof(*ended); i++) {
        job_runs(ended[i].timeout, 0, SPAWN_REPLY_ACCEPTED);
        if (ended[i].cancel) {
            kill_it(ended[i].cancel);
            expect_answer(SPAWN_M_DONE);
            expect_signal(ended[i].cancel, SPAWN_LEFT_ALONE);
        }
        begin(&w, SPAWN_M_EXITED, &job);
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)ended[i].status);
        spawn_put_u64(&w, SPAWN_A_ELAPSED, ended[i].elapsed);
        send_fds(&w, NULL, 0);
        expect_id(SPAWN_M_FORGET, &job);
    }
    end_broker();
    for (i = 0; i < sizeof(ended) / sizeof(*ended); i++) {
        char sql[200];

        (void)snprintf(sql, sizeof(sql),
                       "SELECT outcome || ' ' || ifnull(exit_code, '-') ||"
                       " ' ' || ifnull(signal, '-') FROM job WHERE seq = %zu",
                       i + 1);
        expect_sql(sql, ended[i].wanted);
    }
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(a_time_out_is_term_then_kill),
        STEPPED(who_obeys_a_time_out_gets_no_more_of_it),
        STEPPED(a_time_out_comes_neither_early_nor_by_itself),
        STEPPED(no_time_is_short_by_a_part_of_a_millisecond),
        STEPPED(a_clock_that_is_set_moves_no_time_out),
        STEPPED(nor_those_that_the_next_broker_finds),
        STEPPED(nor_that_of_a_caller_who_waits),
        STEPPED(grace_is_what_the_job_says),
        ALONE(a_time_out_counts_from_the_fork),
        ALONE(who_starts_slowly_has_its_time_out_too),
        ALONE(what_its_template_never_set_up_has_timed_out),
        ALONE(its_pid_is_asked_for_within_its_time_out),
        STEPPED(who_has_started_is_not_asked_for),
        ALONE(a_function_that_times_out_can_see_that),
        ALONE(a_stop_that_kills_cancels),
        STEPPED(a_stop_that_kills_leaves_no_time_out),
        STEPPED(a_stop_cancels_none_that_has_ended),
        STEPPED(who_has_ended_has_no_time_out),
        ALONE(an_end_after_its_time_is_one_by_time_out)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("time-outs", tests, NULL, NULL);
}
