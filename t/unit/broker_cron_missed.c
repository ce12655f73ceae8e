/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs that could not run when they were due: httpd was stopped, or
 * the clock was set. Missed runs are made up as the configuration has it. The
 * rest is in broker_cron.c.
 */
#include "t/unit/broker_crons.h"

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
    assert_true(is_in_log("MS0884: recurring job it: what was planned from "
                          "2027-01-01 13:00 UTC to 2027-01-01 15:00 UTC was "
                          "missed"));
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

/* Some days of minutes are passed over fast. */
static void the_last_of_many_is_made_up(void **state)
{
    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    is_stopped();
    it_is("2027-01-03 15:30:10");
    starts();
    expect_run("2027-01-03 15:30:00");
    it_ends(0);
}

/* And not the next one, which is to come. */
static void the_last_of_few_is_made_up(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    is_stopped();
    it_is("2027-01-02 12:50:00");
    starts();
    expect_run("2027-01-01 13:00:00");
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

/* Two days and three hours of minutes are more than it makes up. */
static void no_more_than_so_many_are_made_up(void **state)
{
    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:30:00");
    starts();
    no_run();
    is_stopped();
    it_is("2027-01-03 15:30:30");
    starts();
    expect_run("2027-01-02 22:51:00"); /* of 1000, until 15:30 */
    assert_true(is_in_log("MS0889: recurring job it: more than 1000 runs were "
                          "missed: those from 2027-01-01 12:31 UTC on are left "
                          "out, and those from 2027-01-02 22:51 UTC on are "
                          "made up (catch_up=all)"));
    then_comes("2027-01-02 22:52:00");
}

/* Of an entry that is planned for some days of the year: none is too many. */
static void few_of_many_years_are_all_made_up(void **state)
{
    (void)state;
    one("0 0 1 * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:30:00");
    starts();
    no_run();
    is_stopped();
    it_is("2037-01-01 12:30:00");
    starts();
    expect_run("2027-02-01 00:00:00");
    then_comes("2027-03-01 00:00:00");
    assert_false(is_in_log("MS0889"));
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
    make_id(&other);
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
    starts_and_runs();
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

/* Whichever of its looks at the clock is the first to see it. */
static void a_clock_set_back_between_two_looks_runs_nothing(void **state)
{
    int64_t looks = 0, left;

    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    do {
        expect_run(NULL);
        it_ends(0);
        no_run();
        steps[4] = -3600;
        steps[3] = ++looks;
        later_by(20);
        no_run();
        left = steps[3];
        steps[3] = 0;
        later_by(20); /* it may have been the last look */
        no_run();
        later_by(3560); /* some seconds after the next full hour */
    } while (left == 0 && looks < 100);
    assert_in_range(looks, 3, 99);
    expect_run(NULL);
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
    starts_and_runs();
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

/* Each time by more: what ran before the first of them is not forgotten. */
static void a_clock_that_was_wrong_twice_repeats_nothing(void **state)
{
    static const char *const wrong[] = {"2010-01-01 00:00:30",
                                        "2000-01-01 00:00:30"};
    unsigned i;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ALL, false);
    starts_and_runs();
    it_ends(0);
    for (i = 0; i < 2; i++) {
        is_stopped();
        it_is(wrong[i]);
        starts();
        no_run();
    }
    is_stopped();
    it_is("2027-01-02 13:05:00");
    starts();
    expect_run("2027-01-02 13:00:00");
    it_ends(0);
    no_run();
}

/* In a queue that has room for one job only: what comes next is the run that
 * was refused first, not one more of those that are made up. */
static void what_is_made_up_takes_no_other_place(void **state)
{
    (void)state;
    queue_jobs = 1;
    queue_waits = 0;
    one("* * * * *", SPAWN_CATCH_UP_ALL, false);
    entries[1] = (entry){.name = "other",
                         .schedule = "0 13 * * *",
                         .catch_up = SPAWN_CATCH_UP_ONE};
    entries_count = 2;
    it_is("2027-01-01 12:57:30");
    starts();
    no_run();
    is_stopped();
    it_is("2027-01-01 13:00:10");
    starts();
    expect_run("2027-01-01 12:58:00");
    no_run();
    assert_true(is_in_log("MS0885: recurring job other: the run of 2027-01-01 "
                          "13:00 UTC is refused: queue_full"));
    then_comes("2027-01-01 13:00:00");
    then_comes("2027-01-01 12:59:00");
    then_comes("2027-01-01 13:00:00");
    it_ends(0);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(nothing_is_made_up),
        ALONE(the_last_is_made_up),
        ALONE(the_last_of_many_is_made_up),
        ALONE(the_last_of_few_is_made_up),
        ALONE(each_is_made_up),
        ALONE(no_more_than_so_many_are_made_up),
        ALONE(few_of_many_years_are_all_made_up),
        ALONE(what_is_made_up_takes_no_other_place),
        ALONE(a_short_stop_misses_nothing),
        ALONE(nothing_starts_before_go),
        ALONE(nothing_starts_when_httpd_has_gone),
        ALONE(a_clock_set_forward_is_like_a_stop),
        ALONE(a_clock_set_back_repeats_no_fixed_time),
        ALONE(a_clock_set_back_far_is_another_one),
        ALONE(a_star_runs_by_the_new_time),
        ALONE(a_clock_set_back_between_two_looks_runs_nothing),
        ALONE(a_clock_set_back_a_little_repeats_nothing),
        ALONE(a_clock_that_was_wrong_repeats_nothing),
        ALONE(a_clock_that_was_wrong_twice_repeats_nothing)};

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker cron missed", tests, NULL, NULL);
}
