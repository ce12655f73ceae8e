/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs after a power cut, where the ledger and the store do not say the
 * same: the one that has seen more is right. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable_tried.h"

#include "common/spawn_rule.h"

/* As the store was before it heard of the start. */
#define STARTED_AS_QUEUED "UPDATE job SET state = 1, pid = NULL;"
/* As it was before it heard of the end of the first attempt. */
#define ATTEMPT_1                                                              \
    "UPDATE job SET attempt = 1, retries = 2, due_at = NULL, due_boot = NULL;"

#define A_NEED                                                                 \
    "UPDATE job SET needs = 1; INSERT INTO need VALUES(1, randomblob(16))"

static spawn_id other;

/* ---- functions ---- */

static void submit_function(void)
{
    spawn_writer w;

    assert_int_equal(spawn_id_make(&job), 0);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void comes_after(const spawn_id *id, uint64_t delay)
{
    spawn_writer w;

    begin_durable(&w);
    spawn_put_bytes(&w, SPAWN_A_AFTER, id, sizeof(*id));
    if (delay)
        spawn_put_u64(&w, SPAWN_A_DELAY, delay);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

/* It has returned, and one comes after it, in an hour. */
static void a_function_returned(int kind)
{
    spawn_id template, function;
    spawn_board *board;

    rules = "A";
    reach_go_and_call_in();
    template_starts(&template, true);
    submit_function();
    function = job;
    expect_order(&function, &template);
    board = spawn_board_map(packet.fds[place_of(SPAWN_KEEP_BOARD)]);
    assert_non_null(board);
    assert_int_equal(spawn_board_put_result(board, (uint32_t)kind, "value", 5),
                     0);
    say_started(&function);
    comes_after(&function, HOUR);
    other = job;
    job = function;
    say_exited(&function, 0, kind == SPAWN_RESULT_DIED ? 0xff00 : 0);
    expect_id(SPAWN_M_FORGET, &function);
    has_heard();
    rules = NULL;
}

static void hour_passes(void)
{
    ledger_sql("UPDATE job SET submitted_at = submitted_at - 3600000");
}

static void one_that_returned_has_returned(void **state)
{
    (void)state;
    a_function_returned(SPAWN_RESULT_RETURNED);
    the_power_was_cut("DELETE FROM job; DELETE FROM need");
    hour_passes();
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &other);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 99),
                     SPAWN_RESULT_RETURNED);
}

/* Its result was in the store alone: no other is told in its place. */
static void what_it_returned_is_not_kept(void **state)
{
    spawn_writer w;

    (void)state;
    a_function_returned(SPAWN_RESULT_RETURNED);
    the_power_was_cut("DELETE FROM job; DELETE FROM output");
    another_broker();
    begin(&w, SPAWN_M_GET, &job);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 99),
                     SPAWN_RESULT_RETURNED);
    assert_false(spawn_has(&message, SPAWN_A_RESULT));
}

static void one_that_died_has_died(void **state)
{
    (void)state;
    a_function_returned(SPAWN_RESULT_DIED);
    the_power_was_cut("DELETE FROM job; DELETE FROM need");
    hour_passes();
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 99),
                     SPAWN_RESULT_DIED);
    job = other;
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

/* ---- a ledger of an older release ---- */

#define WITHOUT_ALONE "ALTER TABLE job DROP COLUMN alone"
#define OLDER                                                                  \
    "ALTER TABLE job DROP COLUMN result_kind;"                                 \
    "ALTER TABLE job DROP COLUMN chosen;" WITHOUT_ALONE
#define NEW_COLUMNS                                                            \
    "SELECT count(*) FROM pragma_table_info('job')"                            \
    " WHERE name IN ('result_kind', 'chosen', 'alone')"

static void is_read(const char *older)
{
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    run_sql("DELETE FROM job");
    ledger_sql(older);
    hour_passes();
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    everything_is_killed();
    expect_ledger(NEW_COLUMNS, "3");
    expect_ledger("SELECT state || ' ' || chosen FROM job", "4 1");
}

static void an_older_one_is_read(void **state)
{
    (void)state;
    is_read(OLDER);
}

