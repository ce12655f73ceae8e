/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues that are changed by hand: one that is paused orders no launch, one
 * that is drained takes no job, one that is scaled runs another number at once;
 * a killed broker's successor knows it. A change that cannot be stored is not
 * made. The answer says what runs and waits, and the log who has changed it.
 */
#include "t/unit/broker_jobs.h"

#include "common/spawn_field.h"
#include "common/spawn_rule.h"

static void begin_queues(spawn_writer *w, uint64_t what, const char *name)
{
    begin(w, SPAWN_M_QUEUES, NULL);
    spawn_put_u64(w, SPAWN_A_QUEUE_DO, what);
    if (name)
        spawn_put_str(w, SPAWN_A_QUEUE, name);
}

#define MANY 300 /* changes */

/* Its row stays the message. */
static void expect_row(void)
{
    expect_answer(SPAWN_M_QUEUE_STATE);
}

static void expect_rows_end(void)
{
    expect_answer(SPAWN_M_END);
}

static void change_of(const char *queue, uint64_t what)
{
    spawn_writer w;

    begin_queues(&w, what, queue);
    ask(&w);
    expect_row();
    expect_rows_end();
}

static void change(uint64_t what)
{
    change_of("default", what);
}

static void scale(uint64_t to)
{
    spawn_writer w;

    begin_queues(&w, SPAWN_QUEUE_SCALE, "default");
    if (to)
        spawn_put_u64(&w, SPAWN_A_MAX_JOBS, to);
    ask(&w);
    expect_row();
    expect_rows_end();
}

static uint64_t told(unsigned attr)
{
    return spawn_u64_or(&message, attr, 0);
}

/* The queue default, as it is told now. */
static void look(void)
{
    spawn_writer w;

    begin_queues(&w, SPAWN_QUEUE_LIST, "default");
    ask(&w);
    expect_row();
}

static uint64_t mode(void)
{
    uint64_t ret;

    look();
    ret = told(SPAWN_A_QUEUE_MODE);
    expect_rows_end();
    return ret;
}

static void waits(spawn_id *ret)
{
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    *ret = job;
    has_heard();
    quiet_for(1);
}

static void expect_refusal_with(spawn_error code, const char *text)
{
    expect_answer(SPAWN_M_REFUSED);
    assert_int_equal(told(SPAWN_A_CODE), code);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), text));
}

/* ---- what is promised ---- */

static void a_paused_queue_starts_nothing(void **state)
{
    spawn_id runs, first;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    runs = job;
    change(SPAWN_QUEUE_PAUSE);
    assert_int_equal(logged("MS0517"), 1);
    waits(&first);
    look();
    assert_int_equal(told(SPAWN_A_QUEUE_MODE), SPAWN_QUEUE_PAUSED);
    assert_int_equal(told(SPAWN_A_RUNNING), 1);
    assert_int_equal(told(SPAWN_A_WAITING), 1);
    assert_int_equal(told(SPAWN_A_CHANGED_BY), getuid());
    assert_true(told(SPAWN_A_OLDEST_AT) > 0);
    expect_rows_end();
    say_exited(&runs, 0, 0); /* there is room, and nothing comes */
    expect_id(SPAWN_M_FORGET, &runs);
    has_heard();
    quiet_for(1);
    change(SPAWN_QUEUE_RESUME);
    expect_id(SPAWN_M_LAUNCH, &first);
    look();
    assert_int_equal(told(SPAWN_A_QUEUE_MODE), SPAWN_QUEUE_OPEN);
    assert_false(spawn_has(&message, SPAWN_A_CHANGED_BY));
    assert_false(spawn_has(&message, SPAWN_A_OLDEST_AT));
}

static void who_changes_it_all_the_time_has_few_lines(void **state)
{
    int64_t since = spawn_mono_ms();
    char uid[64];
    int i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < MANY; i++) {
        change(SPAWN_QUEUE_PAUSE);
        change(SPAWN_QUEUE_RESUME);
    }
    end_broker();
    expect_few("MS0517", 30, since);
    (void)snprintf(uid, sizeof(uid), "within a minute (uid %ld, queue default)",
                   (long)getuid());
    assert_true(logged(uid) > 0);
}

static void and_hides_no_change_of_another_queue(void **state)
{
    static const char *const queues[] = {"other", NULL};
    int i;

    (void)state;
    more_queues = queues;
    reach_go_and_call_in();
    for (i = 0; i < MANY; i++) {
        change(SPAWN_QUEUE_PAUSE);
        change(SPAWN_QUEUE_RESUME);
    }
    change_of("other", SPAWN_QUEUE_PAUSE);
    assert_int_equal(logged("MS0517: queue other is paused"), 1);
}

/* As many as can wait: none of them can start at once. */
static void a_paused_queue_gets_full(void **state)
{
    spawn_id one;
    spawn_writer w;

    (void)state;
    queue_waits = 1;
    reach_go_and_call_in();
    change(SPAWN_QUEUE_PAUSE);
    waits(&one);
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(&w, &job, "/bin/true");
    ask(&w);
    expect_refusal_with(SPAWN_E_QUEUE_FULL, "is full");
}

