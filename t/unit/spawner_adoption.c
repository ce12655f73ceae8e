/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adopters of a pair that lingers, the things they are given, and askers: of
 * all that connect to the socket in the store, one at a time, for a while, and
 * only a process of our account that can be told from others.
 */
#define PART_HAS_PARENT
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

#include <sched.h>
#include <sys/syscall.h>

void template_foreign(const spawn_message *m, spawn_packet *p)
{
    (void)m;
    (void)p;
    note("template_foreign");
}

void template_words_drop(const char *name)
{
    (void)name;
}

/* Its own clock. */
static int64_t clock_ms = 1000000;
#define spawn_mono_ms() clock_ms

#include "spawner/control.c"
#include "spawner/parent.c"
#include "t/unit/spawner_internal.h"

static struct sockaddr_un address;
static socklen_t address_length;

static int start(void **state)
{
    int sock =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)state;
    no_state();
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX; /* without a file */
    (void)snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
                   "spawner-adoption-%d", (int)getpid());
    address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1
                                 + strlen(address.sun_path + 1));
    if (bind(sock, (struct sockaddr *)&address, address_length) < 0
        || listen(sock, 5) < 0)
        return -1;
    spawner.fds[SPAWN_FD_CONTROL] = sock;
    spawner.parent_pid = 4711;
    spawner.config = malloc(1);
    spawner.link = 1000000;
    read_log();
    return spawn_os_pass_credentials(sock);
}

static int stop(void **state)
{
    (void)state;
    spawn_packet_close(&part_packet);
    memset(&part_packet, 0, sizeof(part_packet));
    spawn_close_fds(&spawner.fds[SPAWN_FD_CONTROL], 1);
    spawn_close_fds(&spawner.adopter, 1);
    spawn_close_fds(&spawner.control, 1);
    free(spawner.config);
    return 0;
}

static int come(void)
{
    int sock =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(connect(sock, (struct sockaddr *)&address, address_length),
                     0);
    return sock;
}

/* An answer, and the end of it. */
static bool is_refused(int sock, const char *why)
{
    return comes(sock, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_REFUSED)
           && spawn_u64_or(&got, SPAWN_A_CODE, 0) == SPAWN_E_NOT_PERMITTED
           && strstr(spawn_str_or(&got, SPAWN_A_TEXT, ""), why)
           && recv(sock, part_buffer, 1, MSG_DONTWAIT) == 0;
}

static void let_in(int *ret)
{
    *ret = come();
    parent_accept();
    assert_true(spawner.adopter >= 0);
    assert_int_equal(spawner.adopter_since, clock_ms);
    expect_called("watch adopt in; ");
}

/* ---- who comes ---- */

static void one_at_a_time(void **state)
{
    int first, second;

    (void)state;
    let_in(&first);
    second = come();
    parent_accept();
    assert_true(is_refused(second, "another httpd is just adopting this pair"));
    (void)close(second);
    expect_called("");
    expect_quiet(first);
    (void)close(first);
    adopter_input(); /* has gone without a word */
    assert_int_equal(spawner.adopter, -1);
    assert_int_equal(parent_timers(clock_ms), -1);
    expect_called("");
    let_in(&first);
    (void)close(first);
    parent_accept(); /* nobody comes */
    expect_called("");
    expect_no_line();
}

static void another_account_may_not(void **state)
{
    int sock;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "one account has no other");
    assert_int_equal(seteuid(NOBODY), 0);
    sock = come();
    assert_int_equal(seteuid(0), 0);
    parent_accept();
    assert_int_equal(spawner.adopter, -1);
    assert_true(is_refused(sock, "only the account that started this pair"));
    (void)close(sock);
    expect_called("");
}

static int accept_without_its_account(void)
{
    int sock = come();

    deny(SYS_getsockopt, EPERM);
    parent_accept();
    return spawner.adopter < 0 && is_refused(sock, "only the account") ? 0 : 1;
}

