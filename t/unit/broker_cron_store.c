/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs and a store that does not take what is noted of them: nothing
 * runs that could run twice, nothing is forgotten, and all goes on as soon as
 * the store can be written. The rest is in broker_cron.c.
 */
#include "t/unit/broker_crons.h"

#include <linux/magic.h>
#include <sys/vfs.h>

/* No row of a recurring job is written while this holds, before this time of
 * the broker. "": none at all. */
static void no_row(const char *when, const char *until)
{
    char sql[300];

    (void)snprintf(sql, sizeof(sql),
                   "CREATE TRIGGER no_row BEFORE INSERT ON cron"
                   " WHEN strftime('%%s', 'now') + 0 < %lld %s%s"
                   " BEGIN SELECT RAISE(ABORT, 'full'); END",
                   (long long)time_of(until), *when ? "AND " : "", when);
    run_sql(sql);
}

/* A first broker has noted the entry; nothing has run. */
static void noted_before(const char *schedule, unsigned catch_up)
{
    one(schedule, catch_up, false);
    it_is("2027-01-01 12:29:30");
    starts();
    is_stopped();
}

/* Not noted yet, it could run again after a kill. */
static void what_cannot_be_noted_does_not_run(void **state)
{
    (void)state;
    make_store();
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    no_row("", "2027-01-01 13:01:00");
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    no_run();
    assert_int_equal(logged("MS0881"), 1); /* and not with each try */
    ask_cron(SPAWN_CRON_RUN, NULL);
    expect_refusal(SPAWN_E_STORE);
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_false(spawn_has(&message, SPAWN_A_CRON_NEXT));
    expect_end_of_rows();
    later_by(55); /* 13:01:05: it is new now, and has missed nothing */
    no_run();
    later_by(60);
    expect_run("2027-01-01 13:02:00");
    it_ends(0);
}

static void a_run_that_cannot_be_noted_is_noted_later(void **state)
{
    (void)state;
    noted_before("0 * * * *", SPAWN_CATCH_UP_ONE);
    no_row("NEW.id IS NOT NULL", "2027-01-01 13:00:40");
    starts_and_runs();
    it_ends(7 << 8);
    no_run();
    later_by(10);
    no_run();
    assert_true(is_in_log("MS0881"));
    later_by(30);
    no_run();
    is_stopped();
    expect_sql("SELECT count(*) FROM cron WHERE done = 1798808400"
               " AND planned = done AND ended AND exit_code = 7",
               "1");
}

/* Its end is not noted, but that of the run before is not the new one's. */
static void an_end_that_cannot_be_noted_is_noted_later(void **state)
{
    (void)state;
    noted_before("0 * * * *", SPAWN_CATCH_UP_ONE);
    no_row("NEW.ended", "2027-01-01 13:00:40");
    starts_and_runs();
    it_ends(7 << 8);
    no_run();
    later_by(10);
    no_run();
    assert_true(is_in_log("MS0881"));
    later_by(30);
    no_run();
    is_stopped();
    expect_sql("SELECT count(*) FROM cron WHERE ended AND exit_code = 7", "1");
}

static void what_was_missed_is_left_out_when_that_is_noted(void **state)
{
    (void)state;
    noted_before("0 * * * *", SPAWN_CATCH_UP_NONE);
    no_row("", "2027-01-01 15:30:00");
    it_is("2027-01-01 15:29:30");
    starts();
    later_by(10);
    no_run();
    assert_false(is_in_log("MS0884"));
    assert_true(is_in_log("MS0881"));
    later_by(30);
    no_run();
    assert_int_equal(logged("MS0884"), 1);
    later_by(1800);
    expect_run("2027-01-01 16:00:00");
    it_ends(0);
}

static void a_clock_that_was_set_back_counts_when_that_is_noted(void **state)
{
    (void)state;
    make_store();
    one("0 9-14 * * *", SPAWN_CATCH_UP_NONE, false);
    no_row("NEW.round > 0", "2027-01-01 09:00:20");
    starts_and_runs();
    it_ends(0);
    it_is("2027-01-01 08:59:00");
    later_by(20);
    no_run();
    later_by(50); /* 09:00:10 */
    no_run();
    assert_true(is_in_log("MS0881"));
    later_by(20);
    no_run(); /* it counts from now on */
    later_by(3600);
    expect_run("2027-01-01 10:00:00");
    it_ends(0);
}

