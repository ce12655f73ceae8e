/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that breaks is replaced, and the same job sent again. */
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
    assert_int_equal(spawn_client_submit(client, &w, NULL, 0, 0, NULL, &why),
                     0);
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
    assert_int_equal(spawn_client_submit(client, &w, NULL, 0, 0, NULL, &why),
                     -1);
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    assert_true(spawn_mono_ms() - before < 5000);
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
    assert_int_equal(spawn_client_submit(client, &w, NULL, 0, 0, NULL, &why),
                     -1);
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    assert_int_equal(why.error, ECONNREFUSED);
    spawn_writer_free(&w);
    spawn_client_close(client);
    fake_stop(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submit_is_sent_again_with_its_id),
        cmocka_unit_test(broker_that_always_dies_is_not_spun_on),
        cmocka_unit_test(sent_and_nobody_left_is_unconfirmed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