static void who_cannot_be_looked_at_may_not(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(accept_without_its_account), 0);
}

static int stranger;

static int accept_stranger(void)
{
    parent_accept();
    return spawner.adopter < 0
                   && is_refused(stranger, "an httpd of another pid namespace")
               ? 0
               : 1;
}

static int in_another_namespace(void)
{
    if (unshare(CLONE_NEWPID) < 0)
        return 77;
    return in_a_child(accept_stranger);
}

static void who_has_no_number_here_may_not(void **state)
{
    int result;

    (void)state;
    stranger = come();
    result = in_a_child(in_another_namespace);
    (void)close(stranger);
    LEAVE_OUT_IF(result == 77, "there is no pid namespace to be had");
    assert_int_equal(result, 0);
}

/* systemd listens, and starts the spawner since somebody came and said it. */
static void who_came_before_the_spawner_is_known(void **state)
{
    const int off = 0;
    int sock;

    (void)state;
    spawner.lingering = true;
    assert_int_equal(setsockopt(spawner.fds[SPAWN_FD_CONTROL], SOL_SOCKET,
                                SO_PASSCRED, &off, sizeof(off)),
                     0);
    sock = come();
    send_type(sock, SPAWN_M_ADOPT);
    assert_int_equal(spawn_os_pass_credentials(spawner.fds[SPAWN_FD_CONTROL]),
                     0);
    parent_accept();
    adopter_input();
    assert_true(comes(sock, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ADOPTED));
    (void)close(sock);
}

/* The pair is at its end: who comes sees it, and looks again. */
static void nobody_comes_to_a_pair_at_its_end(void **state)
{
    int sock, late;

    (void)state;
    let_in(&sock);
    spawner.ending = spawner.lingering = true;
    late = come();
    parent_accept();
    expect_closed(late);
    (void)close(late);
    send_type(sock, SPAWN_M_ADOPT);
    adopter_input();
    expect_closed(sock);
    (void)close(sock);
    assert_int_equal(spawner.control, -1);
    expect_called("");
}

/* ---- no descriptor to accept with ---- */

static int accept_error;

static int accept_fails(void)
{
    (void)come();
    deny(SYS_accept4, accept_error);
    parent_accept();
    if (spawner.adopter >= 0)
        return 1;
    if (strcmp(called, "") == 0)
        return parent_timers(clock_ms) == -1 ? 2 : 1;
    if (strcmp(called, "rewatch listen none; ") != 0)
        return 1;
    called[0] = '\0';
    if (parent_timers(clock_ms) != 500 || parent_timers(clock_ms + 499) != 1
        || strcmp(called, "") != 0)
        return 1;
    if (parent_timers(clock_ms + 500) != -1
        || strcmp(called, "rewatch listen in; ") != 0)
        return 1;
    called[0] = '\0';
    return parent_timers(clock_ms + 500) == -1 && strcmp(called, "") == 0 ? 0
                                                                          : 1;
}

/* It is not looked at for a while, since it would be ready all the time. */
static void what_cannot_be_accepted_is_not_asked_for_in_vain(void **state)
{
    static const int short_of[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};
    unsigned i;

    (void)state;
    for (i = 0; i < 4; i++) {
        accept_error = short_of[i];
        assert_int_equal(in_a_child(accept_fails), 0);
    }
    accept_error = ECONNABORTED;
    assert_int_equal(in_a_child(accept_fails), 2);
}

/* ---- what they say ---- */

static void a_pair_in_use_is_refused(void **state)
{
    int sock;

    (void)state;
    let_in(&sock);
    send_type(sock, SPAWN_M_ADOPT);
    adopter_input();
    assert_int_equal(spawner.adopter, -1);
    assert_int_equal(spawner.control, -1);
    assert_true(is_refused(
        sock, "the store is in use by the httpd with process id 4711"));
    (void)close(sock);
    expect_called("");
}

