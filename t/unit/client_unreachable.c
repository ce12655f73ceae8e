/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody answers at the socket: said at once when that is certain, at the
 * deadline when it is not. */
#include "t/unit/fake_broker.h"

static fake_broker broker;
static spawn_failure why;

/* Submit, expect UNREACHABLE, and return the milliseconds that it took. */
static int64_t unreachable(uint32_t timeout_ms)
{
    spawn_client *client = fake_client(broker.path, -1, timeout_ms);
    int64_t before = spawn_mono_ms();
    spawn_writer w;
    spawn_id id;

    fake_submit(&w, &id, SPAWN_REPLY_ACCEPTED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_UNREACHABLE);
    assert_non_null(strstr(why.text, broker.path));
    spawn_writer_free(&w);
    spawn_client_close(client);
    return spawn_mono_ms() - before;
}

static void no_socket(void **state)
{
    (void)state;
    fake_dir(&broker);
    assert_true(unreachable(60000) < 30000);
    assert_int_equal(why.error, ENOENT);
    (void)rmdir(broker.dir);
}

static void nobody_listens(void **state)
{
    (void)state;
    fake_dir(&broker);
    fake_listen(&broker, 1);
    (void)close(broker.listener);
    assert_true(unreachable(60000) < 30000);
    assert_int_equal(why.error, ECONNREFUSED);
    (void)unlink(broker.path);
    (void)rmdir(broker.dir);
}

/* The listening queue is full and stays so. */
static void nobody_accepts(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fds[8];
    int i;

    (void)state;
    fake_dir(&broker);
    fake_listen(&broker, 0);
    (void)strncpy(a.sun_path, broker.path, sizeof(a.sun_path) - 1);
    for (i = 0; i < 8; i++) {
        fds[i] =
            socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fds[i], (struct sockaddr *)&a, sizeof(a));
    }
    assert_true(unreachable(150) >= 150);
    assert_int_equal(why.error, EAGAIN);
    for (i = 0; i < 8; i++)
        (void)close(fds[i]);
    (void)close(broker.listener);
    (void)unlink(broker.path);
    (void)rmdir(broker.dir);
}

static void no_welcome(void **state)
{
    (void)state;
    fake_start(&broker, NULL);
    atomic_store(&broker.silent_hello, true);
    assert_true(unreachable(150) >= 150);
    assert_int_equal(why.step, SPAWN_STEP_HELLO);
    fake_stop(&broker);
}

static void path_too_long(void **state)
{
    char path[200];
    spawn_endpoint e = {path, NULL, -1, "test", 100, NULL};
    spawn_client *client = NULL;

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(spawn_client_open(&e, &client), -ENAMETOOLONG);
    assert_null(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_socket),      cmocka_unit_test(nobody_listens),
        cmocka_unit_test(nobody_accepts), cmocka_unit_test(no_welcome),
        cmocka_unit_test(path_too_long),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
