/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs in a broker whose clock the test steps: each run comes when it
 * is due, once, also when brokers are killed; what was missed is made up as the
 * configuration has it; never two of one at once.
 */
#include "t/unit/broker_clock.h"

#include <time.h>

typedef struct {
    const char *name, *schedule, *zone;
    unsigned catch_up;
    bool overlap;
} entry;

static entry entries[3];
static unsigned entries_count;
static spawn_id run;

/* ---- the configuration ---- */

static void put_entries(spawn_writer *w)
{
    unsigned i;

    for (i = 0; i < entries_count; i++) {
        const entry *e = &entries[i];
        size_t nest = spawn_open_nest(w, SPAWN_A_CRON_RULES), list;

        spawn_put_str(w, SPAWN_A_CRON, e->name);
        spawn_put_str(w, SPAWN_A_CRON_SCHEDULE, e->schedule);
        spawn_put_str(w, SPAWN_A_CRON_ZONE, e->zone ? e->zone : "UTC");
        spawn_put_u64(w, SPAWN_A_CRON_CATCH_UP, e->catch_up);
        spawn_put_u64(w, SPAWN_A_CRON_OVERLAP, e->overlap);
        list = spawn_open_strv(w, SPAWN_A_ARGV);
        spawn_add_text(w, list, "/bin/true", 9);
        spawn_close(w, list);
        spawn_close(w, nest);
    }
}

static void one(const char *schedule, unsigned catch_up, bool overlap)
{
    entries[0] = (entry){.name = "it",
                         .schedule = schedule,
                         .catch_up = catch_up,
                         .overlap = overlap};
    entries_count = 1;
    more_rules = put_entries;
    log_is_kept = true;
}

/* ---- the clock ---- */

/* The clock is this, in UTC. */
static void it_is(const char *text)
{
    struct tm tm;

    memset(&tm, 0, sizeof(tm));
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    steps[0] = (int64_t)timegm(&tm) - spawn_wall_ms() / 1000;
}

static void expect_time_of(const spawn_id *id, const char *wanted)
{
    time_t t = (time_t)(spawn_id_time(id) / 1000);
    struct tm tm;
    char text[40];

    assert_non_null(gmtime_r(&t, &tm));
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    assert_string_equal(text, wanted);
}

/* ---- brokers and runs ---- */

static void starts(void)
{
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    has_heard();
}

static void is_stopped(void)
{
    end_broker();
    (void)close(caller);
}

static void expect_run(const char *planned)
{
    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &run);
    assert_true(spawn_id_valid(&run));
    if (planned)
        expect_time_of(&run, planned);
}

static void it_ends(int status)
{
    say_started(&run);
    say_exited(&run, 0, status);
    expect_id(SPAWN_M_FORGET, &run);
}

static void no_run(void)
{
    has_heard();
    quiet_for(100);
}

static void ask_cron(uint64_t what, const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_CRON, id);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, what);
    if (what != SPAWN_CRON_LIST)
        spawn_put_str(&w, SPAWN_A_CRON, "it");
    ask(&w);
}

static void expect_end_of_rows(void)
{
    expect_answer(SPAWN_M_END);
}