/* All descriptors that an adopter needs. */
static void expect_adopted(int sock)
{
    static const unsigned roles[] = {SPAWN_FD_LISTEN,  SPAWN_FD_POST_RX,
                                     SPAWN_FD_POST_TX, SPAWN_FD_INBOX,
                                     SPAWN_FD_LOCK,    SPAWN_FD_CONTROL};
    const spawn_attr *given = &got.attr[SPAWN_A_FD_ROLES];
    unsigned i;

    assert_true(comes(sock, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ADOPTED));
    assert_int_equal(part_packet.fds_count, 6);
    for (i = 0; i < 6; i++) {
        assert_int_equal(spawn_u64v_at(given, i), roles[i]);
        assert_true(is_same_file(part_packet.fds[i], spawner.fds[roles[i]]));
    }
    assert_int_equal(got.attr[SPAWN_A_SECRET].data[0], 7);
    assert_int_equal(got.attr[SPAWN_A_SECRET].data[SPAWN_SECRET_SIZE - 1], 8);
    assert_int_equal(got.attr[SPAWN_A_INSTANCE].data[5], 9);
    assert_int_equal(spawn_u64_or(&got, SPAWN_A_PID, 0), getpid());
    assert_string_equal(spawn_str_or(&got, SPAWN_A_SOCKET_PATH, ""), "/s");
    assert_string_equal(spawn_str_or(&got, SPAWN_A_RELEASE, ""), SPAWN_RELEASE);
}

static void a_lingering_pair_is_given_away(void **state)
{
    int sock, last[2], i, keep[SPAWN_FD_ROLES];

    (void)state;
    spawner.secret[0] = 7;
    spawner.secret[SPAWN_SECRET_SIZE - 1] = 8;
    spawner.life.bytes[5] = 9;
    (void)strcpy(spawner.socket_path, "/s");
    for (i = 1; i < SPAWN_FD_ROLES; i++) {
        if (i != SPAWN_FD_CONTROL)
            spawner.fds[i] = spawn_os_memfd("role");
        keep[i] = spawner.fds[i];
    }
    make_pair(last);
    spawner.control = last[0]; /* a copy that somebody still holds open */
    let_in(&sock);
    spawner.lingering = true;
    jobs_alive = 2;
    send_type(sock, SPAWN_M_ADOPT);
    adopter_input();
    keep[SPAWN_FD_PARENT] = -1; /* of the one before */
    assert_int_equal(spawner.fds[SPAWN_FD_PARENT], -1);
    expect_closed(last[1]);
    (void)close(last[1]);
    assert_int_equal(spawner.adopter, -1);
    assert_true(spawner.control >= 0);
    expect_called("closed with care; rewatch control in; ");
    expect_adopted(sock);
    expect_logged("MS0312: a new httpd adopts this pair with 2 running jobs");

    /* the connection is its link now, and the place is free for another */
    send_type(sock, SPAWN_M_GO);
    parent_input();
    expect_called("tell_go; ");
    (void)close(sock);
    parent_input();
    assert_int_equal(spawner.control, -1);
    expect_called("closed with care; ");
    let_in(&sock);
    (void)close(sock);
    for (i = 1; i < SPAWN_FD_ROLES; i++) {
        if (i != SPAWN_FD_CONTROL)
            spawn_close_fds(&keep[i], 1);
    }
}

/* Its configuration comes in a moment; who came second must not have it end in
 * nothing. */
