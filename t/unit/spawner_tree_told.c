/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's look for the processes of a job outside of its group: which
 * processes it asks for, and its messages about those that were found. The look
 * is played.
 */
#define PART_HAS_TREE
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include "common/spawn_tree.h"

static spawn_tree_found look_found; /* at the next look */
static int look_error;              /* of it; negative */
static pid_t is_left;
static spawn_tree asked; /* the last time */

static int play_signal(const spawn_tree *tree, int signo, spawn_tree_found *ret)
{
    note("signal %d", signo);
    asked = *tree;
    *ret = look_found;
    return look_error;
}

static pid_t play_left(const spawn_tree *tree)
{
    note("left?");
    asked = *tree;
    return is_left;
}

static uid_t listed; /* the one account of jobs; 0: none is */

bool accounts_has(uid_t uid)
{
    return listed && uid == listed;
}

#define spawn_tree_signal play_signal
#define spawn_tree_left   play_left
#include "spawner/table.c"
#include "spawner/tree.c"

static job *have(uint8_t n, pid_t pid, unsigned flags)
{
    const spawn_id id = {{n, 1}};
    job *j = table_add(&id);

    assert_non_null(j);
    table_set_pid(j, pid);
    j->flags = (uint16_t)flags;
    return j;
}

static int start(void **state)
{
    (void)state;
    no_state();
    memset(&look_found, 0, sizeof(look_found));
    look_error = 0;
    is_left = 0;
    listed = 0;
    spawner.broker_pid = 4000;
    read_log();
    return table_init();
}

static void all_of_a_job_are_asked_for(void **state)
{
    job *j = have(1, 5000, 0), *other = have(2, 5001, 0);

    (void)state;
    j->attempt = 3;
    tree_signal(j, SIGTERM);
    expect_called("signal 15; ");
    assert_int_equal(asked.mark, spawn_tree_mark(&j->id, 3));
    assert_int_equal(asked.group, 5000);
    assert_true(asked.leads);
    assert_true(asked.remembers);
    assert_true(asked.is_other(5000));
    assert_true(asked.is_other(5001));
    assert_true(asked.is_other(4000));
    assert_false(asked.is_other(5002));
    table_drop_pid(j); /* it is reaped */
    assert_int_equal(tree_left(j), 0);
    expect_called("left?; ");
    assert_int_equal(asked.mark, spawn_tree_mark(&j->id, 3));
    assert_int_equal(asked.group, 5000);
    assert_false(asked.leads);
    is_left = 77;
    assert_int_equal(tree_left(other), 77);
    assert_int_equal(asked.group, 5001);
    expect_no_line();
}

static void a_stranger_has_the_account_of_other_jobs(void **state)
{
    job *j = have(1, 5000, 0);

    (void)state;
    j->uid = 61001;
    (void)tree_left(j);
    assert_false(asked.is_stranger(61001));
    assert_false(asked.is_stranger(61002));
    listed = 61002;
    assert_false(asked.is_stranger(61001));
    assert_true(asked.is_stranger(61002));
    assert_false(asked.is_stranger(0)); /* a set-uid program of the job */
    listed = 61001;
    assert_false(asked.is_stranger(61001));
    listed = 61002;
    j->uid = 0; /* an older release did not note it */
    tree_signal(j, SIGTERM);
    assert_false(asked.is_stranger(61002));
}

static void templates_and_what_they_reap_are_left_alone(void **state)
{
    job *j = have(1, 5000, JOB_IS_TEMPLATE), *foreign = have(2, 0, JOB_FOREIGN);

    (void)state;
    tree_signal(j, SIGKILL);
    tree_signal(foreign, SIGTERM);
    expect_called("");
    foreign->cgroup = 1;
    tree_signal(foreign, SIGTERM);
    expect_called("");
    tree_signal(foreign, SIGKILL);
    expect_called("its directory is ended; ");
}

static void what_was_not_reached_is_told(void **state)
{
    char line[256], text[SPAWN_ID_TEXT];
    job *j = have(1, 5000, 0);

    (void)state;
    tree_signal(j, SIGTERM);
    expect_no_line();
    look_found.unreached = 1;
    look_found.example = 6000;
    look_found.error = EPERM;
    tree_signal(j, SIGTERM);
    (void)snprintf(line, sizeof(line),
                   "MS0380: 1 processes of job %s that have left its process "
                   "group cannot be ended, as process 6000: Operation not "
                   "permitted",
                   spawn_id_format(&j->id, text));
    expect_logged(line);
    look_found.unreached = 0;
    look_found.cut = true;
    tree_signal(j, SIGTERM);
    (void)snprintf(line, sizeof(line),
                   "MS0381: job %s has more than 512 processes outside of its "
                   "process group; the others are not ended",
                   text);
    expect_logged(line);
}

static void a_look_that_fails_is_told(void **state)
{
    char line[256], text[SPAWN_ID_TEXT];
    job *j = have(1, 5000, 0);

    (void)state;
    (void)snprintf(line, sizeof(line),
                   "MS0383: the processes of job %s that have left its process "
                   "group cannot all be looked for: Too many open files",
                   spawn_id_format(&j->id, text));
    look_error = -EMFILE;
    tree_signal(j, SIGTERM);
    expect_logged(line);
    is_left = -EMFILE;
    assert_int_equal(tree_left(j), 0);
    expect_logged(line);
    look_error = is_left = -EOPNOTSUPP; /* which is told once */
    tree_signal(j, SIGTERM);
    expect_logged("MS0382: this kernel does not list the children of "
                  "processes");
    tree_signal(j, SIGTERM);
    assert_int_equal(tree_left(j), 0);
    expect_no_line();
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_of_a_job_are_asked_for),
        T(a_stranger_has_the_account_of_other_jobs),
        T(templates_and_what_they_reap_are_left_alone),
        T(what_was_not_reached_is_told),
        T(a_look_that_fails_is_told),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_tree_told", tests, NULL, NULL);
}
