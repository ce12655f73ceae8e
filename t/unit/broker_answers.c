/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a submit is answered: at once, at the start, at the end, and the same
 * for who sends it again. The protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"

static spawn_id job; /* of the test */

static void submit(const spawn_id *id, spawn_reply reply)
{
    spawn_writer w;

    begin_submit(&w, id, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static void expect_accepted(spawn_state state)
{
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]), state);
}

static void expect_job(spawn_state state)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]), state);
}

/* It answers, and nothing that was asked before. */
static void nothing_is_told(void)
{
    spawn_writer w;
    spawn_id nobody;

    (void)spawn_id_make(&nobody);
    begin(&w, SPAWN_M_GET, &nobody);
    ask(&w);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

static void who_waits_for_the_start_is_told_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    nothing_is_told();
    submit(&job, SPAWN_REPLY_STARTED); /* again: it waits too */
    nothing_is_told();
    say_started(&job);
    expect_job(SPAWN_STATE_RUNNING);
    expect_job(SPAWN_STATE_RUNNING);
    submit(&job, SPAWN_REPLY_STARTED); /* it runs: at once */
    expect_job(SPAWN_STATE_RUNNING);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    submit(&job, SPAWN_REPLY_STARTED);
    expect_job(SPAWN_STATE_DONE);
}

/* A start that is stored a moment later is told now. */
static void
who_asks_for_the_start_of_what_has_just_started_is_told(void **state)
{
    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    broker_sleeps();
    say_started(&job);
    submit(&job, SPAWN_REPLY_STARTED);
    broker_goes_on();
    expect_job(SPAWN_STATE_RUNNING);
}

static void who_waits_for_the_end_is_told_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    nothing_is_told();
    submit(&job, SPAWN_REPLY_FINISHED);
    nothing_is_told();
    say_exited(&job, 0, 3 << 8);
    expect_job(SPAWN_STATE_DONE);
    expect_job(SPAWN_STATE_DONE);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_EXIT_CODE]), 3);
    submit(&job, SPAWN_REPLY_FINISHED);
    expect_job(SPAWN_STATE_DONE);
}

static void who_waits_for_the_start_is_told_of_an_end_too(void **state)
{
    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, SPAWN_STEP_EXEC, ENOENT);
    expect_job(SPAWN_STATE_DONE);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STEP]),
                     SPAWN_STEP_EXEC);
}

static void a_resend_is_told_how_far_it_is(void **state)
{
    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_accepted(SPAWN_STATE_STARTING);
    expect_id(SPAWN_M_LAUNCH, &job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_accepted(SPAWN_STATE_STARTING);
    say_started(&job);
    has_heard();
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_accepted(SPAWN_STATE_RUNNING);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_accepted(SPAWN_STATE_DONE);
    end_broker();
    expect_sql("SELECT count(*) || ' ' || outcome FROM job", "1 1");
}

/* It has the number of its question, and the output that was asked for. */
static void an_answer_is_that_of_its_question(void **state)
{
    static const spawn_reply replies[] = {
        SPAWN_REPLY_ACCEPTED, SPAWN_REPLY_STARTED, SPAWN_REPLY_FINISHED};
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    spawn_stdio out;
    size_t mark;
    int i, pipe;

    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    for (i = 0; i < 3; i++) {
        spawn_writer_init(&w, SPAWN_REQUEST_MAX);
        spawn_writer_begin(&w, SPAWN_M_SUBMIT, 11u + (unsigned)i);
        spawn_put_id(&w, SPAWN_A_ID, &job);
        mark = spawn_open_strv(&w, SPAWN_A_ARGV);
        spawn_add_text(&w, mark, "/bin/true", 9);
        spawn_close(&w, mark);
        spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
        spawn_put_u64(&w, SPAWN_A_REPLY, replies[i]);
        ask(&w);
        if (i == 0) {
            expect_answer(SPAWN_M_ACCEPTED);
            assert_int_equal(message.header.seq, 11);
            expect_id(SPAWN_M_LAUNCH, &job);
            spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
            pipe = packet.fds[out.fd];
            packet.fds[out.fd] = -1;
            assert_int_equal(write(pipe, "words", 5), 5);
            (void)close(pipe);
            say_started(&job);
            say_exited(&job, 0, 0);
            expect_id(SPAWN_M_FORGET, &job);
            continue;
        }
        expect_job(SPAWN_STATE_DONE);
        assert_int_equal(message.header.seq, 11 + i);
        assert_true(spawn_attr_u64(&message.attr[SPAWN_A_SUBMITTED_AT])
                    > 1600000000000u);
        assert_int_equal(spawn_has(&message, SPAWN_A_OUT), i == 2);
    }
}

static void get_from(const uint64_t *from, unsigned count)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    spawn_put_u64v(&w, SPAWN_A_OUTPUT_FROM, from, count);
    ask(&w);
}