static void who_was_answered_has_some_time(void **state)
{
    int first, second;
    char text[80];

    (void)state;
    (void)snprintf(text, sizeof(text),
                   "the httpd with process id %d is just adopting this pair",
                   (int)getpid());
    spawner.lingering = true;
    let_in(&first);
    send_type(first, SPAWN_M_ADOPT);
    adopter_input();
    assert_true(comes(first, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ADOPTED));
    clock_ms += 4999;
    called[0] = '\0';
    let_in(&second);
    send_type(second, SPAWN_M_ADOPT);
    adopter_input();
    assert_true(is_refused(second, text));
    (void)close(second);
    expect_called("");
    expect_quiet(first);

    clock_ms++; /* it had time enough */
    let_in(&second);
    send_type(second, SPAWN_M_ADOPT);
    adopter_input();
    assert_true(comes(second, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ADOPTED));
    expect_closed(first);
    (void)close(first);

    (void)close(second); /* it has gone, which was not seen yet */
    called[0] = '\0';
    let_in(&first);
    send_type(first, SPAWN_M_ADOPT);
    adopter_input();
    assert_true(comes(first, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ADOPTED));
    (void)close(first);
    called[0] = '\0';
}

/* No event has told it yet. */
static void an_httpd_that_has_gone_is_known(void **state)
{
    int ends[2], status;
    char byte;
    pid_t pid;

    (void)state;
    assert_true(control_has_gone()); /* there is none */
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)close(ends[1]);
        _exit((int)read(ends[0], &byte, 1));
    }
    (void)close(ends[0]);
    spawner.fds[SPAWN_FD_PARENT] = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(spawner.fds[SPAWN_FD_PARENT] >= 0);
    assert_false(control_has_gone());
    spawner.lingering = true;
    assert_true(control_has_gone());
    spawner.lingering = false;
    (void)close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(control_has_gone());
    spawn_close_fds(&spawner.fds[SPAWN_FD_PARENT], 1);
}

/* A pair without all of them gives what there is. */
static void what_there_is_not_is_not_given(void **state)
{
    int sock;

    (void)state;
    let_in(&sock);
    spawner.lingering = true;
    send_type(sock, SPAWN_M_ADOPT);
    adopter_input();
    assert_true(comes(sock, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ADOPTED));
    assert_int_equal(part_packet.fds_count, 1);
    assert_int_equal(spawn_u64v_at(&got.attr[SPAWN_A_FD_ROLES], 0),
                     SPAWN_FD_CONTROL);
    (void)close(sock);
}

static void who_asks_is_answered_and_gets_nothing(void **state)
{
    int sock, i;

    (void)state;
    for (i = 0; i < 2; i++) {
        let_in(&sock);
        spawner.lingering = i == 1;
        send_type(sock, SPAWN_M_ASK);
        adopter_input();
        assert_int_equal(spawner.adopter, -1);
        assert_int_equal(spawner.control, -1);
        assert_true(comes(sock, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ASK));
        assert_int_equal(spawn_u64_or(&got, SPAWN_A_HTTPD, 99), i ? 0 : 4711);
        assert_int_equal(part_packet.fds_count, 0);
        expect_closed(sock);
        (void)close(sock);
        expect_called("");
    }
}

/* Before it has adopted it says one thing, and nothing else is obeyed. */
static void what_else_is_said_is_refused(void **state)
{
    static const uint16_t others[] = {SPAWN_M_GO, SPAWN_M_TABLE_END};
    char rubbish[64] = "no message";
    spawn_id id = {{1}};
    spawn_writer w;
    int sock, pipes[2];
    char byte;
    unsigned i;

    (void)state;
    spawner.lingering = true;
    for (i = 0; i < 2; i++) {
        let_in(&sock);
        send_type(sock, others[i]);
        adopter_input();
        assert_int_equal(spawner.adopter, -1);
        assert_true(is_refused(sock, "an ADOPT message was expected"));
        (void)close(sock);
        expect_called("");
    }
    assert_false(spawner.gone_on);
    /* a descriptor that comes with it does not stay open */
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    let_in(&sock);
    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    send_on(sock, &w, &pipes[1], 1);
    (void)close(pipes[1]);
    adopter_input();
    assert_true(is_refused(sock, "an ADOPT message was expected"));
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    (void)close(pipes[0]);
    (void)close(sock);
    expect_called("");

    let_in(&sock);
    assert_int_equal(send(sock, rubbish, sizeof(rubbish), 0), sizeof(rubbish));
    adopter_input();
    assert_int_equal(spawner.adopter, -1);
    expect_closed(sock);
    (void)close(sock);
    expect_called("");
}

