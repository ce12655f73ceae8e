/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submits whose answers are taken later, in a process with threads: another
 * thread can neither take the answer, nor the connection that it comes over;
 * and so many idle connections close none that owes one.
 */
#include "t/unit/fake_broker.h"

#include "client/pool.h"
#include "client/submitted.h"

#define IDLE 16 /* that a client keeps */

static spawn_client *client;
static fake_broker broker;
static spawn_submitted *sent;
static spawn_failure why;
static atomic_uint answered_from;
static atomic_int held; /* the socket of a submit that is not answered yet */
static spawn_id held_id;
static uint32_t held_seq;

/* The first one waits for the test, and others are accepted at once. */
static bool holds_the_first(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    if (atomic_load(&held) < 0) {
        spawn_attr_id(&m->attr[SPAWN_A_ID], &held_id);
        held_seq = m->header.seq;
        atomic_store(&held, sock);
        return true;
    }
    atomic_store(&answered_from, (unsigned)sock);
    fake_accept(sock, m, m->header.seq);
    return true;
}

static void let_go(void)
{
    uint8_t room[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_ACCEPTED, held_seq);
    spawn_put_id(&w, SPAWN_A_ID, &held_id);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_QUEUED);
    fake_send(atomic_load(&held), &w);
}

static void finish(spawn_writer *w)
{
    spawn_id id;

    fake_submit(w, &id, SPAWN_REPLY_ACCEPTED);
    assert_int_equal(spawn_writer_finish(w, 0), 0);
}

static int begin(void **state)
{
    int64_t deadline = spawn_mono_ms() + 60000;
    spawn_writer w;

    (void)state;
    atomic_store(&held, -1);
    atomic_store(&answered_from, 0);
    fake_start(&broker, holds_the_first);
    client = fake_client(broker.path, -1, 60000);
    finish(&w);
    if (spawn_client_send(client, &w, NULL, 0, &sent, &why))
        return -1;
    while (atomic_load(&held) < 0 && spawn_mono_ms() < deadline)
        (void)usleep(1000);
    return atomic_load(&held) < 0;
}

static int end(void **state)
{
    (void)state;
    spawn_submitted_free(sent);
    spawn_client_close(client);
    fake_stop(&broker);
    return 0;
}

static void in_thread(void *(*does)(void *))
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, does, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static int submit_result;

static void *submits(void *unused)
{
    spawn_writer w;

    finish(&w);
    submit_result =
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why);
    spawn_writer_free(&w);
    return unused;
}

static void is_accepted(void)
{
    let_go();
    assert_int_equal(spawn_submitted_look(sent, true, &why), 1);
}

static void another_thread_has_another_connection(void **state)
{
    (void)state;
    in_thread(submits);
    assert_int_equal(submit_result, 0);
    assert_int_equal(atomic_load(&broker.hellos), 2);
    assert_int_not_equal(atomic_load(&answered_from),
                         (unsigned)atomic_load(&held));
    is_accepted();
}

static void its_own_has_the_same(void **state)
{
    (void)state;
    (void)submits(NULL);
    assert_int_equal(submit_result, 0);
    assert_int_equal(atomic_load(&broker.hellos), 1);
    is_accepted();
}

static void so_has_another_when_nothing_is_owed(void **state)
{
    (void)state;
    is_accepted();
    in_thread(submits);
    assert_int_equal(submit_result, 0);
    assert_int_equal(atomic_load(&broker.hellos), 1);
}

static int looks[2], fd_of_another;

static void *looks_at_it(void *unused)
{
    looks[0] = spawn_submitted_look(sent, false, &why);
    looks[1] = spawn_submitted_look(sent, true, &why);
    fd_of_another = spawn_submitted_fd(sent);
    spawn_submitted_free(sent);
    spawn_submitted_look_at_all(); /* of its own, of which there are none */
    return unused;
}

static void another_thread_is_refused(void **state)
{
    (void)state;
    in_thread(looks_at_it);
    assert_int_equal(looks[0], -1);
    assert_int_equal(looks[1], -1);
    assert_int_equal(why.code, SPAWN_E_NOT_PERMITTED);
    assert_int_equal(fd_of_another, -1);
    is_accepted(); /* it is still there */
}

/* As if so many threads had submitted at once. */
static void idle_ones_do_not_close_it(void **state)
{
    int64_t deadline = spawn_mono_ms() + 60000;
    spawn_connection *c[IDLE + 1];
    bool fresh;
    int i;

    (void)state;
    for (i = 0; i <= IDLE; i++)
        assert_int_equal(spawn_pool_take(client, deadline, &c[i], &fresh, &why),
                         0);
    assert_int_equal(c[0]->awaited_count, 1);
    for (i = IDLE; i >= 0; i--)
        spawn_pool_give(client, c[i]);
    assert_int_equal(atomic_load(&broker.hellos), IDLE + 1);
    is_accepted();
    assert_int_equal(atomic_load(&broker.requests), 1); /* not sent again */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(another_thread_has_another_connection), T(its_own_has_the_same),
        T(so_has_another_when_nothing_is_owed), T(another_thread_is_refused),
        T(idle_ones_do_not_close_it)};

    return cmocka_run_group_tests_name("submitted", tests, NULL, NULL);
}
