/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs with rules of their own: what fails is tried again, and never
 * beside the next run; a durable run outlives a power cut, and runs once.
 */
#include "t/unit/broker_durable.h"
#include "t/unit/broker_crons.h"

#include "common/spawn_rule.h"

static void tried_again(spawn_writer *w, uint64_t pause)
{
    const uint64_t backoff[] = {SPAWN_BACKOFF_FIXED, pause};

    spawn_put_i64(w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(w, SPAWN_A_BACKOFF, backoff, 2);
}

static void after_10_s(spawn_writer *w)
{
    tried_again(w, 10000);
}

static void after_90_s(spawn_writer *w)
{
    tried_again(w, 90000);
}

static void expect_attempt(const spawn_id *id, unsigned attempt)
{
    expect_id(SPAWN_M_LAUNCH, id);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
}

static void fails(void)
{
    say_exited(&run, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &run);
}

static void one_that_fails_is_tried_again(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    entries[0].rules = after_10_s;
    starts_and_runs();
    say_started(&run);
    fails();
    no_run();
    later_by(11);
    expect_attempt(&run, 2);
    say_started(&run);
    fails();
    no_run();
    later_by(60);
    no_run(); /* that was the last attempt */
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 3);
    expect_end_of_rows();
    is_stopped();
    expect_sql("SELECT count(*) || ' ' || max(attempt) || ' ' || max(dead)"
               " FROM job",
               "1 2 1");
}

/* The next one is due already when it fails. */
static void none_runs_beside_one_that_is_tried_again(void **state)
{
    spawn_id first;

    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = after_90_s;
    starts_and_runs();
    first = run;
    say_started(&run);
    has_heard();
    later_by(60);
    no_run();
    fails();
    no_run();
    later_by(60);
    no_run();
    later_by(31);
    expect_attempt(&first, 2);
    say_started(&first);
    then_comes("2027-01-01 13:02:00");
    it_ends(0);
}

/* The end of the one before may be forgotten before or after it. */
static void then_comes_beside_forget(const char *planned)
{
    const spawn_id before = run;
    unsigned launched = 0, i;

    for (i = 0; i < 2; i++) {
        next_message();
        if (message.header.type == SPAWN_M_LAUNCH) {
            launched++;
            spawn_attr_id(&message.attr[SPAWN_A_ID], &run);
            expect_time_of(&run, planned);
        }
        else {
            assert_int_equal(message.header.type, SPAWN_M_FORGET);
            is_of(&before);
        }
    }
    assert_int_equal(launched, 1);
}

/* It ends well in the turn in which the next one may start. */
static void one_that_has_ended_well_is_not_waited_for(void **state)
{
    spawn_writer w;

    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_NONE, false);
    entries[0].rules = after_10_s;
    starts_and_runs();
    say_started(&run);
    has_heard();
    kill_broker();
    it_is("2027-01-01 13:01:10");
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &run);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    expect_ready();
    broker_sleeps();
    say_exited(&run, 0, 0);
    say(SPAWN_M_GO);
    broker_goes_on(); /* both are read in one turn */
    then_comes_beside_forget("2027-01-01 13:01:00");
    assert_false(is_in_log("MS0883"));
    it_ends(0);
}

/* It has ended for good, and is revived by hand: that is a run, too. */
static void none_runs_beside_one_that_is_revived(void **state)
{
    spawn_writer w;
    spawn_id first;

    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_NONE, false);
    entries[0].rules = after_10_s;
    starts_and_runs();
    first = run;
    say_started(&run);
    fails();
    later_by(11);
    expect_attempt(&run, 2);
    say_started(&run);
    fails();
    has_heard();
    begin(&w, SPAWN_M_REVIVE, &run);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    expect_attempt(&first, 3);
    say_started(&first);
    has_heard();
    later_by(60);
    no_run();
    assert_true(is_in_log("MS0883"));
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    later_by(60);
    expect_run("2027-01-01 13:02:00");
    it_ends(0);
}

static void of_rank_7(spawn_writer *w)
{
    spawn_put_i64(w, SPAWN_A_PRIORITY, 7);
    spawn_put_u64(w, SPAWN_A_EXPIRES, 600000);
}

static void it_has_its_priority_and_its_time(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    entries[0].rules = of_rank_7;
    starts_and_runs();
    say_started(&run);
    has_heard();
    kill_broker();
    expect_sql("SELECT priority || ' ' || (expires_at - submitted_at) FROM job",
               "7 600000");
}

static void durable(spawn_writer *w)
{
    spawn_put_u64(w, SPAWN_A_DURABLE, 1);
}