/* Nothing is made up of what was dealt with before the clock went wrong. */
static void a_clock_that_is_right_again_counts_when_that_is_noted(void **state)
{
    char when[100];

    (void)state;
    make_store();
    one("0 13 * * *", SPAWN_CATCH_UP_ALL, false);
    (void)snprintf(when, sizeof(when), "NEW.shown AND NEW.done > %lld",
                   (long long)time_of("2020-01-01 00:00:00"));
    no_row(when, "2027-01-02 13:05:30");
    starts_and_runs();
    it_ends(0);
    is_stopped();
    it_is("2000-01-01 00:00:30");
    starts();
    no_run();
    is_stopped();
    it_is("2027-01-02 13:05:00");
    starts();
    no_run();
    later_by(10);
    no_run();
    later_by(30);
    expect_run("2027-01-02 13:00:00");
    it_ends(0);
    no_run();
}

static void a_pause_that_cannot_be_noted_is_none(void **state)
{
    (void)state;
    noted_before("0 * * * *", SPAWN_CATCH_UP_ONE);
    no_row("NEW.paused", "2027-01-01 14:00:00");
    it_is("2027-01-01 12:59:30");
    starts();
    ask_cron(SPAWN_CRON_PAUSE, NULL);
    expect_refusal(SPAWN_E_STORE);
    assert_false(is_in_log("MS0886"));
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
}

/* And so is what was planned in a pause that goes on. */
static void a_resume_that_cannot_be_noted_is_none(void **state)
{
    (void)state;
    noted_before("0 * * * *", SPAWN_CATCH_UP_ALL);
    no_row("NOT NEW.paused", "2027-01-01 14:00:00");
    it_is("2027-01-01 12:59:30");
    starts();
    do_cron(SPAWN_CRON_PAUSE);
    later_by(40);
    ask_cron(SPAWN_CRON_RESUME, NULL);
    expect_refusal(SPAWN_E_STORE);
    no_run();
    assert_int_equal(logged("MS0886"), 1);
    later_by(3600); /* 14:00:10 */
    no_run();
    do_cron(SPAWN_CRON_RESUME);
    no_run();
    later_by(3600);
    expect_run("2027-01-01 15:00:00");
    it_ends(0);
}

/* With another plan, whose row is tried to be written each second. */
static void a_pause_is_told_once(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:29:30");
    starts();
    do_cron(SPAWN_CRON_PAUSE);
    is_stopped();
    no_row("", "2027-01-01 14:00:00");
    entries[0].schedule = "5 * * * *";
    it_is("2027-01-01 12:30:00");
    starts();
    later_by(10);
    no_run();
    later_by(10);
    no_run();
    assert_int_equal(logged("MS0882"), 1);
}

/* ---- runs that are not taken ---- */

static void a_run_that_the_store_did_not_take_comes_again(void **state)
{
    char when[100];

    (void)state;
    make_store();
    (void)snprintf(when, sizeof(when),
                   NO_INSERT " WHEN strftime('%%s', 'now') + 0 < %lld",
                   (long long)time_of("2027-01-01 13:00:30"));
    store_fails(when);
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    no_run();
    later_by(30);
    expect_run("2027-01-01 13:00:00");
    it_ends(0);
}

static void expect_last_run(const spawn_id *wanted)
{
    spawn_id id;

    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    assert_true(spawn_id_equal(&id, wanted));
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 3);
    expect_end_of_rows();
}

/* Its row was noted before. */
static void one_by_hand_that_the_store_did_not_take_never_was(void **state)
{
    spawn_id first;
    char when[100];

    (void)state;
    make_store();
    (void)snprintf(when, sizeof(when),
                   NO_INSERT " WHEN strftime('%%s', 'now') + 0 >= %lld",
                   (long long)time_of("2027-01-01 12:10:00"));
    store_fails(when);
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    it_is("2027-01-01 12:00:00");
    starts();
    make_id(&run);
    first = run;
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    it_ends(3 << 8);
    later_by(1);
    no_run();
    expect_last_run(&first);
    later_by(700);
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_REFUSED);
    later_by(2);
    no_run();
    expect_last_run(&first);
    later_by(2);
    no_run();
    is_stopped();
    starts(); /* and so the store has it */
    expect_last_run(&first);
}

