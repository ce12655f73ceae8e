/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that a worker, or a broker that has gone, may have had, and that the
 * broker refuses then: a broker that cannot look it up does not say that it has
 * not run. Of a worker the broker is told again when the call is submitted
 * again.
 */
#include "client/submitted.h"
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

/* ---- a broker that has gone ---- */

static bool dies_and_the_next_refuses(fake_broker *f, int sock,
                                      const spawn_message *m)
{
    if (atomic_load(&f->requests) == 1)
        return false;
    fake_refuse(sock, m, code, "no such luck");
    return true;
}

static void refuses_after_a_death(spawn_error with)
{
    code = with;
    fake_start(&broker, dies_and_the_next_refuses);
    client = fake_client(broker.path, -1, 5000);
}

static void end(void)
{
    assert_int_equal(atomic_load(&broker.requests), 2);
    assert_non_null(strstr(why.text, "no such luck"));
    spawn_client_close(client);
    fake_stop(&broker);
}

static void submitted_again(spawn_error with, bool wants_answer, spawn_error as)
{
    spawn_id id;

    refuses_after_a_death(with);
    assert_int_equal(spawn_id_make(&id), 0);
    assert_int_equal(submit(&id, false, wants_answer), -1);
    assert_int_equal(why.code, as);
    end();
}

static void nor_when_a_broker_before_had_it(void **state)
{
    (void)state;
    submitted_again(SPAWN_E_STORE, true, SPAWN_E_UNCONFIRMED);
    submitted_again(SPAWN_E_STORE, false, SPAWN_E_UNCONFIRMED);
    submitted_again(SPAWN_E_SYSTEM, true, SPAWN_E_UNCONFIRMED);
    submitted_again(SPAWN_E_QUEUE_FULL, true, SPAWN_E_QUEUE_FULL);
}

static void nor_when_the_answer_is_taken_later(void **state)
{
    static const struct {
        spawn_error with, as;
    } cases[] = {{SPAWN_E_STORE, SPAWN_E_UNCONFIRMED},
                 {SPAWN_E_SYSTEM, SPAWN_E_UNCONFIRMED},
                 {SPAWN_E_QUEUE_FULL, SPAWN_E_QUEUE_FULL}};
    spawn_submitted *sent;
    spawn_writer w;
    spawn_id id;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        refuses_after_a_death(cases[i].with);
        fake_submit(&w, &id, SPAWN_REPLY_ACCEPTED);
        assert_int_equal(spawn_writer_finish(&w, 0), 0);
        assert_int_equal(spawn_client_send(client, &w, NULL, 0, &sent, &why),
                         0);
        assert_int_equal(spawn_submitted_look(sent, true, &why), -1);
        assert_int_equal(why.code, cases[i].as);
        spawn_submitted_free(sent);
        spawn_writer_free(&w);
        end();
    }
}

/* The first broker that was sent it. */
static bool refuses(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_refuse(sock, m, code, "no such luck");
    return true;
}

static void sent_once_it_has_not_run(void **state)
{
    spawn_id id;

    (void)state;
    code = SPAWN_E_STORE;
    fake_start(&broker, refuses);
    client = fake_client(broker.path, -1, 5000);
    assert_int_equal(spawn_id_make(&id), 0);
    assert_int_equal(submit(&id, false, true), -1);
    assert_int_equal(why.code, SPAWN_E_STORE);
    assert_int_equal(submit(&id, false, true), -1); /* over the same */
    assert_int_equal(why.code, SPAWN_E_STORE);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_a_store_it_may_have_run),
        cmocka_unit_test(also_for_who_wants_no_answer),
        cmocka_unit_test(also_by_a_broker_without_memory),
        cmocka_unit_test(as_a_broker_says_that_cannot_tell),
        cmocka_unit_test(by_a_full_queue_it_has_not),
        cmocka_unit_test(nor_when_a_broker_before_had_it),
        cmocka_unit_test(nor_when_the_answer_is_taken_later),
        cmocka_unit_test(sent_once_it_has_not_run)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("client_refused_in_doubt", tests, NULL,
                                       NULL);
}
