/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker with templates and Perl jobs: the protocol of broker_play.h.
 */
#include "common/spawn_process.h"

#include "t/unit/broker_caller.h"

static const char layout_1[] =
    "CREATE TABLE job ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE,"
    " queue TEXT NOT NULL, state INTEGER NOT NULL, digest INTEGER NOT NULL,"
    " fds INTEGER NOT NULL, cancel INTEGER NOT NULL DEFAULT 0,"
    " caller_uid INTEGER, caller_pid INTEGER, submitted_at INTEGER NOT NULL,"
    " started_at INTEGER, ended_at INTEGER, elapsed INTEGER,"
    " pid INTEGER, boot_started INTEGER, instance BLOB, outcome INTEGER,"
    " exit_code INTEGER, signal INTEGER, core INTEGER, step INTEGER,"
    " errno INTEGER, text TEXT, rusage BLOB, body BLOB NOT NULL);"
    "CREATE INDEX job_open ON job(seq) WHERE state < 4;"
    "CREATE INDEX job_ended ON job(ended_at) WHERE state = 4;"
    "CREATE TABLE input (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE output (seq INTEGER PRIMARY KEY,"
    " out BLOB, err BLOB, out_lost INTEGER, err_lost INTEGER);"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "PRAGMA application_id=1936748081; PRAGMA user_version=1;";

/* ---- what is promised ---- */

static void a_store_of_layout_1_is_brought_up(void **state)
{
    spawn_id waits, done;

    (void)state;
    run_sql(layout_1);
    boot_is_this_one();
    (void)spawn_id_make(&waits);
    (void)spawn_id_make(&done);
    put_job(&done, 4, NULL);
    run_sql("UPDATE job SET ended_at = 5, outcome = 1, exit_code = 3;"
            "INSERT INTO output VALUES(1, 'said', NULL, 7, NULL)");
    put_job(&waits, 1, NULL);
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &waits);
    assert_string_equal(spawn_strv_next(&message.attr[SPAWN_A_ARGV], NULL),
                        "/bin/true");
    say_started(&waits);
    say_exited(&waits, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, &waits);
    end_broker();
    expect_sql("PRAGMA user_version", "5");
    expect_sql("SELECT exit_code FROM job WHERE seq = 2", "5");
    expect_sql("SELECT group_concat(end_seq) FROM (SELECT * FROM job"
               " ORDER BY seq)",
               "1,2");
    expect_sql("SELECT exit_code FROM job WHERE seq = 1", "3");
    expect_sql("SELECT out || out_lost FROM output WHERE seq = 1", "said7");
    expect_sql("SELECT count(*) FROM job WHERE template IS NOT NULL", "0");
}

/* Its function has returned, and its process runs on: so the broker tells of
 * it, which has read from the store when it was submitted. */
static void one_that_waited_in_the_store_tells_when_it_came(void **state)
{
    spawn_id job, template;
    spawn_board *board;
    uint64_t one = 1;
    spawn_writer w;
    int i;

    (void)state;
    make_store();
    rules = "A";
    (void)spawn_id_make(&job);
    for (i = 0; i < 2; i++) {
        if (i) {
            kill_broker();
            run_sql("UPDATE job SET submitted_at = 12345");
        }
        start_broker();
        expect_ready();
        call_in();
        begin(&w, SPAWN_M_SUBMIT, &job);
        spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
        spawn_put_u64(&w, SPAWN_A_WANT, SPAWN_WANT_EARLY);
        spawn_put_u64(&w, SPAWN_A_REPLY,
                      i ? SPAWN_REPLY_FINISHED : SPAWN_REPLY_ACCEPTED);
        ask(&w);
        if (i == 0)
            expect_answer(SPAWN_M_ACCEPTED);
    }
    say(SPAWN_M_GO);
    template_starts(&template, true);
    expect_order(&job, &template);
    board = spawn_board_map(packet.fds[place_of(SPAWN_KEEP_BOARD)]);
    assert_non_null(board);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    i = packet.fds[place_of(SPAWN_KEEP_BELL)];
    packet.fds[place_of(SPAWN_KEEP_BELL)] = -1;
    say_started(&job);
    assert_int_equal(write(i, &one, sizeof(one)), sizeof(one));
    (void)close(i);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_RUNNING);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SUBMITTED_AT]),
                     12345);
}

