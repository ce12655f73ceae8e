/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client whose job is bound to it: what it returns when the job was not
 * started in time, and whether the broker sees its end by itself.
 */
#include "t/unit/fake_broker.h"

static spawn_client *client;
static fake_broker broker;
static spawn_writer w;
static spawn_id id;
static spawn_failure why;

static bool cancels(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    if (m->header.type != SPAWN_M_SUBMIT)
        fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_DONE,
                 SPAWN_OUTCOME_CANCELLED);
    return true;
}

static bool accepts(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_accept(sock, m, m->header.seq);
    return true;
}

static bool accepts_and_goes(fake_broker *f, int sock, const spawn_message *m)
{
    fake_accept(sock, m, m->header.seq);
    /* something that is not read */
    fake_accept(sock, m, m->header.seq + 1);
    (void)f;
    return false;
}

static bool goes(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    (void)sock;
    (void)m;
    return false;
}

static int submits(fake_serve serve, spawn_reply reply)
{
    spawn_client *like;

    fake_start(&broker, serve);
    like = fake_client(broker.path, -1, 200);
    assert_int_equal(spawn_client_open_bound(like, &client), 0);
    spawn_client_close(like);
    fake_submit(&w, &id, reply);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    memset(&why, 0, sizeof(why));
    return spawn_client_submit(client, &w, NULL, 0,
                               reply == SPAWN_REPLY_STARTED, NULL, NULL, &why);
}

static void end(void)
{
    spawn_writer_free(&w);
    spawn_client_close(client);
    fake_stop(&broker);
}

static void one_that_is_not_started_in_time_has_not_started(void **state)
{
    (void)state;
    assert_int_equal(submits(cancels, SPAWN_REPLY_STARTED), -1);
    assert_int_equal(why.code, SPAWN_E_TIMED_OUT);
    assert_non_null(strstr(why.text, "ended with its connection"));
    assert_int_equal(atomic_load(&broker.requests), 1);
    /* The broker has seen that the connection was closed. */
    assert_true(spawn_client_holds(client));
    end();
}

static void one_whose_broker_breaks_off_is_unconfirmed(void **state)
{
    (void)state;
    assert_int_equal(submits(goes, SPAWN_REPLY_STARTED), -1);
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    assert_false(spawn_client_holds(client));
    end();
}

static void a_broker_that_is_there_sees_its_end(void **state)
{
    (void)state;
    assert_int_equal(submits(accepts, SPAWN_REPLY_ACCEPTED), 0);
    assert_true(spawn_client_holds(client));
    end();
}

static void one_that_has_gone_does_not(void **state)
{
    int64_t deadline = spawn_mono_ms() + 10000;

    (void)state;
    assert_int_equal(submits(accepts_and_goes, SPAWN_REPLY_ACCEPTED), 0);
    while (spawn_client_holds(client) && spawn_mono_ms() < deadline)
        (void)usleep(1000);
    assert_false(spawn_client_holds(client));
    end();
}

static void one_that_was_sent_nothing_needs_not(void **state)
{
    spawn_endpoint e = {"/nowhere/socket", NULL, -1, "test", 50, NULL};
    spawn_client *like;

    (void)state;
    assert_int_equal(spawn_client_open(&e, &like), 0);
    assert_int_equal(spawn_client_open_bound(like, &client), 0);
    spawn_client_close(like);
    fake_submit(&w, &id, SPAWN_REPLY_ACCEPTED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_UNREACHABLE);
    assert_true(spawn_client_holds(client));
    spawn_writer_free(&w);
    spawn_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_not_started_in_time_has_not_started),
        cmocka_unit_test(one_whose_broker_breaks_off_is_unconfirmed),
        cmocka_unit_test(a_broker_that_is_there_sees_its_end),
        cmocka_unit_test(one_that_has_gone_does_not),
        cmocka_unit_test(one_that_was_sent_nothing_needs_not)};

    return cmocka_run_group_tests_name("a bound client", tests, NULL, NULL);
}
