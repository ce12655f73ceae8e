/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer for which the broker has no descriptor now is sent when there is
 * one again: its caller is not dropped. This program plays spawner, template,
 * worker and caller.
 */
#include "t/unit/broker_calls.h"

#include <sys/resource.h>

#define HUGE 200000 /* it travels in a memfd */

static spawn_id template;
static worker w;

static void has_returned(spawn_id *id)
{
    static char value[HUGE];
    spawn_board *board;

    reach_a_worker(&w, &template);
    submit(id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, id);
    board = spawn_board_map(w.kept[0]);
    assert_non_null(board);
    memset(value, 'v', sizeof(value));
    assert_int_equal(spawn_board_put_result(board, SPAWN_RESULT_RETURNED, value,
                                            sizeof(value)),
                     0);
    worker_says(&w, id);
    is_there();
}

static void get(const spawn_id *id)
{
    spawn_writer asked;

    begin(&asked, SPAWN_M_GET, id);
    spawn_put_u64(&asked, SPAWN_A_WITH_OUTPUT, 1);
    ask(&asked);
}

/* None above those that every process has. */
static void descriptors(bool any)
{
    static struct rlimit before;
    struct rlimit none;

    if (any) {
        assert_int_equal(prlimit(broker, RLIMIT_NOFILE, &before, NULL), 0);
        return;
    }
    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, NULL, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, &none, NULL), 0);
}

/* By a connection that is there. */
static void is_heard_at(int other)
{
    int first = caller;

    caller = other;
    has_heard();
    caller = first;
}

static void it_comes_when_there_are_descriptors(void **state)
{
    int first, other, i;
    struct pollfd p;
    spawn_id id;

    (void)state;
    log_is_kept = true;
    has_returned(&id);
    first = caller;
    call_in();
    other = caller;
    caller = first;
    descriptors(false);
    get(&id);
    for (i = 0; i < 5; i++)
        is_heard_at(other); /* some turns */
    p = (struct pollfd){caller, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 0), 0);
    descriptors(true);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(message.attr[SPAWN_A_RESULT].length, HUGE);
    is_there(); /* and goes on */
    (void)close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        it_comes_when_there_are_descriptors, set_up, tear_down_all)};

    find_broker();
    return cmocka_run_group_tests_name("answer_later", tests, NULL, NULL);
}
