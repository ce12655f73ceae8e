/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose end it was: of a job, of its group, of the broker, of nobody known. And
 * to whom a signal goes. Children are real ones; groups and signals are played.
 */
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

static job *told_in_drain; /* tells its process when templates are heard, */
static pid_t its_pid;
static uint8_t its_step; /* and that it failed there */

job *template_claimed(pid_t pid, uid_t uid)
{
    (void)pid;
    (void)uid;
    return NULL;
}

void templates_drain(void)
{
    note("heard");
    if (told_in_drain && told_in_drain->pid != its_pid)
        table_set_pid(told_in_drain, its_pid);
    if (told_in_drain && its_step)
        told_in_drain->step = its_step;
}

void template_ended(job *j)
{
    (void)j;
    note("template ended");
}

void template_forget(const job *j)
{
    (void)j;
    note("template forgotten");
}

void job_progress(job *j)
{
    (void)j;
    note("looked");
}

void clone_ended(job *j)
{
    (void)j;
    note("its room is left");
}

void relay_died(int status)
{
    note("relay %x", status);
}

void broker_died(int status)
{
    note("broker %d", WEXITSTATUS(status));
}

static bool lives;             /* the group */
static int group_error;        /* of signals for the group */
static int pid_error;          /* of those for the process */
static int left_error;         /* of those for what is left of the group */
static pid_t signalled, known; /* the last one; the one that may be */

static int play_kill(pid_t pid, int signo)
{
    int error = pid < 0 ? group_error : pid_error;

    note("kill %s %d",
         pid == -known  ? "group"
         : pid == known ? "it"
                        : "?",
         signo);
    errno = error;
    return error ? -1 : 0;
}

static bool play_group_lives(pid_t pid)
{
    return pid == known && lives;
}

static int play_group_signal(int pidfd, pid_t group, int signo)
{
    (void)pidfd;
    signalled = group;
    note("left %d", signo);
    return left_error;
}

#define kill                  play_kill
#define spawn_os_group_lives  play_group_lives
#define spawn_os_group_signal play_group_signal
void real_progress(job *j);
#define job_progress real_progress
#include "spawner/table.c"
#include "spawner/jobs.c"
#undef job_progress
#include "spawner/reap.c"
#undef kill

static int start(void **state)
{
    (void)state;
    no_state();
    told_in_drain = NULL;
    its_step = 0;
    lives = false;
    group_error = pid_error = left_error = 0;
    return table_init();
}

static job *have(uint8_t n, unsigned flags)
{
    const spawn_id id = {{n, 1}};
    job *j = table_add(&id);

    j->state = JOB_RUNNING;
    j->flags = (uint16_t)flags;
    return j;
}

/* A process that has ended and is not reaped. */
static pid_t ended_child(int code)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0)
        _exit(code);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    return known = pid;
}

static void is_reaped(void)
{
    assert_int_equal(waitpid(known, NULL, WNOHANG), -1);
}

static uint8_t room_of_next;

/* One of a job: with its end it is no more found by its number, which the next
 * process may have. */
static uint8_t cgroup_of_next;

static job *end_one(uint8_t n, unsigned flags, int start_pipe)
{
    job *j = have(n, flags);

    j->cgroup = cgroup_of_next;
    cgroup_of_next = 0;
    table_set_pid(j, ended_child(7));
    j->start_pipe = start_pipe;
    j->room = room_of_next;
    room_of_next = 0;
    reap_some();
    is_reaped();
    assert_null(table_by_pid(known));
    return j;
}

