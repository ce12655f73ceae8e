/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that go to a worker directly: the answer to this call and no other is
 * taken, and who sends what was not asked ends the lease. This program
 * plays the caller, the worker and the broker's connection.
 */
#include "client/direct.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/spawn_os.h"

static spawn_connection c;
static int worker; /* its end */
static int broker;
static spawn_writer w;
static spawn_answer answer;
static spawn_id id;

static int pair(int *ret_other)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                0, ends),
                     0);
    *ret_other = ends[1];
    return ends[0];
}

static int set_up(void **state)
{
    (void)state;
    memset(&c, 0, sizeof(c));
    c.buffer = malloc(SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX);
    assert_non_null(c.buffer);
    c.fd = pair(&broker);
    spawn_fd_keep(&c.kept, c.fd);
    spawn_fd_keep(&c.direct, pair(&worker));
    (void)strcpy(c.lent_queue, "default");
    assert_int_equal(spawn_id_make(&id), 0);
    spawn_writer_init(&w, SPAWN_WIRE_HEADER + SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    spawn_writer_free(&w);
    spawn_fd_close(&c.kept);
    spawn_fd_close(&c.direct);
    free(c.buffer);
    (void)close(worker);
    (void)close(broker);
    return 0;
}

static int says(unsigned type, uint32_t seq)
{
    uint8_t room[256];
    spawn_writer said;

    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, type, seq);
    if (type != SPAWN_M_NOT_TAKEN)
        spawn_put_id(&said, SPAWN_A_ID, &id);
    if (type == SPAWN_M_JOB || type == SPAWN_M_ACCEPTED)
        spawn_put_u64(&said, SPAWN_A_STATE, SPAWN_STATE_DONE);
    if (type == SPAWN_M_JOB) {
        spawn_put_str(&said, SPAWN_A_QUEUE, "default");
    }
    (void)spawn_writer_finish(&said, 0);
    return spawn_packet_send(worker, said.data, said.length, NULL, 0);
}

/* The number of the next call. */
static uint32_t next_number(void)
{
    return spawn_seq(c.count + 1, spawn_os_cpu());
}

/* The worker answers when the caller has waited in vain, and still has the
 * socket. */
static bool answers_late;
static int64_t gives_up_at;
static int answered;

int poll(struct pollfd *p, nfds_t count, int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    int rv = ppoll(p, count, ms < 0 ? NULL : &t, NULL);

    if (rv == 0 && count == 2 && answers_late
        && spawn_mono_ms() >= gives_up_at) {
        answers_late = false;
        answered = says(SPAWN_M_JOB, c.seq);
    }
    return rv;
}

static int calls(int ms)
{
    gives_up_at = spawn_mono_ms() + ms;
    return spawn_direct_call(&c, &w, gives_up_at, &answer);
}

/* It names the processor that we are on, too. */
static void stay_here(void)
{
    cpu_set_t here;

    CPU_ZERO(&here);
    CPU_SET(spawn_os_cpu(), &here);
    (void)sched_setaffinity(0, sizeof(here), &here);
}

static void its_answer_is_taken(void **state)
{
    (void)state;
    assert_int_equal(says(SPAWN_M_JOB, next_number()), 0);
    assert_int_equal(calls(5000), 0);
    assert_int_equal(answer.message.header.type, SPAWN_M_JOB);
    spawn_answer_free(&answer);
    assert_true(spawn_fd_kept(&c.direct) >= 0);
}

static void what_was_not_taken_is_for_the_broker(void **state)
{
    (void)state;
    assert_int_equal(says(SPAWN_M_NOT_TAKEN, next_number()), 0);
    assert_int_equal(calls(5000), 1);
    assert_true(spawn_fd_kept(&c.direct) >= 0);
}

/* A worker that answers another question is asked nothing more, and the broker
 * finds out the end of the call. */
static void another_calls_answer_ends_the_lease(void **state)
{
    (void)state;
    assert_int_equal(says(SPAWN_M_JOB, next_number() + (1u << 16)), 0);
    assert_int_equal(says(SPAWN_M_JOB, next_number()), 0);
    assert_int_equal(calls(5000), 2);
    assert_int_equal(spawn_fd_kept(&c.direct), -1);
}

static void any_other_message_ends_it(void **state)
{
    (void)state;
    assert_int_equal(says(SPAWN_M_ACCEPTED, next_number()), 0);
    assert_int_equal(calls(5000), 2);
    assert_int_equal(spawn_fd_kept(&c.direct), -1);
}

static void so_does_what_is_no_message(void **state)
{
    (void)state;
    assert_int_equal(write(worker, "what?", 5), 5);
    assert_int_equal(calls(5000), 2);
    assert_int_equal(spawn_fd_kept(&c.direct), -1);
}

static void who_does_not_answer_is_waited_for_until_the_deadline(void **state)
{
    (void)state;
    assert_int_equal(calls(50), -ETIMEDOUT);
    assert_int_equal(spawn_fd_kept(&c.direct), -1);
}

/* The worker has noted that its caller has the answer. */
static void what_comes_when_it_gives_up_is_taken(void **state)
{
    (void)state;
    answers_late = true;
    assert_int_equal(calls(50), 0);
    assert_int_equal(answered, 0);
    assert_int_equal(answer.message.header.type, SPAWN_M_JOB);
    spawn_answer_free(&answer);
    /* nothing more can come there: the next call goes to the broker */
    assert_int_equal(spawn_fd_kept(&c.direct), -1);
}

static void who_has_gone_may_have_taken_it(void **state)
{
    (void)state;
    assert_int_equal(shutdown(worker, SHUT_WR), 0);
    assert_int_equal(calls(5000), 2);
    assert_int_equal(spawn_fd_kept(&c.direct), -1);
}

static void who_had_gone_has_not(void **state)
{
    (void)state;
    (void)close(worker);
    worker = -1;
    assert_int_equal(calls(5000), 1);
    assert_int_equal(spawn_fd_kept(&c.direct), -1);
}

/* A process that the worker has left may hold its socket. */
static void without_a_broker_it_is_waited_for_a_while(void **state)
{
    int64_t began = spawn_mono_ms();

    (void)state;
    (void)close(broker);
    broker = -1;
    assert_int_equal(calls(60000), 2);
    assert_in_range(spawn_mono_ms() - began, 900, 30000);
}

int main(void)
{
#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(its_answer_is_taken),
        EACH(what_was_not_taken_is_for_the_broker),
        EACH(another_calls_answer_ends_the_lease),
        EACH(any_other_message_ends_it),
        EACH(so_does_what_is_no_message),
        EACH(who_does_not_answer_is_waited_for_until_the_deadline),
        EACH(what_comes_when_it_gives_up_is_taken),
        EACH(who_has_gone_may_have_taken_it),
        EACH(who_had_gone_has_not),
        EACH(without_a_broker_it_is_waited_for_a_while)};

    stay_here();
    return cmocka_run_group_tests_name("client_direct", tests, NULL, NULL);
}