/* jobs.db has lost it, and that it was dealt with; the ledger has it. */
static void a_durable_one_outlives_a_power_cut(void **state)
{
    spawn_id first;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    starts_and_runs();
    first = run;
    the_power_was_cut("UPDATE cron SET done = done - 3600, id = NULL;"
                      "DELETE FROM job");
    expect_ledger("SELECT count(*) FROM job", "1");
    ledger_sql("UPDATE job SET state = 1, chosen = NULL");
    it_is("2027-01-01 13:05:00");
    starts();
    expect_run("2027-01-01 13:00:00");
    assert_true(spawn_id_equal(&first, &run));
    it_ends(0);
    later_by(60);
    no_run();
}

/* Only the ledger has it, and is read when the next one is due. */
static void none_starts_beside_one_that_the_ledger_tells_late(void **state)
{
    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    starts_and_runs();
    kill_broker();
    wait_for_the_scribe();
    run_sql("UPDATE cron SET done = done - 60, id = NULL; DELETE FROM job");
    ledger_sql("UPDATE job SET state = 1, chosen = NULL");
    it_is("2027-01-01 13:05:00");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    let_go_of_the_lock();
    expect_run("2027-01-01 13:00:00");
    no_run();
    job = run;
    it_ends(0);
    expect_run(NULL);
    assert_true(spawn_id_time(&run) >= spawn_id_time(&job) + 300000);
}

/* Only the ledger has one that was started by hand when the next one is due.
 * Its id does not say what it is. */
static void the_ledger_has_one_by_hand(void)
{
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    it_is("2027-01-01 12:59:30");
    starts();
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    has_heard();
    kill_broker();
    wait_for_the_scribe();
    run_sql("UPDATE cron SET id = NULL; DELETE FROM job");
    ledger_sql("UPDATE job SET state = 1, chosen = NULL");
    it_is("2027-01-01 13:00:30");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &run);
    no_run();
}

static void none_starts_beside_one_by_hand_that_the_ledger_has(void **state)
{
    (void)state;
    the_ledger_has_one_by_hand();
    say_started(&run);
    say_exited(&run, 0, 0);
    then_comes_beside_forget("2027-01-01 13:00:00");
    it_ends(0);
}

static void and_its_row_has_it_from_then_on(void **state)
{
    (void)state;
    the_ledger_has_one_by_hand();
    kill_broker();
    expect_sql("SELECT count(*) FROM cron JOIN job USING (id)", "1");
}

/* It had started, as only the ledger knows. */
static void a_durable_one_is_not_run_twice(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    starts_and_runs();
    say_started(&run);
    has_heard();
    the_power_was_cut("UPDATE cron SET done = done - 3600, id = NULL;"
                      "DELETE FROM job");
    it_is("2027-01-01 13:05:00");
    starts();
    no_run();
    later_by(60);
    no_run();
    job = run;
    expect_outcome(SPAWN_OUTCOME_LOST);
}

/* It ran since the clock was set back, which jobs.db does not know any more. */
static void nor_one_after_the_clock_was_set_back(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    it_is("2027-01-01 12:59:30");
    starts();
    has_heard();
    kill_broker();
    run_sql("UPDATE cron SET round = round + 1");
    another_broker();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
    say_started(&run);
    has_heard();
    the_power_was_cut("UPDATE cron SET done = done - 3600, round = round - 1,"
                      " id = NULL; DELETE FROM job");
    it_is("2027-01-01 13:05:00");
    starts();
    no_run();
    later_by(60);
    no_run();
    job = run;
    expect_outcome(SPAWN_OUTCOME_LOST);
}

/* Else, when broker and spawner are killed at once, it may be tried again. */
static void one_that_has_ended_is_stored_with_the_next_one(void **state)
{
    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    starts_and_runs();
    say_started(&run);
    has_heard();
    later_by(60);
    no_run();
    time_stands();
    say_exited(&run, 0, 0);
    expect_run("2027-01-01 13:01:00");
    kill_broker();
    time_goes_on();
    expect_sql("SELECT count(*) FROM job WHERE state = 4", "1");
}

static void and_with_one_by_hand(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    starts_and_runs();
    say_started(&run);
    has_heard();
    later_by(1);
    time_stands();
    say_exited(&run, 0, 0);
    has_heard();
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    kill_broker();
    time_goes_on();
    expect_sql("SELECT count(*) FROM job WHERE state = 4", "1");
}

/* Killed between the two, a broker would leave one that waits beside it. */
static void a_durable_one_comes_when_the_end_before_it_is_stored(void **state)
{
    (void)state;
    make_store();
    store_fails("BEFORE UPDATE ON job WHEN NEW.state = 4");
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    starts_and_runs();
    say_started(&run);
    has_heard();
    say_exited(&run, 0, 0);
    has_heard();
    later_by(60);
    no_run();
    kill_broker();
    wait_for_the_scribe();
    expect_ledger("SELECT count(*) FROM job", "1");
}

