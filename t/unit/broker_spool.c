/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool: a file is a job that runs once, stays until its job is stored, and
 * is never lost: what cannot be a job is put aside. The protocol of
 * broker_caller.h.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_spooled.h"

#include "common/spawn_spool.h"

static spawn_id job; /* of the test */

/* ---- files ---- */

static void path_of(const spawn_id *id, const char *tail, char *ret)
{
    char text[SPAWN_ID_TEXT];

    (void)snprintf(ret, 200, "%s/spool/%s%s", dir, spawn_id_format(id, text),
                   tail);
}

static bool is_there(const spawn_id *id, const char *tail)
{
    char path[200];

    path_of(id, tail, path);
    return access(path, F_OK) == 0;
}

static void spool_as(uint16_t type, const spawn_id *name, const spawn_id *id,
                     const char *program, const char *queue)
{
    spawn_writer w;
    size_t mark;

    begin(&w, type, id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, program, strlen(program));
    spawn_close(&w, mark);
    if (queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    put_in_spool(name, w.data, w.length);
    spawn_writer_free(&w);
}

static void spool(const spawn_id *id, const char *program)
{
    spool_as(SPAWN_M_SUBMIT, id, id, program, NULL);
}

static void runs(const spawn_id *id)
{
    expect_id(SPAWN_M_LAUNCH, id);
    say_started(id);
    say_exited(id, 0, 0);
    expect_id(SPAWN_M_FORGET, id);
}

static void wait_until_gone(const spawn_id *id)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    while (is_there(id, "") && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_false(is_there(id, ""));
}

/* ---- what is promised ---- */

static void a_file_runs_once_and_goes(void **state)
{
    spawn_id before;
    char who[32];

    (void)state;
    (void)spawn_id_make(&before);
    spool(&before, "/bin/true");
    reach_go();
    runs(&before);
    (void)spawn_id_make(&job);
    spool(&job, "/bin/true"); /* while it looks, too */
    runs(&job);
    assert_false(is_there(&before, "") || is_there(&job, ""));
    spool(&job, "/bin/true"); /* it is known */
    wait_until_gone(&job);
    end_broker();
    assert_false(is_there(&job, SPAWN_SPOOL_BAD));
    (void)snprintf(who, sizeof(who), "2 %d", (int)getuid());
    expect_sql("SELECT count(*) || ' ' || max(caller_uid) FROM job", who);
}

static void a_file_stays_until_its_job_is_stored(void **state)
{
    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    reach_go();
    (void)spawn_id_make(&job);
    spool(&job, "/bin/true");
    wait_until_logged("MS0530", 1);
    assert_true(is_there(&job, ""));
    store_takes_again();
    runs(&job);
    assert_false(is_there(&job, ""));
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* Also when the broker has the job already, which a slot of the inbox keeps. */
static void so_does_that_of_a_job_that_is_known(void **state)
{
    (void)state;
    make_inbox();
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    reach_ready_and_call_in();
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    wait_until_logged("MS0860", 1);
    say(SPAWN_M_GO);
    spool(&job, "/bin/true");
    has_heard();
    quiet_for(1);
    assert_true(is_there(&job, ""));
    store_takes_again();
    runs(&job);
    assert_false(is_there(&job, ""));
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* One that may run before it is stored is stored at once, by its file or by the
 * broker. */
static void and_that_is_stored_before_it_runs(void **state)
{
    (void)state;
    make_inbox();
    time_stands();
    reach_ready_and_call_in();
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    spool(&job, "/bin/true");
    wait_until_gone(&job);
    has_heard();
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* Once its order was sent only its slot, and then the store, may have it: who
 * comes when all memory has gone must not run it again. */
static void not_that_of_one_that_runs(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, NULL, 0), 0);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    wait_until_logged("MS0530", 1);
    put_in_spool(&job, w.data, w.length);
    spawn_writer_free(&w);
    wait_until_gone(&job);
    store_takes_again();
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* It waits there since before the start, and the store does not take it for a
 * while: the broker is ready all the same, says so, and takes it later. */
static void a_start_does_not_depend_on_what_is_in_the_spool(void **state)
{
    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    (void)spawn_id_make(&job);
    spool(&job, "/bin/true");
    reach_go();
    wait_until_logged("MS0860", 1);
    assert_true(is_there(&job, ""));
    store_takes_again();
    runs(&job);
    assert_false(is_there(&job, ""));
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

static void a_file_that_finds_its_queue_full_waits(void **state)
{
    spawn_id other;

    (void)state;
    queue_jobs = queue_waits = 1;
    reach_go();
    call_in();
    (void)spawn_id_make(&other);
    submit_as(&other, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &other);
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    (void)spawn_id_make(&job);
    spool(&job, "/bin/true");
    has_heard();
    assert_true(is_there(&job, ""));
    say_started(&other);
    say_exited(&other, 0, 0);
    expect(SPAWN_M_LAUNCH);
    later_by(2);
    wait_until_gone(&job); /* there is room for it to wait */
    end_broker();
    expect_sql("SELECT count(*) || ' ' || sum(state = 1) FROM job", "3 1");
}

static void delays(spawn_id *ret, spawn_writer *w)
{
    (void)spawn_id_make(ret);
    begin_submit(w, ret, "/bin/true");
    spawn_put_u64(w, SPAWN_A_DELAY, 3600000);
}

/* There is room for it when one of these has gone, however many wait for their
 * turn. */
static void one_with_a_delay_waits_for_room_among_these(void **state)
{
    spawn_id running, delayed;
    spawn_writer w;

    (void)state;
    queue_jobs = queue_waits = 1;
    queue_delays = 1;
    reach_go();
    call_in();
    (void)spawn_id_make(&running);
    submit_as(&running, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &running);
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    delays(&delayed, &w);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    delays(&job, &w);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    put_in_spool(&job, w.data, w.length);
    spawn_writer_free(&w);
    has_heard();
    later_by(2);
    has_heard();
    assert_true(is_there(&job, ""));
    begin(&w, SPAWN_M_KILL, &delayed);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    later_by(2);
    wait_until_gone(&job);
    end_broker();
    expect_sql("SELECT count(*) || ' ' || sum(state = 1) FROM job", "4 2");
}

/* The jobs that a turn takes are in memory until its end. */
static void big_files_are_not_taken_all_at_once(void **state)
{
    static uint8_t data[2 << 20];
    const spawn_stdio in = {SPAWN_STDIO_DATA, 0, 0, ""};
    spawn_id jobs[24];
    spawn_writer w;
    unsigned long before;
    int i;

    (void)state;
    queue_waits = 100;
    make_store();
    start_broker();
    expect_ready();
    before = memory_of_broker();
    end_broker();
    for (i = 0; i < 24; i++) {
        (void)spawn_id_make(&jobs[i]);
        begin_submit(&w, &jobs[i], "/bin/true");
        spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
        spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, sizeof(data));
        assert_int_equal(spawn_writer_finish(&w, 0), 0);
        put_in_spool(&jobs[i], w.data, w.length);
        spawn_writer_free(&w);
    }
    start_broker();
    expect_ready();
    for (i = 0; i < 24; i++)
        wait_until_gone(&jobs[i]);
    if (!clocks_are_real()) /* a sanitizer keeps what is freed */
        assert_in_range(memory_of_broker(), before, before + 16384);
    end_broker();
    expect_sql("SELECT count(*) || ' ' || sum(length(data)) FROM input",
               "24 50331648");
}

static void a_file_that_is_refused_is_a_job_that_did_not_start(void **state)
{
    (void)state;
    log_is_kept = true;
    reach_go();
    (void)spawn_id_make(&job);
    spool_as(SPAWN_M_SUBMIT, &job, &job, "/bin/true", "nowhere");
    wait_until_gone(&job);
    end_broker();
    assert_false(is_there(&job, SPAWN_SPOOL_BAD));
    expect_sql("SELECT outcome || ' ' || step || ' ' || queue FROM job",
               "5 7 nowhere");
    assert_int_equal(logged("MS0560"), 1);
}

static void what_is_no_job_is_put_aside(void **state)
{
    spawn_id names[3], other;
    spawn_writer w;
    int i;

    (void)state;
    log_is_kept = true;
    reach_go();
    (void)spawn_id_make(&other);
    for (i = 0; i < 3; i++)
        (void)spawn_id_make(&names[i]);
    put_in_spool(&names[0], "this is no message of ours, whatever its name",
                 45);
    spool_as(SPAWN_M_SUBMIT, &names[1], &other, "/bin/true", NULL);
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_GET, &names[2]); /* a caller's, but not a job */
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    put_in_spool(&names[2], w.data, w.length);
    spawn_writer_free(&w);
    for (i = 0; i < 3; i++) {
        wait_until_gone(&names[i]);
        assert_true(is_there(&names[i], SPAWN_SPOOL_BAD));
    }
    spool(&job, "/bin/true");
    runs(&job);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
    assert_int_equal(logged("MS0592"), 3);
    assert_int_equal(logged("not hold the job that its name says"), 2);
}

static void a_conflict_is_put_aside(void **state)
{
    (void)state;
    log_is_kept = true;
    reach_go();
    (void)spawn_id_make(&job);
    spool(&job, "/bin/true");
    runs(&job);
    spool(&job, "/bin/false");
    wait_until_gone(&job);
    end_broker();
    assert_true(is_there(&job, SPAWN_SPOOL_BAD));
    expect_sql("SELECT count(*) || ' ' || outcome FROM job", "1 1");
    assert_int_equal(logged("MS0560"), 1);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(a_file_runs_once_and_goes),
        ALONE(a_file_stays_until_its_job_is_stored),
        ALONE(so_does_that_of_a_job_that_is_known),
        ALONE(and_that_is_stored_before_it_runs),
        ALONE(not_that_of_one_that_runs),
        ALONE(a_start_does_not_depend_on_what_is_in_the_spool),
        ALONE(a_file_that_finds_its_queue_full_waits),
        ALONE(one_with_a_delay_waits_for_room_among_these),
        ALONE(big_files_are_not_taken_all_at_once),
        ALONE(a_file_that_is_refused_is_a_job_that_did_not_start),
        ALONE(what_is_no_job_is_put_aside),
        ALONE(a_conflict_is_put_aside)};

    find_broker();
    return cmocka_run_group_tests_name("broker spool", tests, NULL, NULL);
}
