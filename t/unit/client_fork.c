/* SPDX-License-Identifier: Apache-2.0 */
/* One client in many threads, and in a child that was forked from them. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "t/unit/fake_broker.h"

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
            || spawn_client_submit(client, &w, NULL, 0, 0, NULL, &answer,
                                   &why)) {
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

/* A fork that no handler is told of. */
static void bare_clone_makes_its_own_connection(void **state)
{
    unsigned before;
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(submit(1), 0);
    before = atomic_load(&broker.hellos);
    pid = _Fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(submit(1));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(&broker.hellos), before + 1);
    assert_int_equal(submit(1), 0);
    assert_int_equal(atomic_load(&broker.hellos), before + 1);
}

/* 0 when a file of its own is at each number. */
static int close_all_and_open(int first, int last, const char *path)
{
    int fd;

    for (fd = first; fd <= last; fd++)
        (void)close(fd);
    for (fd = first; fd <= last; fd++) {
        if (open(path, O_RDWR | O_APPEND) != fd)
            return 1;
    }
    return 0;
}

/* How many of them are closed, or written to. */
static int spoiled(int first, int last)
{
    struct stat st;
    int fd, bad = 0;

    for (fd = first; fd <= last; fd++)
        bad += fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != 0;
    return bad;
}

/* A daemon closes all there is, and opens files of its own. */
static void daemon_keeps_its_files(void **state)
{
    char path[128];
    int status, fd;
    pid_t pid;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/own", broker.dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(submit(1), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(close_all_and_open(3, 63, path) || submit(1) || spoiled(3, 63));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    pid = fork(); /* the same process: it submits, closes, submits */
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(submit(1) || close_all_and_open(3, 63, path) || submit(1)
              || spoiled(3, 63));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)unlink(path);
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
        WITH(bare_clone_makes_its_own_connection),
        WITH(daemon_keeps_its_files),
#if FORK_SAFE_MALLOC
        WITH(fork_while_threads_submit),
#endif
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
