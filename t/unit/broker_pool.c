/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many workers there are: who is ordered for whom, who leaves when there is
 * nothing to do, and when another try follows one that did not get ready. The
 * protocol of broker_calls.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"

#define IDLE 10 /* s */

static spawn_id template;

/* Time stands else. */
static void seconds_pass(int seconds)
{
    is_there(); /* lines before it are not taken for lines after it */
    time_moves(seconds * 1000);
    is_there();
}

static void workers_may_be(unsigned min, unsigned max)
{
    make_store();
    worker_idle = IDLE * 1000;
    queue_jobs = queue_waits = 20;
    reach_workers(min, max, &template);
    time_stands();
}

static void gets_ready(worker *w)
{
    worker_starts(w);
    worker_says(w, NULL);
}

/* Each has a call of its own. */
static void workers_have_calls(worker *w, spawn_id *id, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        submit(&id[i], SPAWN_REPLY_FINISHED);
        gets_ready(&w[i]);
        expect_call(&w[i], &id[i]);
    }
}

static void returns(const worker *w, const spawn_id *id)
{
    worker_returns(w, id);
    expect_answer(SPAWN_M_JOB);
}

static void stays(const worker *w)
{
    quiet_at(w->link, 1);
}

/* ---- who leaves ---- */

static void each_leaves_when_it_was_idle_for_so_long(void **state)
{
    spawn_id id[3];
    worker w[3];

    (void)state;
    workers_may_be(0, 3);
    workers_have_calls(w, id, 3);
    returns(&w[0], &id[0]);
    seconds_pass(3);
    returns(&w[1], &id[1]);
    seconds_pass(IDLE - 4);
    stays(&w[0]);
    seconds_pass(1);
    expect_no_more(&w[0]);
    stays(&w[1]);
    seconds_pass(2);
    stays(&w[1]);
    seconds_pass(1);
    expect_no_more(&w[1]);
    seconds_pass(5 * IDLE);
    stays(&w[2]); /* it has a call */
    returns(&w[2], &id[2]);
    seconds_pass(IDLE - 1);
    stays(&w[2]);
    seconds_pass(1);
    expect_no_more(&w[2]);
}

/* Whichever came first. */
static void they_leave_in_the_order_of_their_last_calls(void **state)
{
    spawn_id id[3];
    worker w[3];
    int up, i;

    (void)state;
    workers_may_be(0, 3);
    for (up = 0; up < 2; up++) {
        workers_have_calls(w, id, 3);
        for (i = 0; i < 3; i++) {
            int which = up ? i : 2 - i;

            returns(&w[which], &id[which]);
            seconds_pass(3);
        }
        seconds_pass(IDLE - 10); /* 9 s after the first */
        for (i = 0; i < 3; i++) {
            int which = up ? i : 2 - i, last = up ? 2 : 0;

            stays(&w[which]);
            seconds_pass(i ? 3 : 1);
            expect_no_more(&w[which]);
            if (i < 2)
                stays(&w[last]);
            say_exited(&w[which].id, 0, 0);
            expect_id(SPAWN_M_FORGET, &w[which].id);
            (void)close(w[which].link);
        }
    }
}

/* The one that was used last stays, whichever came first. */
static void so_many_as_the_rules_want_stay(void **state)
{
    spawn_id id[2];
    worker w[2];

    (void)state;
    workers_may_be(1, 2);
    gets_ready(&w[0]);
    submit(&id[0], SPAWN_REPLY_FINISHED);
    expect_call(&w[0], &id[0]);
    submit(&id[1], SPAWN_REPLY_FINISHED);
    gets_ready(&w[1]);
    expect_call(&w[1], &id[1]);
    returns(&w[1], &id[1]);
    seconds_pass(1);
    returns(&w[0], &id[0]);
    seconds_pass(IDLE);
    expect_no_more(&w[1]);
    seconds_pass(5 * IDLE);
    stays(&w[0]);
    submit(&id[0], SPAWN_REPLY_FINISHED);
    expect_call(&w[0], &id[0]);
}

