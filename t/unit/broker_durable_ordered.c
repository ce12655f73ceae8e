/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs with a unique key, and after others: also when only the ledger
 * knows of them. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#include "common/spawn_rule.h"

static spawn_id first, second, third;

static void submit_with(const char *key, uint64_t conflict,
                        const spawn_id *after)
{
    spawn_writer w;

    begin_durable(&w);
    if (key) {
        spawn_put_str(&w, SPAWN_A_UNIQUE, key);
        spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, conflict);
    }
    if (after)
        spawn_put_bytes(&w, SPAWN_A_AFTER, after, sizeof(*after));
    ask(&w);
}

/* The first runs, the second waits for its key, the third for the second. */
static void three_are_accepted(void)
{
    reach_go_and_call_in();
    submit_with("k", SPAWN_CONFLICT_REJECT, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    first = job;
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    submit_with("k", SPAWN_CONFLICT_AFTER, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    second = job;
    submit_with(NULL, 0, &second);
    expect_answer(SPAWN_M_ACCEPTED);
    third = job;
    has_heard();
}

static void they_run_in_order(void)
{
    has_heard();
    quiet_for(30);
    submit_with("k", SPAWN_CONFLICT_REJECT, NULL);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_LAUNCH, &second);
    say_started(&second);
    has_heard();
    quiet_for(30);
    say_exited(&second, 0, 0);
    expect_id(SPAWN_M_FORGET, &second);
    expect_id(SPAWN_M_LAUNCH, &third);
}

static void they_wait_for_each_other(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    three_are_accepted();
    they_run_in_order();
}

static void comes_anew(const char *sql)
{
    spawn_writer w;

    kill_broker();
    wait_for_the_scribe();
    if (sql)
        run_sql(sql);
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &first);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static void the_next_broker_knows(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    three_are_accepted();
    comes_anew(NULL);
    they_run_in_order();
}

static void so_does_the_ledger(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    three_are_accepted();
    comes_anew("DELETE FROM job; DELETE FROM need");
    they_run_in_order();
}

/* One that is replaced ends, and is not taken in again. */
static void one_is_replaced(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    three_are_accepted();
    submit_with("k", SPAWN_CONFLICT_REPLACE, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    wait_for_the_scribe();
    expect_sql("SELECT group_concat(state || outcome) FROM job"
               " WHERE outcome NOT NULL",
               "41,44,44");
}

/* One replaces others when it is on the disk, and none that came after it. */
static void the_last_of_two_that_replace_runs(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    submit_with("k", SPAWN_CONFLICT_REJECT, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    first = job;
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    has_heard();
    disk[HANG_AFTER] = 0;
    submit_with("k", SPAWN_CONFLICT_REPLACE, NULL);
    second = job;
    wait_for_a_hang();
    submit_with("k", SPAWN_CONFLICT_REPLACE, NULL);
    third = job;
    disk[HANG_AFTER] = -1;
    expect_answer(SPAWN_M_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_LAUNCH, &third);
}

int main(void)
{
#define DISK(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {
        DISK(they_wait_for_each_other),
        DISK(the_next_broker_knows),
        DISK(so_does_the_ledger),
        DISK(one_is_replaced),
        DISK(the_last_of_two_that_replace_runs),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
