/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forked program whose limits are those of a cgroup (spawner/launch.c,
 * child.c): it does nothing before it is in there, and where it cannot be put
 * there it never executes, which is told with its step.
 */
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include <sys/wait.h>

#include "common/spawn_field.h"
#include "common/spawn_raw.h"
#include "spawner/template_note.h"

static int enter_error;
static pid_t entered;

int cgroup_enter(job *j, pid_t pid)
{
    siginfo_t info = {0};

    entered = pid;
    /* it waits, so it has not executed and ended yet */
    assert_int_equal(
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    assert_int_equal(info.si_pid, 0);
    j->in_cgroup = enter_error == 0;
    return enter_error;
}

pid_t clone_job(job *j, const child_order *o, const spawn_packet *p,
                bool watched)
{
    (void)j;
    (void)o;
    (void)p;
    (void)watched;
    return 0; /* it has to be forked */
}

static bool joins;

pid_t clone_fork(const child_order *o)
{
    *o->joined = joins;
    return fork();
}

spawn_step allowed_exec(const spawn_attr *list, char **argv, char **envp,
                        int *ret_error)
{
    (void)list;
    return spawn_child_exec(argv, envp, ret_error);
}

/* ---- of orders, which are not read here ---- */

const spawn_identity *accounts_of(const spawn_message *order)
{
    (void)order;
    return NULL;
}

const spawn_attr *allowed_list(const spawn_message *order)
{
    (void)order;
    return NULL;
}

int cgroup_make(job *j, const spawn_message *order, int *ret)
{
    (void)j;
    (void)order;
    *ret = -1;
    return 0;
}

void job_failed(job *j, spawn_step step, int error)
{
    (void)j;
    note("failed %s %d", spawn_step_name(step), error);
}

template_note *template_note_make(const job *template, const char *name)
{
    (void)template;
    (void)name;
    return NULL;
}

void template_note_account(template_note *n, const spawn_identity *as)
{
    (void)n;
    (void)as;
}

int template_order(job *j, const spawn_id *template_id, const spawn_packet *p)
{
    (void)j;
    (void)template_id;
    (void)p;
    return -ESRCH;
}

void template_watch(const job *template)
{
    (void)template;
}

#include "spawner/table.c"
#include "spawner/child.c"
#include "spawner/launch.c"

static spawn_writer w;
static spawn_message m;
static spawn_packet packet;
static const spawn_identity same_account = {.groups_count = -1};

static int start(void **state)
{
    const spawn_id id = {{1}};
    size_t mark;

    (void)state;
    no_state();
    enter_error = 0;
    entered = 0;
    joins = false;
    spawn_writer_init(&w, 4096);
    spawn_writer_begin(&w, SPAWN_M_LAUNCH, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length,
                                         SPAWN_FROM_BROKER_TO_SPAWNER, 0, &m,
                                         NULL),
                     0);
    return table_init();
}

static int stop(void **state)
{
    (void)state;
    spawn_writer_free(&w);
    return 0;
}

/* Begin it; how it ended, and what came through its start pipe. */
static int run_one(bool limited, int32_t *what, ssize_t *n)
{
    const spawn_id id = {{2}};
    bool joined = false;
    child_order child = {.order = &m,
                         .as = &same_account,
                         .link = -1,
                         .cgroup = -1,
                         .joined = &joined,
                         .gate = {-1, -1}};
    unsigned files = open_count();
    int ends[2], status = -1;
    job *j = table_add(&id);

    j->limited = limited;
    j->cgroup = 1;
    j->pid = begin_process(j, &child, &packet, ends);
    assert_true(j->pid > 0);
    enter_cgroup(j, &child);
    (void)close(ends[1]);
    assert_int_equal(waitpid(j->pid, &status, 0), j->pid);
    *n = read(ends[0], what, 2 * sizeof(*what));
    (void)close(ends[0]);
    assert_int_equal(open_count(), files);
    return status;
}

static void it_executes_when_it_is_there(void **state)
{
    int32_t what[2];
    ssize_t n;

    (void)state;
    assert_int_equal(run_one(true, what, &n), 0);
    assert_int_equal(n, 0);
    assert_true(entered > 0);
}

static void it_does_not_execute_elsewhere(void **state)
{
    int32_t what[2] = {0, 0};
    ssize_t n;

    (void)state;
    enter_error = -EBUSY;
    assert_int_equal(run_one(true, what, &n), 127 << 8);
    assert_int_equal(n, sizeof(what));
    assert_int_equal(what[0], SPAWN_STEP_CGROUP);
    assert_int_equal(what[1], EBUSY);
}

static void one_that_began_there_waits_for_nothing_else(void **state)
{
    int32_t what[2];
    ssize_t n;

    (void)state;
    joins = true;
    assert_int_equal(run_one(true, what, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(entered, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_executes_when_it_is_there),
        T(it_does_not_execute_elsewhere),
        T(one_that_began_there_waits_for_nothing_else),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_gate", tests, NULL, NULL);
}