static void it_is_paused_for_the_next_broker_too(void **state)
{
    spawn_id one;

    (void)state;
    make_store();
    reach_go_and_call_in();
    change(SPAWN_QUEUE_PAUSE);
    scale(3);
    waits(&one);
    kill_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    has_heard();
    quiet_for(1);
    wait_until_logged("MS0516", 1);
    look();
    assert_int_equal(told(SPAWN_A_QUEUE_MODE), SPAWN_QUEUE_PAUSED);
    assert_int_equal(told(SPAWN_A_SCALED_TO), 3);
    assert_int_equal(told(SPAWN_A_MAX_JOBS), queue_jobs);
    expect_rows_end();
    change(SPAWN_QUEUE_RESUME);
    expect_id(SPAWN_M_LAUNCH, &one);
    scale(0);
    kill_broker();
    expect_sql("SELECT count(*) FROM queue_control", "0");
}

static void a_drained_queue_takes_nothing(void **state)
{
    spawn_id runs, one;
    spawn_writer w;

    (void)state;
    queue_jobs = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    runs = job;
    waits(&one);
    change(SPAWN_QUEUE_DRAIN);
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(&w, &job, "/bin/true");
    ask(&w);
    expect_refusal_with(SPAWN_E_QUEUE_FULL, "is drained");
    /* a caller that asks again for an accepted job is answered */
    begin_submit(&w, &one, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    say_exited(&runs, 0, 0);
    expect_id(SPAWN_M_LAUNCH, &one);
}

/* Both at once, and each is undone alone. */
static void
a_queue_that_is_paused_and_drained_starts_and_takes_nothing(void **state)
{
    spawn_id one;
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    change(SPAWN_QUEUE_PAUSE);
    waits(&one);
    change(SPAWN_QUEUE_DRAIN);
    has_heard();
    quiet_for(1);
    assert_int_equal(mode(), SPAWN_QUEUE_PAUSED | SPAWN_QUEUE_DRAINING);
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(&w, &job, "/bin/true");
    ask(&w);
    expect_refusal_with(SPAWN_E_QUEUE_FULL, "is drained");
    kill_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    wait_until_logged("is paused and drained", 1);
    has_heard();
    quiet_for(1);
    change(SPAWN_QUEUE_UNDRAIN);
    assert_int_equal(mode(), SPAWN_QUEUE_PAUSED);
    waits(&job); /* it takes them again */
    change(SPAWN_QUEUE_DRAIN);
    change(SPAWN_QUEUE_UNPAUSE);
    assert_int_equal(mode(), SPAWN_QUEUE_DRAINING);
    expect_id(SPAWN_M_LAUNCH, &one);
    expect_id(SPAWN_M_LAUNCH, &job);
    change(SPAWN_QUEUE_RESUME);
    assert_int_equal(mode(), SPAWN_QUEUE_OPEN);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* Nothing is taken in its place. */
static void a_drained_queue_keeps_another_job(void **state)
{
    spawn_id first;
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    assert_int_equal(spawn_id_make(&first), 0);
    begin_submit(&w, &first, "/bin/true");
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &first);
    change(SPAWN_QUEUE_DRAIN);
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_KEEP);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_true(spawn_has(&message, SPAWN_A_OTHER));
}

/* Jobs that wait for others are not in a lane. */
static void those_that_wait_for_others_wait(void **state)
{
    spawn_id first, after;
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    first = job;
    assert_int_equal(spawn_id_make(&after), 0);
    begin_submit(&w, &after, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_AFTER, first.bytes, sizeof(first.bytes));
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    look();
    assert_int_equal(told(SPAWN_A_WAITING), 1);
    assert_true(told(SPAWN_A_OLDEST_AT) > 0);
}

