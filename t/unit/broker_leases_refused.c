/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that went to a worker which nobody knows any more may have run. Where
 * its queue takes no jobs now, or its template is not there, it is told as lost
 * all the same; where that cannot be said it is refused as unconfirmed, with
 * the reason. Any other refusal would be taken for a call that did not run, and
 * it would be sent again. This program plays spawner, template and caller.
 */
#include "t/unit/broker_leased.h"

static spawn_id template;

static void nobody_knows_a_worker(void)
{
    spawn_id stranger;

    (void)spawn_id_make(&stranger);
    says_lost(&stranger);
}

/* Of this call, which is submitted next. */
static void reach_with_a_doubt(spawn_id *ret)
{
    reach_workers(0, 1, &template);
    nobody_knows_a_worker();
    (void)spawn_id_make(ret);
}

static void expect_lost(void)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
}

static void expect_doubt(const char *reason)
{
    const char *text;

    expect_refusal(SPAWN_E_UNCONFIRMED);
    text = spawn_str_or(&message, SPAWN_A_TEXT, "");
    if (!strstr(text, "may have run") || !strstr(text, reason))
        fail_msg("'%s' does not say '%s'", text, reason);
}

static void calls(spawn_id *id, uint16_t with, const char *value)
{
    spawn_writer w;

    begin(&w, SPAWN_M_SUBMIT, id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    if (with)
        spawn_put_str(&w, with, value);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
}

static void is_lost(void)
{
    spawn_id id;

    nobody_knows_a_worker();
    (void)spawn_id_make(&id);
    call_again(&id);
    expect_lost();
    call_again(&id); /* which is known from then on */
    expect_lost();
}

static void nothing_else_is_taken(void)
{
    spawn_id id;

    submit(&id, SPAWN_REPLY_FINISHED);
    expect_refusal(SPAWN_E_QUEUE_FULL);
}

/* ---- it is lost ---- */

static void where_its_queue_is_full(void **state)
{
    spawn_id waits;

    (void)state;
    queue_jobs = 1;
    queue_waits = 0;
    reach_workers(0, 1, &template);
    submit(&waits, SPAWN_REPLY_FINISHED);
    nothing_else_is_taken();
    is_lost();
}

static void where_its_queue_is_drained(void **state)
{
    spawn_writer w;

    (void)state;
    reach_workers(0, 1, &template);
    begin(&w, SPAWN_M_QUEUES, NULL);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_DRAIN);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    ask(&w);
    expect_answer(SPAWN_M_QUEUE_STATE);
    expect_answer(SPAWN_M_END);
    nothing_else_is_taken();
    is_lost();
}

static void where_its_template_has_gone(void **state)
{
    spawn_id id;

    (void)state;
    reach_workers(0, 1, &template);
    (void)spawn_id_make(&id);
    calls(&id, SPAWN_A_TEMPLATE, "gone");
    expect_refusal(SPAWN_E_INVALID);
    nobody_knows_a_worker();
    calls(&id, SPAWN_A_TEMPLATE, "gone");
    expect_lost();
}

/* ---- it is unconfirmed ---- */

/* There is no queue that it could be a job of. */
static void in_doubt_where_its_queue_has_gone(void **state)
{
    spawn_id id;

    (void)state;
    reach_with_a_doubt(&id);
    calls(&id, SPAWN_A_QUEUE, "gone");
    expect_doubt("'gone'");
    calls(&id, SPAWN_A_QUEUE, "gone"); /* without a word of a worker */
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
}

/* No clock that is right has made it; the same is said of an old one. */
static void in_doubt_by_the_time_of_its_id(void **state)
{
    spawn_id id;

    (void)state;
    reach_workers(0, 1, &template);
    (void)spawn_id_make(&id);
    id.bytes[0] = 0x7f;
    call_again(&id);
    expect_refusal(SPAWN_E_TOO_OLD);
    nobody_knows_a_worker();
    call_again(&id);
    expect_doubt("the id's time");
}

static void in_doubt_where_its_id_is_anothers(void **state)
{
    spawn_id id;

    (void)state;
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    nobody_knows_a_worker();
    calls(&id, SPAWN_A_LABEL, "another");
    expect_doubt("another job with this id");
}

static void in_doubt_when_too_much_is_waited_for(void **state)
{
    unsigned i;
    spawn_id id;

    (void)state;
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    for (i = 0; i < 1024; i++) {
        call_again(&id);
        if (i % 64 == 0)
            is_there(); /* and has read that */
    }
    call_again(&id);
    expect_refusal(SPAWN_E_INVALID);
    nobody_knows_a_worker();
    call_again(&id);
    expect_doubt("too many requests");
}

static void in_doubt_when_the_store_does_not_take_it(void **state)
{
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_with_a_doubt(&id);
    call_again(&id);
    expect_doubt("the store");
    /* it is no job of that broker's */
    nobody_knows_a_worker();
    call_again(&id);
    expect_doubt("the store");
}

/* ---- the next one ---- */

static void is_taken(void)
{
    spawn_id id;

    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
}

/* What it says of itself is not read. */
static void a_message_that_is_too_big_is_in_doubt_alone(void **state)
{
    static char big[9000];
    spawn_id id;

    (void)state;
    reach_with_a_doubt(&id);
    memset(big, 'x', sizeof(big) - 1);
    calls(&id, SPAWN_A_LABEL, big);
    expect_doubt("are allowed");
    is_taken();
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(where_its_queue_is_full),
        ALONE(where_its_queue_is_drained),
        ALONE(where_its_template_has_gone),
        ALONE(in_doubt_where_its_queue_has_gone),
        ALONE(in_doubt_by_the_time_of_its_id),
        ALONE(in_doubt_where_its_id_is_anothers),
        ALONE(in_doubt_when_too_much_is_waited_for),
        ALONE(in_doubt_when_the_store_does_not_take_it),
        ALONE(a_message_that_is_too_big_is_in_doubt_alone)};

    find_broker();
    return cmocka_run_group_tests_name("leases_refused", tests, NULL, NULL);
}
