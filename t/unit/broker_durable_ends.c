/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a durable job that only the ledger has, since the power was cut
 * before the store was on the disk: it is told as it was told before, in all
 * its parts, whether the store has lost the job or only its end.
 */
#include "t/unit/broker_durable.h"

/* What is told of a job's end; and nothing of these is told of another one. */
static const uint16_t parts[] = {
    SPAWN_A_STATE,      SPAWN_A_OUTCOME,  SPAWN_A_EXIT_CODE, SPAWN_A_SIGNAL,
    SPAWN_A_CORE,       SPAWN_A_STEP,     SPAWN_A_ERRNO,     SPAWN_A_PID,
    SPAWN_A_STARTED_AT, SPAWN_A_ENDED_AT, SPAWN_A_RUSAGE,    SPAWN_A_ELAPSED,
    SPAWN_A_TEXT};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

typedef struct {
    size_t length[PARTS];
    uint8_t data[PARTS][512];
} told;

static void note(told *ret)
{
    unsigned i;

    look();
    for (i = 0; i < PARTS; i++) {
        const spawn_attr *a = &message.attr[parts[i]];

        ret->length[i] = a->id ? a->length : SIZE_MAX;
        assert_true(!a->id || a->length <= sizeof(ret->data[i]));
        if (a->id)
            memcpy(ret->data[i], a->data, a->length);
    }
}

static void is_told_as_before(const told *before)
{
    static told now;
    unsigned i;

    note(&now);
    for (i = 0; i < PARTS; i++) {
        if (now.length[i] != before->length[i]
            || (now.length[i] != SIZE_MAX
                && memcmp(now.data[i], before->data[i], now.length[i]) != 0))
            fail_msg("%s is another one", spawn_attr_name(parts[i]));
    }
}

static void was_told(const told *t, uint16_t attr)
{
    unsigned i;

    for (i = 0; parts[i] != attr; i++)
        continue;
    assert_int_not_equal(t->length[i], SIZE_MAX);
}

/* Its end, with all that a spawner tells. */
static void it_exits(uint64_t status, int step, int error)
{
    const uint64_t usage[SPAWN_RU_COUNT] = {11, 12, 13, 14, 15, 16, 17, 18, 19};
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, &job);
    if (step) {
        spawn_put_u64(&w, SPAWN_A_STEP, (uint64_t)step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)error);
    }
    else {
        spawn_put_u64(&w, SPAWN_A_PID, 4000001);
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, status);
        spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT);
        spawn_put_u64(&w, SPAWN_A_STARTED_AT, (uint64_t)spawn_wall_ms() - 5000);
        spawn_put_u64(&w, SPAWN_A_ENDED_AT, (uint64_t)spawn_wall_ms() - 2000);
        spawn_put_u64(&w, SPAWN_A_ELAPSED, 3000001);
    }
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
}

/* The store has it as it was when it waited. */
#define FORGOT_THE_END                                                         \
    "UPDATE job SET state = 1, outcome = NULL, exit_code = NULL,"              \
    " signal = NULL, core = NULL, step = NULL, errno = NULL, text = NULL,"     \
    " pid = NULL, started_at = NULL, ended_at = NULL, rusage = NULL"

static void holds_over_cuts(const told *before)
{
    the_power_was_cut(FORGOT_THE_END);
    another_broker();
    quiet_for(100);
    is_told_as_before(before);
    the_power_was_cut("DELETE FROM job");
    another_broker();
    quiet_for(100);
    is_told_as_before(before);
}

static void one_that_exited(void **state)
{
    static told before;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    it_exits(0x0300, 0, 0);
    note(&before);
    was_told(&before, SPAWN_A_EXIT_CODE);
    was_told(&before, SPAWN_A_RUSAGE);
    was_told(&before, SPAWN_A_ELAPSED);
    holds_over_cuts(&before);
}

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
    static told before;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    it_exits(SIGSEGV | 0x80, 0, 0);
    note(&before);
    was_told(&before, SPAWN_A_SIGNAL);
    was_told(&before, SPAWN_A_CORE);
    holds_over_cuts(&before);
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
    static told before;

    (void)state;
    reach_go_and_call_in();
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    it_exits(0, SPAWN_STEP_CWD, EACCES);
    note(&before);
    was_told(&before, SPAWN_A_STEP);
    was_told(&before, SPAWN_A_ERRNO);
    was_told(&before, SPAWN_A_TEXT);
    holds_over_cuts(&before);
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
        TEST(one_that_exited),
        TEST(one_that_was_killed),
        TEST(one_that_could_not_start),
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
