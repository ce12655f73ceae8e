/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker's conclusions at its start: each state of the store with the
 * spawner's reports.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/corner.h"

#include "common/spawn_proto.h"

#define FOREVER 100000 /* ms */

/* ---- jobs of this spawner ---- */

static void one_that_runs_runs_on(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    it_runs_as(3999999, 77);
    run_sql("INSERT INTO input SELECT seq, x'41', NULL FROM job");
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    go();
    call_in();
    stays_quiet();
    say_exited(&job, 0, 6 << 8);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 6 -");
    expect_sql("SELECT count(*) FROM input", "0");
    expect_sql("SELECT pid || ' ' || started_at FROM job", "3999998 1000");
}

/* The store has it as starting, or as waiting even. */
static void one_that_was_forked_meanwhile_is_not_started_again(void **state)
{
    static const int states[] = {SPAWN_STATE_QUEUED, SPAWN_STATE_STARTING};
    char statement[256];
    int64_t said;
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        if (i == 0)
            make_store();
        put_program(states[i], 0, 0, false);
        start_broker();
        said = spawn_wall_ms() / 1000;
        say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
        go();
        call_in();
        stays_quiet(); /* it is stored, though */
        end_broker();
        (void)snprintf(statement, sizeof(statement),
                       "SELECT state || ' ' || pid || ' ' ||"
                       " (abs(%lld - 5 - started_at / 1000) < 4)"
                       " FROM job ORDER BY seq DESC LIMIT 1",
                       (long long)said);
        expect_sql(statement, "3 3999998 1");
        run_sql("UPDATE job SET state = 4, ended_at = 1");
    }
}

static void one_that_is_being_started_goes_on(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, FOREVER, 100, false);
    start_broker();
    say_running(SPAWN_STATE_STARTING, 0, 0);
    go();
    call_in();
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_STARTING);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SUBMITTED_AT, 0), 1);
    expect_id(SPAWN_M_TELL_PID, &job); /* it starts slowly */
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 0 -");
}

/* The spawner is the one that was to start it, and does not know it. */
static void one_whose_order_never_arrived_is_ordered_again(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 0 -");
}

/* Nobody starts it now, and it is not lost with that spawner. */
static void it_is_stored_as_one_that_waits(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    start_broker();
    expect_ready();
    expect_jobs("1 - - -");
}

/* Its broker was killed when it had told who cancelled it, and before it could
 * give the order. */
static void one_that_was_cancelled_before_that_does_not_start(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    run_sql("UPDATE job SET cancel = 15");
    start_broker();
    go();
    call_in();
    stays_quiet();
    expect_jobs("4 4 - -");
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
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    make_store();
    put_program(SPAWN_STATE_RUNNING, FOREVER, 100, false);
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, FOREVER / 2);
    go();
    call_in();
    has_heard();
    quiet_for(1);
    later_by(FOREVER / 1000 * 3 / 4);
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
    call_in();
    stays_quiet();
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
    say(SPAWN_M_TABLE_END);
    expect_signal(SIGTERM); /* it may not have come */
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    say_exited(&job, 0, SIGTERM);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 4 - 15");
}

/* The caller was told that it is done, and the signal may not have come. */
static void who_was_to_be_killed_is_killed(void **state)
{
    static const int states[] = {SPAWN_STATE_RUNNING, SPAWN_STATE_STARTING};
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        if (i == 0)
            make_store();
        put_program(states[i], 0, 0, false);
        run_sql("UPDATE job SET cancel = 9 WHERE state < 4");
        start_broker();
        say_running(states[i], 3999998, 5000);
        say(SPAWN_M_TABLE_END);
        expect_signal(SIGKILL);
        expect(SPAWN_M_BROKER_READY);
        say_exited(&job, 0, SIGKILL);
        expect_id(SPAWN_M_FORGET, &job);
        end_broker();
        expect_sql("SELECT outcome || ' ' || signal FROM job"
                   " ORDER BY seq DESC LIMIT 1",
                   "4 9");
    }
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
        /* bytes that a broker before this one had read */
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
    char known[SPAWN_ID_TEXT], text[SPAWN_ID_TEXT], line[80];
    spawn_id running;

    (void)state;
    make_store();
    log_is_kept = true;
    put_program(SPAWN_STATE_DONE, 0, 0, false);
    (void)spawn_id_format(&job, known);
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
    (void)snprintf(line, sizeof(line), "MS0585: job %s runs",
                   spawn_id_format(&running, text));
    assert_int_equal(logged(line), 1);
    assert_int_equal(logged(known), 0);
    job = running;
    say_exited(&job, 0, 0); /* as its end will be */
    expect_id(SPAWN_M_FORGET, &job);
    assert_int_equal(logged("MS0522"), 1);
}

