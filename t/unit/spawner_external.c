/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spawner that systemd has started, without its process: how it knows that,
 * what it says, to httpd and to people, how long it waits for an httpd, and
 * what it lets go when it is told to end. spawner_of_systemd.c has the process.
 */
#define PART_HAS_PARENT
#include "t/unit/spawner_part.h"

#define LISTENS_AT 3 /* the first that systemd passes */

static int64_t now_ms;
#define spawn_mono_ms() now_ms

static int watch_result;

static int try_to_watch(int fd, uint64_t what, uint32_t events)
{
    return watch_result < 0 ? watch_result : watch(fd, what, events);
}
#define watch(fd, what, events) try_to_watch(fd, what, events)

#include "spawner/control.c"
#include "spawner/external.c"

void notify_begin(void)
{
    note("notify_begin");
}

void notify_status(const char *first, const char *text)
{
    note("'%s%s'", first, text);
}

static void systemd_says(const char *pid, const char *count)
{
    if (pid)
        (void)setenv("LISTEN_PID", pid, 1);
    else
        (void)unsetenv("LISTEN_PID");
    if (count)
        (void)setenv("LISTEN_FDS", count, 1);
    else
        (void)unsetenv("LISTEN_FDS");
}

static const char *pid_text(pid_t pid)
{
    static char text[16];

    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    return text;
}

/* systemd starts it. */
static int start(void **state)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)state;
    no_state();
    now_ms = 1000000;
    watch_result = 0;
    jobs_alive = 0;
    systemd_says(pid_text(getpid()), "1");
    if (fd < 0 || dup3(fd, LISTENS_AT, O_CLOEXEC) < 0)
        return -1;
    return close(fd);
}

/* It has begun. */
static int start_begun(void **state)
{
    int rv = start(state);

    if (rv < 0 || external_begin() < 0)
        return -1;
    called[0] = '\0';
    return 0;
}

/* httpd starts it. */
static int start_of_httpd(void **state)
{
    int rv = start(state);

    systemd_says(NULL, NULL);
    external_resume();
    return rv;
}

/* ---- who has started it ---- */

static void it_knows_that_systemd_has_started_it(void **state)
{
    (void)state;
    assert_true(external());
}

/* A parent that systemd has started so may hand down its environment. */
static void what_another_process_was_given_is_not_its_own(void **state)
{
    (void)state;
    systemd_says(pid_text(getpid() + 1), "1");
    assert_false(external());
    systemd_says(NULL, "1");
    assert_false(external());
}

static void it_takes_one_socket_and_no_other_number(void **state)
{
    (void)state;
    systemd_says(pid_text(getpid()), "2");
    assert_false(external());
    systemd_says(pid_text(getpid()), "0");
    assert_false(external());
    systemd_says(pid_text(getpid()), NULL);
    assert_false(external());
}

/* ---- its start ---- */

static void it_listens_and_says_that_it_is_ready(void **state)
{
    int passes = 0;
    socklen_t length = sizeof(passes);

    (void)state;
    assert_int_equal(external_begin(), 0);
    expect_called("notify_begin; watch listen in; 'READY=1\nwaits for "
                  "httpd'; ");
    assert_int_equal(spawner.fds[SPAWN_FD_CONTROL], LISTENS_AT);
    assert_true(spawner.lingering);
    assert_int_equal(
        getsockopt(LISTENS_AT, SOL_SOCKET, SO_PASSCRED, &passes, &length), 0);
    assert_int_equal(passes, 1);
}

static void without_a_socket_it_does_not_begin(void **state)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(dup3(null, LISTENS_AT, O_CLOEXEC), LISTENS_AT);
    (void)close(null);
    assert_int_equal(external_begin(), -ENOTSOCK);
    expect_called("");
}

static void one_that_cannot_listen_is_not_ready(void **state)
{
    (void)state;
    watch_result = -ENOMEM;
    assert_int_equal(external_begin(), -ENOMEM);
    expect_called("notify_begin; ");
}

static void after_an_upgrade_it_is_still_one(void **state)
{
    (void)state;
    external_resume();
    expect_called("notify_begin; ");
    assert_true(external_is_empty());
    assert_int_equal(external_timers(now_ms), NOBODY_MS);
}

/* ---- the httpd that adopts it ---- */

static void it_has_nothing_until_httpd_gives_it_something(void **state)
{
    uint8_t config;

    (void)state;
    assert_true(external_is_empty());
    spawner.config = &config;
    assert_false(external_is_empty());
}

static void it_tells_httpd_that_it_has_nothing(void **state)
{
    int ends[2];

    (void)state;
    make_pair(ends);
    external_send_empty(ends[0]);
    assert_true(comes(ends[1], SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_EMPTY));
    assert_int_equal(spawn_u64_or(&got, SPAWN_A_PID, 0), getpid());
    assert_string_equal(spawn_str_or(&got, SPAWN_A_RELEASE, ""), SPAWN_RELEASE);
    expect_quiet(ends[1]);
    spawn_close_fds(ends, 2);
}

