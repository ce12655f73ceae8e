/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over the link of a worker, whose other end code of users has: it may
 * send some that are not understood, too much at once, or close the link at any
 * moment. The protocol of broker_calls.h.
 */
#include "t/unit/broker_stepped.h"

#include <time.h>

static spawn_id template;

/* ---- saying what no worker says ---- */

static void says_message(const worker *w, uint16_t type)
{
    uint8_t room[256];
    spawn_writer said;

    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, type, 0);
    if (type != SPAWN_M_PRELOADED)
        spawn_put_id(&said, SPAWN_A_ID, &w->id);
    spawn_put_u64(&said, SPAWN_A_CODE, SPAWN_E_OK);
    assert_int_equal(spawn_writer_finish(&said, 0), 0);
    assert_int_equal(
        spawn_packet_send(w->link, said.data, said.length, NULL, 0), 0);
}

static void says_bytes(const worker *w, const char *bytes, size_t length)
{
    assert_int_equal(send(w->link, bytes, length, MSG_NOSIGNAL), length);
}

/* It takes a call, and its result counts. */
static void it_serves(const worker *w)
{
    spawn_id id;

    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(w, &id);
    worker_returns(w, &id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

static void what_is_not_understood_is_told_once(void **state)
{
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    says_message(&w, SPAWN_M_SUBMIT);
    says_message(&w, SPAWN_M_SUBMIT);
    worker_says(&w, NULL);
    it_serves(&w);
    says_message(&w, SPAWN_M_SUBMIT);
    it_serves(&w);
    assert_int_equal(logged("MS0612"), 1);
    assert_int_equal(logged("worker of queue default (pid 4000000) sent"), 1);
}

/* A template's word is not a worker's: it has its form, and says "good". */
static void only_a_worker_says_that_it_is_ready(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    says_message(&w, SPAWN_M_PRELOADED);
    submit(&id, SPAWN_REPLY_FINISHED);
    is_there();
    quiet_at(w.link, 100);
    assert_int_equal(logged("MS0612"), 1);
    worker_says(&w, NULL);
    expect_call(&w, &id);
}

static void bytes_that_are_no_message_cost_it_its_link(void **state)
{
    worker w, next;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    says_bytes(&w, "abc", 3);
    worker_starts(&next);
    (void)close(w.kept[1]);
    assert_true(receive_at(w.link, SPAWN_FROM_BROKER_TO_SPAWNER) <= 0);
    worker_says(&next, NULL);
    it_serves(&next);
}

/* More than the broker takes in one turn. */
static void much_at_once_is_taken_bit_by_bit(void **state)
{
    spawn_id id, other;
    worker w;
    int i;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    for (i = 1; i <= 40; i += 3) {
        int k;

        (void)spawn_id_make(&other);
        submit(&id, SPAWN_REPLY_FINISHED);
        expect_call(&w, &id);
        broker_sleeps();
        for (k = 0; k < i; k++)
            worker_says(&w, &other); /* not the one that it has */
        worker_returns(&w, &id);
        broker_goes_on();
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                         SPAWN_RESULT_RETURNED);
    }
}

static void it_may_be_ready_before_its_process_is_known(void **state)
{
    spawn_id id;
    worker w;
    int i;

    (void)state;
    reach_workers(1, 1, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &w.id);
    w.link = packet.fds[1];
    w.kept[0] = packet.fds[2];
    for (i = 1; i < 3; i++)
        packet.fds[i] = -1;
    worker_says(&w, NULL);
    is_there();
    quiet_at(w.link, 100);
    say_started(&w.id);
    expect_call(&w, &id);
}

/* Told twice, as after the death of a broker: it leaves, after its call. */
static void one_that_has_had_its_last_call_leaves(void **state)
{
    uint8_t room[128];
    spawn_writer said;
    spawn_id id, other;
    worker w, next;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    (void)spawn_id_make(&other);
    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, SPAWN_M_RETURNED, 0);
    spawn_put_id(&said, SPAWN_A_ID, &other);
    spawn_put_u64(&said, SPAWN_A_LAST, 1);
    assert_int_equal(spawn_writer_finish(&said, 0), 0);
    assert_int_equal(spawn_packet_send(w.link, said.data, said.length, NULL, 0),
                     0);
    is_there();
    quiet_at(w.link, 50);
    worker_returns(&w, &id);
    expect_answer(SPAWN_M_JOB);
    expect_no_more(&w);
    worker_ordered(&next);
}

