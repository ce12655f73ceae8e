/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a job that have left its group, as the parent of jobs finds
 * them: by the job's mark, which each of them has, and by its session. How
 * often /proc is read for it, what is told when it cannot be read, and that a
 * process of another account does not pass for the job's.
 */
#include "t/unit/tree_play.h"

#include <pthread.h>

/* ---- by the mark ---- */

static void a_mark_is_of_one_attempt(void **state)
{
    spawn_id other = job_id;
    unsigned i;

    (void)state;
    /* two releases, and templates, have the same one */
    assert_int_equal(tree_mark(&job_id, 0), UINT64_C(0x400a0b0000000000));
    assert_int_equal(tree_mark(&job_id, 3), UINT64_C(0x400a0b0000000003));
    for (i = 0; i < 256; i++) {
        assert_true(tree_mark(&job_id, i) >= UINT64_C(1) << 62);
        assert_true(tree_mark(&job_id, i) < UINT64_C(1) << 63);
        assert_int_equal(tree_mark(&job_id, i) == tree_mark(&job_id, 0),
                         i == 0);
    }
    for (i = 8; i < SPAWN_ID_SIZE; i++) {
        other = job_id;
        other.bytes[i] ^= 1;
        assert_true(tree_mark(&other, 0) != tree_mark(&job_id, 0));
    }
    assert_false(tree_has_mark(getpid(), tree.mark));
    assert_false(tree_has_mark(0, tree.mark));
}

static void one_that_lives_outside_of_the_group_is_left(void **state)
{
    pid_t pid, other;

    (void)state;
    left_is(0);
    other = child_of(tree.mark + 1, 0);
    left_is(0);
    pid = child_of(tree.mark, 0);
    assert_true(tree_has_mark(pid, tree.mark));
    assert_false(tree_has_mark(pid, tree.mark + 1));
    left_is(pid);
    reaches(1);
    another = pid;
    left_is(0);
    reaches(0);
    another = 0;
    tree.group = pid; /* as its own leader it is the group */
    left_is(0);
    reaches(0);
    tree.group = 1;
    assert_int_equal(kill(pid, SIGKILL), 0);
    wait_for_end(pid);
    left_is(0);
    reaches(0);
    end(pid);
    left_is(0);
    end(other);
}

static void *go_on(void *arg)
{
    for (;;)
        (void)pause();
    return arg;
}

/* The kernel shows it as one that has ended, but for the count of its threads.
 */
static void one_that_has_lost_its_first_thread_is_left(void **state)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    pthread_t thread;
    shown is = {0};
    pid_t pid;

    (void)state;
    open_ready();
    pid = fork();
    if (pid == 0) {
        set_mark(getpid(), tree.mark);
        (void)setsid();
        if (pthread_create(&thread, NULL, go_on, NULL) != 0)
            _exit(3);
        say('y');
        pthread_exit(NULL);
    }
    hear();
    while (is.state != 'Z') {
        assert_int_equal(look_at(pid, &is), 0);
        assert_true(spawn_mono_ms() < deadline);
    }
    left_is(pid);
    reaches(1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    wait_for_end(pid);
    left_is(0);
    reaches(0);
}

static void one_is_enough(void **state)
{
    pid_t first;
    unsigned i;

    (void)state;
    first = child_of(tree.mark, 0);
    for (i = 0; i < 4; i++)
        (void)child_of(tree.mark, 0);
    left_is(first);
    assert_int_equal(reads, 1);
    tree.remembers = false;
    left_is(first);
    assert_int_equal(reads, 2);
    reaches(5);
}

/* Which saves a file of /proc for each that any job has left, at each end. */
static void what_was_read_is_remembered(void **state)
{
    pid_t pid;
    unsigned i;

    (void)state;
    for (i = 0; i < 5; i++)
        (void)child_of(tree.mark + 1 + i, 0);
    left_is(0);
    assert_int_equal(reads, 5);
    left_is(0);
    reaches(0);
    tree.mark += 3;
    reaches(1);
    assert_int_equal(reads, 5);
    tree.mark -= 3;
    pid = child_of(tree.mark, 0);
    left_is(pid);
    assert_int_equal(reads, 6);
    /* it cannot hide any more, */
    set_mark(pid, tree.mark + 100);
    left_is(pid);
    assert_int_equal(reads, 6);
    /* and its number can be that of another one when it is reaped */
    tree_reaped(pid + REMEMBERED);
    left_is(pid);
    assert_int_equal(reads, 6);
    tree_reaped(pid);
    left_is(0);
    assert_int_equal(reads, 7);
}