static void a_job_ends(void **state)
{
    int64_t wall = spawn_wall_ms();
    job *j;

    (void)state;
    j = end_one(1, 0, -1);
    expect_called("");
    assert_int_equal(j->state, JOB_ENDED);
    assert_int_equal(WEXITSTATUS(j->status), 7);
    assert_in_range(j->ended_ms, wall, spawn_wall_ms());
    assert_int_equal(j->flags, JOB_TELL_EXITED | JOB_IN_FIFO);
    assert_false(spawner.exits_left);
    (void)end_one(2, 0, 500);
    expect_called("looked; ");
    room_of_next = 3;
    (void)end_one(8, 0, -1);
    expect_called("its room is left; ");
    (void)end_one(3, JOB_KILL_LEFT | JOB_LEFT_WAIT, -1);
    expect_called("kill group 9; tree 9; ");
    j = end_one(4, JOB_IS_TEMPLATE, -1);
    expect_called("template ended; ");
    (void)end_one(5, JOB_GIVEN_UP, -1);
    expect_called("template forgotten; ");
    assert_null(table_by_id(&(spawn_id){{5, 1}}));
}

/* Processes that have hidden from the look at its tree end, too. */
static void all_of_a_cgroup_end_where_it_is_ended(void **state)
{
    (void)state;
    cgroup_of_next = 1;
    (void)end_one(1, 0, -1);
    expect_called("its directory is read; its directory is left; ");
    cgroup_of_next = 1;
    (void)end_one(2, JOB_KILL_LEFT, -1);
    expect_called("kill group 9; tree 9; its directory is ended; its directory "
                  "is read; its directory is left; ");
    cgroup_of_next = 1;
    (void)end_one(3, JOB_LEFT_WAIT, -1);
    expect_called("its directory is ended; its directory is read; its "
                  "directory is left; ");
}

static void others_end(void **state)
{
    job *j;

    (void)state;
    spawner.broker_pid = ended_child(3);
    reap_some();
    is_reaped();
    expect_called("broker 3; "); /* nothing is read for that */
    spawner.broker_pid = 0;
    (void)ended_child(4); /* an orphan */
    reap_some();
    is_reaped();
    expect_called("heard; ");
    told_in_drain = j = have(1, 0);
    its_pid = ended_child(5);
    reap_some();
    is_reaped();
    expect_called("heard; ");
    assert_int_equal(j->state, JOB_ENDED);
    assert_int_equal(WEXITSTATUS(j->status), 5);
    told_in_drain = j = have(2, 0); /* its template told the process */
    its_pid = ended_child(127);
    table_set_pid(j, its_pid);
    j->state = JOB_STARTING;
    j->template = 7;
    its_step = SPAWN_STEP_FDS;
    reap_some();
    is_reaped();
    expect_called("heard; ");
    assert_int_equal(j->state, JOB_ENDED);
    assert_int_equal(j->step, SPAWN_STEP_FDS);
    told_in_drain = NULL;
    j = have(3, 0); /* it had told all */
    table_set_pid(j, ended_child(0));
    j->template = 7;
    reap_some();
    is_reaped();
    expect_called("");
}

/* Its end is the end of the last one, and the status that of the leader. */
static void a_group_ends_after_its_leader(void **state)
{
    int group;
    job *j;

    (void)state;
    lives = true;
    j = end_one(1, JOB_LEFT_WAIT, -1);
    group = j->group;
    assert_true(group >= 0 && is_open(group));
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(j->flags, JOB_LEFT_WAIT | JOB_LEADERLESS);
    reap_some();
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(job_signal(j, SIGTERM), 0); /* not by its number */
    expect_called("left 15; ");
    assert_int_equal(signalled, known);
    assert_int_equal(j->state, JOB_RUNNING);
    lives = false;
    reap_some();
    expect_called("");
    assert_int_equal(j->state, JOB_ENDED);
    assert_int_equal(WEXITSTATUS(j->status), 7);
    assert_int_equal(j->flags, JOB_LEFT_WAIT | JOB_TELL_EXITED | JOB_IN_FIFO);
    assert_false(is_open(group));
    assert_int_equal(j->group, -1);
    assert_int_equal(spawner.leaderless, 0);

    j = end_one(2, JOB_LEFT_WAIT, -1); /* none was left */
    assert_int_equal(j->state, JOB_ENDED);
    assert_int_equal(j->flags, JOB_LEFT_WAIT | JOB_TELL_EXITED | JOB_IN_FIFO);
}

