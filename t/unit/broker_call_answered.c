/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that was answered, and that the store does not have yet when its
 * broker is killed, does not run again when it comes to the next broker by
 * another way. This program plays spawner, template, worker and callers.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"
#include "t/unit/broker_spooled.h"

#define NO_EVENT 200

static spawn_id id, template;
static worker the_worker;

static void is_served(spawn_id *ret)
{
    submit(ret, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, ret);
    worker_returns(&the_worker, ret);
    expect_answer(SPAWN_M_JOB);
}

/* Its worker has had another one since: nothing has the first one but what the
 * broker has noted. */
static void one_is_answered_and_the_broker_killed(void)
{
    spawn_id next;

    reach_a_worker(&the_worker, &template);
    time_stands();
    is_served(&id);
    is_served(&next);
    is_there();
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "0");
    time_goes_on();
}

static void begin_call(spawn_writer *w, uint16_t type, const char *function)
{
    begin(w, type, &id);
    spawn_put_str(w, SPAWN_A_FUNCTION, function);
}

static void no_worker_gets_it(void)
{
    is_there();
    quiet_at(the_worker.link, NO_EVENT);
    is_there();
    end_broker();
}

static void spool_it(void)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_SUBMIT, "My::f");
    lies_in_spool(&id, &w);
}

static void that_lies_in_the_spool(void **state)
{
    char path[SPOOL_PATH];

    (void)state;
    one_is_answered_and_the_broker_killed();
    spool_it();
    start_another(&the_worker, &template);
    no_worker_gets_it();
    assert_int_equal(access(path_in_spool(&id, path), F_OK), -1);
}

static void that_is_posted(void **state)
{
    spawn_writer w;

    (void)state;
    one_is_answered_and_the_broker_killed();
    begin_call(&w, SPAWN_M_POST, "My::f");
    send_post(&w);
    start_another(&the_worker, &template);
    no_worker_gets_it();
    assert_int_equal(full_slots(), 0);
}

static void that_is_submitted(void **state)
{
    spawn_writer w;

    (void)state;
    one_is_answered_and_the_broker_killed();
    start_another(&the_worker, &template);
    begin_call(&w, SPAWN_M_SUBMIT, "My::f");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    no_worker_gets_it();
}

/* Its result was told, and is kept nowhere. */
static void that_is_submitted_by_who_waits(void **state)
{
    (void)state;
    one_is_answered_and_the_broker_killed();
    start_another(&the_worker, &template);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    no_worker_gets_it();
}

/* Also when it may be tried again: that is for a call which nobody has heard
 * the end of. */
static void that_is_submitted_with_retries_left(void **state)
{
    spawn_writer w;
    unsigned i;

    (void)state;
    reach_a_worker(&the_worker, &template);
    time_stands();
    (void)spawn_id_make(&id);
    for (i = 0; i < 2; i++) {
        begin_call(&w, SPAWN_M_SUBMIT, "My::f");
        spawn_put_i64(&w, SPAWN_A_RETRY, 3);
        spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
        ask(&w);
        if (i == 0) {
            spawn_id next;

            expect_call(&the_worker, &id);
            worker_returns(&the_worker, &id);
            expect_answer(SPAWN_M_JOB);
            is_served(&next);
            is_there();
            kill_broker();
            time_goes_on();
            start_another(&the_worker, &template);
        }
    }
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    no_worker_gets_it();
}

static void and_another_one_of_this_id_is_none(void **state)
{
    spawn_writer w;

    (void)state;
    one_is_answered_and_the_broker_killed();
    start_another(&the_worker, &template);
    begin_call(&w, SPAWN_M_SUBMIT, "My::other");
    ask(&w);
    expect_refusal(SPAWN_E_CONFLICT);
}

/* Where they lie in the inbox. */
#define CALLS_AT   (256 * SLOT_SIZE + (8 << 20))
#define CALLS_SIZE (1 << 20)

/* Its broker was killed after the commit, and had not forgotten it. */
static void or_is_told_as_the_store_has_it(void **state)
{
    static uint8_t kept[CALLS_SIZE];
    ssize_t size;

    (void)state;
    reach_a_worker(&the_worker, &template);
    time_stands();
    is_served(&id);
    is_there();
    size = pread(inbox_fd, kept, sizeof(kept), CALLS_AT);
    assert_in_range(size, 1, CALLS_SIZE - 1); /* to the end */
    time_goes_on();
    a_moment_passes();
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "1");
    assert_int_equal(pwrite(inbox_fd, kept, (size_t)size, CALLS_AT), size);
    start_another(&the_worker, &template);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXITED);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(that_lies_in_the_spool),
        ALONE(that_is_posted),
        ALONE(that_is_submitted),
        ALONE(that_is_submitted_by_who_waits),
        ALONE(that_is_submitted_with_retries_left),
        ALONE(and_another_one_of_this_id_is_none),
        ALONE(or_is_told_as_the_store_has_it)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("call_answered", tests, NULL, NULL);
}
