/* SPDX-License-Identifier: Apache-2.0 */
/* How a caller waits for a job to be another one: what is beside it ends the
 * wait, a broken connection does not, and it is never beyond its time. */
#include "common/spawn_seen.h"
#include "t/unit/fake_broker.h"

#define SEEN 4711

static fake_broker broker;
static spawn_failure why;
static spawn_client *client;
static spawn_id job;
static uint64_t asked_seen, asked_wait_ms, asked_watchers;
static int bell[2] = {-1, -1}; /* rung when the request is there */

static void note(const spawn_message *m)
{
    asked_seen = spawn_u64_or(m, SPAWN_A_SEEN, 0);
    asked_wait_ms = spawn_u64_or(m, SPAWN_A_WAIT_MS, 0);
    asked_watchers = spawn_u64_or(m, SPAWN_A_WATCHERS, 0);
}

static bool tells(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    note(m);
    fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_RUNNING,
             SPAWN_OUTCOME_NONE);
    return true;
}

static bool says_nothing(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    (void)sock;
    note(m);
    (void)!write(bell[1], "", 1);
    return true;
}

static bool dies_once(fake_broker *f, int sock, const spawn_message *m)
{
    return atomic_load(&f->requests) > 1 && tells(f, sock, m);
}

static bool has_a_crowd(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_refuse(sock, m, SPAWN_E_QUEUE_FULL, "as many as may");
    return true;
}

static void begin(fake_serve serve, uint32_t timeout_ms)
{
    fake_start(&broker, serve);
    client = fake_client(broker.path, -1, timeout_ms);
    assert_int_equal(spawn_id_make(&job), 0);
}

static void end(void)
{
    spawn_client_close(client);
    fake_stop(&broker);
}

static void is_told(spawn_answer *answer)
{
    assert_int_equal(answer->message.header.type, SPAWN_M_JOB);
    assert_int_equal(spawn_seen_of(&answer->message),
                     spawn_seen(SPAWN_STATE_RUNNING, 1, NULL));
    spawn_answer_free(answer);
}

static void it_says_what_was_seen(void **state)
{
    spawn_answer answer;

    (void)state;
    begin(tells, 5000);
    assert_int_equal(
        spawn_client_watch(client, &job, SEEN, 1234, 7, NULL, &answer, &why),
        0);
    is_told(&answer);
    assert_int_equal(asked_seen, SEEN);
    assert_int_equal(asked_wait_ms, 1234);
    assert_int_equal(asked_watchers, 7);
    end();
}

static void a_broken_connection_is_replaced(void **state)
{
    spawn_answer answer;

    (void)state;
    begin(dies_once, 5000);
    assert_int_equal(
        spawn_client_watch(client, &job, SEEN, 60000, 7, NULL, &answer, &why),
        0);
    is_told(&answer);
    assert_int_equal(asked_seen, SEEN);
    assert_in_range(asked_wait_ms, 1, 60000);
    end();
}

/* Rings, when the broker has the request. */
static void *ring(void *arg)
{
    char byte;

    (void)!read(bell[0], &byte, 1);
    (void)!write(*(int *)arg, "", 1);
    return NULL;
}

static void what_is_beside_it_ends_the_wait(void **state)
{
    spawn_beside beside = {.fd = {.events = POLLIN}};
    spawn_answer answer;
    pthread_t ringer;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(bell), 0);
    assert_int_equal(pipe(ends), 0);
    begin(says_nothing, 600000);
    beside.fd.fd = ends[0];
    assert_int_equal(pthread_create(&ringer, NULL, ring, &ends[1]), 0);
    assert_int_equal(spawn_client_watch(client, &job, SEEN, 600000, 7, &beside,
                                        &answer, &why),
                     1);
    assert_int_equal(pthread_join(ringer, NULL), 0);
    assert_int_equal(atomic_load(&broker.requests), 1);
    /* the answer may still come, so the next request has another connection */
    atomic_store(&broker.serve, tells);
    beside.fd.fd = -1;
    assert_int_equal(spawn_client_watch(client, &job, SEEN, 600000, 7, &beside,
                                        &answer, &why),
                     0);
    is_told(&answer);
    assert_int_equal(atomic_load(&broker.hellos), 2);
    end();
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(bell[0]);
    (void)close(bell[1]);
    bell[0] = bell[1] = -1;
}

/* The third time. */
static bool has_enough(void *arg)
{
    return ++*(unsigned *)arg == 3;
}

static void who_is_asked_now_and_then_ends_it(void **state)
{
    unsigned asked = 0;
    spawn_beside beside = {
        .fd = {.fd = -1}, .every_ms = 10, .ends = has_enough, .arg = &asked};
    spawn_answer answer;

    (void)state;
    begin(says_nothing, 600000);
    assert_int_equal(spawn_client_watch(client, &job, SEEN, 600000, 7, &beside,
                                        &answer, &why),
                     1);
    assert_int_equal(asked, 3);
    assert_int_equal(atomic_load(&broker.requests), 1); /* nothing is asked */
    end();
}

static void it_has_an_end(void **state)
{
    spawn_answer answer;

    (void)state;
    begin(says_nothing, 100);
    assert_int_equal(
        spawn_client_watch(client, &job, SEEN, 100, 7, NULL, &answer, &why),
        -1);
    assert_int_equal(why.code, SPAWN_E_DEADLINE);
    end();
}

static void a_crowd_is_told(void **state)
{
    spawn_answer answer;

    (void)state;
    begin(has_a_crowd, 5000);
    assert_int_equal(
        spawn_client_watch(client, &job, SEEN, 100, 7, NULL, &answer, &why),
        -1);
    assert_int_equal(why.code, SPAWN_E_QUEUE_FULL);
    end();
}

/* Jobs that differ are seen to differ. */
static void each_part_counts(void **state)
{
    static const char *const words[][3] = {{"1", "2", "a"},
                                           {"1", "2", "b"},
                                           {"12", "", "a"},
                                           {"1", "", "2a"},
                                           {"", "", ""}};
    uint64_t seen[8];
    unsigned n = 0, i, j;

    (void)state;
    for (i = 0; i < 5; i++)
        seen[n++] = spawn_seen(SPAWN_STATE_RUNNING, 1, words[i]);
    seen[n++] = spawn_seen(SPAWN_STATE_RUNNING, 1, NULL);
    seen[n++] = spawn_seen(SPAWN_STATE_DONE, 1, NULL);
    seen[n++] = spawn_seen(SPAWN_STATE_RUNNING, 2, NULL);
    for (i = 0; i < n; i++) {
        for (j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
    assert_true(spawn_seen(SPAWN_STATE_DONE, 0, NULL)
                == spawn_seen(SPAWN_STATE_DONE, 1, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_was_seen),
        cmocka_unit_test(a_broken_connection_is_replaced),
        cmocka_unit_test(what_is_beside_it_ends_the_wait),
        cmocka_unit_test(who_is_asked_now_and_then_ends_it),
        cmocka_unit_test(it_has_an_end),
        cmocka_unit_test(a_crowd_is_told),
        cmocka_unit_test(each_part_counts)};

    return cmocka_run_group_tests_name("client watch", tests, NULL, NULL);
}
