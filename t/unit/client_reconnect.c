/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that breaks is replaced, and the same job sent again. */
#include <signal.h>

#include "client/pool.h"
#include "common/spawn_field.h"
#include "t/unit/fake_broker.h"

static fake_broker broker;
static spawn_failure why;

/* The first request meets a broker that dies. */
static bool dies_once(fake_broker *f, int sock, const spawn_message *m)
{
    if (atomic_load(&f->requests) == 1)
        return false;
    fake_accept(sock, m, m->header.seq);
    return true;
}

static void submit_is_sent_again_with_its_id(void **state)
{
    spawn_client *client;
    spawn_writer w;
    spawn_id id;

    (void)state;
    fake_start(&broker, dies_once);
    client = fake_client(broker.path, -1, 5000);
    fake_submit(&w, &id, SPAWN_REPLY_ACCEPTED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), 0);
    assert_int_equal(atomic_load(&broker.requests), 2);
    assert_true(spawn_id_equal(&broker.ids[0], &id));
    assert_true(spawn_id_equal(&broker.ids[1], &id));
    spawn_writer_free(&w);
    spawn_client_close(client);
    fake_stop(&broker);
}

static bool always_dies(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    (void)sock;
    (void)m;
    return false;
}

static void broker_that_always_dies_is_not_spun_on(void **state)
{
    spawn_client *client;
    int64_t before;
    spawn_writer w;
    spawn_id id;

    (void)state;
    fake_start(&broker, always_dies);
    client = fake_client(broker.path, -1, 300);
    fake_submit(&w, &id, SPAWN_REPLY_FINISHED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    before = spawn_mono_ms();
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    assert_true(spawn_mono_ms() - before < 60000);
    assert_true(atomic_load(&broker.requests) < 60);
    spawn_writer_free(&w);
    spawn_client_close(client);
    fake_stop(&broker);
}

/* Takes the job, closes the door and goes. */
static bool leaves(fake_broker *f, int sock, const spawn_message *m)
{
    (void)sock;
    (void)m;
    (void)shutdown(f->listener, SHUT_RDWR);
    return false;
}

static void sent_and_nobody_left_is_unconfirmed(void **state)
{
    spawn_client *client;
    spawn_writer w;
    spawn_id id;

    (void)state;
    fake_start(&broker, leaves);
    client = fake_client(broker.path, -1, 5000);
    fake_submit(&w, &id, SPAWN_REPLY_ACCEPTED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    assert_int_equal(why.error, ECONNREFUSED);
    spawn_writer_free(&w);
    spawn_client_close(client);
    fake_stop(&broker);
}

static void asked_and_nobody_left_is_no_answer(void **state)
{
    static const uint16_t types[] = {SPAWN_M_GET, SPAWN_M_WAIT, SPAWN_M_KILL};
    spawn_client *client;
    spawn_writer w;
    spawn_id id;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(types) / sizeof(*types); i++) {
        fake_start(&broker, leaves);
        client = fake_client(broker.path, -1, 5000);
        (void)spawn_id_make(&id);
        spawn_writer_init(&w, SPAWN_REQUEST_MAX);
        spawn_writer_begin(&w, types[i], 0);
        spawn_put_id(&w, SPAWN_A_ID, &id);
        if (types[i] == SPAWN_M_WAIT)
            spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
        if (types[i] == SPAWN_M_KILL)
            spawn_put_u64(&w, SPAWN_A_SIGNO, SIGTERM);
        assert_int_equal(spawn_writer_finish(&w, 0), 0);
        assert_int_equal(spawn_client_ask(client, &w, 0, NULL, &why), -1);
        assert_int_equal(why.code, SPAWN_E_DEADLINE);
        assert_int_equal(why.error, ECONNREFUSED);
        spawn_writer_free(&w);
        spawn_client_close(client);
        fake_stop(&broker);
    }
}

/* Dies at once, and its successor has the job done. */
static bool dies_and_is_replaced(fake_broker *f, int sock,
                                 const spawn_message *m)
{
    if (atomic_load(&f->requests) == 1)
        return false;
    fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_DONE,
             SPAWN_OUTCOME_EXITED);
    return true;
}

/* Two idle connections, the first of which is taken next; a worker is lent to
 * the other one. Returns the worker's end. */
static int with_a_lent_worker(spawn_client *client)
{
    spawn_connection *used_last, *used_next;
    int ends[2];
    bool fresh;

    assert_int_equal(
        spawn_pool_take(client, SPAWN_NO_DEADLINE, &used_last, &fresh, &why),
        0);
    assert_int_equal(
        spawn_pool_take(client, SPAWN_NO_DEADLINE, &used_next, &fresh, &why),
        0);
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                0, ends),
                     0);
    spawn_fd_keep(&used_last->direct, ends[0]);
    (void)strcpy(used_last->lent_queue, SPAWN_DEFAULT_QUEUE);
    spawn_pool_give(client, used_last);
    spawn_pool_give(client, used_next);
    return ends[1];
}

/* A broker may have given it to a worker before it died: it is for the next one
 * to find out. */
static void a_call_that_was_sent_goes_to_no_lent_worker(void **state)
{
    spawn_client *client;
    spawn_answer answer;
    spawn_writer w;
    spawn_id id;
    char byte;
    int worker;

    (void)state;
    fake_start(&broker, dies_and_is_replaced);
    client = fake_client(broker.path, -1, 1000);
    worker = with_a_lent_worker(client);
    assert_int_equal(spawn_id_make(&id), 0);
    spawn_writer_init(&w, SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit_new(client, &w, NULL, 0, 1000, NULL, &answer, &why),
        0);
    assert_int_equal(answer.message.header.type, SPAWN_M_JOB);
    assert_int_equal(atomic_load(&broker.requests), 2);
    assert_true(spawn_id_equal(&broker.ids[1], &id));
    assert_int_equal(recv(worker, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    spawn_answer_free(&answer);
    spawn_writer_free(&w);
    (void)close(worker);
    spawn_client_close(client);
    fake_stop(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submit_is_sent_again_with_its_id),
        cmocka_unit_test(broker_that_always_dies_is_not_spun_on),
        cmocka_unit_test(sent_and_nobody_left_is_unconfirmed),
        cmocka_unit_test(a_call_that_was_sent_goes_to_no_lent_worker),
        cmocka_unit_test(asked_and_nobody_left_is_no_answer),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