/* A broken ADOPT adopts nothing: an earlier message is no excuse. */
static void what_is_not_understood_is_no_adopt(void **state)
{
    spawn_writer w;
    int sock;

    (void)state;
    spawner.lingering = true;
    let_in(&sock);
    begin(&w, SPAWN_M_ADOPT);
    spawn_put_str(&w, SPAWN_A_TEXT, "which does not belong there");
    send_on(sock, &w, NULL, 0);
    adopter_input();
    assert_true(is_refused(sock, "an ADOPT message was expected"));
    (void)close(sock);
    assert_int_equal(spawner.control, -1);
    expect_called("");
}

static void a_fork_of_who_connected_says_nothing(void **state)
{
    int sock, status;
    pid_t pid;

    (void)state;
    spawner.lingering = true;
    let_in(&sock);
    pid = fork();
    if (pid == 0) {
        send_type(sock, SPAWN_M_ADOPT);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    adopter_input();
    assert_true(spawner.adopter >= 0);
    expect_quiet(sock);
    send_type(sock, SPAWN_M_ADOPT);
    adopter_input();
    assert_true(comes(sock, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ADOPTED));
    (void)close(sock);
    called[0] = '\0';
}

static void who_says_nothing_makes_room(void **state)
{
    int sock;

    (void)state;
    let_in(&sock);
    assert_int_equal(parent_timers(clock_ms), 5000);
    assert_int_equal(parent_timers(clock_ms + 4999), 1);
    expect_quiet(sock);
    assert_int_equal(parent_timers(clock_ms + 5000), -1);
    expect_closed(sock);
    assert_int_equal(spawner.adopter, -1);
    assert_int_equal(parent_timers(clock_ms + 5000), -1);
    (void)close(sock);
}

/* Of several deadlines the nearest counts. */
static void the_nearest_deadline_counts(void **state)
{
    int sock;

    (void)state;
    let_in(&sock);
    spawner.cleared_at = clock_ms;
    assert_int_equal(parent_timers(clock_ms), 5000);
    spawner.cleared_at = clock_ms - 28000;
    assert_int_equal(parent_timers(clock_ms), 2000);
    spawner.muted_until = clock_ms + 100;
    assert_int_equal(parent_timers(clock_ms), 100);
    spawner.cleared_at = clock_ms - 29950;
    assert_int_equal(parent_timers(clock_ms), 50);
    spawner.cleared_at = 0;
    assert_int_equal(parent_timers(clock_ms), 100);
    spawner.muted_until = clock_ms + 9000;
    assert_int_equal(parent_timers(clock_ms), 5000);
    expect_called("");
    (void)close(sock);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_at_a_time),
        T(another_account_may_not),
        T(who_cannot_be_looked_at_may_not),
        T(who_has_no_number_here_may_not),
        T(who_came_before_the_spawner_is_known),
        T(nobody_comes_to_a_pair_at_its_end),
        T(what_cannot_be_accepted_is_not_asked_for_in_vain),
        T(a_pair_in_use_is_refused),
        T(a_lingering_pair_is_given_away),
        T(who_was_answered_has_some_time),
        T(an_httpd_that_has_gone_is_known),
        T(what_there_is_not_is_not_given),
        T(who_asks_is_answered_and_gets_nothing),
        T(what_else_is_said_is_refused),
        T(what_is_not_understood_is_no_adopt),
        T(a_fork_of_who_connected_says_nothing),
        T(who_says_nothing_makes_room),
        T(the_nearest_deadline_counts),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_adoption", tests, NULL, NULL);
}