static void nothing_is_remembered_for_who_does_not_tell(void **state)
{
    pid_t pid;

    (void)state;
    tree.remembers = false;
    pid = child_of(tree.mark, 0);
    left_is(pid);
    set_mark(pid, tree.mark + 1);
    left_is(0);
    assert_int_equal(reads, 2);
    tree.remembers = true;
    set_mark(pid, tree.mark);
    left_is(pid);
    assert_int_equal(reads, 3);
}

/* ---- by the session ---- */

static void a_session_counts_while_its_leader_lives(void **state)
{
    pid_t leader, pid;

    (void)state;
    pid = child_in_session(&leader);
    wait_for_parent(pid);
    tree.group = leader;
    left_is(0);
    reaches(0);
    tree.leads = true;
    left_is(pid);
    reaches(1);
    reaches(1);
    assert_int_equal(reads, 1);
    tree.group = 1;
    left_is(0);
}

/* The number of the session can be another one's then. */
static void who_has_left_the_session_is_not_of_it(void **state)
{
    pid_t leader, pid;

    (void)state;
    pid = child_in_session(&leader);
    wait_for_parent(pid);
    tree.group = leader;
    tree.leads = true;
    left_is(pid);
    assert_int_equal(kill(pid, SIGUSR1), 0);
    hear();
    left_is(0);
    reaches(0);
}

/* ---- strangers ---- */

static void a_stranger_with_the_mark_is_not_the_jobs(void **state)
{
    uid_t uid = geteuid() == 0 ? NOBODY : getuid();
    pid_t pid;

    (void)state;
    pid = child_of(tree.mark, uid);
    left_is(pid);
    strange = uid;
    left_is(0);
    reaches(0);
    strange = uid + 1;
    left_is(pid);
    reaches(1);
    strange = uid;
    tree.is_stranger = NULL;
    left_is(pid);
}

/* ---- what cannot be read ---- */

static void a_kernel_that_lists_no_children_is_told(void **state)
{
    spawn_tree_found found;

    (void)state;
    (void)child_of(tree.mark, 0);
    lists_none = true;
    assert_int_equal(tree_left(&tree), -EOPNOTSUPP);
    assert_int_equal(tree_signal(&tree, SIGCONT, &found), -EOPNOTSUPP);
    assert_int_equal(found.signalled, 0);
}

/* Nothing that was not read is taken for something. */
static void without_descriptors_that_is_told(void **state)
{
    spawn_tree_found found;
    unsigned i;
    pid_t pid;

    (void)state;
    pid = child_of(tree.mark, 0);
    runs_out = true;
    for (i = 0; i < 4; i++) {
        opens_left = i;
        if (i < 3)
            assert_int_equal(tree_left(&tree), -EMFILE);
        opens_left = i;
        assert_int_equal(tree_signal(&tree, SIGCONT, &found), -EMFILE);
        assert_int_equal(found.signalled, 0);
    }
    runs_out = false;
    left_is(pid);
    reaches(1);
}

static void what_was_not_read_is_not_remembered(void **state)
{
    spawn_tree_found found;
    pid_t pid;

    (void)state;
    pid = child_of(tree.mark, 0);
    no_marks = ENFILE;
    assert_int_equal(tree_left(&tree), -ENFILE);
    assert_int_equal(tree_signal(&tree, SIGCONT, &found), -ENFILE);
    no_marks = ENOENT; /* as of one that has gone meanwhile */
    left_is(0);
    reaches(0);
    no_marks = 0;
    left_is(pid);
    reaches(1);
}

static int without_any(void)
{
    struct rlimit limit = {64, 64};
    spawn_tree_found found;

    IS(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (dup(0) >= 0)
        continue;
    IS(tree_left(&tree) == -EMFILE);
    IS(tree_signal(&tree, SIGKILL, &found) == -EMFILE);
    return 0;
}

static void nor_a_directory_can_be_read_then(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(without_any);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_mark_is_of_one_attempt),
        T(one_that_lives_outside_of_the_group_is_left),
        T(one_that_has_lost_its_first_thread_is_left),
        T(one_is_enough),
        T(what_was_read_is_remembered),
        T(nothing_is_remembered_for_who_does_not_tell),
        T(a_session_counts_while_its_leader_lives),
        T(who_has_left_the_session_is_not_of_it),
        T(a_stranger_with_the_mark_is_not_the_jobs),
        T(a_kernel_that_lists_no_children_is_told),
        T(without_descriptors_that_is_told),
        T(what_was_not_read_is_not_remembered),
        T(nor_a_directory_can_be_read_then),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
