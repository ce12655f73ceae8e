/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of workers on themselves and on their calls: that they cannot get
 * ready, that a call was their last one, its usage, and nothing at all. The
 * protocol of broker_calls.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"

static spawn_id template;

/* Time stands else. */
static void seconds_pass(int seconds)
{
    is_there(); /* lines before it are not taken for lines after it */
    time_moves(seconds * 1000);
    is_there();
}

static void workers_may_be(unsigned min)
{
    make_store();
    log_is_kept = true;
    worker_idle = 10000;
    reach_workers(min, 1, &template);
    time_stands();
}

static void gets_ready(worker *w)
{
    worker_starts(w);
    worker_says(w, NULL);
}

static void ends(const worker *w, int status)
{
    say_exited(&w->id, 0, status);
    expect_id(SPAWN_M_FORGET, &w->id);
    (void)close(w->link);
}

/* last: it takes no further call. */
static void returns_so(const worker *w, const spawn_id *id, bool result,
                       bool last)
{
    const uint64_t usage[SPAWN_RU_COUNT] = {1234};
    spawn_board *board = spawn_board_map(w->kept[0]);
    uint8_t room[512];
    spawn_writer said;

    assert_non_null(board);
    if (result)
        assert_int_equal(
            spawn_board_put_result(board, SPAWN_RESULT_DIED, "oh", 2), 0);
    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, SPAWN_M_RETURNED, 0);
    spawn_put_id(&said, SPAWN_A_ID, id);
    if (last)
        spawn_put_u64(&said, SPAWN_A_LAST, 1);
    spawn_put_u64v(&said, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT);
    (void)spawn_writer_finish(&said, 0);
    assert_int_equal(
        spawn_packet_send(w->link, said.data, said.length, NULL, 0), 0);
}

/* ---- it cannot get ready ---- */

static void one_that_cannot_says_why(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    workers_may_be(0);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    says_it_cannot(&w);
    expect_answer(SPAWN_M_JOB);
    assert_string_equal(
        spawn_str_or(&message, SPAWN_A_TEXT, ""),
        "no worker of template app could get ready: no such luck");
    expect_no_more(&w);
    ends(&w, 0);
    is_there();
    assert_int_equal(logged("MS0610"), 1);
    assert_int_equal(logged("MS0613"), 0);
}

/* The trouble of one is not told of those that come when it has got better. */
static void what_was_wrong_is_forgotten_with_the_next(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    workers_may_be(0);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    says_it_cannot(&w);
    expect_answer(SPAWN_M_JOB);
    ends(&w, 0);
    seconds_pass(1);
    submit(&id, SPAWN_REPLY_FINISHED);
    gets_ready(&w);
    expect_call(&w, &id);
    worker_returns(&w, &id);
    expect_answer(SPAWN_M_JOB);
    seconds_pass(10);
    expect_no_more(&w); /* it had nothing to do */
    ends(&w, 0);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    says_it_cannot(&w);
    expect_answer(SPAWN_M_JOB);
    ends(&w, 0);
    seconds_pass(1); /* as after the first */
    submit(&id, SPAWN_REPLY_FINISHED);
    gets_ready(&w);
    expect_call(&w, &id);
}

/* Nor is it of new rules, without which the next would come in a second. */
static void what_was_wrong_is_forgotten_with_new_rules(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    workers_may_be(0);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    says_it_cannot(&w);
    expect_answer(SPAWN_M_JOB);
    ends(&w, 0);
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    submit(&id, SPAWN_REPLY_FINISHED);
    gets_ready(&w);
    expect_call(&w, &id);
}

/* It has said otherwise before. */
static void one_that_was_ready_is(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    workers_may_be(1);
    gets_ready(&w);
    is_there();
    says_it_cannot(&w);
    is_there();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    assert_int_equal(logged("MS0610"), 0);
}

/* ---- its calls ---- */

static void what_a_call_used_is_told(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    workers_may_be(1);
    gets_ready(&w);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    returns_so(&w, &id, true, false);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 255);
    assert_true(spawn_has(&message, SPAWN_A_RUSAGE));
    assert_int_equal(spawn_u64v_at(&message.attr[SPAWN_A_RUSAGE], 0), 1234);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
}

static void after_its_last_call_another_one_comes(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    workers_may_be(1);
    gets_ready(&w);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    returns_so(&w, &id, true, true);
    expect_answer(SPAWN_M_JOB);
    expect_no_more(&w);
    gets_ready(&next);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&next, &id);
}

/* A worker that says that it has returned, and has not, is trusted with no
 * other call. */
static void one_without_a_result_is_replaced(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    workers_may_be(1);
    gets_ready(&w);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    returns_so(&w, &id, false, false);
    expect_answer(SPAWN_M_JOB);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "its worker returned nothing that can be read");
    expect_no_more(&w);
    gets_ready(&next);
}

/* It waits for another one, whose it is then alone. */
static void a_call_that_it_never_got_does_not_end_with_it(void **state)
{
    worker w, other;
    spawn_id id;

    (void)state;
    workers_may_be(1);
    gets_ready(&w);
    is_there();
    assert_int_equal(shutdown(w.link, SHUT_RD), 0);
    submit(&id, SPAWN_REPLY_FINISHED);
    gets_ready(&other);
    expect_call(&other, &id);
    ends(&w, SIGKILL);
    comes_to_rest();
    quiet_at(caller, 1);
    worker_returns(&other, &id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

static void it_can_be_cancelled_while_it_waits_again(void **state)
{
    worker w, other;
    spawn_writer kill_it;
    spawn_id id;

    (void)state;
    workers_may_be(1);
    gets_ready(&w);
    is_there();
    assert_int_equal(shutdown(w.link, SHUT_RD), 0);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    worker_starts(&other);
    ends(&w, SIGKILL);
    begin(&kill_it, SPAWN_M_KILL, &id);
    ask(&kill_it);
    expect_answer(SPAWN_M_DONE);
    worker_says(&other, NULL);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&other, &id);
}

static void what_it_prints_is_of_its_call(void **state)
{
    char text[SPAWN_ID_TEXT], wanted[120];
    spawn_id id;
    worker w;
    int words;

    (void)state;
    workers_may_be(1);
    worker_ordered(&w);
    words = packet.fds[0];
    packet.fds[0] = -1;
    say_started(&w.id);
    worker_says(&w, NULL);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    assert_int_equal(write(words, "in a call\n", 10), 10);
    (void)snprintf(wanted, sizeof(wanted), "job %s stderr: in a call",
                   spawn_id_format(&id, text));
    wait_until_logged(wanted, 1);
    worker_returns(&w, &id);
    expect_answer(SPAWN_M_JOB);
    is_there();
    assert_int_equal(write(words, "idle\n", 5), 5);
    wait_until_logged("worker of queue default stderr: idle", 1);
    (void)close(words);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_cannot_says_why),
        ALONE(what_was_wrong_is_forgotten_with_the_next),
        ALONE(what_was_wrong_is_forgotten_with_new_rules),
        ALONE(one_that_was_ready_is),
        ALONE(what_a_call_used_is_told),
        ALONE(after_its_last_call_another_one_comes),
        ALONE(one_without_a_result_is_replaced),
        ALONE(a_call_that_it_never_got_does_not_end_with_it),
        ALONE(it_can_be_cancelled_while_it_waits_again),
        ALONE(what_it_prints_is_of_its_call),
    };

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker pool said", tests, NULL, NULL);
}