static void do_cron(uint64_t what)
{
    ask_cron(what, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    expect_end_of_rows();
}

static bool is_in_log(const char *text)
{
    return logged(text) > 0;
}

/* ---- when it comes ---- */

static void a_run_comes_when_it_is_due(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    no_run();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    assert_string_equal(spawn_strv_next(&message.attr[SPAWN_A_ARGV], NULL),
                        "/bin/true");
    it_ends(0);
    {
        spawn_writer w;

        begin(&w, SPAWN_M_GET, &run);
        ask(&w);
    }
    expect_answer(SPAWN_M_JOB);
    assert_string_equal(spawn_attr_str(&message.attr[SPAWN_A_LABEL]), "it");
    later_by(86400);
    expect_run("2027-01-02 13:00:00");
    it_ends(0);
}

static void zones_have_their_own_hours(void **state)
{
    (void)state;
    one("30 2 * * *", SPAWN_CATCH_UP_NONE, false);
    entries[0].zone = "Europe/Berlin";
    it_is("2026-03-29 00:59:30"); /* where 02:30 is skipped */
    starts();
    later_by(40);
    expect_run("2026-03-29 01:00:00");
    it_ends(0);
    later_by(3600);
    no_run();
}

static void all_of_them_run(void **state)
{
    spawn_id first;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    entries[1] = entries[0];
    entries[1].name = "other";
    entries_count = 2;
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    first = run;
    expect_run("2027-01-01 13:00:00");
    assert_false(spawn_id_equal(&run, &first));
    no_run();
}

/* ---- once ---- */

/* As if the broker had been killed before it could note that it ran. */
static void a_run_is_never_submitted_twice(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
    is_stopped();
    expect_sql("SELECT count(*) FROM cron WHERE done > 1798800000"
               " AND outcome = 1 AND exit_code = 0",
               "1");
    run_sql("UPDATE cron SET done = done - 3600");
    starts();
    no_run();
    is_stopped();
    expect_sql("SELECT count(*) FROM job", "1");
    expect_sql("SELECT done - 1798808400 FROM cron", "0"); /* 13:00 */
}

static void a_killed_broker_has_it_run_on(void **state)
{
    spawn_id first;

    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    first = run;
    say_started(&run);
    has_heard();
    kill_broker();
    start_broker();
    {
        spawn_writer w;

        begin(&w, SPAWN_M_RUNNING, &first);
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
        spawn_put_u64(&w, SPAWN_A_PID, 4000000);
        send_fds(&w, NULL, 0);
    }
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    no_run();
    later_by(60); /* the next minute: the first one has not ended */
    no_run();
    assert_true(is_in_log("MS0883"));
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    later_by(60);
    expect_run("2027-01-01 13:02:00");
    it_ends(0);
}

/* Killed before it could note the run, and not back before the next is due. */
static void a_run_that_was_not_noted_is_not_joined(void **state)
{
    spawn_id first;

    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    first = run;
    say_started(&run);
    has_heard();
    kill_broker();
    run_sql("UPDATE cron SET done = done - 60, id = NULL");
    it_is("2027-01-01 13:02:10");
    start_broker();
    {
        spawn_writer w;

        begin(&w, SPAWN_M_RUNNING, &first);
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
        spawn_put_u64(&w, SPAWN_A_PID, 4000000);
        send_fds(&w, NULL, 0);
    }
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    no_run();
    say_exited(&first, 0, 0);
    expect_run("2027-01-01 13:02:00");
    expect_id(SPAWN_M_FORGET, &first);
    it_ends(0);
}

/* ---- at once ---- */

static void runs_until_the_third(unsigned catch_up, bool overlap)
{
    one("* * * * *", catch_up, overlap);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    say_started(&run);
    later_by(60);
}

static void without_catch_up_a_run_is_left_out(void **state)
{
    (void)state;
    runs_until_the_third(SPAWN_CATCH_UP_NONE, false);
    no_run();
    later_by(60);
    no_run();
    say_exited(&run, 0, 0);
    expect_id(SPAWN_M_FORGET, &run);
    no_run();
    later_by(60);
    expect_run("2027-01-01 13:03:00");
    it_ends(0);
}

static void with_one_the_last_is_made_up(void **state)
{
    (void)state;
    runs_until_the_third(SPAWN_CATCH_UP_ONE, false);
    later_by(60);
    no_run();
    say_exited(&run, 0, 0);
    expect_run("2027-01-01 13:02:00");
    next_message(); /* FORGET of the first */
    it_ends(0);
    no_run();
}

/* It runs and ends, and with its end the next one comes. */
static void then_comes(const char *planned)
{
    spawn_id before = run;

    say_started(&run);
    say_exited(&run, 0, 0);
    expect_run(planned);
    expect_id(SPAWN_M_FORGET, &before);
    no_run(); /* one after the other */
}

static void with_all_each_is_made_up(void **state)
{
    (void)state;
    runs_until_the_third(SPAWN_CATCH_UP_ALL, false);
    later_by(60);
    no_run();
    then_comes("2027-01-01 13:01:00");
    then_comes("2027-01-01 13:02:00");
    it_ends(0);
    no_run();
}

static void overlapping_runs_are_allowed(void **state)
{
    (void)state;
    runs_until_the_third(SPAWN_CATCH_UP_NONE, true);
    expect_run("2027-01-01 13:01:00");
    say_started(&run);
    later_by(60);
    expect_run("2027-01-01 13:02:00");
}

/* ---- what was missed ---- */

static void stopped_for_three_hours(unsigned catch_up)
{
    one("0 * * * *", catch_up, false);
    it_is("2027-01-01 12:30:00");
    starts();
    no_run();
    is_stopped();
    it_is("2027-01-01 15:30:00");
    starts();
}

static void nothing_is_made_up(void **state)
{
    (void)state;
    stopped_for_three_hours(SPAWN_CATCH_UP_NONE);
    no_run();
    assert_true(is_in_log("MS0884"));
    later_by(1800);
    expect_run("2027-01-01 16:00:00");
    it_ends(0);
}

static void the_last_is_made_up(void **state)
{
    (void)state;
    stopped_for_three_hours(SPAWN_CATCH_UP_ONE);
    expect_run("2027-01-01 15:00:00");
    it_ends(0);
    no_run();
}

static void each_is_made_up(void **state)
{
    (void)state;
    stopped_for_three_hours(SPAWN_CATCH_UP_ALL);
    expect_run("2027-01-01 13:00:00");
    then_comes("2027-01-01 14:00:00");
    then_comes("2027-01-01 15:00:00");
    it_ends(0);
    no_run();
}

/* A restart of some seconds loses none, whatever catch_up says. */
static void a_short_stop_misses_nothing(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:59:50");
    starts();
    is_stopped();
    it_is("2027-01-01 13:00:20");
    starts();
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
}

/* Nor is one in its queue. */
static void no_last_run(void)
{
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_false(spawn_has(&message, SPAWN_A_ID));
    expect_end_of_rows();
}

static void nothing_starts_before_go(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    is_stopped();
    it_is("2027-01-01 13:30:00");
    start_broker();
    expect_ready();
    call_in();
    has_heard();
    no_last_run();
    say(SPAWN_M_GO);
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
}

/* The pair has a job to wait for; runs are those of the next httpd. */
static void nothing_starts_when_httpd_has_gone(void **state)
{
    spawn_id other;

    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    (void)spawn_id_make(&other);
    submit_as(&other, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &other);
    say_started(&other);
    say(SPAWN_M_LINGER);
    has_heard();
    later_by(120);
    no_last_run();
}

/* ---- a stepped clock ---- */

static void a_clock_set_forward_is_like_a_stop(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    no_run();
    it_is("2027-01-01 15:30:00");
    steps[1] += 20; /* it looks at the clock by then */
    broker_sleeps();
    broker_goes_on();
    expect_run("2027-01-01 15:00:00");
    it_ends(0);
    no_run();
}

static void set_back_to(const char *schedule, const char *time)
{
    one(schedule, SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
    it_is(time);
    later_by(20);
    no_run();
}

static void a_clock_set_back_repeats_no_fixed_time(void **state)
{
    (void)state;
    set_back_to("0 12-14 * * *", "2027-01-01 11:59:00");
    later_by(60);
    no_run();
    later_by(3600 * 2);
    expect_run("2027-01-01 14:00:00");
    it_ends(0);
}

static void a_clock_set_back_far_is_another_one(void **state)
{
    (void)state;
    set_back_to("0 9-14 * * *", "2027-01-01 08:59:00");
    later_by(60);
    expect_run("2027-01-01 09:00:00");
    it_ends(0);
}

/* By the new time, and under another id than that of the first. */
static void a_star_runs_by_the_new_time(void **state)
{
    spawn_id first;

    (void)state;
    set_back_to("0 * * * *", "2027-01-01 11:59:00");
    first = run;
    later_by(60);
    expect_run("2027-01-01 12:00:00");
    it_ends(0);
    later_by(3600);
    expect_run("2027-01-01 13:00:00");
    assert_false(spawn_id_equal(&run, &first));
    it_ends(0);
}

/* Some seconds, as a daemon sets it: the minute is not repeated. */
static void a_clock_set_back_a_little_repeats_nothing(void **state)
{
    (void)state;
    set_back_to("* * * * *", "2027-01-01 12:59:35");
    later_by(70);
    expect_run("2027-01-01 13:01:00");
    it_ends(0);
}

/* As at the start of a machine that has no clock of its own: what ran before
 * is not made up again when the time is right. */
static void a_clock_that_was_wrong_repeats_nothing(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
    is_stopped();
    it_is("2000-01-01 00:00:30");
    starts();
    no_run();
    it_is("2027-01-02 13:05:00");
    steps[1] += 20; /* it looks at the clock by then */
    broker_sleeps();
    broker_goes_on();
    expect_run("2027-01-02 13:00:00");
    it_ends(0);
    no_run();
}

/* ---- by hand ---- */

static void it_is_paused_until_it_is_resumed(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:30:00");
    starts();
    do_cron(SPAWN_CRON_PAUSE);
    later_by(3600);
    no_run();
    is_stopped();
    starts();
    assert_true(is_in_log("MS0882"));
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_true(spawn_has(&message, SPAWN_A_CRON_PAUSED));
    assert_false(spawn_has(&message, SPAWN_A_CRON_NEXT));
    expect_end_of_rows();
    no_run();
    do_cron(SPAWN_CRON_RESUME);
    no_run(); /* what was planned meanwhile is left out */
    later_by(1800);
    expect_run("2027-01-01 14:00:00");
    it_ends(0);
}

static void it_can_be_run_by_hand(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    (void)spawn_id_make(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    ask_cron(SPAWN_CRON_RUN, &run); /* sent again: the same one */
    expect_answer(SPAWN_M_ACCEPTED);
    {
        spawn_id other;

        (void)spawn_id_make(&other);
        ask_cron(SPAWN_CRON_RUN, &other);
        expect_refusal(SPAWN_E_CONFLICT);
    }
    say_started(&run);
    later_by(1830);
    no_run(); /* nor a planned one beside it */
    say_exited(&run, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &run);
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_EXIT_CODE]), 3);
    assert_false(spawn_has(&message, SPAWN_A_CRON_PLANNED));
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CRON_NEXT]),
                     1798894800000); /* tomorrow, 13:00 */
    expect_end_of_rows();
}

