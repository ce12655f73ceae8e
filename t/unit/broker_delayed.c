/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that wait for their time: none starts before it, whatever happens to the
 * clock, the broker, or the machine. A delay goes by the clock that counts from
 * the boot, an `at` by the time of day.
 */
#include "t/unit/broker_jobs.h"
#include "t/unit/broker_post.h"
#include "t/unit/corner.h"

#define HOUR 3600

static void begin_at(spawn_writer *w, unsigned attr, uint64_t value)
{
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(w, &job, "/bin/true");
    spawn_put_u64(w, (uint16_t)attr, value);
}

static void submit_with(unsigned attr, uint64_t value)
{
    spawn_writer w;

    begin_at(&w, attr, value);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static uint64_t in_an_hour(void)
{
    return (uint64_t)(spawn_wall_ms() + (steps[0] + HOUR) * 1000);
}

/* Asks for it. */
static void look(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

static void expect_state(spawn_state state)
{
    look();
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]), state);
}

static void it_waits(void)
{
    expect_state(SPAWN_STATE_DELAYED);
    quiet_for(1);
}

static void it_starts(void)
{
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
}

static void another_broker(void)
{
    kill_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

/* ---- what is promised ---- */

static void a_delay_is_waited_for(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_DELAY, HOUR * 1000);
    it_waits();
    assert_true(spawn_has(&message, SPAWN_A_DUE_AT));
    assert_in_range(spawn_attr_u64(&message.attr[SPAWN_A_DUE_AT]),
                    in_an_hour() - 60000, in_an_hour());
    step(HOUR - 60, HOUR - 60);
    it_waits();
    step(60, 60);
    it_starts();
    expect_state(SPAWN_STATE_DONE);
    assert_false(spawn_has(&message, SPAWN_A_DUE_AT));
}

static void a_clock_that_is_set_changes_no_delay(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_DELAY, HOUR * 1000);
    step(2 * HOUR, 0);
    it_waits();
    assert_in_range(spawn_attr_u64(&message.attr[SPAWN_A_DUE_AT]),
                    in_an_hour() - 60000, in_an_hour());
    step(-4 * HOUR, 0);
    it_waits();
    step(0, HOUR);
    it_starts();
}

static void an_at_goes_by_the_clock_that_is_set(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_AT, in_an_hour());
    it_waits();
    step(-HOUR, HOUR); /* it comes an hour later */
    it_waits();
    step(HOUR, 0);
    it_waits();
    step(HOUR, 0);
    it_starts();
}

static void what_is_past_starts_at_once(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_AT, 1000);
    it_starts();
    submit_with(SPAWN_A_DELAY, 0);
    it_starts();
}

static void it_waits_on_with_another_broker(void **state)
{
    spawn_id first;

    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_DELAY, HOUR * 1000);
    first = job;
    submit_with(SPAWN_A_AT, in_an_hour());
    steps[0] -= HOUR; /* which changes no delay, also over a kill */
    another_broker();
    it_waits();
    step(0, HOUR - 60);
    it_waits();
    step(0, 60);
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    it_waits();
    another_broker();
    it_waits();
    step(2 * HOUR, 0);
    it_starts();
}

/* Its time is over when the broker comes back. */
static void it_starts_late_rather_than_never(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_DELAY, HOUR * 1000);
    has_heard();
    kill_broker();
    steps[0] += 3 * HOUR;
    steps[1] += 3 * HOUR;
    start_broker();
    expect_ready();
    call_in();
    quiet_for(1);
    say(SPAWN_M_GO);
    it_starts();
}

