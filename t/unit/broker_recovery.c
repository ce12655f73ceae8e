/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broker makes of what it finds: each state of the store with what the
 * spawner tells, and what /proc tells of jobs whose spawner has gone. The
 * protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"
#include "t/unit/broker_child.h"

#include "common/spawn_proto.h"

#define FOREVER 100000 /* ms */

static spawn_id job; /* of the test */

/* ---- what is in the store ---- */

static void put_program(int state, uint64_t timeout, uint64_t grace,
                        bool captured)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    begin_order(&w, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    if (timeout)
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, timeout);
    if (grace)
        spawn_put_u64(&w, SPAWN_A_GRACE, grace);
    if (captured) {
        spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
        spawn_put_stdio(&w, SPAWN_A_STDERR, &capture);
    }
    put_order(&job, state, &w);
}

/* So a broker before this one stored it. */
static void it_runs_as(pid_t pid, int64_t boot_started)
{
    char sql[160];

    (void)snprintf(sql, sizeof(sql),
                   "UPDATE job SET pid = %d, boot_started = %lld,"
                   " started_at = 1000, state = 3",
                   (int)pid, (long long)boot_started);
    run_sql(sql);
}

static void another_spawner(void)
{
    (void)spawn_id_make(&instance);
}

/* ---- what the spawner tells ---- */

static void begin_running(spawn_writer *w, int state, pid_t pid, int64_t ago)
{
    begin(w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(w, SPAWN_A_STATE, (uint64_t)state);
    if (pid) {
        spawn_put_u64(w, SPAWN_A_PID, (uint64_t)pid);
        spawn_put_u64(w, SPAWN_A_MONO_STARTED,
                      (uint64_t)(spawn_mono_ms() - ago));
        spawn_put_u64(w, SPAWN_A_BOOT_STARTED,
                      (uint64_t)(spawn_boot_ms() - ago));
    }
}

static void say_running(int state, pid_t pid, int64_t ago)
{
    spawn_writer w;

    begin_running(&w, state, pid, ago);
    send_fds(&w, NULL, 0);
}

static void say_orphaned(pid_t pid, int64_t boot_started)
{
    spawn_writer w;

    begin(&w, SPAWN_M_ORPHANED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    if (boot_started)
        spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)boot_started);
    send_fds(&w, NULL, 0);
}

static void expect_signal(int signo)
{
    expect_id(SPAWN_M_SIGNAL, &job);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), signo);
}

static void go(void)
{
    expect_ready();
    say(SPAWN_M_GO);
}

/* state, outcome, exit code, signal of all jobs. */
static void expect_jobs(const char *wanted)
{
    end_broker();
    expect_sql("SELECT group_concat(state || ' ' || ifnull(outcome, '-') ||"
               " ' ' || ifnull(exit_code, '-') || ' ' || ifnull(signal, '-'),"
               " ',') FROM (SELECT * FROM job ORDER BY seq)",
               wanted);
}

/* ---- jobs of this spawner ---- */

static void one_that_runs_runs_on(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    it_runs_as(3999999, 77);
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    go();
    quiet_for(300);
    say_exited(&job, 0, 6 << 8);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 6 -");
    expect_sql("SELECT pid || ' ' || started_at FROM job", "3999998 1000");
}

/* The store has it as starting, or as waiting even. */
static void one_that_was_forked_meanwhile_is_not_started_again(void **state)
{
    static const int states[] = {SPAWN_STATE_QUEUED, SPAWN_STATE_STARTING};
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        if (i == 0)
            make_store();
        put_program(states[i], 0, 0, false);
        start_broker();
        say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
        go();
        quiet_for(300); /* it is stored, though */
        end_broker();
        expect_sql("SELECT state || ' ' || pid || ' ' ||"
                   " (abs(strftime('%s', 'now') - 5 - started_at / 1000) < 4)"
                   " FROM job ORDER BY seq DESC LIMIT 1",
                   "3 3999998 1");
        run_sql("UPDATE job SET state = 4, ended_at = 1");
    }
}

static void one_that_is_being_started_goes_on(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, FOREVER, 100, false);
    start_broker();
    say_running(SPAWN_STATE_STARTING, 0, 0);
    go();
    expect_id(SPAWN_M_TELL_PID, &job); /* it starts slowly */
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 0 -");
}

