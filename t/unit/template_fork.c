/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork of the template runner: the child is the subreaper's, or our own;
 * the handlers of the fork have run, in it and in the memory of who forked; the
 * C library and the kernel know the child. The tests run in a process below
 * this one, which is the subreaper.
 */
#include "perl/xs/template/cpu.c"
#include "perl/xs/template/fork.c"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <cmocka.h>

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

/* The wait status of the process below, and that of its child. */
static void run_below(void (*body)(void), int *ret_own, int *ret_child)
{
    int status;
    pid_t below, pid;

    (void)fflush(NULL);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    below = fork();
    assert_true(below >= 0);
    if (below == 0) {
        body();
        _exit(0);
    }
    *ret_own = *ret_child = -1;
    while ((pid = wait(&status)) > 0) {
        if (pid == below)
            *ret_own = status;
        else
            *ret_child = status;
    }
}

static void expect(void (*body)(void), int own, int child)
{
    int own_status, child_status;

    run_below(body, &own_status, &child_status);
    assert_int_equal(own_status, own << 8);
    assert_int_equal(child_status, child);
}

/* As a library would do: its own lock, its own state for each process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int prepared, in_parent, in_child;

static void prepare(void)
{
    if (pthread_mutex_lock(&lock) == 0)
        prepared++;
}

static void after_in_parent(void)
{
    in_parent++;
    (void)pthread_mutex_unlock(&lock);
}

static void after_in_child(void)
{
    in_child++;
    (void)pthread_mutex_unlock(&lock);
}

/* Ends with 7 when all is as it should be. */
static void check_child(pid_t parent)
{
    pthread_mutex_t mutex;
    pthread_mutexattr_t kind;
    pid_t *tid = NULL;
    sigset_t mask;

    if (getppid() != parent)
        _exit(10);
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    if (!sigismember(&mask, SIGTERM) || !sigismember(&mask, SIGUSR1))
        _exit(11);
    /* the library knows the thread */
    if (prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0) == 0 && tid
        && *tid != (pid_t)syscall(SYS_gettid))
        _exit(12);
    (void)pthread_mutexattr_init(&kind);
    (void)pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    (void)pthread_mutex_init(&mutex, &kind);
    if (pthread_mutex_lock(&mutex) != 0 || pthread_mutex_lock(&mutex) != EDEADLK
        || pthread_mutex_unlock(&mutex) != 0)
        _exit(13);
    if (prepared != 1 || in_child != 1 || in_parent != 0
        || pthread_mutex_trylock(&lock) != 0)
        _exit(14);
    _exit(7);
}

static void fork_one(bool away)
{
    pid_t parent = away ? getppid() : getpid();
    sigset_t before, after;
    int status;
    pid_t pid;

    if (pthread_atfork(prepare, after_in_parent, after_in_child) != 0)
        _exit(5);
    (void)sigprocmask(SIG_SETMASK, NULL, &before);
    pid = spawn_template_fork(away);
    if (pid == 0)
        check_child(parent);
    (void)sigprocmask(SIG_SETMASK, NULL, &after);
    if (pid <= 0)
        _exit(1);
    if (away && (waitpid(pid, NULL, 0) != -1 || errno != ECHILD))
        _exit(2);
    if (!away && (waitpid(pid, &status, 0) != pid || status != 7 << 8))
        _exit(2);
    if (sigismember(&before, SIGTERM) != sigismember(&after, SIGTERM))
        _exit(3);
    if (prepared != 1 || in_child != 0 || in_parent != 1
        || pthread_mutex_trylock(&lock) != 0)
        _exit(4);
}

static void fork_away_from_us(void)
{
    fork_one(true);
}

static void fork_of_our_own(void)
{
    fork_one(false);
}

static void handlers_run_and_the_child_is_the_subreapers(void **state)
{
    (void)state;
    expect(fork_away_from_us, 0, 7 << 8);
}

static void handlers_run_in_a_child_of_ours(void **state)
{
    (void)state;
    expect(fork_of_our_own, 0, -1);
}

/* Code that was loaded has made the template itself a subreaper. */
static void fork_as_a_subreaper(void)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    spawn_template_fork_begin();
    fork_one(true);
}

static void a_template_is_no_subreaper(void **state)
{
    (void)state;
    expect(fork_as_a_subreaper, 0, 7 << 8);
}

/* The child is seen on the CPU that it runs on, wherever the template was. */
static void fork_to_another_cpu(void)
{
    cpu_set_t all, one;
    unsigned now;
    int cpu;

    if (sched_getaffinity(0, sizeof(all), &all) < 0)
        _exit(1);
    if (spawn_template_fork(true) != 0)
        return;
    for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof(one), &one) < 0
            || syscall(SYS_getcpu, &now, NULL, NULL) < 0 || now != (unsigned)cpu
            || sched_getcpu() != cpu)
            _exit(20);
    }
    _exit(7);
}