/* The same by hand. */
static void none_is_run_by_hand_before_the_end_is_stored(void **state)
{
    spawn_id first;

    (void)state;
    make_store_that_fails_a_while("BEFORE UPDATE ON job WHEN NEW.state = 4");
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    starts();
    make_id(&first);
    ask_cron(SPAWN_CRON_RUN, &first);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    say_exited(&first, 0, 0);
    has_heard();
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_refusal(SPAWN_E_CONFLICT);
    ask_cron(SPAWN_CRON_RUN, &first); /* sent again: the same one */
    expect_answer(SPAWN_M_ACCEPTED);
    store_takes_again();
    expect_id(SPAWN_M_FORGET, &first);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    it_ends(0);
}

static void durable_and_tried_again(spawn_writer *w)
{
    durable(w);
    after_10_s(w);
}

/* At once, and not when the clock is looked at anew. */
static void the_next_one_comes_with_the_end_of_one_that_is_revived(void **state)
{
    spawn_writer w;

    (void)state;
    one("* * * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable_and_tried_again;
    starts_and_runs();
    say_started(&run);
    fails();
    later_by(11);
    expect_attempt(&run, 2);
    say_started(&run);
    fails();
    has_heard();
    begin(&w, SPAWN_M_REVIVE, &run);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    expect_attempt(&run, 3);
    say_started(&run);
    has_heard();
    later_by(60);
    no_run();
    time_stands();
    say_exited(&run, 0, 0);
    has_heard();
    time_moves(500); /* the rows of a moment later are stored */
    has_heard();
    then_comes_beside_forget("2027-01-01 13:01:00");
    time_goes_on();
    it_ends(0);
}

/* jobs.db has lost the run and its end, as one does that was damaged; the
 * ledger has both, and refuses it. */
static void one_that_only_the_ledger_knows_is_refused_once(unsigned catch_up)
{
    one("0 13 * * *", catch_up, false);
    entries[0].rules = durable;
    starts_and_runs();
    it_ends(0);
    is_stopped();
    wait_for_the_scribe();
    run_sql("UPDATE cron SET done = done - 3600, id = NULL; DELETE FROM job");
    it_is("2027-01-01 13:00:30");
    starts();
    wait_until_logged("has started before", 1);
    no_run();
    later_by(2);
    no_run();
    later_by(2);
    no_run();
    assert_int_equal(logged("MS0885"), 1);
    assert_int_equal(logged("it is tried again"), 0);
    is_stopped();
    expect_sql("SELECT done - 1798808400 FROM cron", "0");
}

static void one_that_the_ledger_refuses_is_not_tried_again(void **state)
{
    (void)state;
    one_that_only_the_ledger_knows_is_refused_once(SPAWN_CATCH_UP_ONE);
}

static void nor_with_all(void **state)
{
    (void)state;
    one_that_only_the_ledger_knows_is_refused_once(SPAWN_CATCH_UP_ALL);
}

/* While the ledger cannot be made, nothing is asked of it; but what it refused
 * is over. */
static void one_that_could_not_be_stored_is_none(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    one("0 13 * * *", SPAWN_CATCH_UP_ONE, false);
    entries[0].rules = durable;
    it_is("2027-01-01 12:00:00");
    starts();
    disk[FAIL_NEXT] = -1;
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_refusal(SPAWN_E_STORE);
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_false(spawn_has(&message, SPAWN_A_ID));
    expect_end_of_rows();
    make_id(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_refusal(SPAWN_E_STORE);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_fails_is_tried_again),
        ALONE(none_runs_beside_one_that_is_tried_again),
        ALONE(one_that_has_ended_well_is_not_waited_for),
        ALONE(none_runs_beside_one_that_is_revived),
        ALONE(it_has_its_priority_and_its_time),
        ALONE(a_durable_one_outlives_a_power_cut),
        ALONE(a_durable_one_is_not_run_twice),
        ALONE(nor_one_after_the_clock_was_set_back),
        ALONE(none_starts_beside_one_that_the_ledger_tells_late),
        ALONE(one_that_the_ledger_refuses_is_not_tried_again),
        ALONE(nor_with_all),
        ALONE(one_that_could_not_be_stored_is_none),
        ALONE(none_starts_beside_one_by_hand_that_the_ledger_has),
        ALONE(and_its_row_has_it_from_then_on),
        ALONE(one_that_has_ended_is_stored_with_the_next_one),
        ALONE(and_with_one_by_hand),
        ALONE(a_durable_one_comes_when_the_end_before_it_is_stored),
        ALONE(none_is_run_by_hand_before_the_end_is_stored),
        ALONE(the_next_one_comes_with_the_end_of_one_that_is_revived),
    };

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker cron rules", tests, NULL, NULL);
}