/* A request that a caller sends again is the same job as before. */
static void its_content_is_known_to_the_next_broker(void **state)
{
    spawn_writer w;
    int64_t before;

    (void)state;
    make_store();
    start_broker();
    go();
    call_in();
    before = spawn_wall_ms();
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 10);
    go();
    call_in();
    submit_as(&job, "/bin/false");
    expect_refusal(SPAWN_E_CONFLICT);
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_in_range(spawn_u64_or(&message, SPAWN_A_SUBMITTED_AT, 0),
                    (uint64_t)before, (uint64_t)spawn_wall_ms());
}

static void what_it_captures_has_the_limit_of_its_order(void **state)
{
    static const uint64_t keep[] = {0, SPAWN_KEEP_OUT_PIPE, 1,
                                    SPAWN_KEEP_OUT_FILE};
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    int fds[2], ends[2];
    size_t mark;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    begin_order(&w, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_u64(&w, SPAWN_A_CAPTURE_LIMIT, 5);
    put_order(&job, SPAWN_STATE_RUNNING, &w);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    fds[0] = ends[0];
    fds[1] = spawn_os_memfd("captured");
    start_broker();
    begin_running(&w, SPAWN_STATE_RUNNING, 3999998, 5000);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 4);
    send_fds(&w, fds, 2);
    go();
    assert_int_equal(write(ends[1], "words", 5), 5);
    assert_int_equal(write(ends[1], " and more", 9), 9);
    spawn_close_fds(ends, 2);
    spawn_close_fds(fds + 1, 1);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT out FROM output", "words");
}

static void what_it_logs_is_in_the_log_of_its_host(void **state)
{
    static const uint64_t keep[] = {0, SPAWN_KEEP_ERR_PIPE};
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    char path[80];
    spawn_writer w;
    int ends[2];
    size_t mark;

    (void)state;
    make_store();
    (void)snprintf(path, sizeof(path), "%s/site", dir);
    site_log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)spawn_id_make(&job);
    begin_order(&w, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_CONTEXT);
    spawn_add_text(&w, mark, "vhost=site", 10);
    spawn_add_text(&w, mark, "request_id=R 7", 14);
    spawn_close(&w, mark);
    put_order(&job, SPAWN_STATE_RUNNING, &w);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    start_broker();
    begin_running(&w, SPAWN_STATE_RUNNING, 3999998, 5000);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2);
    send_fds(&w, ends, 1);
    go();
    assert_int_equal(write(ends[1], "its words\n", 10), 10);
    while (!logged_in("site", "stderr: its words") && spawn_mono_ms() < until)
        quiet_for(1);
    assert_int_equal(logged_in("site", " (request R?7) stderr: its words"), 1);
    spawn_close_fds(ends, 2);
}

/* A board that the broker before this one has made. */
static void what_a_function_returned_is_read(void **state)
{
    static const uint64_t keep[] = {0, SPAWN_KEEP_BOARD};
    int fd = spawn_board_make();
    spawn_board *board = spawn_board_map(fd);
    spawn_writer w;

    (void)state;
    assert_non_null(board);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_RUNNING, "My::f");
    start_broker();
    begin_running(&w, SPAWN_STATE_RUNNING, 3999998, 5000);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2);
    send_fds(&w, &fd, 1);
    (void)close(fd);
    go();
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT result_kind FROM job", "1");
}

/* Of roles that are told twice, or that nobody knows, or when nobody wants to
 * know it any more, nothing is left open. */
