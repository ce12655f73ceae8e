/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork of the template runner: the child is our parent's, and the C
 * library in it knows its thread, whichever way its place was found. The tests
 * run in a process below this one, whose children then are ours.
 */
#include "../../perl/xs/template/clone.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* What the children of the process below ended with, and its own end. */
static void run_below(void (*body)(void), int *ret_own, int *ret_child)
{
    int status;
    pid_t below, pid;

    (void)fflush(NULL);
    below = fork();
    assert_true(below >= 0);
    if (below == 0) {
        body();
        _exit(0);
    }
    *ret_child = -1;
    do {
        pid = wait(&status);
        assert_true(pid > 0);
        if (pid != below)
            *ret_child = status;
    } while (pid != below);
    *ret_own = status;
    while ((pid = wait(&status)) > 0)
        *ret_child = status;
}

/* Ends with 7 when all is as it should be. */
static void check_child(pid_t grandparent)
{
    pthread_mutex_t mutex;
    pthread_mutexattr_t kind;
    sigset_t mask;

    if (getppid() != grandparent)
        _exit(10);
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    if (!sigismember(&mask, SIGTERM) || !sigismember(&mask, SIGUSR1))
        _exit(11);
    if (tid_address && *tid_address != (pid_t)syscall(SYS_gettid))
        _exit(12);
    /* a lock that knows its owner */
    (void)pthread_mutexattr_init(&kind);
    (void)pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    (void)pthread_mutex_init(&mutex, &kind);
    if (pthread_mutex_lock(&mutex) != 0 || pthread_mutex_lock(&mutex) != EDEADLK
        || pthread_mutex_unlock(&mutex) != 0)
        _exit(13);
    _exit(7);
}

static void clone_one(void)
{
    pid_t grandparent = getppid();
    sigset_t before, after;
    pid_t pid;

    (void)sigprocmask(SIG_SETMASK, NULL, &before);
    pid = spawn_template_clone(true);
    if (pid == 0)
        check_child(grandparent);
    (void)sigprocmask(SIG_SETMASK, NULL, &after);
    if (pid < 0)
        _exit(1);
    if (waitpid(pid, NULL, 0) != -1 || errno != ECHILD)
        _exit(2);
    if (sigismember(&before, SIGTERM) != sigismember(&after, SIGTERM))
        _exit(3);
}

static void expect(void (*body)(void), int own, int child)
{
    int own_status, child_status;

    run_below(body, &own_status, &child_status);
    assert_int_equal(WEXITSTATUS(own_status), own);
    assert_int_equal(child_status, child);
}

static void child_is_the_parents(void **state)
{
    (void)state;
    expect(clone_one, 0, 7 << 8);
}

static void clone_by_looking(void)
{
    tid_looked_for = true;
    tid_address = address_by_looking();
    if (!tid_address)
        _exit(4);
    clone_one();
}

static void place_is_found_without_the_kernel(void **state)
{
    (void)state;
    expect(clone_by_looking, 0, 7 << 8);
}

static void compare(void)
{
    pid_t *told = address_of_kernel();

    if (told && told != address_by_looking())
        _exit(5);
}

static void both_ways_find_the_same(void **state)
{
    (void)state;
    expect(compare, 0, -1);
}

static void clone_without(void)
{
    tid_looked_for = true;
    tid_address = NULL;
    if (spawn_template_clone(true) == 0)
        abort();
}

static void without_a_place_it_still_forks(void **state)
{
    int own, child;

    (void)state;
    run_below(clone_without, &own, &child);
    assert_int_equal(own, 0);
    assert_true(WIFSIGNALED(child));
    assert_int_equal(WTERMSIG(child), SIGABRT);
}

static void clone_and_abort(void)
{
    if (spawn_template_clone(true) == 0)
        abort();
}

static void abort_is_abort(void **state)
{
    int own, child;

    (void)state;
    run_below(clone_and_abort, &own, &child);
    assert_true(WIFSIGNALED(child));
    assert_int_equal(WTERMSIG(child), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_is_the_parents),
        cmocka_unit_test(place_is_found_without_the_kernel),
        cmocka_unit_test(both_ways_find_the_same),
        cmocka_unit_test(without_a_place_it_still_forks),
        cmocka_unit_test(abort_is_abort)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