/* A job can write to its board before its spawner tells of it. */
static void progress_is_told_once_the_process_is_known(void **state)
{
    spawn_id job, template;
    spawn_board *board;
    spawn_writer w;
    int i;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&template, true);
    expect_order(&job, &template);
    board = spawn_board_map(packet.fds[place_of(SPAWN_KEEP_BOARD)]);
    assert_non_null(board);
    spawn_board_put_progress(board, "1", "2", "half");
    call_in();
    for (i = 0; i < 2; i++) {
        if (i)
            say_started(&job);
        begin(&w, SPAWN_M_GET, &job);
        ask(&w);
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(message.attr[SPAWN_A_PID].data != NULL, i);
        assert_int_equal(message.attr[SPAWN_A_PROGRESS].data != NULL, i);
    }
}

static void an_order_that_nobody_was_forked_for_is_given_again(void **state)
{
    spawn_id job, first, second;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&first, true);
    expect_order(&job, &first);
    /* its link is full, and nothing else is on its way: soon again */
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &job);
    expect_order(&job, &first);
    /* it has gone */
    broker_sleeps();
    say_exited(&first, 0, SIGKILL);
    say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
    broker_goes_on();
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_FORGET, &job);
    template_starts(&second, true);
    expect_order(&job, &second);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT outcome FROM job", "1");
}

/* A use of freed memory is noticed. */
static void freed_memory_is_spoiled(void)
{
    (void)setenv("MALLOC_PERTURB_", "165", 1);
    (void)setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
}

/* A spare that had the order ends after the template, and has not run. */
static void an_order_outlives_the_process_that_had_it(void **state)
{
    spawn_id job, first, second;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    rules = "A";
    in_broker = freed_memory_is_spoiled;
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&first, true);
    expect_order(&job, &first);
    say_exited(&first, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &first);
    template_starts(&second, true);
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &job);
    expect_order(&job, &second);
    quiet_for(100); /* a template whose link is full is tried again after 50 */
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT outcome FROM job", "1");
}

static void not_for_ever_though(void **state)
{
    spawn_id job, template;
    int i;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&template, true);
    for (i = 0; i < 10; i++) {
        expect_order(&job, &template);
        say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
        expect_id(SPAWN_M_FORGET, &job);
    }
    end_broker();
    expect_sql("SELECT outcome || ' ' || step FROM job", "5 10");
}

static void jobs_of_a_template_that_fails_get_its_text(void **state)
{
    spawn_id job, template;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&template, false);
    expect_id(SPAWN_M_DISMISS, &template);
    expect_id(SPAWN_M_SIGNAL, &template);
    say_exited(&template, 0, 1 << 8);
    expect_id(SPAWN_M_FORGET, &template);
    template_starts(&template, true); /* after a second */
    end_broker();
    expect_sql("SELECT text FROM job",
               "template app cannot be loaded: no such luck");
}

/* More than a turn ends: nothing else comes that could cause the next one. */
static void all_jobs_of_a_template_that_fails_are_ended(void **state)
{
    spawn_id job, template;
    int i;

    (void)state;
    make_store();
    for (i = 0; i < 150; i++) {
        (void)spawn_id_make(&job);
        put_job(&job, 1, "My::f");
    }
    rules = "A";
    log_is_kept = true;
    reach_go();
    template_starts(&template, false);
    expect_id(SPAWN_M_DISMISS, &template);
    expect_id(SPAWN_M_SIGNAL, &template);
    say_exited(&template, 0, 1 << 8);
    expect_id(SPAWN_M_FORGET, &template);
    quiet_for(300); /* its next start is due after a second */
    end_broker();
    expect_sql("SELECT group_concat(n) FROM (SELECT count(*) AS n FROM job"
               " WHERE outcome = 5 GROUP BY text)",
               "150");
}