static void the_child_knows_its_cpu(void **state)
{
    (void)state;
    expect(fork_to_another_cpu, 0, 7 << 8);
}

static void fork_and_abort(void)
{
    if (spawn_template_fork(true) == 0)
        abort();
}

static void abort_is_abort(void **state)
{
    int own, child;

    (void)state;
    run_below(fork_and_abort, &own, &child);
    assert_int_equal(own, 0);
    assert_true(WIFSIGNALED(child));
    assert_int_equal(WTERMSIG(child), SIGABRT);
}

/* No process can be made: one limit for all of an account, which root is not
 * bound by. */
static void fork_without_room(void)
{
    const struct rlimit none = {0, 0};

    if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
        _exit(1);
    if (setrlimit(RLIMIT_NPROC, &none) < 0)
        _exit(2);
    if (spawn_template_fork(true) != -EAGAIN)
        _exit(3);
}

static void what_cannot_be_forked_is_told(void **state)
{
    (void)state;
    expect(fork_without_room, 0, -1);
}

/* A handler ends the helper when the child is there: nobody knows of it. */
static void end_it(void)
{
    (void)kill(getpid(), SIGKILL);
}

static void fork_by_a_helper_that_is_killed(void)
{
    pid_t pid;

    if (pthread_atfork(NULL, end_it, NULL) != 0)
        _exit(1);
    pid = spawn_template_fork(true);
    if (pid == 0)
        _exit(8);
    if (pid != -EOWNERDEAD)
        _exit(2);
}

static void what_is_not_known_is_told(void **state)
{
    (void)state;
    expect(fork_by_a_helper_that_is_killed, 0, 8 << 8);
}

/* The template is killed while its helper forks: the child is the subreaper's
 * all the same, when it goes on. */
static void end_the_template(void)
{
    (void)kill(getppid(), SIGKILL);
}

static void fork_by_a_template_that_is_killed(void)
{
    pid_t parent = getppid();

    if (pthread_atfork(NULL, end_the_template, NULL) != 0)
        _exit(1);
    if (spawn_template_fork(true) == 0)
        _exit(getppid() == parent ? 9 : 10);
}

static void a_killed_template_leaves_a_child_of_the_subreaper(void **state)
{
    int status, seen = 0, killed = 0;
    pid_t below;

    (void)state;
    (void)fflush(NULL);
    below = fork();
    if (below == 0) {
        fork_by_a_template_that_is_killed();
        _exit(0);
    }
    while (wait(&status) > 0) { /* the template, the helper, the child */
        seen += status == 9 << 8;
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    assert_int_equal(seen, 1);
    assert_int_equal(killed, 1);
}

/* ---- some at once ---- */

static void fork_some(bool away)
{
    pid_t parent = away ? getppid() : getpid(), pids[3];
    int which = spawn_template_fork_some(away, 3, pids);

    if (which >= 0)
        _exit(getppid() == parent ? 20 + which : 19);
    if (pids[0] <= 0 || pids[1] <= 0 || pids[2] <= 0 || pids[0] == pids[1]
        || pids[1] == pids[2] || pids[0] == pids[2])
        _exit(1);
}

/* Which children have ended, a bit for each. */
static int bits_of_children(void)
{
    int status, bits = 0;

    while (wait(&status) > 0) {
        if (WEXITSTATUS(status) >= 19)
            bits |= 1 << (WEXITSTATUS(status) - 19);
    }
    return bits;
}

static pid_t below_forks_some(bool away)
{
    pid_t below;

    (void)fflush(NULL);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    below = fork();
    assert_true(below >= 0);
    if (below == 0) {
        fork_some(away);
        _exit(bits_of_children());
    }
    return below;
}

static void each_knows_which_it_is(void **state)
{
    int status;

    (void)state;
    (void)below_forks_some(true);
    assert_int_equal(bits_of_children(), 14);
    assert_true(waitpid(below_forks_some(false), &status, 0) > 0);
    assert_int_equal(WEXITSTATUS(status), 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_run_and_the_child_is_the_subreapers),
        cmocka_unit_test(handlers_run_in_a_child_of_ours),
        cmocka_unit_test(a_template_is_no_subreaper),
        cmocka_unit_test(the_child_knows_its_cpu),
        cmocka_unit_test(abort_is_abort),
        cmocka_unit_test(what_cannot_be_forked_is_told),
        cmocka_unit_test(what_is_not_known_is_told),
        cmocka_unit_test(a_killed_template_leaves_a_child_of_the_subreaper),
        cmocka_unit_test(each_knows_which_it_is)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
