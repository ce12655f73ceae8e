/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner as a service of systemd, with its process: it says that it is
 * ready and lives, has nothing for the first httpd, is adopted by the next one,
 * goes on as a service after an upgrade, and ends when it is told to. The
 * test's program is systemd, httpd and broker.
 */
#include "t/unit/spawner_look.h"

static int systemd = -1; /* the spawner's words come here */
static char notify_name[110];

/* A name that nobody has, from the kernel. */
static int listen_for_signs(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(a);

    systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(systemd, (struct sockaddr *)&a, sizeof(sa_family_t)) < 0
        || getsockname(systemd, (struct sockaddr *)&a, &length) < 0)
        return -1;
    length -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
    memcpy(notify_name, a.sun_path, length);
    notify_name[0] = '@';
    notify_name[length] = '\0';
    return 0;
}

static void as_its_service(void)
{
    char pid[16];

    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", "1", 1);
    (void)setenv("NOTIFY_SOCKET", notify_name, 1);
    (void)setenv("WATCHDOG_USEC", "200000", 1);
}

static void with_the_socket(void)
{
    as_its_service();
    (void)dup2(control_socket, 3);
    log_to_file();
}

static void without_the_socket(void)
{
    as_its_service();
    (void)dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 3);
    log_to_file();
}

static int start_with(void (*prepare)(void), void **state)
{
    int rv;

    new_log();
    before_exec = prepare;
    rv = listen_for_signs() < 0 ? -1 : start_spawner(state);
    if (control >= 0)
        (void)close(control);
    control = -1;
    return rv;
}

static int start(void **state)
{
    return start_with(with_the_socket, state);
}

static int start_without(void **state)
{
    return start_with(without_the_socket, state);
}

static int stop(void **state)
{
    (void)close(systemd);
    return stop_all(state);
}

/* The next that it says and that has this in it. */
static void hear(const char *what)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    char text[1024];
    ssize_t n;

    do {
        assert_true(spawn_mono_ms() < deadline);
        wait_readable(systemd);
        n = recv(systemd, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
    } while (!strstr(text, what));
}

/* The first httpd has it, and its broker is ready. */
static void serve(void)
{
    control = connect_control();
    send_plain(control, SPAWN_M_ADOPT);
    expect_control(SPAWN_M_EMPTY);
    reach_ready();
}

static void it_says_that_it_is_ready_and_lives(void **state)
{
    (void)state;
    hear("READY=1\nSTATUS=waits for httpd\n");
    hear("WATCHDOG=1\n");
    hear("WATCHDOG=1\n");
}

static void the_first_httpd_is_told_that_it_has_nothing(void **state)
{
    char expected[64];

    (void)state;
    control = connect_control();
    send_plain(control, SPAWN_M_ADOPT);
    expect_control(SPAWN_M_EMPTY);
    assert_int_equal(number(SPAWN_A_PID), spawner_pid);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_RELEASE, ""),
                        SPAWN_RELEASE);
    reach_ready();
    (void)snprintf(expected, sizeof(expected), "STATUS=serves httpd (pid %d)\n",
                   (int)getpid());
    hear(expected);
    goes_on();
}

static void the_next_httpd_gets_what_there_is(void **state)
{
    spawn_id id;

    (void)state;
    serve();
    new_id(&id);
    launch(&id, "/bin/sh", "exec sleep 100", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    (void)close(control);
    expect_link(SPAWN_M_LINGER);
    hear("STATUS=httpd has gone; 1 jobs run\n");
    adopt(); /* is told ADOPTED */
    expect_link(SPAWN_M_CONFIGURE);
    hear("STATUS=serves httpd");
}

static void after_an_upgrade_it_is_still_a_service(void **state)
{
    (void)state;
    serve();
    send_configure("another");
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    while (recv(systemd, buffer, sizeof(buffer), MSG_DONTWAIT) >= 0)
        continue;
    hear("WATCHDOG=1\n");
    assert_int_equal(kill(spawner_pid, SIGTERM), 0);
    hear("STOPPING=1\n");
}

static void expect_its_end(int code)
{
    int status = spawner_ends();

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

static void told_to_end_it_has_its_broker_end_first(void **state)
{
    int next, accepted;

    (void)state;
    serve();
    assert_int_equal(kill(spawner_pid, SIGTERM), 0);
    hear("STOPPING=1\n");
    expect_link(SPAWN_M_QUIT);
    assert_true(has_ended(control));
    next = connect_control(); /* waits for the next one */
    drop_broker();
    expect_its_end(0);
    accepted = accept4(control_socket, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    (void)close(accepted);
    (void)close(next);
}

static void told_to_end_before_an_httpd_came_it_ends(void **state)
{
    (void)state;
    hear("READY=1\n");
    assert_int_equal(kill(spawner_pid, SIGTERM), 0);
    expect_its_end(0);
}

static void other_signals_do_not_end_it(void **state)
{
    (void)state;
    serve();
    assert_int_equal(kill(spawner_pid, SIGHUP), 0);
    assert_int_equal(kill(spawner_pid, SIGINT), 0);
    goes_on();
}

static void without_a_socket_it_ends_at_once(void **state)
{
    (void)state;
    expect_its_end(1);
    expect_log("MS0302: the spawner ends: systemd has handed over no socket");
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(it_says_that_it_is_ready_and_lives),
        T(the_first_httpd_is_told_that_it_has_nothing),
        T(the_next_httpd_gets_what_there_is),
        T(after_an_upgrade_it_is_still_a_service),
        T(told_to_end_it_has_its_broker_end_first),
        T(told_to_end_before_an_httpd_came_it_ends),
        T(other_signals_do_not_end_it),
        cmocka_unit_test_setup_teardown(without_a_socket_it_ends_at_once,
                                        start_without, stop),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_of_systemd", tests, NULL, NULL);
}
