/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker and a clock that is wrong: ahead, then set right, or set back
 * while it runs. Jobs are taken all the same, what was forgotten is refused,
 * and what is forgotten are the jobs that ended first.
 */
#include "t/unit/broker_clock.h"

/* s; LONG: after it an end is no longer too young to be forgotten */
#define DAY  86400
#define LONG 200

/* ---- the clock ---- */

static int64_t now_ms(void)
{
    return spawn_wall_ms() + steps[0] * 1000;
}

/* An id as somebody makes it whose clock is right, but for so many ms. */
static void make_id(spawn_id *ret, int64_t ms)
{
    uint64_t time = (uint64_t)(now_ms() + ms);
    int i;

    assert_int_equal(spawn_id_make(ret), 0);
    for (i = 0; i < 6; i++)
        ret->bytes[i] = (uint8_t)(time >> (8 * (5 - i)));
}

/* ---- jobs ---- */

static void put_program(spawn_writer *w, uint16_t type, const spawn_id *id)
{
    size_t mark;

    begin(w, type, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/true", 9);
    spawn_close(w, mark);
}

static void submit(const spawn_id *id)
{
    spawn_writer w;

    put_program(&w, SPAWN_M_SUBMIT, id);
    ask(&w);
}

static void post(const spawn_id *id)
{
    spawn_writer w;

    put_program(&w, SPAWN_M_POST, id);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_packet_send(post_fds[0], w.data, w.length, NULL, 0),
                     0);
    spawn_writer_free(&w);
}

static void expect_refused(const spawn_id *id)
{
    submit(id);
    expect_answer(SPAWN_M_REFUSED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_TOO_OLD);
}

static void runs(const spawn_id *id)
{
    expect_id(SPAWN_M_LAUNCH, id);
    say_started(id);
    say_exited(id, 0, 0);
    expect_id(SPAWN_M_FORGET, id);
}

static void submit_and_run(const spawn_id *id)
{
    submit(id);
    expect_answer(SPAWN_M_ACCEPTED);
    runs(id);
}

/* Is it known to the broker? */
static bool known(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, id);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type == SPAWN_M_JOB;
}

/* So long that what has ended by now may be forgotten, and is if it should. */
static void time_passes(const spawn_id *any)
{
    (void)known(any); /* the next event is another turn */
    steps[1] += 20;
    steps[0] += 20;
    (void)known(any);
    (void)known(any); /* a note is made of what has ended */
    steps[1] += LONG;
    steps[0] += LONG;
    (void)known(any);
    (void)known(any);
}

