/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a durable job that only the ledger has, after a power cut: it is
 * given back as it was, and nothing more follows from it. The protocol of
 * broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#include "common/spawn_retry.h"

/* Each has a number of its own. */
#define ALL_OF_ITS_TIMES                                                       \
    "UPDATE job SET job_pid = 4242, started_at = 1700000000001,"               \
    " ended_at = 1700000000003, elapsed = 2002,"                               \
    " rusage = x'0100000000000000020000000000000003000000000000000400000000"   \
    "000000'"
#define THEY_ARE_IN_THE_STORE                                                  \
    "SELECT pid || ' ' || started_at || ' ' || ended_at || ' ' || elapsed"     \
    " || ' ' || hex(rusage) FROM job",                                         \
        "4242 1700000000001 1700000000003 2002 01000000000000000200000000000"  \
        "00003000000000000000400000000000000"
#define LOST "DELETE FROM job"
#define HOW_IT_ENDED                                                           \
    "SELECT outcome || ' ' || ifnull(exit_code, '-') || ' ' ||"                \
    " ifnull(signal, '-') || ' ' || ifnull(core, '-') || ' ' ||"               \
    " ifnull(step, '-') || ' ' || ifnull(errno, '-') || ' ' ||"                \
    " ifnull(text, '-') FROM job"

static void the_ledger_has(const char *end, const char *lost)
{
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0);
    the_power_was_cut(lost);
    ledger_sql(ALL_OF_ITS_TIMES);
    ledger_sql(end);
    another_broker();
    has_heard();
    quiet_for(50);
    everything_is_killed();
    expect_sql(THEY_ARE_IN_THE_STORE);
}

static void one_that_was_killed(void **state)
{
    (void)state;
    the_ledger_has("UPDATE job SET outcome = 2, exit_code = -1, signal = 11,"
                   " core = 1, text = 'it was slow'",
                   LOST);
    expect_sql(HOW_IT_ENDED, "2 - 11 1 - - it was slow");
}

static void one_that_left_no_core(void **state)
{
    (void)state;
    the_ledger_has("UPDATE job SET outcome = 2, exit_code = -1, signal = 15,"
                   " core = 0",
                   LOST);
    expect_sql(HOW_IT_ENDED, "2 - 15 0 - - -");
}

static void one_that_could_not_start(void **state)
{
    (void)state;
    the_ledger_has("UPDATE job SET outcome = 5, exit_code = -1, step = 5,"
                   " errno = 13",
                   LOST);
    expect_sql(HOW_IT_ENDED, "5 - - - 5 13 -");
}

static void one_that_the_store_has_still(void **state)
{
    (void)state;
    the_ledger_has("UPDATE job SET exit_code = 3, text = 'it was slow'",
                   "UPDATE job SET state = 3, pid = 4000000, started_at = 1,"
                   " outcome = NULL, exit_code = NULL, ended_at = NULL,"
                   " elapsed = NULL");
    expect_sql(HOW_IT_ENDED, "1 3 - - - - it was slow");
}

/* Somebody ended it: the ledger does not say so, and need not. */
static void one_that_was_stopped_is_not_tried_again(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF,
                   (const uint64_t[]){SPAWN_BACKOFF_LIST, 1}, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    kill_it(0);
    expect_id(SPAWN_M_SIGNAL, &job);
    expect_answer(SPAWN_M_DONE);
    ends(0x0100);
    has_heard();
    the_power_was_cut("DELETE FROM job");
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

/* One cannot be read: those after it can. */
static void an_order_that_cannot_be_read_is_left_out(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    a_durable_job_waits();
    the_power_was_cut("DELETE FROM job");
    ledger_sql("UPDATE job SET message = x'00' WHERE seq = 1");
    another_broker();
    wait_until_logged("MS0865", 1);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_DELAYED);
}

/* One that is not durable has nothing to do with the ledger. */
static void one_that_is_not_durable_is_not_written(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    everything_is_killed();
    another_broker();
    has_heard();
    quiet_for(50);
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job", "1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_was_killed),
        TEST(one_that_left_no_core),
        TEST(one_that_could_not_start),
        TEST(one_that_the_store_has_still),
        TEST(one_that_was_stopped_is_not_tried_again),
        TEST(an_order_that_cannot_be_read_is_left_out),
        TEST(one_that_is_not_durable_is_not_written),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