static void one_that_hangs_before_it_runs_is_asked_for_again(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, FOREVER, 100, false);
    start_broker();
    say_running(SPAWN_STATE_STARTING, 3999998, 5000);
    go();
    expect_id(SPAWN_M_TELL_PID, &job);
    say_exited(&job, SPAWN_STEP_CWD, ENOENT);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 5 - -");
}

static void its_time_out_counts_from_its_start(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, FOREVER, 100, false);
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, FOREVER - 200);
    go();
    expect_signal(SIGTERM);
    expect_signal(SIGKILL); /* and its own grace */
    say_exited(&job, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 3 - 9");
}

static void its_time_out_does_not_come_early(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, FOREVER, 100, false);
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 1000);
    go();
    quiet_for(300);
}

static void one_that_has_ended_is_told_as_it_ended(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    start_broker();
    say_exited(&job, 0, 9 << 8);
    go();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 9 -");
}

/* Both were told, in the order of a table. */
static void one_that_ran_and_has_ended_has_ended(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    say_exited(&job, 0, SIGSEGV);
    go();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 2 - 11");
    expect_sql("SELECT pid FROM job", "3999998");
}

static void who_cancelled_it_is_known_to_the_next_broker(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    run_sql("UPDATE job SET cancel = 15");
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    go();
    say_exited(&job, 0, SIGTERM);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 4 - 15");
}

static void what_it_wrote_is_captured_on(void **state)
{
    static const uint64_t keep[] = {
        0, SPAWN_KEEP_OUT_PIPE, 1, SPAWN_KEEP_OUT_FILE,
        2, SPAWN_KEEP_ERR_PIPE, 3, SPAWN_KEEP_ERR_FILE};
    spawn_writer w;
    int fds[4], pipes[2][2], i;

    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, 0, 0, true);
    for (i = 0; i < 2; i++) {
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
        fds[2 * i] = pipes[i][0];
        fds[2 * i + 1] = spawn_os_memfd("captured");
        /* what a broker before this one had read */
        assert_int_equal(write(fds[2 * i + 1], i ? "bad " : "good ", 5 - i),
                         5 - i);
        assert_int_equal(write(pipes[i][1], "words", 5), 5);
    }
    start_broker();
    begin_running(&w, SPAWN_STATE_RUNNING, 3999998, 5000);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 8);
    send_fds(&w, fds, 4);
    go();
    for (i = 0; i < 2; i++) {
        assert_int_equal(write(pipes[i][1], "!", 1), 1);
        spawn_close_fds(pipes[i], 2);
    }
    spawn_close_fds(fds + 1, 1);
    spawn_close_fds(fds + 3, 1);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT out || '|' || err FROM output",
               "good words!|bad words!");
}

static void many_are_found_each_as_it_is(void **state)
{
    enum {
        COUNT = 36 /* the table grows twice */
    };

    spawn_id ids[COUNT];
    int i;

    (void)state;
    make_store();
    for (i = 0; i < COUNT; i++) {
        put_program(SPAWN_STATE_RUNNING, 0, 0, false);
        ids[i] = job;
    }
    start_broker();
    for (i = COUNT - 1; i >= 0; i--)
        say_exited(&ids[i], 0, i << 8);
    expect_ready();
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE state = 4 AND outcome = 1"
               " AND exit_code = seq - 1",
               "36");
}

static void a_function_whose_order_was_on_its_way_is_ordered_again(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    make_store();
    rules = "A";
    start_broker();
    go();
    template_starts(&template, true);
    end_broker();
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_STARTING, "My::f");
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &template);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 2);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    send_fds(&w, NULL, 0);
    begin_running(&w, SPAWN_STATE_STARTING, 0, 0);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &template);
    send_fds(&w, NULL, 0);
    go();
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &job);
    expect_order(&job, &template);
}

/* ---- what only the spawner knows ---- */

static void ends_that_are_stored_are_to_be_forgotten(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_DONE, 0, 0, false);
    run_sql("UPDATE job SET outcome = 1, exit_code = 2, ended_at = 5");
    start_broker();
    say_exited(&job, 0, 3 << 8);
    say(SPAWN_M_TABLE_END);
    expect_id(SPAWN_M_FORGET, &job);
    expect(SPAWN_M_BROKER_READY);
    expect_jobs("4 1 2 -");
}