static void who_asks_for_another_is_told_which_there_are(void **state)
{
    spawn_writer w;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    starts();
    begin(&w, SPAWN_M_CRON, NULL);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, SPAWN_CRON_PAUSE);
    spawn_put_str(&w, SPAWN_A_CRON, "that");
    ask(&w);
    expect_refusal(SPAWN_E_INVALID);
    assert_non_null(
        strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "configured: it"));
    ask_cron(SPAWN_CRON_RUN, NULL);
    expect_refusal(SPAWN_E_INVALID);
    ask_cron(9, NULL);
    expect_refusal(SPAWN_E_INVALID);
}

/* ---- another configuration ---- */

static void what_was_removed_is_gone(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:30:00");
    starts();
    do_cron(SPAWN_CRON_PAUSE);
    entries_count = 0;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    has_heard();
    later_by(1);
    expect_sql("SELECT 0", "0"); /* the store is the broker's until it ends */
    later_by(3600);
    entries_count = 1;
    say_configure(); /* a new one: not paused, and nothing to be made up */
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    no_run();
    later_by(1800);
    expect_run("2027-01-01 14:00:00");
    it_ends(0);
}

static void another_schedule_makes_up_nothing(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:30:00");
    starts();
    is_stopped();
    it_is("2027-01-01 15:30:00");
    entries[0].schedule = "*/20 * * * *";
    starts();
    no_run();
    later_by(600);
    expect_run("2027-01-01 15:40:00");
    it_ends(0);
}