static void one_that_lacks_one_column_is_read(void **state)
{
    (void)state;
    is_read(WITHOUT_ALONE);
}

/* Its scribe did not close it. */
static void an_older_one_is_copied(void **state)
{
    sqlite3 *db;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    run_sql("DELETE FROM job");
    hour_passes();
    db = open_ledger();
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(db, OLDER, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
    everything_is_killed();
    expect_ledger(NEW_COLUMNS, "3");
    expect_ledger("SELECT count(*) FROM job", "1");
}

/* ---- jobs that are tried again ---- */

/* The store forgot that it had failed. */
static void its_pause_goes_on(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut(ATTEMPT_1);
    another_broker();
    quiet_for(50);
    expect_pause();
}

/* The ledger had not come to that. */
static void an_attempt_that_the_store_has_counts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut(NULL);
    ledger_sql("UPDATE job SET state = 2, attempt = 1, due_at = NULL");
    another_broker();
    quiet_for(50);
    expect_pause();
    everything_is_killed();
    expect_ledger(ATTEMPT_AND_PAUSE, "1 2 1");
}

/* The next broker believes the store, which heard of it from the ledger. */
static void the_store_has_the_attempt_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut(ATTEMPT_1);
    ledger_sql("UPDATE job SET due_at = 1");
    another_broker();
    it_starts(2);
    has_heard();
    everything_is_killed();
    expect_sql("SELECT attempt || ' ' || retries FROM job", "2 1");
}

/* It is due, as the store says: the pause is not begun again. */
static void its_pause_is_over_when_the_store_says_so(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut("UPDATE job SET due_at = 1, due_boot = NULL");
    ledger_sql("UPDATE job SET state = 2, attempt = 1, due_at = NULL");
    another_broker();
    it_starts(2);
}

/* It waits there still, as before the attempt that the store knows. */
static void a_ledger_in_which_it_waits_follows(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut(NULL);
    ledger_sql("UPDATE job SET attempt = 1, due_at = NULL");
    another_broker();
    quiet_for(50);
    expect_pause();
    everything_is_killed();
    expect_ledger(ATTEMPT_AND_PAUSE, "1 2 1");
}

/* The store has the moment of its first attempt. */
static void one_without_a_pause_starts_at_once(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut("UPDATE job SET attempt = 1, retries = 2");
    ledger_sql("UPDATE job SET due_at = NULL");
    another_broker();
    it_starts(2);
}

/* ---- a ledger that is read late ---- */

static void its_pause_goes_on_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut(ATTEMPT_1);
    hold_the_lock();
    another_broker();
    it_is_read();
    quiet_for(50);
    expect_pause();
    everything_is_killed();
    expect_sql("SELECT attempt || ' ' || retries FROM job", "2 1");
}

static void an_attempt_of_the_store_counts_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut(NULL);
    ledger_sql("UPDATE job SET state = 2, attempt = 1, due_at = NULL");
    hold_the_lock();
    another_broker();
    it_is_read();
    quiet_for(50);
    expect_pause();
    everything_is_killed();
    expect_ledger(ATTEMPT_AND_PAUSE, "1 2 1");
}

static void its_pause_is_over_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    the_power_was_cut("UPDATE job SET due_at = 1, due_boot = NULL");
    ledger_sql("UPDATE job SET state = 2, attempt = 1, due_at = NULL");
    hold_the_lock();
    another_broker();
    it_is_read();
    it_starts(2);
}

/* As a release without a ledger left it. */
static void an_attempt_of_the_store_that_had_begun_is_lost_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(1, NULL);
    it_starts(2);
    has_heard();
    the_power_was_cut(NULL);
    ledger_sql("UPDATE job SET state = 2, attempt = 1, due_at = NULL");
    hold_the_lock();
    another_broker();
    it_is_read();
    it_starts(3);
}

static void one_that_was_starting_starts_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut("UPDATE job SET state = 2, due_at = 1, due_boot = NULL");
    hold_the_lock();
    another_broker();
    it_is_read();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* The ledger has nothing of it. */
static void one_that_is_lost_then_is_tried_again(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(1, NULL);
    it_starts(2);
    has_heard();
    the_power_was_cut(NULL);
    ledger_sql("DELETE FROM job");
    hold_the_lock();
    another_broker();
    it_is_read();
    it_starts(3);
}