/* The caller's session is that of a job. */
static void a_job_changes_nothing(void **state)
{
    spawn_writer w;
    spawn_id runs;

    (void)state;
    assert_true(getsid(0) > 0);
    reach_go_and_call_in();
    submit_for(0, 0, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    runs = job;
    say_started_so(getsid(0), 0, false);
    expect_answer(SPAWN_M_JOB); /* that is known */
    begin_queues(&w, SPAWN_QUEUE_PAUSE, "default");
    ask(&w);
    expect_refusal_with(SPAWN_E_NOT_PERMITTED, "a job may not change");
    assert_int_equal(mode(), SPAWN_QUEUE_OPEN); /* it may look */
    say_exited(&runs, 0, 0);
    expect_id(SPAWN_M_FORGET, &runs);
    change(SPAWN_QUEUE_PAUSE);
    assert_int_equal(mode(), SPAWN_QUEUE_PAUSED);
}

static void a_scaled_queue_runs_so_many(void **state)
{
    spawn_id one, two;
    spawn_writer w;

    (void)state;
    queue_jobs = 2;
    reach_go_and_call_in();
    scale(1);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    waits(&one);
    /* of rules that come, the change is left */
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    has_heard();
    quiet_for(1);
    scale(0);
    expect_id(SPAWN_M_LAUNCH, &one);
    waits(&two);
    scale(3);
    expect_id(SPAWN_M_LAUNCH, &two);
    begin_queues(&w, SPAWN_QUEUE_SCALE, "default");
    spawn_put_u64(&w, SPAWN_A_MAX_JOBS, 0);
    ask(&w);
    expect_refusal_with(SPAWN_E_INVALID, "starts none");
    begin_queues(&w, SPAWN_QUEUE_SCALE, "default");
    spawn_put_u64(&w, SPAWN_A_MAX_JOBS, 100001);
    ask(&w);
    expect_refusal_with(SPAWN_E_INVALID, "100000 are possible");
}

static void what_cannot_be_stored_is_not_changed(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    kill_broker();
    run_sql("CREATE TRIGGER no BEFORE INSERT ON queue_control BEGIN SELECT "
            "RAISE(ABORT, 'full'); END");
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    begin_queues(&w, SPAWN_QUEUE_PAUSE, "default");
    ask(&w);
    expect_refusal_with(SPAWN_E_STORE, "cannot be written");
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    look();
    assert_int_equal(told(SPAWN_A_QUEUE_MODE), SPAWN_QUEUE_OPEN);
    assert_int_equal(logged("MS0517"), 0);
}

static void rows_that_make_no_sense_are_passed_over(void **state)
{
    (void)state;
    reach_go_and_call_in();
    kill_broker();
    run_sql("INSERT INTO queue_control VALUES('default', 9, 0, 1, 1),"
            "('no name!', 1, 0, 1, 1), ('gone', 1, 100001, 1, 1),"
            "('stays', 2, 0, 1, 1)");
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(logged("MS0516"), 1); /* of the last */
}

/* One that was changed and is not in the configuration is shown until it is
 * resumed. */
static void a_removed_queue_keeps_its_change(void **state)
{
    static const char *const more[] = {"b", NULL};
    spawn_writer w;

    (void)state;
    more_queues = more;
    reach_go_and_call_in();
    begin_queues(&w, SPAWN_QUEUE_PAUSE, "b");
    ask(&w);
    expect_row();
    expect_rows_end();
    more_queues = NULL;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    begin_queues(&w, SPAWN_QUEUE_LIST, NULL);
    ask(&w);
    expect_row();
    assert_false(spawn_has(&message, SPAWN_A_REMOVED));
    expect_row();
    assert_string_equal(spawn_str_or(&message, SPAWN_A_QUEUE, ""), "b");
    assert_int_equal(told(SPAWN_A_REMOVED), 1);
    expect_rows_end();
    begin_queues(&w, SPAWN_QUEUE_RESUME, "b");
    ask(&w);
    expect_row();
    expect_rows_end();
    begin_queues(&w, SPAWN_QUEUE_LIST, "b");
    ask(&w);
    expect_refusal_with(SPAWN_E_UNKNOWN_QUEUE, "queue 'b' is not configured");
}

static void what_is_not_asked_for_is_refused(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    begin_queues(&w, SPAWN_QUEUE_UNDRAIN + 1, "default");
    ask(&w);
    expect_refusal_with(SPAWN_E_INVALID, "queue_do: wanted");
    begin_queues(&w, SPAWN_QUEUE_PAUSE, NULL);
    ask(&w);
    expect_refusal_with(SPAWN_E_UNKNOWN_QUEUE, "queue '' is not configured");
    look();
    assert_int_equal(told(SPAWN_A_QUEUE_MODE), SPAWN_QUEUE_OPEN);
}

static int set_up_each(void **state)
{
    int rv = set_up(state);

    log_is_kept = true;
    return rv;
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(a_paused_queue_starts_nothing),
        ALONE(who_changes_it_all_the_time_has_few_lines),
        ALONE(and_hides_no_change_of_another_queue),
        ALONE(a_paused_queue_gets_full),
        ALONE(it_is_paused_for_the_next_broker_too),
        ALONE(a_drained_queue_takes_nothing),
        ALONE(a_queue_that_is_paused_and_drained_starts_and_takes_nothing),
        ALONE(a_drained_queue_keeps_another_job),
        ALONE(those_that_wait_for_others_wait),
        ALONE(a_job_changes_nothing),
        ALONE(a_scaled_queue_runs_so_many),
        ALONE(what_cannot_be_stored_is_not_changed),
        ALONE(rows_that_make_no_sense_are_passed_over),
        ALONE(a_removed_queue_keeps_its_change),
        ALONE(what_is_not_asked_for_is_refused)};

    if (getsid(0) == 0) /* it began outside of our namespace */
        (void)setsid();
    find_broker();
    return cmocka_run_group_tests_name("queues changed by hand", tests, NULL,
                                       NULL);
}
