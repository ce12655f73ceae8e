/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jobs end, and what ends them: exits are told as they were, a time-out is
 * TERM and then KILL, and who cancels gets what was asked for. The protocol of
 * broker_caller.h.
 */
#include "t/unit/broker_caller.h"

#include <sched.h>

#define FOREVER 100000 /* ms, of a time-out that does not come */

static spawn_id job; /* of the test */

static void reach_go(void)
{
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

/* ---- jobs ---- */

static void submit_for(uint64_t timeout, uint64_t grace, spawn_reply reply)
{
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    if (timeout)
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, timeout);
    if (grace)
        spawn_put_u64(&w, SPAWN_A_GRACE, grace);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
    if (reply == SPAWN_REPLY_ACCEPTED)
        expect_answer(SPAWN_M_ACCEPTED);
}

static void job_runs(uint64_t timeout, uint64_t grace, spawn_reply reply)
{
    submit_for(timeout, grace, reply);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
}

static void say_started_so(pid_t pid, int64_t ago, bool starting)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)(spawn_mono_ms() - ago));
    if (starting)
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_STARTING);
    send_fds(&w, NULL, 0);
}

/* left: SPAWN_LEFT_ALONE: nothing is said of the rest of its group. */
static void expect_signal(int signo, unsigned left)
{
    expect_id(SPAWN_M_SIGNAL, &job);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), signo);
    assert_int_equal(spawn_has(&message, SPAWN_A_KILL_LEFT),
                     left != SPAWN_LEFT_ALONE);
    if (left != SPAWN_LEFT_ALONE)
        assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_KILL_LEFT]),
                         left);
}

static void ends(int status)
{
    say_exited(&job, 0, status);
    expect_id(SPAWN_M_FORGET, &job);
}

static void fails_to_start(int step, int error)
{
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, step, error);
    expect_id(SPAWN_M_FORGET, &job);
}

static void kill_it(int signo)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, &job);
    if (signo)
        spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    ask(&w);
}

/* Of the last one. */
static void expect_end(const char *wanted)
{
    end_broker();
    expect_sql("SELECT outcome || ' ' || ifnull(exit_code, '-') || ' ' ||"
               " ifnull(signal, '-') FROM job ORDER BY seq DESC LIMIT 1",
               wanted);
}

/* No message comes for so many ms. */
/* ---- exits ---- */

static void what_an_exit_says_is_told_and_kept(void **state)
{
    static const uint64_t usage[SPAWN_RU_COUNT + 2] = {11, 22, 33, 44, 55, 66,
                                                       77, 88, 99, 1,  2};
    const spawn_attr *a;
    spawn_writer w;
    unsigned i;

    (void)state;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_FINISHED);
    begin(&w, SPAWN_M_EXITED, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 7 << 8);
    spawn_put_u64(&w, SPAWN_A_PID, 3999999);
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, 1234);
    spawn_put_u64(&w, SPAWN_A_ENDED_AT, 5678);
    spawn_put_u64(&w, SPAWN_A_ELAPSED, 4444000);
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT + 2);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 7);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 3999999);
    a = &message.attr[SPAWN_A_RUSAGE];
    assert_true(spawn_has(&message, SPAWN_A_RUSAGE));
    assert_int_equal(spawn_u64v_count(a), SPAWN_RU_COUNT);
    for (i = 0; i < SPAWN_RU_COUNT; i++)
        assert_int_equal(spawn_u64v_at(a, i), usage[i]);
    expect_end("1 7 -");
    expect_sql("SELECT pid || ' ' || started_at || ' ' || ended_at || ' ' ||"
               " elapsed FROM job",
               "3999999 1234 5678 4444000");
}

static void what_an_exit_does_not_say_is_not_made_up(void **state)
{
    (void)state;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    expect_end("1 0 -");
    expect_sql("SELECT (pid = 4000000) || (started_at > 1600000000000) ||"
               " (ended_at >= started_at) || (elapsed IS NULL OR elapsed = -1)"
               " || ifnull(rusage, '-') || ifnull(text, '-') FROM job",
               "1111--");
}

static void a_signal_is_told_with_its_core(void **state)
{
    (void)state;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(SIGSEGV | 0x80);
    expect_end("2 - 11");
    expect_sql("SELECT core FROM job", "1");
}

static void a_signal_without_a_core_too(void **state)
{
    (void)state;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(SIGSEGV);
    expect_end("2 - 11");
    expect_sql("SELECT core FROM job", "0");
}

