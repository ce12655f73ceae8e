/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller that asks for big answers and reads none has one of them in its
 * socket, and gets the others when it reads. This program plays spawner,
 * template, worker and caller.
 */
#include "t/unit/broker_calls.h"

#define ASKED 12
#define HUGE  200000 /* it travels in a memfd */

static spawn_id template;
static worker w;

static void returns_much(const spawn_id *id)
{
    static char value[HUGE];
    spawn_board *board = spawn_board_map(w.kept[0]);

    assert_non_null(board);
    memset(value, 'v', sizeof(value));
    assert_int_equal(spawn_board_put_result(board, SPAWN_RESULT_RETURNED, value,
                                            sizeof(value)),
                     0);
    worker_says(&w, id);
}

static void get(const spawn_id *id)
{
    spawn_writer asked;

    begin(&asked, SPAWN_M_GET, id);
    spawn_put_u64(&asked, SPAWN_A_WITH_OUTPUT, 1);
    ask(&asked);
}

static void wait_for(const spawn_id *id)
{
    spawn_writer asked;

    begin(&asked, SPAWN_M_WAIT, id);
    spawn_put_u64(&asked, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    spawn_put_u64(&asked, SPAWN_A_WITH_OUTPUT, 1);
    ask(&asked);
}

/* By another connection: all is heard that was said before. */
static void is_heard(void)
{
    int first = caller;

    call_in();
    is_there();
    (void)close(caller);
    caller = first;
}

static void expect_big(unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(message.attr[SPAWN_A_RESULT].length, HUGE);
    }
}

/* While the broker stands still, so that it sends no more of them. */
static void expect_one_in_the_socket(void)
{
    struct pollfd p;
    int status;

    assert_int_equal(kill(broker, SIGSTOP), 0);
    assert_int_equal(waitpid(broker, &status, WUNTRACED), broker);
    assert_true(WIFSTOPPED(status));
    expect_big(1);
    p = (struct pollfd){caller, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_int_equal(kill(broker, SIGCONT), 0);
}

static void questions_wait_until_the_last_big_answer_is_read(void **state)
{
    spawn_id id;
    unsigned i;

    (void)state;
    reach_a_worker(&w, &template);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    returns_much(&id);
    wait_for(&id);
    expect_big(1);
    for (i = 0; i < ASKED; i++)
        get(&id);
    is_heard();
    expect_one_in_the_socket();
    expect_big(ASKED - 1);
    is_there();
}

/* All are answered in the moment in which the job ends. */
static void so_do_waits(void **state)
{
    spawn_id id;
    unsigned i;

    (void)state;
    reach_a_worker(&w, &template);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    for (i = 0; i < ASKED; i++)
        wait_for(&id);
    is_heard();
    returns_much(&id);
    is_heard();
    expect_one_in_the_socket();
    expect_big(ASKED - 1);
    is_there();
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(questions_wait_until_the_last_big_answer_is_read),
        ALONE(so_do_waits)};

    find_broker();
    return cmocka_run_group_tests_name("big_answers", tests, NULL, NULL);
}