/* Where the kernel can refuse that for the broker. */
static void it_can_pass_no_descriptor(void **state)
{
    uint8_t room[128];
    spawn_writer said;
    worker w;
    int ends[2], able;

    (void)state;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    able = spawn_os_pass_descriptors(ends[0], false) == 0;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, SPAWN_M_RETURNED, 0);
    spawn_put_u64(&said, SPAWN_A_CODE, SPAWN_E_OK);
    assert_int_equal(spawn_writer_finish(&said, 1), 0);
    assert_int_equal(
        spawn_packet_send(w.link, said.data, said.length, ends, 1) < 0, able);
    worker_says(&w, NULL);
    it_serves(&w);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- closing ---- */

/* CPU time of the broker, ms. */
static int64_t used(void)
{
    clockid_t clock;
    struct timespec t;

    assert_int_equal(clock_getcpuclockid(broker, &clock), 0);
    assert_int_equal(clock_gettime(clock, &t), 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void one_that_closes_its_link_is_replaced(void **state)
{
    worker w, next;
    int64_t before;

    (void)state;
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    is_there();
    (void)close(w.link);
    worker_starts(&next);
    worker_says(&next, NULL);
    is_there();
    before = used();
    quiet_at(link_fd, 300);
    assert_in_range(used() - before, 0, 60); /* not in circles */
    say_exited(&w.id, 0, 0);
    expect_id(SPAWN_M_FORGET, &w.id);
    it_serves(&next);
    assert_int_equal(logged("MS0613"), 0);
    (void)close(next.link);
    expect(SPAWN_M_LAUNCH);
    say_exited(&next.id, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &next.id);
    assert_int_equal(logged("has gone: it ended with exit code 3"), 1);
}

static void what_it_returned_before_its_end_counts(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    broker_sleeps();
    say_exited(&w.id, 0, SIGSEGV); /* this is read first */
    worker_returns(&w, &id);
    (void)close(w.link);
    broker_goes_on();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 0);
}

/* A link that is closed says nothing about the call: its end does. */
static void a_call_goes_on_without_its_link(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    (void)close(w.link);
    is_there();
    quiet_at(caller, 100);
    quiet_at(link_fd, 1);
    say_exited(&w.id, 0, SIGSEGV);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGSEGV);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0), 0);
}

/* The result of the call before it is not its own. */
static void one_that_dies_has_returned_nothing(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    it_serves(&w);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    say_exited(&w.id, 0, SIGKILL);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_SIGNALLED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0), 0);
}

/* It cannot say any more that it is ready. */
static void one_that_closes_it_before_it_is_ready_is_killed(void **state)
{
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    is_there();
    (void)close(w.link);
    time_passes(9);
    quiet_at(link_fd, 1);
    time_passes(2);
    expect_id(SPAWN_M_SIGNAL, &w.id);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), SIGKILL);
    say_exited(&w.id, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &w.id);
    assert_int_equal(logged("MS0610"), 1); /* a try that failed */
}

/* ---- several ---- */

static void each_has_a_link_and_an_end_of_its_own(void **state)
{
    worker w[3], next;
    spawn_id id[3];
    int i, k;

    (void)state;
    reach_workers(3, 3, &template);
    for (i = 0; i < 3; i++)
        worker_starts(&w[i]);
    for (i = 0; i < 3; i++) {
        /* the worker that idled last is given a call first */
        worker_says(&w[i], NULL);
        is_there();
        submit(&id[i], SPAWN_REPLY_ACCEPTED);
        expect_answer(SPAWN_M_ACCEPTED);
        expect_call(&w[i], &id[i]);
    }
    say_exited(&w[1].id, 0, 5 << 8); /* one in the middle */
    worker_starts(&next);
    expect_id(SPAWN_M_FORGET, &w[1].id);
    for (i = 0; i < 3; i += 2)
        worker_returns(&w[i], &id[i]);
    is_there();
    for (k = 0; k < 3; k++) {
        spawn_writer ask_for;

        begin(&ask_for, SPAWN_M_GET, &id[k]);
        ask(&ask_for);
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99),
                         k == 1 ? 5 : 0);
    }
    say_exited(&w[2].id, 0, 0);
    expect(SPAWN_M_LAUNCH);
    expect_id(SPAWN_M_FORGET, &w[2].id);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(what_is_not_understood_is_told_once),
        ALONE(only_a_worker_says_that_it_is_ready),
        ALONE(bytes_that_are_no_message_cost_it_its_link),
        ALONE(much_at_once_is_taken_bit_by_bit),
        ALONE(it_may_be_ready_before_its_process_is_known),
        ALONE(one_that_has_had_its_last_call_leaves),
        ALONE(it_can_pass_no_descriptor),
        ALONE(one_that_closes_its_link_is_replaced),
        ALONE(what_it_returned_before_its_end_counts),
        ALONE(a_call_goes_on_without_its_link),
        ALONE(one_that_dies_has_returned_nothing),
        STEPPED(one_that_closes_it_before_it_is_ready_is_killed),
        ALONE(each_has_a_link_and_an_end_of_its_own)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("links of workers", tests, NULL, NULL);
}
