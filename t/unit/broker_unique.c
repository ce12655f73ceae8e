/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique keys: who gets in, who waits, who is replaced, for how long a key is
 * had; and the same for a broker that comes after a killed one. The protocol of
 * broker_ordered.h.
 */
#define DEADLINE_MS 60000 /* a hundred thousand keys are read */

#include "t/unit/corner.h"
#include "t/unit/broker_ordered.h"

static spawn_id first, second, third;

static void one_runs(void)
{
    next.key = "k";
    is_accepted(&first);
    is_launched(&first);
}

static void another_is_refused(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_runs();
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&first);
    next.key = "l";
    is_accepted(&third); /* another key */
    is_launched(&third);
    exits(&first, 1);
    next.key = "k";
    is_accepted(&second);
    runs_and_ends(&second, 0);
}

static void each_queue_has_its_own_keys(void **state)
{
    static const char *const queues[] = {"other", NULL};

    (void)state;
    more_queues = queues;
    reach_go_and_call_in();
    one_runs();
    next.queue = "other";
    is_accepted(&second);
    is_launched(&second);
}

static void the_same_id_again_is_the_same_job(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_runs();
    submit_again(&first);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_false(spawn_has(&message, SPAWN_A_OTHER));
    nothing_is_launched();
}

static void the_one_that_is_there_is_kept(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_runs();
    next.conflict = SPAWN_CONFLICT_KEEP;
    send_it(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    other_is(&first);
    next.reply = SPAWN_REPLY_FINISHED; /* its client waits for the other one */
    send_it(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    other_is(&first);
    nothing_is_launched();
    ask_for(&second);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

static void one_comes_after_the_other(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_runs();
    next.conflict = SPAWN_CONFLICT_AFTER;
    is_accepted(&second);
    next.priority = 100; /* the order of submits counts */
    is_accepted(&third);
    nothing_is_launched();
    exits(&first, 0);
    runs_and_ends(&second, 1);
    runs_and_ends(&third, 0);
}

static void one_that_waits_is_replaced(void **state)
{
    (void)state;
    queue_jobs = 1;
    reach_go_and_call_in();
    next.key = "other";
    is_accepted(&third);
    is_launched(&third);
    next.key = "k";
    is_accepted(&first);
    next.conflict = SPAWN_CONFLICT_REPLACE;
    is_accepted(&second);
    expect_cancelled(&first, "replaces it");
    text_has_id(&second);
    makes_room_for(&third, &second);
    exits(&second, 0);
    nothing_is_launched();
}

/* It waits for that, and replaces those that wait for it, too. */
static void one_that_runs_is_not_replaced(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_runs();
    next.conflict = SPAWN_CONFLICT_REPLACE;
    is_accepted(&second);
    nothing_is_launched();
    expect_state(&second, SPAWN_STATE_QUEUED);
    is_accepted(&third);
    expect_cancelled(&second, "replaces it");
    exits(&first, 0);
    runs_and_ends(&third, 0);
    nothing_is_launched();
}

/* The job that would have replaced it is refused, so it runs. */
static void one_is_replaced_by_none(void **state)
{
    (void)state;
    make_store();
    store_fails("BEFORE INSERT ON job WHEN (SELECT count(*) FROM job) = 1");
    reach_ready_and_call_in();
    next.key = "k";
    is_accepted(&first);
    next.conflict = SPAWN_CONFLICT_REPLACE;
    send_it(&second);
    expect_refusal(SPAWN_E_STORE);
    say(SPAWN_M_GO);
    runs_and_ends(&first, 0);
}

static void one_that_is_refused_has_no_key(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_go_and_call_in();
    next.key = "k";
    send_it(&first);
    expect_refusal(SPAWN_E_STORE);
    send_it(&second);
    expect_refusal(SPAWN_E_STORE);
}

static void a_key_is_had_while_it_waits(void **state)
{
    (void)state;
    queue_jobs = 1;
    next.unique_for = SPAWN_UNIQUE_WAITING;
    reach_go_and_call_in();
    next.key = "other";
    is_accepted(&third);
    is_launched(&third);
    next.key = "k";
    is_accepted(&first);
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    makes_room_for(&third, &first);
    is_there();
    is_accepted(&second); /* while the first runs */
    expect_state(&second, SPAWN_STATE_QUEUED);
}

static void a_key_is_had_for_a_time(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    next.unique_for = 60000;
    reach_go_and_call_in();
    one_runs();
    exits(&first, 0);
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&first);
    next.conflict = SPAWN_CONFLICT_KEEP;
    send_it(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    other_is(&first);
    next.conflict = SPAWN_CONFLICT_AFTER;
    is_accepted(&second);
    nothing_is_launched();
    time_passes(50);
    nothing_is_launched();
    time_passes(11);
    is_launched(&second);
    time_passes(100); /* also when it is over it has it while it runs */
    is_accepted(&third);
    nothing_is_launched();
    exits(&second, 0);
    runs_and_ends(&third, 0);
}

/* Nobody is to wait for one that never ran. */
#define HELD(count)                                                            \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i"   \
    " < " count ") INSERT INTO unique_hold(queue, key, id, until)"             \
    " SELECT 'default', 'held ' || i, randomblob(16), 9000000000000 FROM n"

/* Nothing else bounds them: each job has ended. */
static void so_many_have_a_time(void **state)
{
    (void)state;
    make_store();
    run_sql(HELD("99999"));
    reach_go_and_call_in();
    next.key = "k";
    next.unique_for = 3600000;
    is_accepted(&first);
    runs_and_ends(&first, 0);
    next.key = "l";
    send_it(&second);
    expect_refusal(SPAWN_E_QUEUE_FULL);
    next.key = "k"; /* it is there */
    next.conflict = SPAWN_CONFLICT_AFTER;
    is_accepted(&second);
    next.key = "l";
    next.unique_for = SPAWN_UNIQUE_ENDED;
    is_accepted(&third);
    is_launched(&third);
}

static void a_time_ends_with_a_job_that_did_not_run(void **state)
{
    spawn_writer w;

    (void)state;
    next.unique_for = 60000;
    next.delay = 5000;
    reach_go_and_call_in();
    next.key = "k";
    is_accepted(&first);
    begin(&w, SPAWN_M_KILL, &first);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    is_there();
    is_accepted(&second);
}

/* ---- a broker after a killed one ---- */

static void the_next_broker_knows_who_has_it(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_runs();
    is_there();
    next.conflict = SPAWN_CONFLICT_AFTER;
    is_accepted(&second);
    is_accepted(&third);
    kill_broker();
    another_broker(&first);
    nothing_is_launched();
    next.conflict = SPAWN_CONFLICT_REJECT;
    send_it(&third);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    exits(&first, 0);
    is_launched(&second);
    nothing_is_launched();
}

/* The one that runs came after the one that waits. */
static void one_that_runs_has_it(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    reach_go_and_call_in();
    next.key = "k";
    next.conflict = SPAWN_CONFLICT_AFTER;
    is_accepted(&first);
    is_launched(&first);
    next.delay = 100000;
    is_accepted(&second);
    next.delay = 0;
    is_accepted(&third);
    exits(&first, 0);
    is_launched(&third);
    is_there();
    kill_broker();
    steps[0] += 200; /* while there is no broker */
    steps[1] += 200;
    another_broker(&third);
    nothing_is_launched();
    exits(&third, 0);
    runs_and_ends(&second, 0);
}

static void the_time_goes_on(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    next.unique_for = 60000;
    reach_go_and_call_in();
    one_runs();
    exits(&first, 0);
    is_there();
    kill_broker();
    steps[0] -= 30; /* the clock is set, which is another matter */
    another_broker(NULL);
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&first);
    time_passes(61);
    is_accepted(&second);
}

/* It was replaced when its broker was killed: one of them runs. */
static void one_of_them_runs(void **state)
{
    (void)state;
    reach_ready_and_call_in();
    next.key = "k";
    is_accepted(&first);
    kill_broker();
    run_sql("UPDATE job SET cancel = 15"); /* as it is marked */
    start_broker();
    expect_ready();
    call_in();
    next.conflict = SPAWN_CONFLICT_REPLACE;
    is_accepted(&second);
    kill_broker();
    another_broker(NULL);
    runs_and_ends(&second, 0);
    nothing_is_launched();
    expect_cancelled(&first, "");
}

/* By a day and more, and nobody waited for it so long. */
static void a_clock_that_is_set_takes_no_key(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    next.unique_for = 60000;
    reach_go_and_call_in();
    one_runs();
    exits(&first, 0);
    is_there();
    steps[0] += 200000;
    is_there();
    next.key = "l";
    is_accepted(&third);
    runs_and_ends(&third, 0);
    is_there();
    kill_broker();
    another_broker(NULL);
    next.key = "k";
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&first);
}

/* ---- posts ---- */

static void post_it(spawn_id *ret)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_ordered(&w, SPAWN_M_POST, ret);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_packet_send(post_fds[0], w.data, w.length, NULL, 0),
                     0);
    spawn_writer_free(&w);
}

