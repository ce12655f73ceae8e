/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups that outlive their leader while a time-out's grace runs: the end is
 * told when none is left or all got KILL, to whichever broker is there, also by
 * a spawner that was replaced meanwhile; and it is told at once when nobody
 * asked for a grace.
 */
#include "t/unit/spawner_play.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

/* The leader obeys TERM, its child does not; both say that they are there. */
#define DEAF_CHILD                                                             \
    "(trap '' TERM; echo a; exec sleep 60) & echo b; exec sleep 60"
/* The child goes soon. */
#define SLOW_CHILD                                                             \
    "(trap '' TERM; echo a; exec sleep 1) & echo b; exec sleep 60"

static void signal_job(const spawn_id *id, int signo, unsigned left)
{
    spawn_writer w;

    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    if (left)
        spawn_put_u64(&w, SPAWN_A_KILL_LEFT, left);
    send_on(link_fd, &w, NULL, 0);
}

/* Its pid. */
static pid_t start_job(const spawn_id *id, const char *script)
{
    launch(id, "/bin/sh", script, NULL);
    expect_id(SPAWN_M_STARTED, id);
    wait_for_output(4);
    return (pid_t)spawn_u64_or(&message, SPAWN_A_PID, 0);
}

static void expect_gone(pid_t leader)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    while (kill(leader, 0) == 0) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/* The end of its leader is what is told. */
static void expect_term(const spawn_id *id)
{
    int status;

    expect_id(SPAWN_M_EXITED, id);
    status = (int)spawn_u64_or(&message, SPAWN_A_WAIT_STATUS, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void expect_silence(void)
{
    struct pollfd p = {link_fd, POLLIN, 0};

    assert_int_equal(poll(&p, 1, 200), 0);
}

static void the_group_has_its_grace(void **state)
{
    spawn_id id;
    pid_t leader;

    (void)state;
    reach_ready();
    new_id(&id);
    leader = start_job(&id, DEAF_CHILD);
    signal_job(&id, SIGTERM, SPAWN_LEFT_WAIT);
    expect_gone(leader);
    expect_silence();
    assert_int_equal(kill(-leader, 0), 0);
    signal_job(&id, SIGKILL, SPAWN_LEFT_KILL);
    expect_term(&id);
    while (kill(-leader, 0) == 0)
        (void)poll(NULL, 0, 1);
}

static void nobody_waits_when_none_is_left(void **state)
{
    pid_t leader;
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    leader = start_job(&id, SLOW_CHILD);
    signal_job(&id, SIGTERM, SPAWN_LEFT_WAIT);
    expect_gone(leader);
    assert_int_equal(kill(-leader, 0), 0);
    expect_term(&id);
    assert_int_equal(kill(-leader, 0), -1);
}

static void a_signal_without_grace_waits_for_nobody(void **state)
{
    pid_t leader;
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    leader = start_job(&id, DEAF_CHILD);
    signal_job(&id, SIGTERM, SPAWN_LEFT_ALONE);
    expect_term(&id);
    assert_int_equal(kill(-leader, 0), 0);
    assert_int_equal(kill(-leader, SIGKILL), 0);
}

/* The pair after a killed broker, or a replaced spawner. */
static void goes_on(const spawn_id *id, pid_t leader)
{
    expect_link(SPAWN_M_CONFIGURE);
    expect_id(SPAWN_M_RUNNING, id);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), leader);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    assert_int_equal(kill(-leader, 0), 0);
    signal_job(id, SIGKILL, SPAWN_LEFT_KILL);
    expect_term(id);
}

static void another_broker_ends_it(void **state)
{
    pid_t leader;
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    leader = start_job(&id, DEAF_CHILD);
    signal_job(&id, SIGTERM, SPAWN_LEFT_WAIT);
    expect_gone(leader);
    drop_broker();
    take_link();
    goes_on(&id, leader);
}

static void another_release_ends_it(void **state)
{
    pid_t leader;
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    leader = start_job(&id, DEAF_CHILD);
    signal_job(&id, SIGTERM, SPAWN_LEFT_WAIT);
    expect_gone(leader);
    send_configure("another release");
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    goes_on(&id, leader);
}

/* A kernel that cannot signal a group by pidfd (before 6.9). */
static void deny_pidfd_signals(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {4, program};

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        _exit(8);
}

static int start_on_an_old_kernel(void **state)
{
    int rv;

    before_exec = deny_pidfd_signals;
    rv = start_spawner(state);
    before_exec = NULL;
    return rv;
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_spawner)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ALONE(the_group_has_its_grace),
        ALONE(nobody_waits_when_none_is_left),
        ALONE(a_signal_without_grace_waits_for_nobody),
        ALONE(another_broker_ends_it),
        ALONE(another_release_ends_it),
        cmocka_unit_test_setup_teardown(the_group_has_its_grace,
                                        start_on_an_old_kernel, stop_spawner),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_group", tests, NULL, NULL);
}
