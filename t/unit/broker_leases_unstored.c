/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that has ended in a worker, and whose caller has no answer, does not
 * run again when its broker is killed before the store has it. This program
 * plays spawner, template, worker and caller.
 */
#include "t/unit/broker_leased.h"

#define NOT_THE_CALL "BEFORE INSERT ON job WHEN NEW.elapsed = 7777777"

/* It ends in the lease; nobody could be answered. */
static void ends_unanswered(worker *w, spawn_id *ret)
{
    reach_lent(w);
    begins(ret, NULL);
    ends(SPAWN_RESULT_RETURNED);
}

static void another_broker_comes(const worker *w)
{
    kill_broker();
    run_sql("DROP TRIGGER no");
    workers_min = 0;
    start_broker();
    say_running_worker(w);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static void has_returned(const spawn_id *id)
{
    call_again(id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    assert_int_equal(message.attr[SPAWN_A_RESULT].length, 5);
}

static void in_a_lease_that_ends(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    make_store_that_fails(NOT_THE_CALL);
    ends_unanswered(&w, &id);
    says_lost(&w.id);
    expect_take_back(&w);
    is_there();
    another_broker_comes(&w);
    expect_take_back(&w);
    says_lost(&w.id);
    gives_back(&w, &id);
    is_there();
    has_returned(&id);
    quiet_at(w.link, 1);
}

static void expect_end(const spawn_id *id)
{
    call_again(id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 0);
}

/* The worker has another call, which overwrites ticket and result. */
static void in_a_lease_that_has_ended(void **state)
{
    spawn_id id, next;
    worker w;

    (void)state;
    make_store_that_fails(NOT_THE_CALL);
    ends_unanswered(&w, &id);
    submit(&next, SPAWN_REPLY_FINISHED);
    expect_take_back(&w);
    gives_back(&w, &id);
    expect_call(&w, &next);
    is_there();
    another_broker_comes(&w);
    expect_end(&id);
}

/* The broker has read it, and its caller the answer. */
static void nor_one_that_was_answered(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    make_store_that_fails(NOT_THE_CALL);
    reach_lent(&w);
    begins(&id, NULL);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    a_moment_passes();
    another_broker_comes(&w);
    expect_take_back(&w);
    gives_back(&w, &id);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    quiet_at(w.link, 1);
}

static void its_worker_serves_again(void **state)
{
    spawn_id id, next;
    worker w;

    (void)state;
    ends_unanswered(&w, &id);
    submit(&next, SPAWN_REPLY_FINISHED);
    expect_take_back(&w);
    gives_back(&w, &id);
    expect_call(&w, &next);
    worker_returns(&w, &next);
    expect_answer(SPAWN_M_JOB);
    has_returned(&id);
}

/* Also where the store does not take the call. */
static void so_it_does_when_the_call_is_told(void **state)
{
    spawn_id id, next;
    worker w;

    (void)state;
    make_store_that_fails(NOT_THE_CALL);
    ends_unanswered(&w, &id);
    says_lost(&w.id);
    expect_take_back(&w);
    gives_back(&w, &id);
    is_there();
    has_returned(&id);
    submit(&next, SPAWN_REPLY_FINISHED);
    expect_call(&w, &next);
}

/* A broker that finds it on the ticket may be killed, too. */
static void on_a_ticket(void **state)
{
    spawn_id id, next, template;
    worker w;

    (void)state;
    reach_a_worker(&w, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    is_there();
    kill_broker();
    call_stands_nowhere_else();
    store_fails(NO_INSERT);
    worker_returns(&w, &id);
    start_another(&w, &template);
    is_there();
    (void)close(caller);
    call_in();
    submit(&next, SPAWN_REPLY_FINISHED);
    expect_call(&w, &next);
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_another(&w, &template);
    expect_end(&id);
}

/* Where there is no slot either, its ticket alone has it: it stays. */
static void and_its_worker_does_not_go(void **state)
{
    spawn_id id, template;
    worker w;

    (void)state;
    reach_a_worker(&w, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    is_there();
    kill_broker();
    call_stands_nowhere_else();
    store_fails(NO_INSERT);
    worker_returns(&w, &id);
    assert_int_equal(shutdown(post_fds[0], SHUT_RDWR), 0);
    workers_min = workers_max = 0;
    start_another(&w, &template);
    is_there();
    quiet_at(w.link, 20);
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_another(&w, &template);
    expect_end(&id);
    expect_no_more(&w);
}

/* Of one that has gone its slate is the only record. */
static void its_worker_is_not_forgotten(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    make_store_that_fails(NOT_THE_CALL);
    ends_unanswered(&w, &id);
    (void)close(w.link);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    worker_says(&next, NULL);
    has_heard();
    has_heard();
    quiet_for(1);
}

static void before_the_call_is_stored(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    make_store_that_fails_a_while(NOT_THE_CALL);
    ends_unanswered(&w, &id);
    (void)close(w.link);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    worker_says(&next, NULL);
    has_heard();
    store_takes_again();
    expect_id(SPAWN_M_FORGET, &w.id);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(in_a_lease_that_ends),
        ALONE(in_a_lease_that_has_ended),
        ALONE(nor_one_that_was_answered),
        ALONE(its_worker_serves_again),
        ALONE(so_it_does_when_the_call_is_told),
        ALONE(on_a_ticket),
        ALONE(and_its_worker_does_not_go),
        ALONE(its_worker_is_not_forgotten),
        ALONE(before_the_call_is_stored),
    };

    find_broker();
    return cmocka_run_group_tests_name("leases_unstored", tests, NULL, NULL);
}