/* ---- trouble ---- */

static void a_full_queue_is_waited_for(void **state)
{
    (void)state;
    queue_jobs = 1;
    queue_waits = 0;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    (void)spawn_id_make(&run);
    submit_as(&run, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    later_by(40);
    no_run();
    assert_true(is_in_log("MS0885"));
    it_ends(0);
    later_by(2);
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
}

static void a_store_that_takes_no_run_is_waited_for(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    make_store();
    store_fails(NO_INSERT);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    no_run();
    is_stopped();
    run_sql("DROP TRIGGER no");
    starts();
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
}

/* Of a release that knew no recurring jobs. */
static void an_older_store_gets_its_table(void **state)
{
    (void)state;
    make_store();
    run_sql("DROP TABLE cron");
    a_run_comes_when_it_is_due(state);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(a_run_comes_when_it_is_due),
        ALONE(zones_have_their_own_hours),
        ALONE(all_of_them_run),
        ALONE(a_run_is_never_submitted_twice),
        ALONE(a_killed_broker_has_it_run_on),
        ALONE(a_run_that_was_not_noted_is_not_joined),
        ALONE(without_catch_up_a_run_is_left_out),
        ALONE(with_one_the_last_is_made_up),
        ALONE(with_all_each_is_made_up),
        ALONE(overlapping_runs_are_allowed),
        ALONE(nothing_is_made_up),
        ALONE(the_last_is_made_up),
        ALONE(each_is_made_up),
        ALONE(a_short_stop_misses_nothing),
        ALONE(nothing_starts_before_go),
        ALONE(nothing_starts_when_httpd_has_gone),
        ALONE(a_clock_set_forward_is_like_a_stop),
        ALONE(a_clock_set_back_repeats_no_fixed_time),
        ALONE(a_clock_set_back_far_is_another_one),
        ALONE(a_star_runs_by_the_new_time),
        ALONE(a_clock_set_back_a_little_repeats_nothing),
        ALONE(a_clock_that_was_wrong_repeats_nothing),
        ALONE(it_is_paused_until_it_is_resumed),
        ALONE(it_can_be_run_by_hand),
        ALONE(who_asks_for_another_is_told_which_there_are),
        ALONE(what_was_removed_is_gone),
        ALONE(another_schedule_makes_up_nothing),
        ALONE(a_full_queue_is_waited_for),
        ALONE(a_store_that_takes_no_run_is_waited_for),
        ALONE(an_older_store_gets_its_table)};

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker cron", tests, NULL, NULL);
}
