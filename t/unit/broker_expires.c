/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that must start by a time, or not at all: they run or they expire, and
 * never both. A caller that waits for one is told, and the log has those that
 * nobody waits for.
 */
#include "t/unit/broker_jobs.h"
#include "t/unit/broker_post.h"

#include "common/spawn_rule.h"

#define HOUR 3600

static void begin_one(spawn_writer *w, uint64_t delay, uint64_t expires)
{
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(w, &job, "/bin/true");
    if (delay)
        spawn_put_u64(w, SPAWN_A_DELAY, delay);
    spawn_put_u64(w, SPAWN_A_EXPIRES, expires);
}

static void submit_one(uint64_t delay, uint64_t expires)
{
    spawn_writer w;

    begin_one(&w, delay, expires);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

/* It takes the only place of its queue. */
static void the_queue_is_busy(spawn_id *ret)
{
    queue_jobs = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    *ret = job;
}

static void it_ends(const spawn_id *id)
{
    say_exited(id, 0, 0);
    expect_id(SPAWN_M_FORGET, id);
}

static void expect_expired(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXPIRED);
}

/* ---- what is promised ---- */

static void one_that_waits_too_long_expires(void **state)
{
    spawn_id first;

    (void)state;
    the_queue_is_busy(&first);
    submit_one(0, HOUR * 1000);
    step(HOUR - 60, HOUR - 60);
    assert_int_equal(logged("MS0684"), 0);
    step(60, 60);
    expect_expired();
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "within 3600 s of its submit"));
    assert_false(spawn_has(&message, SPAWN_A_STARTED_AT));
    wait_until_logged("MS0684", 1);
    it_ends(&first);
    quiet_for(1);
}

static void one_that_starts_in_time_runs_as_long_as_it_likes(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_one(0, HOUR * 1000);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    step(2 * HOUR, 2 * HOUR);
    it_ends(&job);
    expect_end("1 0 -");
}

static void who_waits_is_told(void **state)
{
    spawn_id first;
    spawn_writer w;

    (void)state;
    the_queue_is_busy(&first);
    begin_one(&w, 0, HOUR * 1000);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    has_heard();
    broker_sleeps();
    steps[0] += HOUR;
    steps[1] += HOUR;
    broker_goes_on();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXPIRED);
    has_heard();
    assert_int_equal(logged("MS0684"), 0);
}

/* More than end in one turn, and a place gets free in it. */
static void none_of_many_starts_that_has_expired(void **state)
{
    spawn_id first, last;
    unsigned i;

    (void)state;
    queue_waits = 5000;
    the_queue_is_busy(&first);
    for (i = 0; i < 2300; i++)
        submit_one(0, HOUR * 1000);
    last = job;
    submit_one(0, 10 * HOUR * 1000);
    has_heard();
    broker_sleeps();
    say_exited(&first, 0, 0);
    steps[0] += 2 * HOUR;
    steps[1] += 2 * HOUR;
    broker_goes_on();
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_id(SPAWN_M_FORGET, &first);
    job = last;
    expect_expired();
    assert_int_equal(logged("MS0684") > 0, 1);
}

/* The next broker tells its end, before it starts anything. */
static void it_expires_also_without_a_broker(void **state)
{
    spawn_id first, second;

    (void)state;
    the_queue_is_busy(&first);
    submit_one(0, HOUR * 1000);
    second = job;
    submit_one(HOUR * 500, HOUR * 1000);
    has_heard();
    end_broker();
    steps[0] += HOUR;
    steps[1] += HOUR;
    (void)spawn_id_make(&life); /* another spawner */
    start_broker();
    expect_ready();
    call_in();
    expect_expired();
    job = second;
    expect_expired();
    say(SPAWN_M_GO);
    quiet_for(1);
    wait_until_logged("MS0684", 2);
}

static void a_moment_goes_by_the_clock_that_is_set(void **state)
{
    spawn_id first;
    uint64_t moment;

    (void)state;
    the_queue_is_busy(&first);
    moment = (uint64_t)spawn_wall_ms() + HOUR * 1000;
    submit_one(0, moment | SPAWN_EXPIRES_MOMENT);
    step(-HOUR, HOUR);
    assert_int_equal(logged("MS0684"), 0);
    step(HOUR, 0);
    assert_int_equal(logged("MS0684"), 0);
    step(HOUR, 0);
    expect_expired();
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "it had not started by 20"));
}

static void a_clock_that_is_set_expires_no_duration(void **state)
{
    spawn_id first, second;

    (void)state;
    the_queue_is_busy(&first);
    submit_one(0, HOUR * 1000);
    second = job;
    step(10 * HOUR, 0);
    step(-20 * HOUR, 0);
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_LAUNCH, &second);
}