static void expect_so_far(uint64_t from, const char *words)
{
    const spawn_attr *out = &message.attr[SPAWN_A_OUT];
    const uint64_t both[] = {from, 0};

    get_from(both, 2);
    expect_job(SPAWN_STATE_RUNNING);
    assert_true(spawn_has(&message, SPAWN_A_OUT));
    assert_false(spawn_has(&message, SPAWN_A_ERR)); /* is not captured */
    assert_int_equal(out->length, strlen(words));
    assert_memory_equal(out->data, words, out->length);
}

/* Until it is there: that it runs is read first, and what it wrote. */
static void wait_for_output(uint64_t all)
{
    const uint64_t none[] = {0, 0};

    do {
        get_from(none, 2);
        expect_answer(SPAWN_M_JOB);
    } while (!spawn_has(&message, SPAWN_A_OUT)
             || message.attr[SPAWN_A_OUT].length < all);
}

/* Behind what the caller has already; and only for callers who ask for it so.
 */
static void what_it_has_printed_is_told_while_it_runs(void **state)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    const uint64_t none[] = {0, 0};
    spawn_stdio out;
    spawn_writer w;
    int pipe;

    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
    pipe = packet.fds[out.fd];
    packet.fds[out.fd] = -1;
    say_started(&job);
    assert_int_equal(write(pipe, "words", 5), 5);
    wait_for_output(5);
    expect_so_far(2, "rds");
    expect_so_far(5, "");
    expect_so_far(UINT64_MAX, "");
    assert_int_equal(write(pipe, " more", 5), 5);
    wait_for_output(10);
    expect_so_far(5, " more");
    get_from(none, 1);
    expect_refusal(SPAWN_E_INVALID);
    begin(&w, SPAWN_M_GET, &job);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
    ask(&w);
    expect_job(SPAWN_STATE_RUNNING);
    assert_false(spawn_has(&message, SPAWN_A_OUT));
    (void)close(pipe);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    get_from(none, 2);
    expect_job(SPAWN_STATE_DONE);
    assert_false(spawn_has(&message, SPAWN_A_OUT));
}

static void wait_for_it(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
}

/* They are memory of the broker's, and a caller's to ask for. */
static void a_connection_has_so_many_waits(void **state)
{
    int i;

    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    for (i = 0; i < 1024; i++) {
        wait_for_it();
        if (i % 32 == 0) /* its socket holds some */
            nothing_is_told();
    }
    nothing_is_told();
    wait_for_it();
    expect_refusal(SPAWN_E_INVALID);
    submit(&job, SPAWN_REPLY_FINISHED);
    expect_refusal(SPAWN_E_INVALID);
    submit(&job, SPAWN_REPLY_STARTED);
    expect_refusal(SPAWN_E_INVALID);
    (void)close(caller);
    call_in(); /* another one can */
    wait_for_it();
    nothing_is_told();
    say_exited(&job, 0, 0);
    expect_job(SPAWN_STATE_DONE);
}

static void who_waits_may_leave(void **state)
{
    spawn_id other;

    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    (void)close(caller);
    call_in();
    submit(&job, SPAWN_REPLY_FINISHED);
    nothing_is_told();
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_job(SPAWN_STATE_DONE);
    (void)spawn_id_make(&other);
    submit(&other, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(who_waits_for_the_start_is_told_then),
        ALONE(who_asks_for_the_start_of_what_has_just_started_is_told),
        ALONE(who_waits_for_the_end_is_told_then),
        ALONE(who_waits_for_the_start_is_told_of_an_end_too),
        ALONE(a_resend_is_told_how_far_it_is),
        ALONE(an_answer_is_that_of_its_question),
        ALONE(what_it_has_printed_is_told_while_it_runs),
        ALONE(a_connection_has_so_many_waits),
        ALONE(who_waits_may_leave)};

    find_broker();
    return cmocka_run_group_tests_name("broker answers", tests, NULL, NULL);
}