static void start_all(void)
{
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static int set_up_without_history(void **state)
{
    if (set_up_clock(state))
        return -1;
    history_jobs = 0;
    return 0;
}

/* ---- what is promised ---- */

static void run_sql_of_the_ledger(const char *sql, const char *wanted)
{
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *s;

    (void)snprintf(path, sizeof(path), "%s/durable-1.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, DEADLINE_MS);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(s, 0), wanted);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
}

/* It leaves the ledger when it leaves the store; one that waits stays. */
static void a_durable_job_is_forgotten_by_both(void **state)
{
    spawn_id id, waits;
    spawn_writer w;

    (void)state;
    start_all();
    make_id(&waits, 0);
    begin_submit(&w, &waits, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    spawn_put_u64(&w, SPAWN_A_DELAY, 86400000);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    make_id(&id, 0);
    begin_submit(&w, &id, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
    say_exited(&id, 0, 0);
    expect_id(SPAWN_M_FORGET, &id);
    assert_true(known(&id));
    time_passes(&id);
    assert_false(known(&id));
    time_passes(&id);
    kill_broker(); /* its scribe writes what it was told, and ends */
    run_sql_of_the_ledger("SELECT count(*) || min(state) FROM job", "11");
}

static void a_forgotten_id_is_refused(void **state)
{
    spawn_id id, older, younger;

    (void)state;
    start_all();
    make_id(&older, -1000);
    make_id(&id, 0);
    submit_and_run(&id);
    assert_true(known(&id));
    time_passes(&id);
    assert_false(known(&id));
    expect_refused(&older);
    make_id(&younger, -1000);
    submit_and_run(&younger);
}

static void a_clock_that_was_ahead_closes_nothing(void **state)
{
    spawn_id ahead, old, fresh, again;

    (void)state;
    start_all();
    steps[0] = 30 * DAY;
    make_id(&ahead, 0);
    submit_and_run(&ahead);
    time_passes(&ahead);
    assert_false(known(&ahead));
    steps[0] = 0;
    expect_refused(&ahead); /* it lies in the future now */
    make_id(&old, -3600 * 1000);
    expect_refused(&old);
    make_id(&fresh, 0);
    submit_and_run(&fresh);
    /* after a start as well */
    end_broker();
    (void)close(caller);
    start_all();
    make_id(&again, -500);
    submit_and_run(&again);
}

static void what_is_forgotten_after_it_is_refused_too(void **state)
{
    spawn_id ahead, first, before, fresh;

    (void)state;
    start_all();
    steps[0] = 30 * DAY;
    make_id(&ahead, 0);
    submit_and_run(&ahead);
    time_passes(&ahead);
    steps[0] = 0;
    make_id(&before, 0);
    make_id(&first, 1);
    submit_and_run(&first);
    time_passes(&first);
    assert_false(known(&first));
    expect_refused(&before);
    make_id(&fresh, 0);
    submit_and_run(&fresh);
}

static void a_clock_that_was_behind_forgets_nothing(void **state)
{
    spawn_id id, before, behind;

    (void)state;
    start_all();
    make_id(&before, -1000);
    make_id(&id, 0);
    submit_and_run(&id);
    time_passes(&id);
    expect_refused(&before);
    steps[0] = -3650 * DAY;
    make_id(&behind, 0);
    submit_and_run(&behind);
    steps[0] = steps[1];
    expect_refused(&before);
}

static void posts_are_taken_whatever_the_clock_says(void **state)
{
    spawn_id id, ahead, old;

    (void)state;
    make_inbox();
    start_all();
    make_id(&old, -5000);
    make_id(&id, 0);
    submit_and_run(&id);
    time_passes(&id);
    assert_false(known(&id));
    post(&old); /* it has waited, or the broker had: it never ran */
    runs(&old);
    make_id(&ahead, 3600 * 1000); /* the clock was set back since */
    post(&ahead);
    runs(&ahead);
}

static void a_step_ahead_forgets_nobody_too_soon(void **state)
{
    spawn_id id;

    (void)state;
    history_age = 60000;
    history_jobs = 0;
    start_all();
    make_id(&id, 0);
    submit_and_run(&id);
    steps[0] += DAY;
    steps[1] += 20;
    assert_true(known(&id));
    assert_true(known(&id));
    submit(&id); /* its first answer was lost */
    expect_answer(SPAWN_M_ACCEPTED);
}

static void the_first_that_ended_go_first(void **state)
{
    spawn_id ahead, next, last;

    (void)state;
    history_jobs = 2;
    start_all();
    steps[0] = 30 * DAY;
    make_id(&ahead, 0);
    submit_and_run(&ahead);
    steps[0] = 0;
    make_id(&next, 0);
    submit_and_run(&next);
    make_id(&last, 0);
    submit_and_run(&last);
    time_passes(&last);
    assert_false(known(&ahead));
    assert_true(known(&next));
    assert_true(known(&last));
}

static void age_counts_from_who_ended_later(void **state)
{
    spawn_id ahead, next;

    (void)state;
    history_jobs = 100;
    history_age = 60000;
    start_all();
    steps[0] = 30 * DAY;
    make_id(&ahead, 0);
    submit_and_run(&ahead);
    steps[0] = 0;
    make_id(&next, 0);
    submit_and_run(&next);
    time_passes(&next);
    assert_false(known(&next));
    assert_false(known(&ahead));
}

/* A child writes it, when the clock steps. */
static void an_unfinished_file_stays_for_its_minute(void **state)
{
    char unfinished[160], empty[160], named[160];
    spawn_id id;
    int fd;

    (void)state;
    make_id(&id, 0);
    (void)snprintf(unfinished, sizeof(unfinished), "%s/spool/new-x", dir);
    (void)snprintf(empty, sizeof(empty), "%s/empty", dir);
    (void)snprintf(named, sizeof(named), "%s/spool/other", dir);
    fd = open(unfinished, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    start_all();
    assert_false(known(&id));
    steps[0] = DAY;
    fd = open(empty, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(rename(empty, named), 0); /* that is looked at */
    assert_false(known(&id));
    assert_false(known(&id));
    assert_int_equal(access(unfinished, F_OK), 0);
    steps[1] = 61;
    assert_false(known(&id));
    assert_false(known(&id));
    assert_int_equal(access(unfinished, F_OK), -1);
}

/* ---- a store that takes nothing ---- */

static void submit_to(const char *queue)
{
    spawn_writer w;
    spawn_id id;

    make_id(&id, 0);
    put_program(&w, SPAWN_M_SUBMIT, &id);
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_STARTED);
    ask(&w);
}

/* One line a minute tells that it fails, and one that it does no more. */
static void what_fails_on_is_told_once_a_minute(void **state)
{
    static const char *const more[] = {"bad", NULL};
    spawn_id id;

    (void)state;
    log_is_kept = true;
    make_store_that_fails(NO_INSERT " WHEN NEW.queue = 'bad'");
    more_queues = more;
    start_all();
    submit_to("bad");
    expect_answer(SPAWN_M_REFUSED);
    submit_to("bad");
    expect_answer(SPAWN_M_REFUSED);
    wait_until_logged("MS0530", 1);
    steps[1] += 61;
    submit_to("bad");
    expect_answer(SPAWN_M_REFUSED);
    wait_until_logged("MS0530", 2);
    submit_to("default"); /* small jobs may fit where big ones do not */
    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    say_started(&id); /* else it is asked for when time has passed */
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(logged("MS0531"), 0);
    steps[1] += 6;
    submit_to("default");
    expect(SPAWN_M_LAUNCH);
    wait_until_logged("MS0531", 1);
    submit_to("bad");
    expect_answer(SPAWN_M_REFUSED);
    wait_until_logged("MS0530", 3); /* it is new */
}

int main(void)
{
#define CLOCK_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, set_up_without_history,              \
                                    tear_down_clock)
    const struct CMUnitTest tests[] = {
        CLOCK_TEST(a_forgotten_id_is_refused),
        CLOCK_TEST(a_durable_job_is_forgotten_by_both),
        CLOCK_TEST(a_clock_that_was_ahead_closes_nothing),
        CLOCK_TEST(what_is_forgotten_after_it_is_refused_too),
        CLOCK_TEST(a_clock_that_was_behind_forgets_nothing),
        CLOCK_TEST(posts_are_taken_whatever_the_clock_says),
        CLOCK_TEST(a_step_ahead_forgets_nobody_too_soon),
        CLOCK_TEST(the_first_that_ended_go_first),
        CLOCK_TEST(age_counts_from_who_ended_later),
        CLOCK_TEST(an_unfinished_file_stays_for_its_minute),
        CLOCK_TEST(what_fails_on_is_told_once_a_minute)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker_clock", tests, NULL, NULL);
}