static void a_start_that_failed_says_where_and_why(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go();
    fails_to_start(SPAWN_STEP_EXEC, ENOENT);
    fails_to_start(SPAWN_STEP_INTERPRETER, ENOENT);
    fails_to_start(SPAWN_STEP_STDOUT, ENXIO);
    fails_to_start(SPAWN_STEP_STDERR, ENXIO);
    fails_to_start(SPAWN_STEP_STDIN, ENXIO);
    fails_to_start(SPAWN_STEP_STDOUT, EACCES);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    begin(&w, SPAWN_M_EXITED, &job); /* neither status nor step */
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE state = 4 AND outcome = 5", "7");
    expect_sql("SELECT group_concat(step || ' ' || errno, ',') FROM"
               " (SELECT * FROM job ORDER BY seq)",
               "36 2,37 2,31 6,32 6,30 6,31 13,20 0");
    expect_sql("SELECT group_concat(seq) FROM"
               " (SELECT seq FROM job WHERE text LIKE '%first line%'"
               "  ORDER BY seq)",
               "2");
    expect_sql("SELECT group_concat(seq) FROM"
               " (SELECT seq FROM job WHERE text LIKE '%FIFO%' ORDER BY seq)",
               "3,4");
    expect_sql("SELECT text FROM job WHERE seq = 1",
               "exec: No such file or directory");
    expect_sql("SELECT text FROM job WHERE seq = 6",
               "stdout: Permission denied");
}

static void an_end_that_is_told_twice_counts_once(void **state)
{
    (void)state;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    broker_sleeps();
    say_exited(&job, 0, 3 << 8);
    say_exited(&job, 0, 4 << 8);
    broker_goes_on();
    expect_id(SPAWN_M_FORGET, &job);
    expect_end("1 3 -");
}

static void who_ended_before_it_ran_is_told_so(void **state)
{
    (void)state;
    reach_go();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    ends(SIGTERM);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(SIGTERM);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    ends(0);
    end_broker();
    expect_sql("SELECT group_concat(seq) FROM job"
               " WHERE text LIKE 'it ended before it ran%'",
               "1");
}

static void who_fails_with_nobody_waiting_leaves_a_line(void **state)
{
    (void)state;
    log_is_kept = true;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(3 << 8);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    job_runs(0, 0, SPAWN_REPLY_FINISHED);
    ends(4 << 8);
    end_broker();
    assert_int_equal(logged("MS0682"), 1);
    assert_int_equal(logged("exited with code 3"), 1);
}

/* ---- time-outs ---- */

static void a_time_out_is_term_then_kill(void **state)
{
    (void)state;
    reach_go();
    job_runs(100, 100, SPAWN_REPLY_ACCEPTED);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(SIGKILL);
    expect_end("3 - 9");
}

static void who_obeys_a_time_out_gets_no_more_of_it(void **state)
{
    (void)state;
    reach_go();
    job_runs(100, 1000, SPAWN_REPLY_ACCEPTED);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    ends(5 << 8);
    quiet_for(1200);
    expect_end("3 5 -");
}

static void a_time_out_comes_neither_early_nor_by_itself(void **state)
{
    (void)state;
    reach_go();
    job_runs(FOREVER, 0, SPAWN_REPLY_ACCEPTED);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    quiet_for(300);
}

static void grace_is_what_the_job_says(void **state)
{
    (void)state;
    reach_go();
    job_runs(50, FOREVER, SPAWN_REPLY_ACCEPTED);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    quiet_for(400);
}

static void a_time_out_counts_from_the_fork(void **state)
{
    (void)state;
    reach_go();
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
    reach_go();
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

/* Not when most are asked for theirs: that would be too late for it. */
static void its_pid_is_asked_for_within_its_time_out(void **state)
{
    spawn_id first;

    (void)state;
    reach_go();
    do {
        submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &job);
        first = job;
        submit_for(20, 100, SPAWN_REPLY_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &job);
    } while (was_put_aside(&first)); /* we were too slow to see what is first */
    expect_id(SPAWN_M_TELL_PID, &job);
    expect_id(SPAWN_M_TELL_PID, &first);
}

