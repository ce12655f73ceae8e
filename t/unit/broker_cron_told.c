/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers about recurring jobs: each entry with its plan and its last run, and
 * why a request is refused. The rest is in broker_cron.c.
 */
#include "t/unit/broker_crons.h"

static uint64_t told(unsigned attr)
{
    if (!spawn_has(&message, attr))
        fail_msg("%s is not told", spawn_attr_name(attr));
    return spawn_attr_u64(&message.attr[attr]);
}

static void not_told(unsigned attr)
{
    if (spawn_has(&message, attr))
        fail_msg("%s is told", spawn_attr_name(attr));
}

static void expect_row(void)
{
    expect_answer(SPAWN_M_CRON_ENTRY);
}

/* The only row. */
static void ask_row(void)
{
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_row();
}

static void half_past_twelve(bool overlap)
{
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, overlap);
    it_is("2027-01-01 12:30:00");
    starts();
}

static void an_entry_is_told_as_it_is_configured(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ALL, true);
    entries[0].zone = "Europe/Berlin";
    entries[1] = (entry){.name = "other",
                         .schedule = "* * * * *",
                         .zone = "",
                         .catch_up = SPAWN_CATCH_UP_ONE};
    entries_count = 2;
    it_is("2027-01-01 11:30:00");
    starts();
    ask_row();
    assert_string_equal(spawn_str_or(&message, SPAWN_A_CRON, ""), "it");
    assert_string_equal(spawn_str_or(&message, SPAWN_A_CRON_SCHEDULE, ""),
                        "0 13 * * *");
    assert_string_equal(spawn_str_or(&message, SPAWN_A_CRON_ZONE, ""),
                        "Europe/Berlin");
    assert_int_equal(told(SPAWN_A_CRON_CATCH_UP), SPAWN_CATCH_UP_ALL);
    assert_int_equal(told(SPAWN_A_CRON_OVERLAP), 1);
    assert_int_equal(told(SPAWN_A_CRON_NEXT),
                     time_of("2027-01-01 12:00:00") * 1000);
    not_told(SPAWN_A_CRON_PAUSED);
    not_told(SPAWN_A_ID);
    not_told(SPAWN_A_STATE);
    expect_row();
    assert_string_equal(spawn_str_or(&message, SPAWN_A_CRON, ""), "other");
    not_told(SPAWN_A_CRON_ZONE);
    assert_int_equal(told(SPAWN_A_CRON_CATCH_UP), SPAWN_CATCH_UP_ONE);
    assert_int_equal(told(SPAWN_A_CRON_OVERLAP), 0);
    expect_end_of_rows();
}

static void one_that_is_asked_for_is_told_alone(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ALL, false);
    entries[1] = entries[0];
    entries[1].name = "other";
    entries_count = 2;
    it_is("2027-01-01 12:30:00");
    starts();
    do_cron(SPAWN_CRON_PAUSE);
    ask_row();
    assert_int_equal(told(SPAWN_A_CRON_PAUSED) / 1000,
                     spawn_wall_ms() / 1000 + steps[0]);
    expect_row();
    not_told(SPAWN_A_CRON_PAUSED);
    expect_end_of_rows();
}

/* ---- its last run ---- */

static void a_planned_run_is_told_while_it_goes_on(void **state)
{
    (void)state;
    half_past_twelve(false);
    later_by(1810);
    expect_run("2027-01-01 13:00:00");
    has_heard();
    ask_row();
    assert_int_equal(told(SPAWN_A_STATE), SPAWN_STATE_STARTING);
    not_told(SPAWN_A_STARTED_AT);
    expect_end_of_rows();
    say_started(&run);
    has_heard();
    ask_row();
    assert_int_equal(told(SPAWN_A_STATE), SPAWN_STATE_RUNNING);
    assert_true(told(SPAWN_A_STARTED_AT) > 0);
    assert_int_equal(told(SPAWN_A_CRON_PLANNED),
                     time_of("2027-01-01 13:00:00") * 1000);
    assert_int_equal(told(SPAWN_A_CRON_NEXT),
                     time_of("2027-01-02 13:00:00") * 1000);
    not_told(SPAWN_A_OUTCOME);
    expect_end_of_rows();
    it_ends(0);
}

static void expect_end_by_signal(void)
{
    ask_row();
    assert_int_equal(told(SPAWN_A_STATE), SPAWN_STATE_DONE);
    assert_int_equal(told(SPAWN_A_OUTCOME), SPAWN_OUTCOME_SIGNALLED);
    assert_int_equal(told(SPAWN_A_SIGNAL), 9);
    not_told(SPAWN_A_EXIT_CODE);
    assert_true(told(SPAWN_A_STARTED_AT) > 0);
    assert_true(told(SPAWN_A_ENDED_AT) >= told(SPAWN_A_STARTED_AT));
    expect_end_of_rows();
}

/* By this broker, and by the next one, which has it from the store. */
static void the_end_of_the_last_run_is_told(void **state)
{
    (void)state;
    half_past_twelve(false);
    later_by(1810);
    expect_run("2027-01-01 13:00:00");
    it_ends(9);
    expect_end_by_signal();
    later_by(1);
    has_heard();
    expect_end_by_signal();
    is_stopped();
    starts();
    expect_end_by_signal();
}