/* A template that a broker before started. */
static void say_running_template(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_RUNNING, id);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 2);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    send_fds(&w, NULL, 0);
}

static void a_template_is_found_again(void **state)
{
    spawn_id job, template, next;

    (void)state;
    make_store();
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&template, true);
    end_broker();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");

    start_broker();
    say_running_template(&template);
    expect_ready();
    say(SPAWN_M_GO);
    expect_order(&job, &template);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();

    /* other rules: it serves until another one is ready */
    rules = "B";
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    start_broker();
    say_running_template(&template);
    expect_ready();
    say(SPAWN_M_GO);
    expect(SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_TEMPLATE));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &next);
    expect_order(&job, &template);
}

/* It takes the orders that are on their way, and may have jobs. */
static void
a_template_that_is_not_configured_any_more_leaves_by_itself(void **state)
{
    spawn_id ready, httpds, preloads;
    spawn_writer w;

    (void)state;
    (void)spawn_id_make(&ready);
    (void)spawn_id_make(&httpds);
    (void)spawn_id_make(&preloads);
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &ready);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 2);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "gone");
    send_fds(&w, NULL, 0);
    begin(&w, SPAWN_M_RUNNING, &httpds); /* which is the parent of its jobs */
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_u64(&w, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_PARENT);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "gone");
    send_fds(&w, NULL, 0);
    begin(&w, SPAWN_M_RUNNING, &preloads);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "gone");
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_DISMISS, &ready);
    expect_id(SPAWN_M_DISMISS, &httpds);
    expect_id(SPAWN_M_DISMISS, &preloads);
    expect_id(SPAWN_M_SIGNAL, &preloads);
    expect_ready();
    end_broker();
}

static void a_board_outlives_a_broker(void **state)
{
    static const uint64_t keep[] = {0, SPAWN_KEEP_BOARD};
    spawn_board *board;
    spawn_writer w;
    spawn_id job;
    int fd;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 3, "My::f");
    fd = spawn_board_make();
    board = spawn_board_map(fd);
    assert_non_null(board);
    spawn_board_put_progress(board, "2", "3", "words");
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2);
    send_fds(&w, &fd, 1);
    expect_ready();
    say(SPAWN_M_GO);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    (void)close(fd);
    expect_sql("SELECT result_kind FROM job", "1");
    expect_sql("SELECT cast(result AS TEXT) FROM output", "value");
    expect_sql("SELECT hex(substr(progress, 1, 2)) FROM job", "3200");
}

static void a_job_without_parent_is_followed(void **state)
{
    spawn_writer w;
    spawn_id job;
    int64_t started = 0;
    pid_t session, pid;
    int gate[2];
    char byte;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 3, "My::f");
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)close(gate[1]);
        (void)!read(gate[0], &byte, 1);
        _exit(0);
    }
    do {
        assert_int_equal(spawn_os_process(pid, &started, &session), 0);
    } while (session != pid);
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    send_fds(&w, NULL, 0);
    begin(&w, SPAWN_M_ORPHANED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)started + 5000);
    send_fds(&w, NULL, 0);
    expect_ready();
    (void)close(gate[1]);
    (void)close(gate[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT state FROM job", "4");
    expect_sql("SELECT outcome IN (1, 8) FROM job", "1");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(a_store_of_layout_1_is_brought_up),
        ALONE(one_that_waited_in_the_store_tells_when_it_came),
        ALONE(progress_is_told_once_the_process_is_known),
        ALONE(an_order_that_nobody_was_forked_for_is_given_again),
        ALONE(an_order_outlives_the_process_that_had_it),
        ALONE(not_for_ever_though),
        ALONE(jobs_of_a_template_that_fails_get_its_text),
        ALONE(all_jobs_of_a_template_that_fails_are_ended),
        ALONE(a_template_is_found_again),
        ALONE(a_template_that_is_not_configured_any_more_leaves_by_itself),
        ALONE(a_board_outlives_a_broker),
        ALONE(a_job_without_parent_is_followed)};

    find_broker();
    return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
