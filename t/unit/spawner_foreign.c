/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates of httpd's that do not do their work. Signals for their jobs in
 * their place: only to a child of that template, as long as the template is
 * there.
 */
#include "t/unit/spawner_templates.h"

#include <sys/prctl.h>

void tree_signal_below(const job *j, pid_t parent, int leader, int signo)
{
    (void)j;
    (void)parent;
    assert_true(leader >= 0);
    note("below %d", signo);
}

#include "spawner/foreign.c"

#define ENDS_WITHIN_MS 30000 /* on a busy machine */

static pid_t its_template, its_job;
static job *t, *j;

static void wait_for_state(pid_t pid, char expected)
{
    int64_t deadline = spawn_mono_ms() + ENDS_WITHIN_MS, cpu;
    char state = '-';

    while (spawn_os_state(pid, &state, &cpu) < 0 || state != expected) {
        assert_true(spawn_mono_ms() < deadline);
        (void)usleep(1000);
    }
}

/* The process of a job, of whoever forks it. */
static void be_job(int told)
{
    (void)setsid();
    its_job = getpid();
    if (write(told, &its_job, sizeof(its_job)) != sizeof(its_job))
        _exit(3);
    for (;;)
        (void)pause();
}

static void have_processes(void)
{
    int told[2];

    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    its_template = fork();
    if (its_template == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fork() == 0)
            be_job(told[1]);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(told[0], &its_job, sizeof(its_job)), sizeof(its_job));
    spawn_close_fds(told, 2);
    t = have_template(1, JOB_FOREIGN);
    t->pid = its_template;
    template_note_of(t)->pidfd = spawn_os_pidfd(its_template);
    j = have_job_of(t, 2, JOB_RUNNING, its_job);
}

static int begin_all(void **state)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return start(state);
}

/* Both are ours by then, and not reaped. */
static int end_all(void **state)
{
    if (its_template > 0) {
        (void)kill(its_template, SIGKILL);
        (void)waitpid(its_template, NULL, 0);
    }
    (void)kill(its_job, SIGKILL);
    (void)waitpid(its_job, NULL, 0);
    its_template = 0;
    return stop(state);
}

static void a_template_that_is_stopped_is_seen(void **state)
{
    (void)state;
    have_processes();
    assert_false(foreign_is_stopped(j));
    assert_int_equal(kill(its_template, SIGSTOP), 0);
    wait_for_state(its_template, 'T');
    assert_true(foreign_is_stopped(j));
    j->pid = 0; /* it has no process yet */
    assert_false(foreign_is_stopped(j));
}

static void its_job_is_signalled(void **state)
{
    (void)state;
    have_processes();
    assert_int_equal(foreign_signal(j, SIGSTOP, false), 0);
    expect_called("");
    wait_for_state(its_job, 'T');
    assert_int_equal(j->flags, JOB_FOREIGN | JOB_SHOT);
    assert_int_equal(foreign_signal(j, SIGKILL, true), 0);
    expect_called("below 9; ");
    wait_for_state(its_job, 'Z');
    assert_int_equal(foreign_signal(j, SIGKILL, true), 0); /* the rest of it */
    expect_called("below 9; ");
}

/* The template's word does not count. */
static void who_is_no_child_of_it_is_not(void **state)
{
    pid_t told;

    (void)state;
    have_processes();
    told = its_job;
    j->pid = its_template;
    assert_int_equal(foreign_signal(j, SIGKILL, true), -ESRCH);
    j->pid = getpid();
    assert_int_equal(foreign_signal(j, SIGKILL, true), -ESRCH);
    j->pid = 1;
    assert_int_equal(foreign_signal(j, SIGKILL, true), -ESRCH);
    j->pid = told;
    assert_int_equal(kill(its_template, SIGKILL), 0);
    assert_int_equal(waitpid(its_template, NULL, 0), its_template);
    its_template = 0;
    assert_int_equal(foreign_signal(j, SIGKILL, true), -ESRCH);
    assert_false(foreign_is_stopped(j));
    expect_called("");
    assert_int_equal(kill(told, 0), 0);
}

/* The rule for the rest of its group, for when the template goes on. */
static void a_template_is_told_what_is_left(void **state)
{
    (void)state;
    have_processes();
    template_tell_left(j);
    expect_quiet(other_end);
    j->flags |= JOB_LEFT_WAIT;
    template_tell_left(j);
    assert_true(comes(other_end, SPAWN_FROM_BROKER_TO_SPAWNER, SPAWN_M_SIGNAL));
    assert_int_equal(spawn_attr_u64(&got.attr[SPAWN_A_SIGNO]), 0);
    assert_int_equal(spawn_attr_u64(&got.attr[SPAWN_A_KILL_LEFT]),
                     SPAWN_LEFT_WAIT);
    j->template = 0;
    template_tell_left(j);
    expect_quiet(other_end);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin_all, end_all)
    const struct CMUnitTest tests[] = {
        T(a_template_that_is_stopped_is_seen), T(its_job_is_signalled),
        T(who_is_no_child_of_it_is_not), T(a_template_is_told_what_is_left)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_foreign", tests, NULL, NULL);
}
