/* SPDX-License-Identifier: Apache-2.0 */
/* One client in many threads, and in a child that was forked from them. */
#include <sys/wait.h>

#include "fake_broker.h"

#define THREADS 6
#define TURNS   50

/* AddressSanitizer's allocator, unlike libc's, is not usable in a child that
 * was forked while other threads allocate. */
#if defined(__SANITIZE_ADDRESS__)
#define FORK_SAFE_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORK_SAFE_MALLOC 0
#endif
#endif
#ifndef FORK_SAFE_MALLOC
#define FORK_SAFE_MALLOC 1
#endif

static fake_broker broker;
static spawn_client *client;

static bool accepts(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_accept(sock, m, m->header.seq);
    return true;
}

/* 0, or how many submits came back wrong. */
static int submit(int turns)
{
    int bad = 0;

    for (; turns > 0; turns--) {
        spawn_failure why;
        spawn_answer answer;
        spawn_writer w;
        spawn_id id, got;

        fake_submit(&w, &id, SPAWN_REPLY_ACCEPTED);
        if (spawn_writer_finish(&w, 0)
            || spawn_client_submit(client, &w, NULL, 0, 0, &answer, &why)) {
            bad++;
        }
        else {
            spawn_attr_id(&answer.message.attr[SPAWN_A_ID], &got);
            bad += !spawn_id_equal(&id, &got);
            spawn_answer_free(&answer);
        }
        spawn_writer_free(&w);
    }
    return bad;
}

static void *submit_in_thread(void *arg)
{
    *(int *)arg = submit(TURNS);
    return NULL;
}

static void threads_get_their_own_answers(void **state)
{
    pthread_t threads[THREADS];
    int bad[THREADS];
    int i;

    (void)state;
    for (i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, submit_in_thread, &bad[i]), 0);
    for (i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
    assert_true(atomic_load(&broker.hellos) <= THREADS);
}

static void child_makes_its_own_connection(void **state)
{
    unsigned before;
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(submit(1), 0);
    before = atomic_load(&broker.hellos);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(submit(3));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(&broker.hellos), before + 1);
    /* The parent's is as good as before. */
    assert_int_equal(submit(3), 0);
    assert_int_equal(atomic_load(&broker.hellos), before + 1);
}

#if FORK_SAFE_MALLOC
static void fork_while_threads_submit(void **state)
{
    pthread_t threads[THREADS];
    int bad[THREADS];
    int i, status;

    (void)state;
    for (i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, submit_in_thread, &bad[i]), 0);
    for (i = 0; i < 10; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            (void)alarm(30);
            _exit(submit(1));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    for (i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
}

#endif

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

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(threads_get_their_own_answers),
        WITH(child_makes_its_own_connection),
#if FORK_SAFE_MALLOC
        WITH(fork_while_threads_submit),
#endif
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
