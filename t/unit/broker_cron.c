/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs in a broker whose clock the test steps: each run comes when it
 * is due, once, also when brokers are killed; never two of one at once. Missed
 * runs: broker_cron_missed.c.
 */
#include "t/unit/broker_crons.h"

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

/* Nobody else wakes the broker. */
static void a_run_comes_by_itself(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:30:00");
    starts(); /* the next step is not before its first look */
    is_stopped();
    it_is("2027-01-01 12:59:56");
    starts();
    expect_run("2027-01-01 13:00:00");
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
    starts_and_runs();
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
    starts_and_runs();
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
    starts_and_runs();
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
static void is_not_joined(const char *not_noted)
{
    spawn_id first;

    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    starts_and_runs();
    first = run;
    say_started(&run);
    has_heard();
    kill_broker();
    run_sql(not_noted);
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
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_true(spawn_u64_or(&message, SPAWN_A_CRON_PLANNED, 0)
                == (uint64_t)time_of("2027-01-01 13:00:00") * 1000);
    expect_end_of_rows();
    say_exited(&first, 0, 0);
    expect_run("2027-01-01 13:02:00");
    expect_id(SPAWN_M_FORGET, &first);
    it_ends(0);
}

static void a_run_that_was_not_noted_is_not_joined(void **state)
{
    (void)state;
    is_not_joined("UPDATE cron SET done = done - 60, id = NULL");
}

/* Paused and resumed, which was noted. */
static void nor_one_that_counts_as_dealt_with(void **state)
{
    (void)state;
    is_not_joined("UPDATE cron SET done = done + 60, id = NULL");
}

/* It was set back, which was noted. */
static void nor_one_of_the_clock_before(void **state)
{
    (void)state;
    is_not_joined("UPDATE cron SET done = done - 3600, round = round + 1,"
                  " id = NULL");
}

/* Killed before it could note more of the run than that it was wanted. */
static void a_run_by_hand_that_was_not_noted_is_not_joined(void **state)
{
    spawn_id first;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    make_store_that_fails("BEFORE INSERT ON cron WHEN NEW.id NOTNULL"
                          " AND EXISTS (SELECT 1 FROM job)");
    it_is("2027-01-01 12:59:30");
    starts();
    make_id(&first);
    ask_cron(SPAWN_CRON_RUN, &first);
    expect_id(SPAWN_M_LAUNCH, &first);
    expect_answer(SPAWN_M_ACCEPTED);
    say_started(&first);
    has_heard();
    kill_broker();
    run_sql("DROP TRIGGER no");
    it_is("2027-01-01 13:00:10");
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
    assert_true(is_in_log("MS0883"));
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
}

/* ---- at once ---- */

static void runs_until_the_third(unsigned catch_up, bool overlap)
{
    one("* * * * *", catch_up, overlap);
    starts_and_runs();
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

/* The run before has ended so; that says nothing of this one. */
static void a_second_run_goes_on(int status)
{
    one("* * * * *", SPAWN_CATCH_UP_NONE, false);
    starts_and_runs();
    it_ends(status);
    later_by(60);
    expect_run("2027-01-01 13:01:00");
    say_started(&run);
    later_by(60);
    no_run();
    assert_true(is_in_log("MS0883: recurring job it: the run of 2027-01-01 "
                          "13:02 UTC is left out"));
    kill_broker();
    expect_sql("SELECT count(*) FROM cron WHERE id NOTNULL AND NOT ended"
               " AND outcome = 0 AND exit_code ISNULL AND signal = 0"
               " AND started_at = 0 AND ended_at = 0"
               " AND planned = 1798808460",
               "1");
}

static void the_run_after_a_killed_one_is_waited_for(void **state)
{
    (void)state;
    a_second_run_goes_on(SIGKILL);
}

static void the_run_after_one_that_failed_is_waited_for(void **state)
{
    (void)state;
    a_second_run_goes_on(3 << 8);
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

/* ---- by hand ---- */

static void it_is_paused_until_it_is_resumed(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:30:00");
    starts();
    do_cron(SPAWN_CRON_PAUSE);
    do_cron(SPAWN_CRON_PAUSE);
    assert_int_equal(logged("MS0886"), 1); /* it is already */
    assert_true(is_in_log("recurring job it is paused by uid"));
    later_by(3600);
    no_run();
    is_stopped();
    assert_false(is_in_log("MS0882"));
    starts();
    assert_true(is_in_log("MS0882: recurring job it is paused since "
                          "2027-01-01 12:3"));
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_true(spawn_has(&message, SPAWN_A_CRON_PAUSED));
    assert_false(spawn_has(&message, SPAWN_A_CRON_NEXT));
    expect_end_of_rows();
    no_run();
    do_cron(SPAWN_CRON_RESUME);
    assert_true(is_in_log("recurring job it is resumed by uid"));
    no_run(); /* runs that were planned meanwhile are left out */
    later_by(1800);
    expect_run("2027-01-01 14:00:00");
    it_ends(0);
}

static void who_pauses_it_all_the_time_has_few_lines(void **state)
{
    int64_t since = spawn_mono_ms();
    char uid[64];
    int i;

    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:30:00");
    starts();
    for (i = 0; i < 300; i++) {
        do_cron(SPAWN_CRON_PAUSE);
        do_cron(SPAWN_CRON_RESUME);
    }
    is_stopped();
    expect_few("MS0886", 30, since);
    (void)snprintf(uid, sizeof(uid),
                   "within a minute (uid %ld, recurring job it)",
                   (long)getuid());
    assert_true(is_in_log(uid));
}

static void it_can_be_run_by_hand(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    ask_cron(SPAWN_CRON_RUN, &run); /* sent again: the same one */
    expect_answer(SPAWN_M_ACCEPTED);
    {
        spawn_id other;

        make_id(&other);
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
    assert_false(is_in_log("MS0884")); /* nothing planned was missed by it */
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CRON_NEXT]),
                     1798894800000); /* tomorrow, 13:00 */
    expect_end_of_rows();
}

/* Asked for in one turn of the broker. */
static void two_by_hand_at_once_are_one(void **state)
{
    spawn_id second;
    unsigned accepted = 0, i;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    make_id(&run);
    make_id(&second);
    broker_sleeps();
    ask_cron(SPAWN_CRON_RUN, &run);
    ask_cron(SPAWN_CRON_RUN, &second);
    broker_goes_on();
    for (i = 0; i < 2; i++) {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        accepted += message.header.type == SPAWN_M_ACCEPTED;
    }
    assert_int_equal(accepted, 1);
    expect_id(SPAWN_M_LAUNCH, &run);
    no_run();
    kill_broker(); /* the next one knows it as the last run */
    expect_sql("SELECT count(*) FROM cron WHERE id NOTNULL AND NOT ended", "1");
}

/* How often the broker has waited for something. */
static unsigned waits_of_broker(void)
{
    char path[40], line[120];
    unsigned count = 0;
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)broker);
    in = fopen(path, "re");
    assert_non_null(in);
    while (fgets(line, sizeof(line), in))
        (void)sscanf(line, "voluntary_ctxt_switches: %u", &count);
    (void)fclose(in);
    return count;
}