/* In a wait that no signal ends but KILL, as for a disk. */
static pid_t hanging_process(int *ret_gate)
{
    int gate[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        (void)close(gate[1]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        if (vfork() == 0) {
            (void)!read(gate[0], &byte, 1);
            _exit(0);
        }
#pragma GCC diagnostic pop
        _exit(0);
    }
    (void)close(gate[0]);
    *ret_gate = gate[1];
    while (!spawn_os_hangs(pid))
        (void)sched_yield();
    return pid;
}

static void who_cannot_be_killed_is_given_up(void **state)
{
    int gate;
    pid_t pid;

    (void)state;
    pid = hanging_process(&gate);
    reach_go();
    submit_for(50, 50, SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(pid, 0, false);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_TIMED_OUT);
    expect_id(SPAWN_M_FORGET, &job);
    (void)close(gate);
    (void)waitpid(pid, NULL, 0);
    end_broker();
    expect_sql("SELECT text LIKE 'it cannot be killed%' FROM job", "1");
}

static void who_was_cancelled_and_cannot_be_killed_is_cancelled(void **state)
{
    int gate;
    pid_t pid;

    (void)state;
    pid = hanging_process(&gate);
    reach_go();
    submit_for(0, 0, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(pid, 0, false);
    expect_answer(SPAWN_M_JOB);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_FORGET, &job);
    (void)close(gate);
    (void)waitpid(pid, NULL, 0);
    expect_end("4 - -");
}

/* Its pid, which tells whether it hangs, comes after the signal was sent. */
static void who_was_killed_before_it_ran_is_given_up_too(void **state)
{
    int gate;
    pid_t pid;

    (void)state;
    pid = hanging_process(&gate);
    reach_go();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_TELL_PID, &job);
    say_started_so(pid, 0, true);
    expect_id(SPAWN_M_FORGET, &job);
    (void)close(gate);
    (void)waitpid(pid, NULL, 0);
    expect_end("4 - -");
}

/* It does not hang: its end is on its way, and will tell. */
static void who_was_killed_is_waited_for(void **state)
{
    (void)state;
    reach_go();
    submit_for(0, 0, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(getpid(), 0, false);
    expect_answer(SPAWN_M_JOB);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    quiet_for(1800);
    ends(SIGKILL);
    expect_end("4 - 9");
}

/* ---- who cancels ---- */

static void one_that_waits_is_cancelled_at_once(void **state)
{
    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    say(SPAWN_M_GO);
    quiet_for(100); /* it does not start */
    expect_end("4 - -");
}

static void one_that_starts_gets_the_signal(void **state)
{
    (void)state;
    reach_go();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    ends(SIGTERM);
    expect_end("4 - 15");
}

static void one_that_runs_gets_the_signal_that_is_named(void **state)
{
    (void)state;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGUSR1);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGUSR1, SPAWN_LEFT_ALONE);
    ends(SIGUSR1);
    expect_end("4 - 10");
}

static void one_that_ends_otherwise_was_not_cancelled(void **state)
{
    (void)state;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    ends(SIGSEGV);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    ends(0);
    end_broker();
    expect_sql("SELECT group_concat(outcome) FROM"
               " (SELECT * FROM job ORDER BY seq)",
               "2,1");
}

static void one_that_has_ended_is_not_running(void **state)
{
    (void)state;
    reach_go();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    kill_it(0);
    expect_refusal(SPAWN_E_NOT_RUNNING);
}

/* Its template comes back with the order: who cancelled it has it cancelled. */
static void a_function_that_was_not_forked_is_cancelled(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    rules = "A";
    reach_go();
    template_starts(&template, true);
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(&job, &template);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &job);
    expect_end("4 - -");
}

/* Its board says that it is to end: it may ask, and go by itself. */
static void a_function_that_times_out_can_see_that(void **state)
{
    const spawn_board *board;
    const spawn_attr *keep;
    spawn_id template;
    spawn_writer w;
    int fd;

    (void)state;
    rules = "A";
    reach_go();
    template_starts(&template, true);
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 200);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(&job, &template);
    keep = &message.attr[SPAWN_A_KEEP];
    assert_int_equal(spawn_u64v_at(keep, 1), SPAWN_KEEP_BOARD);
    fd = packet.fds[spawn_u64v_at(keep, 0)];
    board = spawn_board_map(fd);
    assert_non_null(board);
    say_started(&job);
    assert_false(spawn_board_cancelled(board));
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    assert_true(spawn_board_cancelled(board));
}

