/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many callers with big requests at once: the broker reads some of them in a
 * turn, and the others in the next ones, each in its order. The protocol of
 * broker_caller.h.
 */
#include "t/unit/broker_caller.h"
#include "t/unit/corner.h"

#define CALLERS 24
#define BYTES   (2u << 20)
#define KB      1024

static int callers[CALLERS];

static void all_call_in(void)
{
    int i;

    queue_waits = CALLERS;
    reach_ready_and_call_in();
    callers[0] = caller;
    for (i = 1; i < CALLERS; i++) {
        call_in();
        callers[i] = caller;
    }
}

static void submit_bytes(int at, size_t bytes)
{
    static const uint8_t data[BYTES];
    spawn_writer w;
    spawn_id id;

    caller = callers[at];
    (void)spawn_id_make(&id);
    begin_submit(&w, &id, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, bytes);
    ask(&w);
}

static void all_are_accepted(void)
{
    int i;

    for (i = 0; i < CALLERS; i++) {
        caller = callers[i];
        expect_answer(SPAWN_M_ACCEPTED);
    }
}

static void all_leave(void)
{
    spawn_close_fds(callers, CALLERS);
    caller = -1;
}

/* 48 MB come at once. */
static void requests_that_come_together_are_not_all_in_memory(void **state)
{
    unsigned long before;
    int i;

    (void)state;
    LEAVE_OUT_IF(SANITIZED, "freed memory is held back");
    all_call_in();
    before = memory_of_broker();
    broker_sleeps();
    for (i = 0; i < CALLERS; i++)
        submit_bytes(i, BYTES);
    broker_goes_on();
    all_are_accepted();
    assert_in_range(memory_of_broker() - before, 0, 24 * KB);
    all_leave();
}

/* One sends on and on, and is no faster than it can be stored. */
static void who_sends_much_keeps_nobody_from_being_read(void **state)
{
    int i;

    (void)state;
    all_call_in();
    broker_sleeps();
    for (i = 0; i < CALLERS; i++)
        submit_bytes(i, i % 2 ? 100 : BYTES);
    (void)close(callers[2]); /* its request is done all the same */
    callers[2] = -1;
    broker_goes_on();
    for (i = 0; i < CALLERS; i++) {
        if (i == 2)
            continue;
        caller = callers[i];
        expect_answer(SPAWN_M_ACCEPTED);
    }
    all_leave();
    end_broker();
    expect_sql("SELECT count(*) FROM job", "24");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(requests_that_come_together_are_not_all_in_memory),
        ALONE(who_sends_much_keeps_nobody_from_being_read)};

    find_broker();
    return cmocka_run_group_tests_name("crowds of callers", tests, NULL, NULL);
}
