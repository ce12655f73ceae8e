/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a job in the place of its parent, which is another process than
 * the caller and may go on at any moment: what that one has as children, and
 * what is below the job's process, is reached, and nothing of another job.
 */
#include "t/unit/tree_play.h"

static pid_t template;
static int leader = -1; /* a pidfd */

/* The processes that the template makes: the job's, one that has a session of
 * its own, a daemon, and a daemon of another job. */
enum {
    LEADER,
    APART,
    DAEMON,
    OTHER,
    ALL
};

static pid_t pids[ALL];

static void mark_me(uint64_t mark)
{
    struct rlimit limit = {mark, RLIM_INFINITY};

    if (mark && setrlimit(RLIMIT_RTTIME, &limit) < 0)
        _exit(3);
}

static void stay(int to, int which)
{
    struct {
        int which;
        pid_t pid;
    } is = {which, getpid()};

    if (write(to, &is, sizeof(is)) != sizeof(is))
        _exit(4);
    for (;;)
        (void)pause();
}

/* Its parent has ended when it says so. */
static void be_daemon(int to, int which)
{
    pid_t parent = getpid();

    (void)setsid();
    if (fork() != 0)
        _exit(0);
    while (getppid() == parent)
        (void)usleep(1000);
    stay(to, which);
}

static void be_job(int to, uint64_t mark)
{
    mark_me(mark);
    (void)setsid();
    if (fork() == 0) {
        (void)setsid();
        stay(to, APART);
    }
    if (fork() == 0)
        be_daemon(to, DAEMON);
    stay(to, LEADER);
}

static void be_template(int to, uint64_t mark)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)signal(SIGCHLD, SIG_IGN); /* daemons' parents are reaped */
    if (fork() == 0)
        be_job(to, mark);
    if (fork() == 0) {
        mark_me(tree_mark(&job_id, 1));
        be_daemon(to, OTHER);
    }
    for (;;)
        (void)pause();
}

/* mark: 0: it has none. */
static void have_template(uint64_t mark)
{
    struct {
        int which;
        pid_t pid;
    } is;
    int numbers[2];
    unsigned i;

    assert_int_equal(pipe2(numbers, O_CLOEXEC), 0);
    template = fork();
    if (template == 0)
        be_template(numbers[1], mark);
    for (i = 0; i < ALL; i++) {
        read_all(numbers[0], &is, sizeof(is));
        pids[is.which] = is.pid;
    }
    spawn_close_fds(numbers, 2);
    leader = spawn_os_pidfd(pids[LEADER]);
    tree.parent = template;
    tree.group = pids[LEADER];
    tree.leader = leader;
    tree.leads = true;
    tree.remembers = false;
}

/* It has ended, reaped or not. */
static void is_over(pid_t pid)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    shown s;

    while (look_at(pid, &s) == 0 && !has_ended(&s)) {
        assert_true(spawn_mono_ms() < deadline);
        (void)usleep(1000);
    }
}

static void lives(pid_t pid)
{
    shown s;

    assert_int_equal(look_at(pid, &s), 0);
    assert_false(has_ended(&s));
}

static void kills(unsigned expected)
{
    spawn_tree_found found;

    memset(&found, 0xff, sizeof(found));
    assert_int_equal(tree_signal(&tree, SIGKILL, &found), 0);
    assert_int_equal(found.signalled, expected);
    assert_int_equal(found.unreached, 0);
}

static void what_has_left_its_group_is_reached(void **state)
{
    (void)state;
    have_template(tree.mark);
    assert_int_equal(kill(template, SIGSTOP), 0);
    kills(2);
    is_over(pids[APART]);
    is_over(pids[DAEMON]);
    lives(pids[LEADER]); /* its group is signalled otherwise */
    lives(pids[OTHER]);
}

/* Where it cannot be set: a daemon cannot be told from others then. */
static void without_a_mark_what_is_below_its_process_is(void **state)
{
    (void)state;
    have_template(0);
    kills(1);
    is_over(pids[APART]);
    lives(pids[DAEMON]);
    lives(pids[OTHER]);
}

/* The number that it had can be another one's. */
static void not_when_its_process_is_reaped(void **state)
{
    (void)state;
    have_template(0);
    assert_int_equal(send_by_pidfd(&tree, pids[APART], pids[LEADER], SIGCONT),
                     0);
    (void)close(leader);
    tree.leader = leader = spawn_os_pidfd(template);
    assert_int_equal(kill(template, SIGKILL), 0);
    wait_for_end(template);
    assert_int_equal(waitpid(template, NULL, 0), template);
    assert_int_equal(send_by_pidfd(&tree, pids[APART], pids[LEADER], SIGCONT),
                     -ESRCH);
    lives(pids[APART]);
}

static int stop_all(void **state)
{
    spawn_close_fds(&leader, 1);
    return stop(state);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop_all)
    const struct CMUnitTest tests[] = {
        T(what_has_left_its_group_is_reached),
        T(without_a_mark_what_is_below_its_process_is),
        T(not_when_its_process_is_reaped)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("tree in place", tests, NULL, NULL);
}