/* ---- jobs that have to do with others ---- */

static void had_started_and_waits_for_nobody(const char *ledger)
{
    spawn_writer w;

    reach_go_and_call_in();
    begin_retried(&w, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    it_starts(1);
    the_power_was_cut(STARTED_AS_QUEUED A_NEED);
    if (ledger)
        ledger_sql(ledger);
    another_broker();
    it_starts(2);
    has_heard();
    everything_is_killed();
    expect_sql("SELECT count(*) FROM need", "0");
}

static void one_that_had_started_waits_for_nobody(void **state)
{
    (void)state;
    had_started_and_waits_for_nobody(NULL);
}

/* The columns of an older release. */
static void one_that_only_its_state_tells_of_waits_for_nobody(void **state)
{
    (void)state;
    had_started_and_waits_for_nobody("UPDATE job SET chosen = NULL");
}

static void one_that_only_its_attempt_tells_of_waits_for_nobody(void **state)
{
    (void)state;
    had_started_and_waits_for_nobody("UPDATE job SET chosen = NULL, state = 1,"
                                     " attempt = 2, due_at = 1");
}

/* The store lost it, and has the one that it came after. */
static void so_it_is_of_one_that_only_the_ledger_has(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    other = job;
    comes_after(&other, 0);
    has_heard();
    the_power_was_cut("DELETE FROM job WHERE seq = 2; DELETE FROM need");
    ledger_sql("UPDATE job SET attempt = 2, due_at = 1 WHERE seq = 2");
    another_broker();
    it_starts(2);
}

static void one_that_did_not_start_comes_after_the_other(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    other = job;
    comes_after(&other, 0);
    has_heard();
    the_power_was_cut(NULL);
    another_broker();
    quiet_for(50);
    the_power_was_cut(NULL);
    hold_the_lock();
    another_broker();
    it_is_read();
    quiet_for(50);
    everything_is_killed();
    expect_sql("SELECT count(*) FROM need", "1");
}

/* It waits for its time. */
static void the_store_hears_that_it_waits_for_nobody(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut(A_NEED);
    ledger_sql("UPDATE job SET chosen = 1");
    another_broker();
    has_heard();
    quiet_for(50);
    everything_is_killed();
    expect_sql("SELECT count(*) FROM need", "0");
}

/* It came back: its template had gone. Only the ledger knows that. */
static void one_that_was_to_start_waits_for_nobody(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut("UPDATE job SET due_at = 1, due_boot = NULL;" A_NEED);
    ledger_sql("UPDATE job SET chosen = 1");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void one_that_was_to_start_waits_for_nobody_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut("UPDATE job SET due_at = 1, due_boot = NULL;" A_NEED);
    ledger_sql("UPDATE job SET chosen = 1");
    hold_the_lock();
    another_broker();
    it_is_read();
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void one_in_its_pause_keeps_its_key(void **state)
{
    spawn_writer w;
    spawn_id first;

    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, "k");
    first = job;
    begin_durable(&w);
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_AFTER);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    the_power_was_cut("UPDATE job SET attempt = 1, retries = 2, due_at = NULL,"
                      " due_boot = NULL WHERE seq = 1");
    another_broker();
    has_heard();
    quiet_for(50);
    job = first;
    expect_pause();
}

/* ---- a store that takes nothing ---- */

static void one_that_was_chosen_then_waits(void **state)
{
    (void)state;
    make_store_that_fails(NO_UPDATE);
    reach_go_and_call_in();
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    wait_until_logged("MS0530", 1);
    has_heard();
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || chosen FROM job", "1 1");
}

static void one_that_ended_then_has_ended(void **state)
{
    (void)state;
    make_store_that_fails(NO_END);
    reach_go_and_call_in();
    a_durable_job_runs();
    say_exited(&job, 0, 0x0300);
    wait_until_logged("MS0530", 1);
    has_heard();
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || exit_code FROM job", "4 3");
}

/* Another attempt follows, which is no end: the ledger has it as one that
 * began. */