static void people_are_told_whom_it_serves(void **state)
{
    (void)state;
    spawner.lingering = false;
    spawner.parent_pid = 4711;
    external_tell();
    expect_called("'serves httpd (pid 4711)'; ");
    spawner.lingering = true;
    jobs_alive = 12;
    external_tell();
    expect_called("'httpd has gone; 12 jobs run'; ");
}

/* ---- when nobody comes ---- */

static void it_waits_half_a_minute_for_an_httpd(void **state)
{
    int64_t begun = now_ms;

    (void)state;
    assert_int_equal(external_timers(begun), 30000);
    assert_int_equal(external_timers(begun + 29999), 1);
    end_code = 9;
    assert_true(ENDS(external_timers(begun + 30000)));
    assert_int_equal(end_code, 0);
}

static void while_an_httpd_is_there_it_waits(void **state)
{
    (void)state;
    spawner.control = 9;
    assert_int_equal(external_timers(now_ms + 3600000), -1);
}

static void with_a_configuration_it_stays(void **state)
{
    uint8_t config;

    (void)state;
    spawner.config = &config;
    assert_int_equal(external_timers(now_ms + 3600000), -1);
}

/* ---- told to end ---- */

static void told_to_end_it_lets_go_who_has_it(void **state)
{
    int adopter[2], control[2], gone[2];
    struct epoll_event event = {EPOLLIN, {0}};
    int before;

    (void)state;
    make_pair(adopter);
    make_pair(control);
    make_pair(gone);
    spawner.adopter = adopter[0];
    spawner.control = control[0];
    spawner.fds[SPAWN_FD_PARENT] = gone[0];
    (void)close(gone[1]); /* so that it would be told */
    spawner.epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(spawner.epoll, EPOLL_CTL_ADD, gone[0], &event),
                     0);
    assert_int_equal(epoll_wait(spawner.epoll, &event, 1, 0), 1);
    before = spawner.fds[SPAWN_FD_CONTROL];

    assert_false(external_stops());
    assert_true(external_stop());
    assert_true(external_stops());
    expect_called("'STOPPING=1\nstores what it has; jobs run on'; "
                  "rewatch listen none; closed with care; ");
    /* a caller that connects waits for the next one: the socket stays open */
    assert_int_equal(spawner.fds[SPAWN_FD_CONTROL], before);
    assert_true(is_open(before));
    assert_int_equal(spawner.adopter, -1);
    expect_closed(adopter[1]);
    assert_int_equal(spawner.control, -1);
    expect_closed(control[1]);
    /* whether it has gone is asked at the end */
    assert_int_equal(spawner.fds[SPAWN_FD_PARENT], gone[0]);
    assert_int_equal(epoll_wait(spawner.epoll, &event, 1, 0), 0);
    (void)close(adopter[1]);
    (void)close(control[1]);
    (void)close(gone[0]);
    (void)close(spawner.epoll);
}

static void it_is_told_to_end_once(void **state)
{
    (void)state;
    assert_true(external_stop());
    called[0] = '\0';
    assert_false(external_stop());
    expect_called("");
    assert_true(external_stops());
}

/* ---- one that httpd has started ---- */

static void one_of_httpd_is_no_service(void **state)
{
    (void)state;
    expect_called("");
    assert_false(external_is_empty());
    assert_int_equal(external_timers(now_ms + 3600000), -1);
    external_tell();
    assert_false(external_stop());
    assert_false(external_stops());
    expect_called("");
}

#define T(f)  cmocka_unit_test_setup(f, start)
#define TB(f) cmocka_unit_test_setup(f, start_begun)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_knows_that_systemd_has_started_it),
        T(what_another_process_was_given_is_not_its_own),
        T(it_takes_one_socket_and_no_other_number),
        T(it_listens_and_says_that_it_is_ready),
        T(without_a_socket_it_does_not_begin),
        T(one_that_cannot_listen_is_not_ready),
        T(after_an_upgrade_it_is_still_one),
        TB(it_has_nothing_until_httpd_gives_it_something),
        TB(it_tells_httpd_that_it_has_nothing),
        TB(people_are_told_whom_it_serves),
        TB(it_waits_half_a_minute_for_an_httpd),
        TB(while_an_httpd_is_there_it_waits),
        TB(with_a_configuration_it_stays),
        TB(told_to_end_it_lets_go_who_has_it),
        TB(it_is_told_to_end_once),
        cmocka_unit_test_setup(one_of_httpd_is_no_service, start_of_httpd),
    };

    /* nothing else gets its number */
    (void)dup3(STDERR_FILENO, LISTENS_AT, O_CLOEXEC);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_external", tests, NULL, NULL);
}
