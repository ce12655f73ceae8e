/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descendants of the processes of a job that have left its group: their
 * children, of all their threads, are found and reached, so many of them, and
 * no other process that has the number of one by now.
 */
#include "t/unit/tree_play.h"

#include <pthread.h>

static void what_is_below_is_reached(void **state)
{
    unsigned before = open_count();
    pid_t line[4];

    (void)state;
    line_of(1, tree.mark, RLIM_INFINITY, line);
    reaches(2);
    left_is(line[0]);
    line_of(3, tree.mark, tree.mark, line);
    reaches(6);
    assert_int_equal(open_count(), before);
}

/* Also while it has not ended: it is not reached itself, which is signalled as
 * its group. */
static void what_is_below_the_jobs_process_is_reached(void **state)
{
    pid_t line[3];

    (void)state;
    line_of(2, RLIM_INFINITY, RLIM_INFINITY, line);
    tree.group = line[0];
    reaches(0);
    tree.leads = true;
    reaches(1); /* the last one has no mark, and a parent that can be reaped */
    left_is(0);
    tree.leads = false;
    set_mark(line[1], tree.mark);
    reaches(0);
    tree.leads = true;
    set_mark(line[2], tree.mark);
    reaches(2);
}

static void the_jobs_own_process_is_not_outside(void **state)
{
    pid_t leader, pid = child_in_session(&leader);

    (void)state;
    wait_for_parent(pid);
    set_mark(pid, tree.mark);
    left_is(pid);
    tree.group = pid; /* of another group, as it does not make one */
    left_is(0);
    reaches(0);
    end(leader);
}

/* With its number, which may be another one's by now. */
static void who_is_no_child_is_looked_at_again(void **state)
{
    unsigned before = open_count();
    pid_t line[3], gone;

    (void)state;
    line_of(2, RLIM_INFINITY, RLIM_INFINITY, line);
    gone = child_of(0, 0);
    end(gone);
    /* its parent is our child, and cannot have lost its number; */
    assert_int_equal(send_by_pidfd(&tree, line[1], line[0], SIGCONT), 0);
    /* that is not its parent, */
    assert_int_equal(send_by_pidfd(&tree, line[2], line[0], SIGCONT), -ESRCH);
    assert_int_equal(send_by_pidfd(&tree, line[1], gone, SIGCONT), -ESRCH);
    /* that one may have, */
    assert_int_equal(send_by_pidfd(&tree, line[2], line[1], SIGCONT), -ESRCH);
    /* but not the job's process before it is reaped; */
    tree.group = line[1];
    assert_int_equal(send_by_pidfd(&tree, line[2], line[1], SIGCONT), -ESRCH);
    tree.leads = true;
    assert_int_equal(send_by_pidfd(&tree, line[2], line[1], SIGCONT), 0);
    tree.leads = false;
    tree.group = 1;
    /* and the mark says it, too */
    set_mark(line[2], tree.mark);
    assert_int_equal(send_by_pidfd(&tree, line[2], line[0], SIGCONT), 0);
    assert_int_equal(send_by_pidfd(&tree, gone, line[0], SIGCONT), -ESRCH);
    assert_int_equal(send_by_pidfd(&tree, line[2], line[0], 12345), -EINVAL);
    assert_int_equal(open_count(), before);
}

static void *make_one(void *arg)
{
    pid_t unused;

    line_of(0, RLIM_INFINITY, RLIM_INFINITY, &unused);
    say('y');
    for (;;)
        (void)pause();
    return arg;
}

/* A process may have its children by any of its threads. */
static void children_of_all_threads_are_found(void **state)
{
    pthread_t thread;
    pid_t pid, unused;

    (void)state;
    open_ready();
    pid = fork();
    if (pid == 0) {
        set_mark(getpid(), tree.mark);
        (void)setsid();
        line_of(0, RLIM_INFINITY, RLIM_INFINITY, &unused);
        if (pthread_create(&thread, NULL, make_one, NULL) != 0)
            _exit(3);
        for (;;)
            (void)pause();
    }
    hear();
    reaches(3);
    left_is(pid);
}

/* A read may end within a number. */
static void a_list_that_comes_in_pieces_is_read_whole(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < 5; i++)
        (void)child_of(tree.mark, 0);
    for (piece = 1; piece < 20; piece++)
        reaches(5);
}

static void so_many_are_found_and_no_more(void **state)
{
    spawn_tree_found found;
    pid_t line[2], spare[2];
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        spare[i] = one_more(tree.mark + 1, 0);
        LEAVE_OUT_IF(spare[i] < 0, "too few processes");
    }
    for (i = 0; i < SPAWN_TREE_MOST - 1; i++)
        LEAVE_OUT_IF(one_more(tree.mark, 0) < 0, "too few processes");
    end(spare[0]);
    line_of(0, tree.mark, 0, line);
    reaches(SPAWN_TREE_MOST);
    end(spare[1]);
    line_of(0, tree.mark, 0, line);
    assert_int_equal(tree_signal(&tree, SIGCONT, &found), 0);
    assert_true(found.cut);
    assert_int_equal(found.signalled, SPAWN_TREE_MOST);
}

/* Of those that are killed more may come. */
static void kill_is_sent_until_none_comes(void **state)
{
    spawn_tree_found found;
    pid_t line[5];
    unsigned i;

    (void)state;
    line_of(4, tree.mark, tree.mark, line);
    assert_int_equal(tree_signal(&tree, SIGKILL, &found), 0);
    assert_int_equal(found.signalled, 5);
    for (i = 0; i < 5; i++)
        assert_int_equal(waitpid(line[i], NULL, 0), line[i]);
    reaches(0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_below_is_reached),
        T(what_is_below_the_jobs_process_is_reached),
        T(the_jobs_own_process_is_not_outside),
        T(who_is_no_child_is_looked_at_again),
        T(children_of_all_threads_are_found),
        T(a_list_that_comes_in_pieces_is_read_whole),
        T(so_many_are_found_and_no_more),
        T(kill_is_sent_until_none_comes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("tree_below", tests, NULL, NULL);
}