/* Before it is stored: here it cannot be. */
static void an_end_is_told_at_once(void **state)
{
    (void)state;
    make_store_that_fails(NO_END);
    half_past_twelve(false);
    later_by(1810);
    expect_run("2027-01-01 13:00:00");
    say_started(&run);
    say_exited(&run, 0, 3 << 8);
    has_heard();
    ask_row();
    assert_int_equal(told(SPAWN_A_STATE), SPAWN_STATE_DONE);
    assert_int_equal(told(SPAWN_A_OUTCOME), SPAWN_OUTCOME_EXITED);
    assert_int_equal(told(SPAWN_A_EXIT_CODE), 3);
    not_told(SPAWN_A_SIGNAL);
    assert_true(told(SPAWN_A_ENDED_AT) >= told(SPAWN_A_STARTED_AT));
    expect_end_of_rows();
}

/* ---- by hand ---- */

static void with_overlap_there_can_be_two_by_hand(void **state)
{
    spawn_id first, second;

    (void)state;
    half_past_twelve(true);
    make_id(&first);
    make_id(&second);
    ask_cron(SPAWN_CRON_RUN, &first);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &first);
    ask_cron(SPAWN_CRON_RUN, &second);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &second);
}

/* Its job is in the history only. */
static void one_by_hand_that_has_ended_is_known(void **state)
{
    spawn_id same;

    (void)state;
    half_past_twelve(false);
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    it_ends(0);
    later_by(1);
    has_heard();
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(told(SPAWN_A_STATE), SPAWN_STATE_DONE);
    no_run();
    ask_row();
    spawn_attr_id(&message.attr[SPAWN_A_ID], &same);
    assert_true(spawn_id_equal(&same, &run));
    assert_int_equal(told(SPAWN_A_EXIT_CODE), 0);
    expect_end_of_rows();
}

static void one_that_was_cancelled_has_no_start(void **state)
{
    spawn_id other;
    spawn_writer w;

    (void)state;
    queue_jobs = queue_waits = 1;
    half_past_twelve(false);
    make_id(&other);
    submit_as(&other, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &other);
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(told(SPAWN_A_STATE), SPAWN_STATE_QUEUED);
    begin(&w, SPAWN_M_KILL, &run);
    spawn_put_u64(&w, SPAWN_A_SIGNO, 15);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    has_heard();
    ask_row();
    assert_int_equal(told(SPAWN_A_OUTCOME), SPAWN_OUTCOME_CANCELLED);
    not_told(SPAWN_A_STARTED_AT);
    expect_end_of_rows();
}

static void one_by_hand_that_is_wrong_is_refused(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    entries[0].timeout = 400ull * 86400 * 1000;
    it_is("2027-01-01 12:30:00");
    starts();
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_refusal(SPAWN_E_INVALID);
    assert_non_null(
        strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "timeout"));
    ask_row();
    not_told(SPAWN_A_ID); /* it is no run */
    expect_end_of_rows();
}

/* ---- names ---- */

/* Nobody is told that the store has failed, which has not been asked yet. */
static void what_comes_with_a_configuration_is_answered(void **state)
{
    (void)state;
    half_past_twelve(false);
    broker_sleeps();
    say_configure();
    ask_cron(SPAWN_CRON_PAUSE, NULL);
    broker_goes_on();
    expect(SPAWN_M_BROKER_READY);
    expect_row();
    assert_true(told(SPAWN_A_CRON_PAUSED) > 0);
    expect_end_of_rows();
}

static void ask_for(const char *name, uint64_t what)
{
    spawn_writer w;

    begin(&w, SPAWN_M_CRON, NULL);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, what);
    spawn_put_str(&w, SPAWN_A_CRON, name);
    ask(&w);
}

static void expect_refused(const char *wanted)
{
    const char *text;

    expect_refusal(SPAWN_E_INVALID);
    text = spawn_str_or(&message, SPAWN_A_TEXT, "");
    if (!strstr(text, wanted))
        fail_msg("'%s' is not in: %s", wanted, text);
}

static void the_names_that_there_are_are_told(void **state)
{
    static const char *const names[] = {
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
        "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "eeee"};
    unsigned i;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    entries[1] = entries[0];
    entries[1].name = "other";
    entries_count = 2;
    starts();
    ask_for("that", SPAWN_CRON_LIST);
    expect_refused("no recurring job 'that' is configured; configured: it, "
                   "other");
    assert_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "..."));
    ask_for("", SPAWN_CRON_PAUSE);
    expect_refused("no recurring job ''");
    for (i = 0; i < 5; i++) {
        entries[i] = entries[0];
        entries[i].name = names[i];
    }
    entries_count = 5; /* more than a text has room for */
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    ask_for("that", SPAWN_CRON_LIST);
    expect_refused("dddd, ...");
    entries_count = 0;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    ask_for("that", SPAWN_CRON_RESUME);
    expect_refused("there are none (SpawnCron)");
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(an_entry_is_told_as_it_is_configured),
        ALONE(one_that_is_asked_for_is_told_alone),
        ALONE(a_planned_run_is_told_while_it_goes_on),
        ALONE(the_end_of_the_last_run_is_told),
        ALONE(an_end_is_told_at_once),
        ALONE(with_overlap_there_can_be_two_by_hand),
        ALONE(one_by_hand_that_has_ended_is_known),
        ALONE(one_that_was_cancelled_has_no_start),
        ALONE(one_by_hand_that_is_wrong_is_refused),
        ALONE(what_comes_with_a_configuration_is_answered),
        ALONE(the_names_that_there_are_are_told)};

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker cron told", tests, NULL, NULL);
}