/* It is wrong today as it will be in a second: it is told once a day. */
static void a_run_that_is_wrong_is_recorded(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].timeout = 400ull * 86400 * 1000;
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    no_run();
    later_by(10);
    no_run();
    assert_int_equal(logged("MS0885"), 1);
    assert_int_equal(logged("it is tried again"), 0);
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CRON_NEXT]),
                     (time_of("2027-01-02 13:00:00")) * 1000);
    expect_end_of_rows();
    later_by(86400);
    no_run();
    assert_int_equal(logged("MS0885"), 2);
}

/* It ends, and is over the history, before its row can be noted. */
static void one_that_is_forgotten_before_it_is_noted_runs_once(void **state)
{
    spawn_writer w;

    (void)state;
    history_jobs = 0;
    noted_before("0 13 * * *", SPAWN_CATCH_UP_ONE);
    no_row("NEW.id IS NOT NULL", "2027-01-01 13:10:00");
    starts_and_runs();
    it_ends(0);
    no_run();
    later_by(20);
    has_heard(); /* a note is made of what has ended */
    later_by(150);
    no_run();
    begin(&w, SPAWN_M_GET, &run);
    ask(&w);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
    later_by(600);
    no_run();
    is_stopped();
    expect_sql("SELECT (done - 1798808400) || ' ' || ended FROM cron", "0 1");
}

/* ---- a store that is gone after a boot ---- */

static int set_up_in_memory(void **state)
{
    char command[100], spool[80];

    if (set_up_clock(state))
        return -1;
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    (void)snprintf(dir, sizeof(dir), "/dev/shm/broker-test-XXXXXX");
    if (system(command) || !mkdtemp(dir))
        return -1;
    (void)snprintf(spool, sizeof(spool), "%s/spool", dir);
    return mkdir(spool, 0700);
}

static void durable(spawn_writer *w)
{
    spawn_put_u64(w, SPAWN_A_DURABLE, 1);
}

/* It never can be, so that is no trouble that passes. */
static void a_durable_one_there_is_recorded_as_refused(void **state)
{
    struct statfs fs;

    (void)state;
    if (statfs(dir, &fs) || fs.f_type != TMPFS_MAGIC)
        skip();
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    no_run();
    later_by(2);
    no_run();
    later_by(10);
    no_run();
    assert_int_equal(logged("MS0885"), 1);
    assert_int_equal(logged("it is tried again"), 0);
    is_stopped();
    expect_sql("SELECT count(*) || ' ' || max(outcome) FROM job"
               " WHERE text LIKE '%is on a tmpfs%'",
               "1 5");
    expect_sql("SELECT (done - 1798808400) || ' ' || ended FROM cron", "0 1");
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(what_cannot_be_noted_does_not_run),
        ALONE(a_run_that_cannot_be_noted_is_noted_later),
        ALONE(an_end_that_cannot_be_noted_is_noted_later),
        ALONE(what_was_missed_is_left_out_when_that_is_noted),
        ALONE(a_clock_that_was_set_back_counts_when_that_is_noted),
        ALONE(a_clock_that_is_right_again_counts_when_that_is_noted),
        ALONE(a_pause_that_cannot_be_noted_is_none),
        ALONE(a_resume_that_cannot_be_noted_is_none),
        ALONE(a_pause_is_told_once),
        ALONE(a_run_that_the_store_did_not_take_comes_again),
        ALONE(one_by_hand_that_the_store_did_not_take_never_was),
        ALONE(a_run_that_is_wrong_is_recorded),
        ALONE(one_that_is_forgotten_before_it_is_noted_runs_once),
        cmocka_unit_test_setup_teardown(
            a_durable_one_there_is_recorded_as_refused, set_up_in_memory,
            tear_down_clock)};

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker cron store", tests, NULL, NULL);
}