/* The clock is wrong by so much then. */
static void reboot(int day)
{
    end_broker();
    run_sql("UPDATE meta SET value = '00000000-0000-0000-0000-000000000000'"
            " WHERE key = 'boot_id'");
    steps[0] += day;
    steps[1] += 20 * HOUR;
    (void)spawn_id_make(&life); /* another spawner */
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

/* The clock that counts from the boot begins anew: all that is known is the
 * time of day. One that was wrong at first, as without a clock that runs on
 * batteries, counts when it is right. */
static void after_a_reboot_the_time_of_day_counts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_DELAY, HOUR * 1000);
    has_heard();
    reboot(-20 * HOUR);
    it_waits();
    another_broker();
    step(20 * HOUR + HOUR - 600, 600);
    it_waits();
    step(600, 0);
    it_starts();
}

/* The time of day is another one by now than when the job came. */
static void a_clock_that_was_set_is_not_forgotten_by_a_reboot(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_DELAY, HOUR * 1000);
    has_heard();
    steps[0] += 10 * HOUR;
    has_heard();
    reboot(0);
    it_waits();
    step(HOUR, 0);
    it_starts();
}

static void it_can_be_cancelled(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_DELAY, HOUR * 1000);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    step(HOUR, HOUR);
    quiet_for(1);
    expect_end("4 - -");
}

static void they_start_in_the_order_of_their_times(void **state)
{
    spawn_id ids[5];
    unsigned i;

    (void)state;
    queue_jobs = 1;
    reach_go_and_call_in();
    for (i = 0; i < 5; i++) {
        submit_with(SPAWN_A_DELAY, (5 - i) * HOUR * 1000);
        ids[i] = job;
    }
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED); /* the time of this one is now */
    it_starts();
    for (i = 5; i-- > 0;) {
        step(HOUR, HOUR);
        job = ids[i];
        it_starts();
    }
}

static void a_post_can_wait_too(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    begin_timed_post(&w, &job, SPAWN_A_DELAY, HOUR * 1000);
    send_post(&w);
    has_heard();
    it_waits();
    another_broker();
    it_waits();
    step(HOUR, HOUR);
    it_starts();
}

/* No broker has read it yet. */
static void so_can_one_in_a_slot(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    begin_timed_post(&w, &job, SPAWN_A_DELAY, HOUR * 1000);
    lies_in_slot(0, &w);
    reach_go_and_call_in();
    it_waits();
    step(HOUR, HOUR);
    it_starts();
}

/* KB */
static long memory_of_the_broker(void)
{
    char path[40];
    long pages = 0, resident = 0;
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)broker);
    in = fopen(path, "re");
    assert_non_null(in);
    assert_int_equal(fscanf(in, "%ld %ld", &pages, &resident), 2);
    (void)fclose(in);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* 433 bytes with a million. Their bodies are in the store. */
static void one_takes_little_memory(void **state)
{
    enum {
        FIRST = 3000,
        MORE = 6000,
        MOST = 700 /* bytes */
    };
    char long_path[1000] = "/";
    long before = 0;
    spawn_writer w;
    int i;

    (void)state;
    LEAVE_OUT_IF(SANITIZED, "freed memory is held back");
    memset(long_path + 1, 'x', sizeof(long_path) - 2);
    queue_delays = 100000;
    reach_go_and_call_in();
    for (i = 0; i < FIRST + MORE; i++) {
        if (i == FIRST)
            before = memory_of_the_broker();
        assert_int_equal(spawn_id_make(&job), 0);
        begin_submit(&w, &job, long_path);
        spawn_put_u64(&w, SPAWN_A_DELAY, HOUR * 1000);
        ask(&w);
        expect_answer(SPAWN_M_ACCEPTED);
    }
    has_heard();
    assert_in_range(memory_of_the_broker() - before, 0, MORE * MOST / 1024);
}

/* Those that wait for their time take no place of those that wait for others;
 * they have a limit of their own. */
