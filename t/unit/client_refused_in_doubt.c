/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that a worker may have run, and that the broker refuses then: a broker
 * that cannot look it up does not say that it has not run, and who submits it
 * again tells the broker again which worker it was.
 */
#include "t/unit/fake_broker.h"

static fake_broker broker;
static spawn_client *client;
static spawn_failure why;
static spawn_error code; /* that it is refused with */
static atomic_uint told; /* how often of a worker */
static spawn_id worker;

/* A worker that takes what it is sent, and has gone. */
static void lend(int sock)
{
    uint8_t room[256];
    int ends[2], one;
    spawn_writer w;

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
    one = ends[0];
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LEASE, 0);
    spawn_put_id(&w, SPAWN_A_ID, &worker);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(sock, w.data, w.length, &one, 1), 0);
    (void)close(ends[0]); /* the other end stays open */
}

/* The first call is served. */
static bool lends_and_refuses(fake_broker *f, int sock, const spawn_message *m)
{
    spawn_id its;

    if (atomic_load(&f->requests) == 1) {
        lend(sock);
        fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_DONE,
                 SPAWN_OUTCOME_EXITED);
    }
    else if (m->header.type == SPAWN_M_LEASE_LOST) {
        spawn_attr_id(&m->attr[SPAWN_A_ID], &its);
        if (spawn_id_equal(&its, &worker))
            atomic_fetch_add(&told, 1);
    }
    else {
        fake_refuse(sock, m, code, "no such luck");
    }
    return true;
}

static int submit(const spawn_id *id, bool is_new, bool wants_answer)
{
    spawn_answer room, *answer = wants_answer ? &room : NULL;
    spawn_writer w;
    int rv;

    spawn_writer_init(&w, SPAWN_WIRE_HEADER + SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    rv = (is_new ? spawn_client_submit_new : spawn_client_submit)(
        client, &w, NULL, 0, 0, NULL, answer, &why);
    if (rv == 0 && answer)
        spawn_answer_free(answer);
    spawn_writer_free(&w);
    return rv;
}

static void is_refused(spawn_error with, bool wants_answer, spawn_error as)
{
    spawn_id id;

    code = with;
    atomic_store(&told, 0);
    assert_int_equal(spawn_id_make(&worker), 0);
    fake_start(&broker, lends_and_refuses);
    client = fake_client(broker.path, -1, 5000);
    assert_int_equal(spawn_id_make(&id), 0);
    assert_int_equal(submit(&id, true, true), 0);
    assert_int_equal(spawn_id_make(&id), 0);
    assert_int_equal(submit(&id, true, wants_answer), -1);
    assert_int_equal(why.code, as);
    assert_non_null(strstr(why.text, "no such luck"));
    assert_int_equal(atomic_load(&told), 1);
    assert_int_equal(submit(&id, false, wants_answer), -1);
    assert_int_equal(why.code, as);
    assert_int_equal(atomic_load(&told), 2);
    spawn_client_close(client);
    fake_stop(&broker);
}

static void by_a_store_it_may_have_run(void **state)
{
    (void)state;
    is_refused(SPAWN_E_STORE, true, SPAWN_E_UNCONFIRMED);
}

static void also_for_who_wants_no_answer(void **state)
{
    (void)state;
    is_refused(SPAWN_E_STORE, false, SPAWN_E_UNCONFIRMED);
}

static void also_by_a_broker_without_memory(void **state)
{
    (void)state;
    is_refused(SPAWN_E_SYSTEM, true, SPAWN_E_UNCONFIRMED);
}

static void as_a_broker_says_that_cannot_tell(void **state)
{
    (void)state;
    is_refused(SPAWN_E_UNCONFIRMED, true, SPAWN_E_UNCONFIRMED);
}

/* The broker knows that it did not run: else it says that it is lost, or
 * unconfirmed. */
static void by_a_full_queue_it_has_not(void **state)
{
    (void)state;
    is_refused(SPAWN_E_QUEUE_FULL, true, SPAWN_E_QUEUE_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_a_store_it_may_have_run),
        cmocka_unit_test(also_for_who_wants_no_answer),
        cmocka_unit_test(also_by_a_broker_without_memory),
        cmocka_unit_test(as_a_broker_says_that_cannot_tell),
        cmocka_unit_test(by_a_full_queue_it_has_not)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("client_refused_in_doubt", tests, NULL,
                                       NULL);
}