/* It leads a session of its own, say: a child of ours that no entry has. */
static void a_job_waits_for_a_child_outside_of_its_group(void **state)
{
    job *j, *other;

    (void)state;
    tree_child = 4000;
    j = end_one(1, JOB_LEFT_WAIT, -1);
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(j->flags, JOB_LEFT_WAIT | JOB_LEADERLESS);
    assert_int_equal(j->left, 4000);
    tree_child = 4001;
    other = end_one(2, JOB_LEFT_WAIT, -1);
    tree_child = 0; /* is asked for when that one has ended */
    (void)ended_child(0);
    reap_some();
    assert_int_equal(j->state, JOB_RUNNING);
    tree_child = ended_child(0);
    j->left = tree_child;
    tree_child = 4002;
    reap_some();
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(j->left, 4002);
    assert_int_equal(other->left, 4001);
    tree_child = 0;
    other->left = ended_child(0);
    reap_some();
    assert_int_equal(other->state, JOB_ENDED);
    assert_int_equal(other->left, 0);
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(WEXITSTATUS(other->status), 7);
}

/* Nobody is left in its group; others may be outside of it. */
static void a_signal_for_who_is_outside(void **state)
{
    job *j;

    (void)state;
    lives = true;
    left_error = -ESRCH;
    j = end_one(1, JOB_LEFT_WAIT, -1);
    tree_child = 4000;
    assert_int_equal(job_signal(j, SIGTERM), 0);
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(j->left, 4000);
    tree_child = 4001; /* not asked for again */
    assert_int_equal(job_signal(j, SIGTERM), 0);
    assert_int_equal(j->left, 4000);
    assert_int_equal(job_signal(j, SIGKILL), -ESRCH);
    assert_int_equal(j->state, JOB_ENDED);
}

static void a_group_ends_by_a_signal(void **state)
{
    static const struct {
        int signo, error;
        bool ends;
    } cases[] = {
        {SIGTERM, -EPERM, false}, {SIGTERM, -ESRCH, true}, {SIGKILL, 0, true}};
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        job *j;

        lives = true;
        left_error = cases[i].error;
        j = end_one((uint8_t)(1 + i), JOB_LEFT_WAIT, -1);
        assert_int_equal(job_signal(j, cases[i].signo), cases[i].error);
        assert_int_equal(j->state, cases[i].ends ? JOB_ENDED : JOB_RUNNING);
        assert_int_equal(j->flags & JOB_LEADERLESS,
                         cases[i].ends ? 0 : JOB_LEADERLESS);
    }
}

static void a_signal_goes_to_the_group_or_else_to_it(void **state)
{
    static const struct {
        int of_group, of_pid, rv;
        const char *calls;
    } cases[] = {{0, EPERM, 0, "kill group 15; "},
                 {EPERM, 0, -EPERM, "kill group 15; "},
                 {ESRCH, 0, 0, "kill group 15; kill it 15; "},
                 {ESRCH, ESRCH, -ESRCH, "kill group 15; kill it 15; "},
                 {ESRCH, EPERM, -EPERM, "kill group 15; kill it 15; "}};
    unsigned i;
    job *j;

    (void)state;
    j = have(1, 0);
    j->pid = known = 4000;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        group_error = cases[i].of_group;
        pid_error = cases[i].of_pid;
        j->flags = 0;
        assert_int_equal(job_signal(j, SIGTERM), cases[i].rv);
        expect_called(cases[i].calls);
        assert_int_equal(j->flags, JOB_SHOT);
    }
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_job_ends),
        T(all_of_a_cgroup_end_where_it_is_ended),
        T(others_end),
        T(a_group_ends_after_its_leader),
        T(a_job_waits_for_a_child_outside_of_its_group),
        T(a_signal_for_who_is_outside),
        T(a_group_ends_by_a_signal),
        T(a_signal_goes_to_the_group_or_else_to_it),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_reap", tests, NULL, NULL);
}