/* Its memory is warm. */
static void a_call_goes_to_the_one_that_was_used_last(void **state)
{
    spawn_id id[3];
    worker w[3];
    int i;

    (void)state;
    workers_may_be(0, 3);
    workers_have_calls(w, id, 3);
    returns(&w[2], &id[2]);
    seconds_pass(1);
    returns(&w[0], &id[0]);
    seconds_pass(1);
    returns(&w[1], &id[1]);
    for (i = 0; i < 2; i++) {
        seconds_pass(1);
        submit(&id[1], SPAWN_REPLY_FINISHED);
        expect_call(&w[1], &id[1]);
        returns(&w[1], &id[1]);
    }
}

/* ---- who is ordered ---- */

static void for_each_call_that_waits_there_is_one(void **state)
{
    spawn_id id[4];
    worker w[3];
    int i;

    (void)state;
    workers_may_be(0, 3);
    submit(&id[0], SPAWN_REPLY_FINISHED);
    worker_starts(&w[0]);
    is_there();
    quiet_for(1); /* one is on its way */
    submit(&id[1], SPAWN_REPLY_FINISHED);
    worker_starts(&w[1]);
    is_there();
    quiet_for(1);
    submit(&id[2], SPAWN_REPLY_FINISHED);
    worker_starts(&w[2]);
    submit(&id[3], SPAWN_REPLY_FINISHED);
    is_there();
    quiet_for(1); /* as many as there may be */
    for (i = 0; i < 3; i++) {
        worker_says(&w[i], NULL);
        expect_call(&w[i], &id[i]);
    }
    returns(&w[1], &id[1]);
    expect_call(&w[1], &id[3]);
}

/* ---- those that do not get ready ---- */

static void leaves(const worker *w)
{
    say_exited(&w->id, 0, 1 << 8);
    (void)close(w->link);
}

static void does_not_get_ready(bool configured)
{
    worker w;

    worker_starts(&w);
    if (configured)
        expect(SPAWN_M_BROKER_READY);
    leaves(&w);
    expect_id(SPAWN_M_FORGET, &w.id);
    is_there();
    quiet_for(1); /* not at once */
}

static void another_try_follows_ever_later(void **state)
{
    (void)state;
    log_is_kept = true;
    workers_may_be(1, 1);
    does_not_get_ready(false);
    seconds_pass(1);
    does_not_get_ready(false);
    seconds_pass(1);
    quiet_for(1);
    seconds_pass(1);
    does_not_get_ready(false);
    assert_int_equal(logged("MS0610"), 3);
}

/* One that gets ready in between has the next try follow soon again. */
static void those_that_never_stay_have_few_lines(void **state)
{
    int64_t since = spawn_mono_ms();
    worker w, next;
    int i;

    (void)state;
    log_is_kept = true;
    workers_may_be(1, 1);
    does_not_get_ready(false);
    for (i = 0; i < 7; i++) {
        seconds_pass(1);
        gets_ready(&w);
        leaves(&w);
        worker_starts(&next); /* at once */
        expect_id(SPAWN_M_FORGET, &w.id);
        leaves(&next);
        expect_id(SPAWN_M_FORGET, &next.id);
    }
    end_broker();
    expect_few("MS0610", 5, since);
}

/* Its text is that of the template, where that is the reason. */
static void without_a_template_calls_are_told_why(void **state)
{
    spawn_id id;

    (void)state;
    make_store();
    rules = "A";
    workers_min = workers_max = 1;
    make_inbox();
    reach_go_and_call_in();
    submit(&id, SPAWN_REPLY_FINISHED);
    template_starts(&template, false);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_START_FAILED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "template app cannot be loaded: no such luck");
}

