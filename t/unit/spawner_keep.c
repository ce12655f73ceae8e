/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that are kept for the next broker (spawner/launch.c): those of
 * the roles that there are, and none behind them, whatever stands there. A
 * template takes the orders, and no process is begun.
 */
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include "spawner/table.c"
#include "spawner/launch.c"

/* ---- what is played ---- */

/* The time is what it is in every second hour: its lower half is below 0. */
int template_order(job *j, const spawn_id *template_id,
                   const spawn_packet *packet)
{
    (void)template_id;
    (void)packet;
    j->mono_us = -1;
    return 0;
}

int cgroup_make(job *j, const spawn_message *order, int *ret)
{
    (void)j;
    (void)order;
    *ret = -1;
    return 0;
}

int cgroup_enter(job *j, pid_t pid)
{
    (void)j;
    (void)pid;
    return 0;
}

void job_failed(job *j, spawn_step step, int error)
{
    (void)j;
    note("failed %s %d", spawn_step_name(step), error);
}

const spawn_identity *accounts_of(const spawn_message *order)
{
    (void)order;
    return &spawner.job_as;
}

const spawn_attr *allowed_list(const spawn_message *order)
{
    (void)order;
    return NULL;
}

pid_t clone_job(job *j, const child_order *order, const spawn_packet *packet,
                bool watched)
{
    (void)j;
    (void)order;
    (void)packet;
    (void)watched;
    errno = EAGAIN;
    return -1;
}

pid_t clone_fork(const child_order *order)
{
    (void)order;
    errno = EAGAIN;
    return -1;
}

void child_run(const child_order *order)
{
    (void)order;
    _exit(0);
}

template_note *template_note_make(const job *template, const char *text)
{
    (void)template;
    (void)text;
    return NULL;
}

void template_note_account(template_note *n, const spawn_identity *as)
{
    (void)n;
    (void)as;
}

void template_watch(const job *template)
{
    (void)template;
}

/* ---- the test ---- */

static void no_role_is_behind_the_last(void **state)
{
    const uint64_t pairs[] = {0, SPAWN_KEEP_MAX, 1, SPAWN_KEEP_MAX + 1};
    const spawn_id id = {{9, 1}}, template = {{1, 1}};
    int link[2], fds[2];
    spawn_writer w;
    job *j;

    (void)state;
    no_state();
    assert_int_equal(table_init(), 0);
    make_pair(link);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &template);
    spawn_close(&w, spawn_open_strv(&w, SPAWN_A_ARGV));
    spawn_close(&w, spawn_open_strv(&w, SPAWN_A_ENV));
    spawn_put_u64v(&w, SPAWN_A_KEEP, pairs, 4);
    send_on(link[0], &w, fds, 2);
    assert_true(comes(link[1], SPAWN_FROM_BROKER_TO_SPAWNER, SPAWN_M_LAUNCH));
    launch_job(&got, &part_packet);
    expect_called("");
    j = table_by_id(&id);
    assert_non_null(j);
    assert_true(is_same_file(j->keep[SPAWN_KEEP_MAX - 1], fds[0]));
    assert_int_equal(j->mono_us, -1);
    table_close_kept(j);
    table_remove(j);
    spawn_close_fds(link, 2);
    spawn_close_fds(fds, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_role_is_behind_the_last),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_keep", tests, NULL, NULL);
}
