/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a durable job that only the ledger has, since the power was cut
 * before the store was on the disk: it is told as it was told before, in all
 * its parts, whether the store has lost the job or only its end.
 */
#include "t/unit/broker_durable.h"

/* The attributes of a job's end; none of these is told of another one. */
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
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_exited),
        TEST(one_that_was_killed),
        TEST(one_that_could_not_start),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