static void what_no_store_knows_is_told_of(void **state)
{
    spawn_id running;

    (void)state;
    make_store();
    log_is_kept = true;
    put_program(SPAWN_STATE_DONE, 0, 0, false);
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000); /* this one it knows */
    (void)spawn_id_make(&job);
    running = job;
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    (void)spawn_id_make(&job);
    say_orphaned(3999998, 5000);
    say(SPAWN_M_TABLE_END);
    expect_id(SPAWN_M_FORGET, &job); /* nobody will wait for it */
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(logged("MS0585"), 1);
    job = running;
    say_exited(&job, 0, 0); /* as its end will be */
    expect_id(SPAWN_M_FORGET, &job);
    assert_int_equal(logged("MS0522"), 1);
}

/* ---- jobs of a spawner that has gone ---- */

static void wait_for_its_end(void)
{
    spawn_writer w;

    call_in();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DONE);
}

static void one_that_lives_is_followed(void **state)
{
    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    it_runs_as(child, child_started + 20);
    another_spawner();
    start_broker();
    go();
    quiet_for(200);
    child_ends();
    wait_for_its_end();
    end_broker();
    expect_sql("SELECT state || ' ' || (outcome IN (1, 8)) FROM job", "4 1");
}

static void one_whose_number_was_given_away_is_not(void **state)
{
    static const int64_t wrong[] = {-200, 70000};
    unsigned i;

    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    for (i = 0; i < 2; i++) {
        put_program(SPAWN_STATE_RUNNING, 0, 0, false);
        it_runs_as(child, child_started + wrong[i]);
        another_spawner();
        start_broker();
        expect_ready();
        end_broker();
        expect_sql("SELECT state || ' ' || outcome || text FROM job"
                   " ORDER BY seq DESC LIMIT 1",
                   "4 8it ended when neither its spawner nor a broker was "
                   "there");
    }
    child_ends();
}

static void one_without_a_spawner_times_out(void **state)
{
    (void)state;
    make_store();
    child_runs(CHILD_IGNORES_TERM);
    put_program(SPAWN_STATE_RUNNING, 300, 100, false);
    it_runs_as(child, child_started);
    another_spawner();
    start_broker();
    go();
    child_was_killed(SIGKILL); /* TERM, then KILL */
    wait_for_its_end();
    end_broker();
    expect_sql("SELECT state || ' ' || (outcome IN (3, 8)) FROM job", "4 1");
}

static void one_that_had_no_pid_yet_is_lost(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    another_spawner();
    start_broker();
    expect_ready();
    expect_jobs("4 7 - -");
    expect_sql("SELECT text FROM job",
               "the spawner ended while it was being started");
}

static void after_a_reboot_all_that_ran_is_lost(void **state)
{
    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    it_runs_as(child, child_started);
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    run_sql("UPDATE meta SET value = 'another' WHERE key = 'boot_id'");
    start_broker();
    expect_ready();
    expect_jobs("4 7 - -,4 7 - -");
    expect_sql("SELECT text FROM job WHERE seq = 2",
               "the machine was started anew");
    child_ends();
}

/* Its template was its parent, and has gone; the spawner could tell whose it
 * was. */
static void one_that_a_template_left_behind_is_followed(void **state)
{
    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    start_broker();
    say_orphaned(child, child_started);
    go();
    quiet_for(200);
    child_ends();
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT state || ' ' || (outcome IN (1, 8)) || ' ' || (pid > 0)"
               " FROM job",
               "4 1 1");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_runs_runs_on),
        ALONE(one_that_was_forked_meanwhile_is_not_started_again),
        ALONE(one_that_is_being_started_goes_on),
        ALONE(one_that_hangs_before_it_runs_is_asked_for_again),
        ALONE(its_time_out_counts_from_its_start),
        ALONE(its_time_out_does_not_come_early),
        ALONE(one_that_has_ended_is_told_as_it_ended),
        ALONE(one_that_ran_and_has_ended_has_ended),
        ALONE(who_cancelled_it_is_known_to_the_next_broker),
        ALONE(what_it_wrote_is_captured_on),
        ALONE(many_are_found_each_as_it_is),
        ALONE(a_function_whose_order_was_on_its_way_is_ordered_again),
        ALONE(ends_that_are_stored_are_to_be_forgotten),
        ALONE(what_no_store_knows_is_told_of),
        ALONE(one_that_lives_is_followed),
        ALONE(one_whose_number_was_given_away_is_not),
        ALONE(one_without_a_spawner_times_out),
        ALONE(one_that_had_no_pid_yet_is_lost),
        ALONE(after_a_reboot_all_that_ran_is_lost),
        ALONE(one_that_a_template_left_behind_is_followed)};

    find_broker();
    return cmocka_run_group_tests_name("broker recovery", tests, NULL, NULL);
}
