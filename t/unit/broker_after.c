/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that come after others: when these have ended, and how; and the same for
 * a broker that comes after a killed one. The protocol of broker_ordered.h.
 */
#include "t/unit/corner.h"
#include "t/unit/broker_ordered.h"

static spawn_id first[3], second, third;

static void after(const spawn_id *ids, unsigned count)
{
    next.after = ids;
    next.after_count = count;
}

static void some_run(unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        is_accepted(&first[i]);
        is_launched(&first[i]);
    }
    is_there();
}

static void it_starts_when_all_have_ended(void **state)
{
    (void)state;
    reach_go_and_call_in();
    some_run(3);
    after(first, 3);
    is_accepted(&second);
    exits(&first[2], 0);
    exits(&first[0], 0);
    nothing_is_launched();
    expect_state(&second, SPAWN_STATE_QUEUED);
    exits(&first[1], 0);
    runs_and_ends(&second, 0);
}

static void one_after_the_other(void **state)
{
    (void)state;
    reach_go_and_call_in();
    some_run(1);
    after(first, 1);
    is_accepted(&second);
    after(&second, 1);
    is_accepted(&third);
    nothing_is_launched();
    exits(&first[0], 0);
    is_launched(&second);
    nothing_is_launched();
    exits(&second, 0);
    runs_and_ends(&third, 0);
}

static void those_that_have_ended_count(void **state)
{
    (void)state;
    reach_go_and_call_in();
    some_run(2);
    exits(&first[0], 0);
    exits(&first[1], 3);
    is_there();
    after(&first[0], 1);
    is_accepted(&second);
    runs_and_ends(&second, 0);
    after(&first[1], 1);
    is_accepted(&third);
    expect_cancelled(&third, "ended with exit code 3");
    text_has_id(&first[1]);
    next.after_failed = SPAWN_AFTER_FAILED_RUN;
    is_accepted(&third);
    runs_and_ends(&third, 0);
}

static void it_is_cancelled_when_one_fails(void **state)
{
    (void)state;
    reach_go_and_call_in();
    some_run(2);
    after(first, 2);
    is_accepted(&second);
    after(&second, 1);
    is_accepted(&third);
    exits(&first[1], 3);
    expect_cancelled(&second, "ended with exit code 3");
    text_has_id(&first[1]);
    expect_cancelled(&third, "has ended as cancelled");
    text_has_id(&second);
    exits(&first[0], 0);
    nothing_is_launched();
}

static void it_runs_when_that_is_wanted(void **state)
{
    (void)state;
    reach_go_and_call_in();
    some_run(2);
    after(first, 2);
    next.after_failed = SPAWN_AFTER_FAILED_RUN;
    is_accepted(&second);
    exits(&first[1], 3);
    nothing_is_launched();
    exits(&first[0], 0);
    runs_and_ends(&second, 0);
}

static void it_is_kept_when_that_is_wanted(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    some_run(1);
    after(first, 1);
    next.after_failed = SPAWN_AFTER_FAILED_KEEP;
    is_accepted(&second);
    exits(&first[0], 3);
    nothing_is_launched();
    expect_state(&second, SPAWN_STATE_QUEUED);
    kill_broker();
    another_broker(NULL);
    nothing_is_launched();
    expect_state(&second, SPAWN_STATE_QUEUED);
    begin(&w, SPAWN_M_KILL, &second);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    expect_state(&second, SPAWN_STATE_DONE);
}

static void unknown_ones_are_refused(void **state)
{
    spawn_id id;

    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&id);
    after(&id, 1);
    send_it(&second);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
    text_has_id(&id);
    after(&second, 1);
    submit_again(&second); /* after itself */
    expect_refusal(SPAWN_E_INVALID);
}

static void those_before_the_history_are_refused(void **state)
{
    spawn_id old;
    uint64_t ms;
    int i;

    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    history_jobs = 0;
    reach_go_and_call_in();
    some_run(1);
    exits(&first[0], 0);
    for (i = 0; i < 3; i++) /* it is forgotten */
        time_passes(600);
    (void)spawn_id_make(&old);
    ms = spawn_id_time(&first[0]) - 1000;
    for (i = 0; i < 6; i++)
        old.bytes[i] = (uint8_t)(ms >> (8 * (5 - i)));
    after(&old, 1);
    send_it(&second);
    expect_refusal(SPAWN_E_TOO_OLD);
    text_has_id(&old);
}

static void a_post_is_known(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    broker_sleeps();
    (void)spawn_id_make(&first[0]);
    begin_ordered(&w, SPAWN_M_POST, &first[0]);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_packet_send(post_fds[0], w.data, w.length, NULL, 0),
                     0);
    spawn_writer_free(&w);
    after(first, 1);
    send_it(&second);
    broker_goes_on();
    expect_answer(SPAWN_M_ACCEPTED);
    runs_and_ends(&first[0], 0);
    runs_and_ends(&second, 0);
}