/* As after a restart of httpd, which was to mend it. */
static void new_rules_begin_anew(void **state)
{
    worker w;
    int i;

    (void)state;
    log_is_kept = true;
    workers_may_be(1, 1);
    for (i = 0; i < 5; i++) {
        does_not_get_ready(false);
        if (i < 4)
            seconds_pass(1 << i);
    }
    say_configure();
    does_not_get_ready(true); /* at once */
    seconds_pass(1);          /* and no longer than after the first */
    gets_ready(&w);
    is_there();
}

static void rules_without_workers_send_them_away(void **state)
{
    spawn_id id[2];
    worker w[2];

    (void)state;
    workers_may_be(0, 2);
    workers_have_calls(w, id, 2);
    returns(&w[0], &id[0]);
    is_there();
    workers_min = workers_max = 0;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    expect_no_more(&w[0]);
    returns(&w[1], &id[1]);
    expect_no_more(&w[1]);
    submit(&id[0], SPAWN_REPLY_ACCEPTED); /* a process of its own */
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(&id[0], &template);
}

static int64_t niceness;

static void put_nice(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS);

    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    spawn_put_i64(w, SPAWN_A_NICE, niceness);
    spawn_close(w, mark);
}

/* The settings that a queue gives to its jobs count from the next call on. */
static void other_rules_replace_them(void **state)
{
    spawn_id id[3];
    worker w[2], next;

    (void)state;
    more_rules = put_nice;
    niceness = 3;
    workers_may_be(0, 2);
    workers_have_calls(w, id, 2);
    returns(&w[0], &id[0]);
    is_there();
    say_configure(); /* the same ones */
    expect(SPAWN_M_BROKER_READY);
    is_there();
    stays(&w[0]);

    niceness = 4;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    expect_no_more(&w[0]);
    submit(&id[2], SPAWN_REPLY_FINISHED);
    worker_starts(&next);
    assert_int_equal(spawn_attr_i64(&message.attr[SPAWN_A_NICE]), 4);
    worker_says(&next, NULL);
    expect_call(&next, &id[2]);
    returns(&w[1], &id[1]);
    expect_no_more(&w[1]);
    returns(&next, &id[2]);
    is_there();
    stays(&next);
}

static uint64_t account[2]; /* user, group */

static void put_account(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_ACCOUNT), list;

    spawn_put_u64(w, SPAWN_A_UID, account[0]);
    spawn_put_u64(w, SPAWN_A_GID, account[1]);
    spawn_put_str(w, SPAWN_A_JOB_USER, "they");
    list = spawn_open_strv(w, SPAWN_A_QUEUE_NAMES);
    spawn_add_text(w, list, "default", 7);
    spawn_close(w, list);
    list = spawn_open_strv(w, SPAWN_A_TEMPLATE_NAMES);
    spawn_add_text(w, list, "app", 3);
    spawn_close(w, list);
    spawn_close(w, mark);
}

/* And does not wait for a template of that account: the next call would run
 * under the account before it. */
static void another_account_sends_them_away_at_once(void **state)
{
    worker w;
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        if (i)
            assert_int_equal(tear_down_clock(NULL) || set_up_clock(NULL), 0);
        more_rules = put_account;
        account[0] = account[1] = 1001;
        workers_may_be(1, 1);
        gets_ready(&w);
        is_there();
        stays(&w);
        account[i] = 1002;
        say_configure();
        expect_no_more(&w);
    }
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(each_leaves_when_it_was_idle_for_so_long),
        ALONE(they_leave_in_the_order_of_their_last_calls),
        ALONE(so_many_as_the_rules_want_stay),
        ALONE(a_call_goes_to_the_one_that_was_used_last),
        ALONE(for_each_call_that_waits_there_is_one),
        ALONE(another_try_follows_ever_later),
        ALONE(those_that_never_stay_have_few_lines),
        ALONE(without_a_template_calls_are_told_why),
        ALONE(new_rules_begin_anew),
        ALONE(rules_without_workers_send_them_away),
        ALONE(other_rules_replace_them),
        ALONE(another_account_sends_them_away_at_once),
    };

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker pool", tests, NULL, NULL);
}