static void wait_until_known(const spawn_id *id)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    do {
        ask_for(id);
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    } while (message.header.type != SPAWN_M_JOB && spawn_mono_ms() < until);
    assert_int_equal(message.header.type, SPAWN_M_JOB);
}

static void posts_are_told_in_the_history(void **state)
{
    (void)state;
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    one_runs();
    post_it(&second);
    wait_until_known(&second);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_START_FAILED);
    text_has_id(&first);
    next.conflict = SPAWN_CONFLICT_KEEP;
    post_it(&third);
    wait_until_known(&third);
    expect_cancelled(&third, "is kept");
    assert_int_equal(logged("MS0560"), 1); /* of the one that is refused */
    nothing_is_launched();
}

/* It runs, so nobody has its key, and nobody did when the broker was killed. */
static void a_post_in_the_inbox_has_a_key_that_is_free(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    next.unique_for = SPAWN_UNIQUE_WAITING;
    reach_go_and_call_in();
    one_runs();
    is_there();
    kill_broker();
    (void)spawn_id_make(&second);
    begin_ordered(&w, SPAWN_M_POST, &second);
    lies_in_slot(0, &w);
    another_broker(&first);
    runs_and_ends(&second, 0);
}

/* Of a job that the boot before this one took. */
static void its_time_goes_on_over_two_boots(void **state)
{
    (void)state;
    next.unique_for = 60000;
    reach_go_and_call_in();
    one_runs();
    is_there();
    kill_broker();
    run_sql("UPDATE job SET unique_boot = NULL"); /* as a boot leaves it */
    another_broker(&first);
    exits(&first, 0);
    is_there();
    kill_broker();
    expect_sql("SELECT ifnull(until_boot, '-') FROM unique_hold", "-");
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up_ordered, tear_down_ordered)
    const struct CMUnitTest tests[] = {
        TEST(another_is_refused),
        TEST(each_queue_has_its_own_keys),
        TEST(the_same_id_again_is_the_same_job),
        TEST(the_one_that_is_there_is_kept),
        TEST(one_comes_after_the_other),
        TEST(one_that_waits_is_replaced),
        TEST(one_that_runs_is_not_replaced),
        TEST(one_is_replaced_by_none),
        TEST(one_that_is_refused_has_no_key),
        TEST(a_key_is_had_while_it_waits),
        TEST(a_key_is_had_for_a_time),
        TEST(so_many_have_a_time),
        TEST(a_time_ends_with_a_job_that_did_not_run),
        TEST(the_next_broker_knows_who_has_it),
        TEST(one_that_runs_has_it),
        TEST(the_time_goes_on),
        TEST(its_time_goes_on_over_two_boots),
        TEST(one_of_them_runs),
        TEST(a_clock_that_is_set_takes_no_key),
        TEST(posts_are_told_in_the_history),
        TEST(a_post_in_the_inbox_has_a_key_that_is_free),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
