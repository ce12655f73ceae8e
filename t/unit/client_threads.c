/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client in threads that submit and wait, submit and look later, give up what
 * they have sent, and open and close clients of their own, all at once: each
 * has the answers of its own jobs. With ThreadSanitizer (make test-threads)
 * this tells what is used without its lock.
 */
#include "t/unit/fake_broker.h"

#include "client/pool.h"
#include "client/submitted.h"

#define THREADS 8
#define TURNS   60
#define AT_ONCE 3 /* answers that a thread is owed */

static fake_broker broker;
static spawn_client *client;

static bool accepts(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_accept(sock, m, m->header.seq);
    return true;
}

static void finish(spawn_writer *w, spawn_id *id)
{
    fake_submit(w, id, SPAWN_REPLY_ACCEPTED);
    (void)spawn_writer_finish(w, 0);
}

static int waits(spawn_client *whose)
{
    spawn_failure why;
    spawn_answer answer;
    spawn_writer w;
    spawn_id id, got;
    int bad = 1;

    finish(&w, &id);
    if (spawn_client_submit(whose, &w, NULL, 0, 0, NULL, &answer, &why) == 0) {
        spawn_attr_id(&answer.message.attr[SPAWN_A_ID], &got);
        bad = !spawn_id_equal(&id, &got);
        spawn_answer_free(&answer);
    }
    spawn_writer_free(&w);
    return bad;
}

static int looks_later(void)
{
    spawn_submitted *sent[AT_ONCE] = {NULL};
    spawn_failure why;
    spawn_writer w;
    spawn_id id;
    int bad = 0, i;

    for (i = 0; i < AT_ONCE; i++) {
        finish(&w, &id);
        bad += spawn_client_send(client, &w, NULL, 0, &sent[i], &why) != 0;
    }
    for (i = 0; i < AT_ONCE; i++) {
        /* the last one's answer is left unread */
        if (sent[i] && i < AT_ONCE - 1)
            bad += spawn_submitted_look(sent[i], true, &why) != 1;
        spawn_submitted_free(sent[i]);
    }
    return bad;
}

static int has_a_client_of_its_own(void)
{
    spawn_client *own = fake_client(broker.path, -1, 20000);
    int bad = waits(own);

    spawn_client_close(own);
    return bad;
}

static int doubts(void)
{
    spawn_id job, worker, found;

    memset(&job, 1, sizeof(job));
    memset(&worker, 2, sizeof(worker));
    spawn_pool_doubt(&job, &worker);
    return !spawn_pool_doubts(&job, &found) || !spawn_id_equal(&worker, &found);
}

static void *does_all(void *arg)
{
    int *bad = arg, turn;

    for (turn = 0; turn < TURNS; turn++) {
        *bad += waits(client) + looks_later() + doubts();
        if (turn % 8 == 0)
            *bad += has_a_client_of_its_own();
        (void)spawn_client_holds(client);
    }
    spawn_submitted_look_at_all();
    return NULL;
}

static void threads_have_the_answers_of_their_own_jobs(void **state)
{
    pthread_t threads[THREADS];
    int bad[THREADS] = {0};
    int i;

    (void)state;
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, does_all, &bad[i]),
                         0);
    for (i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(bad[i], 0);
}

static int setup(void **state)
{
    (void)state;
    fake_start(&broker, accepts);
    client = fake_client(broker.path, -1, 20000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spawn_client_close(client);
    fake_stop(&broker);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            threads_have_the_answers_of_their_own_jobs, setup, teardown),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
