/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to systemd of a spawner that is a service of its own, at a socket as
 * sd_notify(3) describes it: lines for people, signs of life in time, and
 * nothing that could hold up the spawner.
 */
#include "t/unit/spawner_part.h"

static int64_t now_ms;

#include "spawner/notify.c"

static char dir[64];
static char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static int systemd = -1; /* its end of the socket */

/* Without a name it is no address. */
static int listen_at(const struct sockaddr_un *a, socklen_t length)
{
    if (systemd >= 0)
        (void)close(systemd);
    systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return bind(systemd, (const struct sockaddr *)a, length);
}

static int start(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)state;
    no_state();
    now_ms = 1000000;
    (void)strcpy(dir, "/tmp/spawner-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/notify", dir);
    (void)strcpy(a.sun_path, path);
    (void)setenv("NOTIFY_SOCKET", path, 1);
    (void)setenv("WATCHDOG_USEC", "20000000", 1);
    (void)unsetenv("WATCHDOG_PID");
    return listen_at(&a, sizeof(a));
}

static int stop(void **state)
{
    (void)state;
    (void)close(systemd);
    systemd = -1;
    (void)unlink(path);
    return rmdir(dir);
}

/* The next message to it. */
static const char *told(void)
{
    static char text[1024];
    ssize_t n = recv(systemd, text, sizeof(text) - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* ---- lines for people ---- */

static void a_status_is_one_datagram(void **state)
{
    (void)state;
    notify_status("", "serves httpd");
    assert_string_equal(told(), "STATUS=serves httpd\n");
    notify_status("READY=1\n", "waits for httpd");
    assert_string_equal(told(), "READY=1\nSTATUS=waits for httpd\n");
    assert_string_equal(told(), "");
}

static void an_abstract_name_is_one_too(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(a);
    char name[sizeof(a.sun_path) + 1];

    (void)state;
    /* the kernel gives a name that nobody has */
    assert_int_equal(listen_at(&a, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(systemd, (struct sockaddr *)&a, &length), 0);
    length -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
    memcpy(name, a.sun_path, length);
    name[0] = '@';
    name[length] = '\0';
    (void)setenv("NOTIFY_SOCKET", name, 1);
    notify_status("", "yes");
    assert_string_equal(told(), "STATUS=yes\n");
}

static void expect_address(const char *text, bool good)
{
    struct sockaddr_un a;
    socklen_t length;

    (void)setenv("NOTIFY_SOCKET", text, 1);
    length = address_of(&a);
    if (!good) {
        assert_int_equal(length, 0);
        return;
    }
    assert_int_equal(length,
                     offsetof(struct sockaddr_un, sun_path) + strlen(text));
    assert_int_equal(a.sun_family, AF_UNIX);
    assert_int_equal(a.sun_path[0], text[0] == '@' ? '\0' : text[0]);
    assert_memory_equal(a.sun_path + 1, text + 1, strlen(text) - 1);
}

static void what_is_no_address_is_passed_over(void **state)
{
    char text[sizeof(path) + 1];

    (void)state;
    expect_address("", false);
    expect_address("@", false);
    expect_address("/", false);
    expect_address("@a", true);
    expect_address("/a", true);
    expect_address("run/notify", false);
    expect_address("vsock:2:1", false);
    memset(text, 'x', sizeof(text));
    text[0] = '/';
    text[sizeof(path) - 1] = '\0';
    expect_address(text, true); /* and a byte that ends it */
    text[sizeof(path) - 1] = 'x';
    text[sizeof(path)] = '\0';
    expect_address(text, false);
}

static void without_systemd_nothing_is_told(void **state)
{
    (void)state;
    (void)unsetenv("NOTIFY_SOCKET");
    notify_status("READY=1\n", "waits for httpd");
    assert_string_equal(told(), "");
}

static void nothing_stays_open(void **state)
{
    int first = dup(systemd), next;

    (void)state;
    (void)close(first);
    notify_status("", "yes");
    next = dup(systemd);
    (void)close(next);
    assert_int_equal(next, first);
}

/* The alarm of spawner_part.h would end a test that waits. */
static void one_that_does_not_read_holds_up_nobody(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 2000; i++)
        notify_status("", "serves httpd");
    assert_string_equal(told(), "STATUS=serves httpd\n");
}

static void one_that_has_gone_ends_nobody(void **state)
{
    (void)state;
    (void)close(systemd);
    systemd = -1;
    notify_status("", "yes");
    (void)unlink(path);
    notify_status("", "yes");
}

/* ---- signs of life ---- */

static void it_lives_twice_in_each_span(void **state)
{
    (void)state;
    notify_begin();
    assert_int_equal(notify_timers(now_ms), 10000);
    assert_string_equal(told(), "WATCHDOG=1\n");
    assert_int_equal(notify_timers(now_ms + 9999), 1);
    assert_string_equal(told(), "");
    assert_int_equal(notify_timers(now_ms + 10000), 10000);
    assert_string_equal(told(), "WATCHDOG=1\n");
    /* late once: the next is not sooner for that */
    assert_int_equal(notify_timers(now_ms + 25000), 10000);
    assert_string_equal(told(), "WATCHDOG=1\n");
    assert_string_equal(told(), "");
}

static void who_wants_no_sign_gets_none(void **state)
{
    (void)state;
    (void)unsetenv("WATCHDOG_USEC");
    notify_begin();
    assert_int_equal(notify_timers(now_ms), -1);
    (void)setenv("WATCHDOG_USEC", "0", 1);
    notify_begin();
    assert_int_equal(notify_timers(now_ms), -1);
    assert_string_equal(told(), "");
}

static void a_sign_of_its_own_process_is_wanted(void **state)
{
    char pid[16];

    (void)state;
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
    (void)setenv("WATCHDOG_PID", pid, 1);
    notify_begin();
    assert_int_equal(notify_timers(now_ms), -1); /* of another one */
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)setenv("WATCHDOG_PID", pid, 1);
    notify_begin();
    assert_int_equal(notify_timers(now_ms), 10000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_status_is_one_datagram),
        T(an_abstract_name_is_one_too),
        T(what_is_no_address_is_passed_over),
        T(without_systemd_nothing_is_told),
        T(nothing_stays_open),
        T(one_that_does_not_read_holds_up_nobody),
        T(one_that_has_gone_ends_nobody),
        T(it_lives_twice_in_each_span),
        T(who_wants_no_sign_gets_none),
        T(a_sign_of_its_own_process_is_wanted),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_notify", tests, NULL, NULL);
}