static void they_do_not_fill_the_queue(void **state)
{
    spawn_writer w;
    spawn_id last;
    unsigned i;

    (void)state;
    queue_jobs = 1;
    queue_waits = 0;
    queue_delays = 20;
    reach_go_and_call_in();
    for (i = 0; i < 20; i++)
        submit_with(SPAWN_A_DELAY, HOUR * 1000);
    last = job;
    begin_at(&w, SPAWN_A_DELAY, HOUR * 1000);
    ask(&w);
    expect_refusal(SPAWN_E_QUEUE_FULL);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "20 jobs that wait for their time"));
    kill_it(0); /* no such job: it was refused */
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
    job = last;
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    submit_with(SPAWN_A_DELAY, HOUR * 1000); /* in its place */
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    it_starts();
}

/* Those whose time has come and that cannot start count on: so no short delay
 * is a way past both limits. */
static void a_short_delay_is_no_way_past_the_limits(void **state)
{
    spawn_id first, next;
    spawn_writer w;
    unsigned i;

    (void)state;
    queue_jobs = 1;
    queue_waits = 0;
    queue_delays = 3;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    first = job;
    for (i = 0; i < 3; i++) {
        submit_with(SPAWN_A_DELAY, 1);
        next = i ? next : job;
        step(1, 1);
    }
    begin_at(&w, SPAWN_A_DELAY, 1);
    ask(&w);
    expect_refusal(SPAWN_E_QUEUE_FULL);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "3 whose time has come"));
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_LAUNCH, &next);
    expect_id(SPAWN_M_FORGET, &first);
    submit_with(SPAWN_A_DELAY, HOUR * 1000); /* in its place */
}

/* Each handle is a descriptor of broker and spawner until the job starts. */
static void one_with_handles_is_refused(void **state)
{
    static const uint16_t attrs[] = {SPAWN_A_DELAY, SPAWN_A_AT};
    spawn_writer w;
    unsigned i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < 2; i++) {
        uint64_t pair[] = {0, 3};
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        begin_at(&w, attrs[i], i ? in_an_hour() : 1000);
        spawn_put_u64v(&w, SPAWN_A_FDS, pair, 2);
        assert_int_equal(spawn_writer_finish(&w, 1), 0);
        assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1),
                         0);
        spawn_writer_free(&w);
        expect_refusal(SPAWN_E_INVALID);
        assert_non_null(
            strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "handles"));
        (void)close(fd);
    }
}

static void they_are_listed_by_their_word(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    submit_with(SPAWN_A_DELAY, HOUR * 1000);
    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_STATES, 1ull << SPAWN_STATE_QUEUED);
    ask(&w);
    expect_answer(SPAWN_M_END);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_ROWS]), 0);
    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_STATES, 1ull << SPAWN_STATE_DELAYED);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DELAYED);
    expect_answer(SPAWN_M_END);
}

/* The store is asked what is there before anybody waits for it. */
static void who_waits_for_its_end_waits_for_its_time_too(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    begin_at(&w, SPAWN_A_DELAY, HOUR * 1000);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    has_heard();
    steps[0] += HOUR;
    steps[1] += HOUR;
    broker_sleeps();
    broker_goes_on();
    it_starts();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_EXITED);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(a_delay_is_waited_for),
        ALONE(a_clock_that_is_set_changes_no_delay),
        ALONE(an_at_goes_by_the_clock_that_is_set),
        ALONE(what_is_past_starts_at_once),
        ALONE(it_waits_on_with_another_broker),
        ALONE(it_starts_late_rather_than_never),
        ALONE(after_a_reboot_the_time_of_day_counts),
        ALONE(a_clock_that_was_set_is_not_forgotten_by_a_reboot),
        ALONE(it_can_be_cancelled),
        ALONE(they_start_in_the_order_of_their_times),
        ALONE(a_post_can_wait_too),
        ALONE(so_can_one_in_a_slot),
        ALONE(one_takes_little_memory),
        ALONE(they_do_not_fill_the_queue),
        ALONE(a_short_delay_is_no_way_past_the_limits),
        ALONE(one_with_handles_is_refused),
        ALONE(they_are_listed_by_their_word),
        ALONE(who_waits_for_its_end_waits_for_its_time_too)};

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("delayed jobs", tests, NULL, NULL);
}