/* It never was. */
static void one_that_is_refused_fails(void **state)
{
    (void)state;
    make_store();
    store_fails("BEFORE INSERT ON job WHEN (SELECT count(*) FROM job) = 0");
    reach_ready_and_call_in();
    broker_sleeps();
    send_it(&first[0]);
    after(first, 1);
    send_it(&second);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_STORE);
}

/* ---- a broker after a killed one ---- */

static void the_next_broker_knows(void **state)
{
    (void)state;
    reach_go_and_call_in();
    some_run(2);
    after(first, 2);
    is_accepted(&second);
    exits(&first[0], 0);
    is_there();
    kill_broker();
    another_broker(&first[1]);
    nothing_is_launched();
    exits(&first[1], 0);
    runs_and_ends(&second, 0);
}

/* Also of those that the history has forgotten since. */
static void what_has_ended_stays_so(void **state)
{
    (void)state;
    reach_go_and_call_in();
    some_run(2);
    after(first, 2);
    is_accepted(&second);
    exits(&first[0], 0);
    is_there();
    end_broker(); /* all is stored */
    run_sql("DELETE FROM job WHERE seq = 1");
    expect_sql("SELECT count(*) FROM need", "1");
    another_broker(&first[1]);
    exits(&first[1], 0);
    runs_and_ends(&second, 0);
    end_broker();
    expect_sql("SELECT count(*) FROM need", "0");
}

/* Its end came, or was stored, when there was no broker to act on it. */
static void an_end_without_a_broker_counts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    some_run(2);
    after(first, 1);
    is_accepted(&second);
    after(&first[1], 1);
    is_accepted(&third);
    is_there();
    kill_broker();
    run_sql("UPDATE job SET state = 4, outcome = 1, exit_code = 0,"
            " ended_at = 1, end_seq = 1 WHERE seq = 1");
    start_broker();
    say_exited(&first[1], 0, 3 << 8);
    expect_ready();
    expect_id(SPAWN_M_FORGET, &first[1]);
    say(SPAWN_M_GO);
    call_in();
    runs_and_ends(&second, 0);
    expect_cancelled(&third, "ended with exit code 3");
}

/* ---- many of them ---- */

enum {
    MANY = 200
};
static spawn_id others[MANY];

static void chain(void)
{
    unsigned i;

    queue_waits = MANY + 1;
    reach_go_and_call_in();
    some_run(1);
    for (i = 0; i < MANY; i++) {
        after(i ? &others[i - 1] : &first[0], 1);
        is_accepted(&others[i]);
    }
}

static void a_chain_is_cancelled_to_its_end(void **state)
{
    (void)state;
    chain();
    exits(&first[0], 3);
    expect_cancelled(&others[MANY - 1], "has ended as cancelled");
    text_has_id(&others[MANY - 2]);
    nothing_is_launched();
}

static void also_by_the_next_broker(void **state)
{
    (void)state;
    chain();
    exits(&first[0], 3);
    kill_broker(); /* in the middle of it, or before */
    another_broker(NULL);
    expect_cancelled(&others[MANY - 1], "has ended as cancelled");
    expect_cancelled(&others[0], "ended with exit code 3");
}

static void many_come_after_one(void **state)
{
    unsigned i;

    (void)state;
    queue_waits = MANY + 1;
    reach_go_and_call_in();
    some_run(1);
    after(first, 1);
    for (i = 0; i < MANY; i++)
        is_accepted(&others[i]);
    exits(&first[0], 3);
    for (i = 0; i < MANY; i++)
        expect_cancelled(&others[i], "ended with exit code 3");
}

/* A job that is to be revived has not ended; and when the store does not take
 * that it has, as it had before. */
static void one_that_stays_dead_has_failed(void **state)
{
    (void)state;
    make_store();
    store_fails("BEFORE UPDATE ON job WHEN NEW.attempt = 3");
    reach_go_and_call_in();
    it_dies(&first[0]);
    broker_sleeps();
    revive(&first[0]);
    after(first, 1);
    send_it(&second);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_cancelled(&second, "ended with exit code 3");
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up_ordered, tear_down_ordered)
    const struct CMUnitTest tests[] = {
        TEST(it_starts_when_all_have_ended),
        TEST(one_after_the_other),
        TEST(those_that_have_ended_count),
        TEST(it_is_cancelled_when_one_fails),
        TEST(it_runs_when_that_is_wanted),
        TEST(it_is_kept_when_that_is_wanted),
        TEST(unknown_ones_are_refused),
        TEST(those_before_the_history_are_refused),
        TEST(a_post_is_known),
        TEST(one_that_is_refused_fails),
        TEST(the_next_broker_knows),
        TEST(what_has_ended_stays_so),
        TEST(an_end_without_a_broker_counts),
        TEST(a_chain_is_cancelled_to_its_end),
        TEST(also_by_the_next_broker),
        TEST(many_come_after_one),
        TEST(one_that_stays_dead_has_failed),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