static void one_that_is_tried_again_then_has_not_ended(void **state)
{
    spawn_writer w;

    (void)state;
    make_store_that_fails("BEFORE UPDATE ON job WHEN NEW.attempt = 2");
    reach_go_and_call_in();
    begin_retried(&w, HOUR);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    it_starts(1);
    say_exited(&job, 0, 0x0100);
    wait_until_logged("MS0530", 1);
    has_heard();
    everything_is_killed();
    wait_for_the_scribe();
    expect_ledger("SELECT state || ' ' || attempt FROM job", "2 1");
}

/* No process was forked for its order. */
static void one_that_came_back_then_waits(void **state)
{
    spawn_id template;

    (void)state;
    make_store_that_fails("BEFORE UPDATE ON job WHEN NEW.state = 1");
    rules = "A";
    reach_go_and_call_in();
    template_starts(&template, true);
    submit_function();
    expect_order(&job, &template);
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    wait_until_logged("MS0530", 1);
    has_heard();
    everything_is_killed();
    wait_for_the_scribe();
    expect_ledger("SELECT state || ' ' || chosen FROM job", "1 1");
}

/* The store had lost that it began. Until the store has what it became, the
 * ledger counts: the next broker must not start it again. */
static void one_that_was_lost_then_is_lost_to_the_next_broker(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    has_heard();
    the_power_was_cut("UPDATE job SET state = 1, pid = NULL, started_at = NULL;"
                      "CREATE TRIGGER no " NO_END
                      " BEGIN SELECT RAISE(ABORT, 'full'); END");
    start_broker();
    say(SPAWN_M_TABLE_END);
    wait_until_logged("MS0530", 1);
    comes_to_rest();
    kill_broker();
    wait_for_the_scribe();
    run_sql("DROP TRIGGER no");
    another_broker();
    has_heard();
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_LOST);
}

/* Of another spawner. */
#define WAS_STARTING "UPDATE job SET state = 2, instance = zeroblob(16)"

/* The broker after the next one finds that the ledger is of this boot, and so
 * believes the store. */
static void the_store_hears_that_it_waits(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut(WAS_STARTING);
    another_broker();
    has_heard();
    quiet_for(50);
    everything_is_killed();
    wait_for_the_scribe();
    expect_sql("SELECT state FROM job", "1");
    another_broker();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_returned_has_returned),
        TEST(what_it_returned_is_not_kept),
        TEST(one_that_died_has_died),
        TEST(an_older_one_is_read),
        TEST(one_that_lacks_one_column_is_read),
        TEST(an_older_one_is_copied),
        TEST(its_pause_goes_on),
        TEST(an_attempt_that_the_store_has_counts),
        TEST(the_store_has_the_attempt_then),
        TEST(its_pause_is_over_when_the_store_says_so),
        TEST(a_ledger_in_which_it_waits_follows),
        TEST(one_without_a_pause_starts_at_once),
        TEST(its_pause_goes_on_then),
        TEST(an_attempt_of_the_store_counts_then),
        TEST(its_pause_is_over_then),
        TEST(an_attempt_of_the_store_that_had_begun_is_lost_then),
        TEST(one_that_was_starting_starts_then),
        TEST(one_that_is_lost_then_is_tried_again),
        TEST(one_that_had_started_waits_for_nobody),
        TEST(one_that_only_its_state_tells_of_waits_for_nobody),
        TEST(one_that_only_its_attempt_tells_of_waits_for_nobody),
        TEST(so_it_is_of_one_that_only_the_ledger_has),
        TEST(one_that_did_not_start_comes_after_the_other),
        TEST(the_store_hears_that_it_waits_for_nobody),
        TEST(the_store_hears_that_it_waits),
        TEST(one_that_was_to_start_waits_for_nobody),
        TEST(one_that_was_to_start_waits_for_nobody_then),
        TEST(one_in_its_pause_keeps_its_key),
        TEST(one_that_was_chosen_then_waits),
        TEST(one_that_ended_then_has_ended),
        TEST(one_that_is_tried_again_then_has_not_ended),
        TEST(one_that_came_back_then_waits),
        TEST(one_that_was_lost_then_is_lost_to_the_next_broker),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