/* What spawnctl tells of memory that jobs of a template need. */
static void faults_of_functions_are_counted_for_their_template(void **state)
{
    static const uint64_t usage[] = {1, 2, 3, 44}, few[] = {1, 2, 3};
    const spawn_attr *a;
    spawn_id template;
    spawn_writer w;
    int i;

    (void)state;
    rules = "A";
    reach_go();
    template_starts(&template, true);
    for (i = 0; i < 3; i++) {
        (void)spawn_id_make(&job);
        begin(&w, SPAWN_M_SUBMIT, &job);
        spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
        ask(&w);
        expect_answer(SPAWN_M_ACCEPTED);
        expect_order(&job, &template);
        say_started(&job);
        begin(&w, SPAWN_M_EXITED, &job);
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0);
        spawn_put_u64v(&w, SPAWN_A_RUSAGE, i < 2 ? usage : few, i < 2 ? 4 : 3);
        send_fds(&w, NULL, 0);
        expect_id(SPAWN_M_FORGET, &job);
    }
    begin(&w, SPAWN_M_TEMPLATES, NULL);
    ask(&w);
    expect_answer(SPAWN_M_PROCESS);
    assert_true(spawn_has(&message, SPAWN_A_FAULTS));
    a = &message.attr[SPAWN_A_FAULTS];
    assert_int_equal(spawn_u64v_at(a, 0), 2);
    assert_int_equal(spawn_u64v_at(a, 1), 88);
}

static void a_template_that_ends_is_told_as_it_ended(void **state)
{
    spawn_id template;

    (void)state;
    rules = "A";
    log_is_kept = true;
    reach_go();
    template_starts(&template, true);
    say_exited(&template, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, &template);
    template_starts(&template, true);
    say_exited(&template, 0, SIGSEGV);
    expect_id(SPAWN_M_FORGET, &template);
    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &template);
    say_exited(&template, SPAWN_STEP_EXEC, ENOENT);
    expect_id(SPAWN_M_FORGET, &template);
    end_broker();
    assert_true(logged("it ended with exit code 5") > 0);
    assert_true(logged("it was killed by signal 11 (Segmentation fault)") > 0);
    assert_true(logged("it could not be started: exec: No such file") > 0);
}

/* SpawnOnStop kill: TERM, and KILL after the grace; that is a cancel, whichever
 * of the two ends it. */
static void a_stop_that_kills_cancels(void **state)
{
    (void)state;
    on_stop_kills = true;
    reach_go();
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
    reach_go();
    submit_for(300, FOREVER, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_id(SPAWN_M_TELL_PID, &job);
    say_started_so(4000000, 0, true);
    say(SPAWN_M_LINGER);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    say_started_so(4000000, 0, false);
    quiet_for(500);
    ends(SIGTERM);
    expect(SPAWN_M_BYE);
    expect_end("4 - 15");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(what_an_exit_says_is_told_and_kept),
        ALONE(what_an_exit_does_not_say_is_not_made_up),
        ALONE(a_signal_is_told_with_its_core),
        ALONE(a_signal_without_a_core_too),
        ALONE(a_start_that_failed_says_where_and_why),
        ALONE(an_end_that_is_told_twice_counts_once),
        ALONE(who_ended_before_it_ran_is_told_so),
        ALONE(who_fails_with_nobody_waiting_leaves_a_line),
        ALONE(a_time_out_is_term_then_kill),
        ALONE(who_obeys_a_time_out_gets_no_more_of_it),
        ALONE(a_time_out_comes_neither_early_nor_by_itself),
        ALONE(grace_is_what_the_job_says),
        ALONE(a_time_out_counts_from_the_fork),
        ALONE(who_starts_slowly_has_its_time_out_too),
        ALONE(its_pid_is_asked_for_within_its_time_out),
        ALONE(who_cannot_be_killed_is_given_up),
        ALONE(who_was_cancelled_and_cannot_be_killed_is_cancelled),
        ALONE(who_was_killed_before_it_ran_is_given_up_too),
        ALONE(who_was_killed_is_waited_for),
        ALONE(one_that_waits_is_cancelled_at_once),
        ALONE(one_that_starts_gets_the_signal),
        ALONE(one_that_runs_gets_the_signal_that_is_named),
        ALONE(one_that_ends_otherwise_was_not_cancelled),
        ALONE(one_that_has_ended_is_not_running),
        ALONE(a_function_that_was_not_forked_is_cancelled),
        ALONE(a_function_that_times_out_can_see_that),
        ALONE(faults_of_functions_are_counted_for_their_template),
        ALONE(a_template_that_ends_is_told_as_it_ended),
        ALONE(a_stop_that_kills_cancels),
        ALONE(a_stop_that_kills_leaves_no_time_out)};

    find_broker();
    return cmocka_run_group_tests_name("broker ends", tests, NULL, NULL);
}