static void what_is_kept_for_nobody_is_closed(void **state)
{
    static const uint64_t keep[] = {
        0, SPAWN_KEEP_OUT_FILE, 1, SPAWN_KEEP_BOARD,
        2, SPAWN_KEEP_TICKET,   3, SPAWN_KEEP_BOARD};
    int ends[7][2], theirs[7], i;
    struct pollfd p;
    spawn_writer w;

    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    for (i = 0; i < 7; i++) {
        assert_int_equal(pipe2(ends[i], O_CLOEXEC), 0);
        theirs[i] = ends[i][0];
    }
    start_broker();
    begin_running(&w, SPAWN_STATE_RUNNING, 3999998, 5000);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 8);
    send_fds(&w, theirs, 4);
    (void)spawn_id_make(&job); /* the store does not know it */
    begin(&w, SPAWN_M_HELD, &job);
    spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    send_fds(&w, theirs + 4, 1);
    say(SPAWN_M_TABLE_END);
    expect_id(SPAWN_M_RELEASE, &job);
    expect(SPAWN_M_BROKER_READY);
    begin_running(&w, SPAWN_STATE_RUNNING, 3999998, 5000);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2);
    send_fds(&w, theirs + 5, 1);
    begin(&w, SPAWN_M_HELD, &job);
    spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    send_fds(&w, theirs + 6, 1);
    for (i = 0; i < 7; i++) {
        (void)close(ends[i][0]);
        p = (struct pollfd){ends[i][1], 0, 0};
        assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
        (void)close(ends[i][1]);
    }
}

/* TERM, and time to obey it, as if it had said nothing of that. */
static void one_whose_order_cannot_be_read_has_its_grace(void **state)
{
    (void)state;
    on_stop_kills = true;
    make_store();
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    run_sql("UPDATE job SET body = x'00'");
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    go();
    say(SPAWN_M_LINGER);
    expect_signal(SIGTERM);
    quiet_for(200);
}

static void who_waits_in_a_queue_that_has_gone_is_told_of(void **state)
{
    (void)state;
    make_store();
    log_is_kept = true;
    put_program(SPAWN_STATE_QUEUED, 0, 0, false);
    run_sql("UPDATE job SET queue = 'gone'");
    start_broker();
    go();
    call_in();
    stays_quiet();
    assert_int_equal(logged("MS0510"), 1);
}

/* The spawner does not tell again. */
static void a_store_that_works_again_runs_nothing_twice(void **state)
{
    spawn_id other;

    (void)state;
    make_store();
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    other = job;
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    run_sql("CREATE TRIGGER no BEFORE INSERT ON meta"
            " WHEN NEW.key = 'boot_id'"
            " BEGIN SELECT RAISE(ABORT, 'no such luck'); END");
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    say_exited(&other, 0, 8 << 8);
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
    if (!strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "cannot be read"))
        fail_msg("%s", spawn_str_or(&message, SPAWN_A_TEXT, ""));
    run_sql("DROP TRIGGER no");
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]), SPAWN_E_OK);
    expect_id(SPAWN_M_FORGET, &other);
    say(SPAWN_M_GO);
    call_in();
    stays_quiet();
    expect_jobs("4 1 8 -,3 - - -");
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_runs_runs_on),
        ALONE(one_that_was_forked_meanwhile_is_not_started_again),
        ALONE(one_that_is_being_started_goes_on),
        ALONE(one_whose_order_never_arrived_is_ordered_again),
        ALONE(it_is_stored_as_one_that_waits),
        ALONE(one_that_was_cancelled_before_that_does_not_start),
        ALONE(one_that_hangs_before_it_runs_is_asked_for_again),
        ALONE(its_time_out_counts_from_its_start),
        ALONE(its_time_out_does_not_come_early),
        ALONE(one_that_has_ended_is_told_as_it_ended),
        ALONE(one_that_ran_and_has_ended_has_ended),
        ALONE(who_cancelled_it_is_known_to_the_next_broker),
        ALONE(who_was_to_be_killed_is_killed),
        ALONE(what_it_wrote_is_captured_on),
        ALONE(many_are_found_each_as_it_is),
        ALONE(a_function_whose_order_was_on_its_way_is_ordered_again),
        ALONE(ends_that_are_stored_are_to_be_forgotten),
        ALONE(what_no_store_knows_is_told_of),
        ALONE(its_content_is_known_to_the_next_broker),
        ALONE(what_it_captures_has_the_limit_of_its_order),
        ALONE(what_it_logs_is_in_the_log_of_its_host),
        ALONE(what_a_function_returned_is_read),
        ALONE(what_is_kept_for_nobody_is_closed),
        ALONE(one_whose_order_cannot_be_read_has_its_grace),
        ALONE(who_waits_in_a_queue_that_has_gone_is_told_of),
        ALONE(a_store_that_works_again_runs_nothing_twice)};

    find_broker();
    return cmocka_run_group_tests_name("broker recovery", tests, NULL, NULL);
}