/* As little for the next broker, within the same boot. */
static void nor_does_it_for_the_next_broker(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_one(HOUR * 1000, 2 * HOUR * 1000);
    has_heard();
    end_broker();
    (void)spawn_id_make(&life); /* another spawner */
    start_broker();
    expect_ready();
    call_in();
    say(SPAWN_M_GO);
    step(10 * HOUR, 0);
    step(0, HOUR);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void one_that_is_past_never_starts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_one(0, 1000 | SPAWN_EXPIRES_MOMENT);
    expect_expired();
    quiet_for(1);
}

/* A delayed one that is due and has expired. */
static void a_delayed_one_expires(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_one(HOUR * 1000, 2 * HOUR * 1000);
    step(2 * HOUR, 2 * HOUR);
    expect_expired();
    quiet_for(1);
}

/* It lay in the socket while there was no broker. */
static void a_post_counts_from_when_it_was_posted(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    begin_timed_post(&w, &job, SPAWN_A_EXPIRES, HOUR * 1000);
    send_post(&w);
    steps[0] += HOUR;
    steps[1] += HOUR;
    reach_go_and_call_in();
    has_heard();
    expect_expired();
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SUBMITTED_AT]),
                     spawn_id_time(&job)); /* as the next broker reckons */
    quiet_for(1);
}

/* Both count from there. */
static void so_does_its_delay(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    begin_timed_post(&w, &job, SPAWN_A_DELAY, HOUR * 1000);
    spawn_put_u64(&w, SPAWN_A_EXPIRES, (HOUR + 60) * 1000);
    send_post(&w);
    steps[0] += HOUR - 60;
    steps[1] += HOUR - 60;
    reach_go_and_call_in();
    has_heard();
    quiet_for(1);
    step(60, 60);
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* A refused job is stored with its reason, and not with the refused values:
 * they would be reckoned with. */
static void values_that_are_refused_are_not_taken(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    begin_timed_post(&w, &job, SPAWN_A_DELAY, INT64_MAX);
    spawn_put_u64(&w, SPAWN_A_EXPIRES, INT64_MAX);
    send_post(&w);
    wait_until_logged("MS0560", 1);
    expect_end("5 - -");
    expect_sql("SELECT count(*) FROM job WHERE due_at NOT NULL"
               " OR expires_at NOT NULL",
               "0");
}

static void the_first_moment_of_all_is_one(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_one(0, SPAWN_EXPIRES_MOMENT);
    expect_expired();
    quiet_for(1);
}

/* CPU time of the broker, in hundredths of a second. */
static unsigned long ticks_used(void)
{
    unsigned long user, system;
    char path[40], text[512];
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)broker);
    in = fopen(path, "re");
    assert_non_null(in);
    assert_non_null(fgets(text, sizeof(text), in));
    (void)fclose(in);
    assert_int_equal(sscanf(strrchr(text, ')') + 1,
                            " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
                            " %lu %lu",
                            &user, &system),
                     2);
    return user + system;
}

/* It is in a slot, and the store takes nothing: it does not run, the broker
 * rests, and the end is stored when it can be. */
static void it_expires_while_the_store_fails(void **state)
{
    unsigned long used;
    spawn_writer w;

    (void)state;
    make_inbox();
    make_store_that_fails_a_while(NO_INSERT);
    start_broker();
    expect_ready();
    call_in();
    begin_timed_post(&w, &job, SPAWN_A_EXPIRES, 10000);
    send_post(&w);
    has_heard();
    step(10, 10);
    say(SPAWN_M_GO);
    has_heard();
    used = ticks_used();
    quiet_for(300);
    assert_true(ticks_used() - used < 10);
    store_takes_again();
    wait_until_logged("MS0684", 1);
    expect_expired();
    quiet_for(1);
}

static int set_up_each(void **state)
{
    int rv = set_up_clock(state);

    log_is_kept = true;
    return rv;
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_waits_too_long_expires),
        ALONE(one_that_starts_in_time_runs_as_long_as_it_likes),
        ALONE(who_waits_is_told),
        ALONE(none_of_many_starts_that_has_expired),
        ALONE(it_expires_also_without_a_broker),
        ALONE(a_moment_goes_by_the_clock_that_is_set),
        ALONE(a_clock_that_is_set_expires_no_duration),
        ALONE(nor_does_it_for_the_next_broker),
        ALONE(one_that_is_past_never_starts),
        ALONE(a_delayed_one_expires),
        ALONE(a_post_counts_from_when_it_was_posted),
        ALONE(so_does_its_delay),
        ALONE(values_that_are_refused_are_not_taken),
        ALONE(the_first_moment_of_all_is_one),
        ALONE(it_expires_while_the_store_fails)};

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("jobs that expire", tests, NULL, NULL);
}