static void between_runs_the_broker_sleeps(void **state)
{
    unsigned before;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    entries[1] = entries[0];
    entries[1].name = "other";
    entries_count = 2;
    it_is("2027-01-01 12:30:00");
    starts();
    do_cron(SPAWN_CRON_PAUSE); /* one of them */
    has_heard();
    before = waits_of_broker();
    quiet_for(500);
    assert_true(waits_of_broker() - before < 50);
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
    assert_non_null(
        strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "needs an id"));
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

/* Not beside the run that it had before. */
static void one_that_comes_back_waits_for_its_run(void **state)
{
    spawn_id first;

    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    starts_and_runs();
    first = run;
    say_started(&first);
    has_heard();
    for (entries_count = 0; entries_count < 2; entries_count++) {
        say_configure();
        expect(SPAWN_M_BROKER_READY);
        say(SPAWN_M_GO);
        has_heard();
    }
    entries_count = 1;
    later_by(60);
    no_run();
    say_exited(&first, 0, 0);
    expect_run("2027-01-01 13:01:00");
    expect_id(SPAWN_M_FORGET, &first);
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
    make_id(&run);
    submit_as(&run, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    later_by(40);
    no_run();
    assert_true(is_in_log("MS0885"));
    then_comes("2027-01-01 13:00:00"); /* as soon as there is room */
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
        ALONE(a_run_comes_by_itself),
        ALONE(zones_have_their_own_hours),
        ALONE(all_of_them_run),
        ALONE(a_run_is_never_submitted_twice),
        ALONE(a_killed_broker_has_it_run_on),
        ALONE(a_run_that_was_not_noted_is_not_joined),
        ALONE(nor_one_that_counts_as_dealt_with),
        ALONE(nor_one_of_the_clock_before),
        ALONE(a_run_by_hand_that_was_not_noted_is_not_joined),
        ALONE(without_catch_up_a_run_is_left_out),
        ALONE(the_run_after_a_killed_one_is_waited_for),
        ALONE(the_run_after_one_that_failed_is_waited_for),
        ALONE(with_one_the_last_is_made_up),
        ALONE(with_all_each_is_made_up),
        ALONE(overlapping_runs_are_allowed),
        ALONE(it_is_paused_until_it_is_resumed),
        ALONE(who_pauses_it_all_the_time_has_few_lines),
        ALONE(it_can_be_run_by_hand),
        ALONE(two_by_hand_at_once_are_one),
        ALONE(between_runs_the_broker_sleeps),
        ALONE(who_asks_for_another_is_told_which_there_are),
        ALONE(what_was_removed_is_gone),
        ALONE(one_that_comes_back_waits_for_its_run),
        ALONE(another_schedule_makes_up_nothing),
        ALONE(a_full_queue_is_waited_for),
        ALONE(a_store_that_takes_no_run_is_waited_for),
        ALONE(an_older_store_gets_its_table)};

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker cron", tests, NULL, NULL);
}
