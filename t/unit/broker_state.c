/* SPDX-License-Identifier: Apache-2.0 */
/* A job's life: each event in each state leads where the table says, with the
 * counts of its queue; what cannot happen ends the process by SIGABRT. Links
 * the rooms base and job of the broker only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"

enum {
    NONE,
    QUEUED,
    STARTING,
    RUNNING,
    DONE,
    STATES,
    NEVER = -1
};

static const struct {
    spawn_job_event event;
    int next[STATES];
} wanted[] = {
    /* in state: NONE, QUEUED, STARTING, RUNNING, DONE */
    {SPAWN_JOB_SUBMITTED, {QUEUED, NEVER, NEVER, NEVER, NEVER}},
    {SPAWN_JOB_ORDERED, {NEVER, STARTING, NEVER, NEVER, NEVER}},
    {SPAWN_JOB_BEGAN, {NEVER, NEVER, RUNNING, NEVER, NEVER}},
    {SPAWN_JOB_FOUND_STARTING, {STARTING, NEVER, NEVER, NEVER, NEVER}},
    {SPAWN_JOB_FOUND_RUNNING, {RUNNING, NEVER, RUNNING, RUNNING, NEVER}},
    {SPAWN_JOB_CAME_BACK, {QUEUED, NEVER, QUEUED, QUEUED, QUEUED}},
    {SPAWN_JOB_ENDED, {DONE, DONE, DONE, DONE, NEVER}},
    {SPAWN_JOB_RETRIED, {NEVER, NEVER, NEVER, NEVER, QUEUED}},
    {SPAWN_JOB_UNDONE, {NEVER, NONE, NONE, NEVER, NONE}},
};
#define EVENTS (sizeof(wanted) / sizeof(wanted[0]))

/* How a job gets into each state. */
static const int way_to[STATES][3] = {
    [NONE] = {-1},
    [QUEUED] = {SPAWN_JOB_SUBMITTED, -1},
    [STARTING] = {SPAWN_JOB_SUBMITTED, SPAWN_JOB_ORDERED, -1},
    [RUNNING] = {SPAWN_JOB_FOUND_RUNNING, -1},
    [DONE] = {SPAWN_JOB_ENDED, -1},
};

static spawn_job *job_in(int state)
{
    static uint8_t number;
    spawn_id id = {{0}};
    spawn_job *job;
    int i;

    id.bytes[15] = ++number;
    job = spawn_job_new(NULL, &id);
    spawn_queue_join(job, "q");
    for (i = 0; i < 3 && way_to[state][i] >= 0; i++)
        spawn_job_on(job, (spawn_job_event)way_to[state][i]);
    assert_int_equal(job->state, state);
    return job;
}

static void free_job(spawn_job *job)
{
    if (job->state == QUEUED)
        spawn_job_on(job, SPAWN_JOB_UNDONE);
    else if (job->state != NONE && job->state != DONE)
        spawn_job_on(job, SPAWN_JOB_ENDED);
    spawn_queue_leave(job);
    spawn_job_free(job);
}

static void expect_counts(const spawn_job *job)
{
    const spawn_queue *q = job->queue;

    assert_int_equal(q->queued, job->state == QUEUED);
    assert_int_equal(q->busy, job->state == STARTING || job->state == RUNNING);
}

static void test_table_has_all(void **s)
{
    (void)s;
    assert_int_equal(EVENTS, SPAWN_JOB_EVENTS);
    assert_int_equal(spawn_job_next_state(SPAWN_JOB_ENDED, STATES), NEVER);
}

static void test_each_event_in_each_state(void **s)
{
    size_t e;
    int state;

    (void)s;
    for (e = 0; e < EVENTS; e++) {
        for (state = 0; state < STATES; state++) {
            int next = wanted[e].next[state];
            spawn_job *job;

            assert_int_equal(
                spawn_job_next_state(wanted[e].event, (unsigned)state), next);
            if (next == NEVER)
                continue;
            job = job_in(state);
            expect_counts(job);
            job->launch = true;
            spawn_job_on(job, wanted[e].event);
            assert_int_equal(job->state, next);
            assert_false(job->launch); /* the order was for the state before */
            expect_counts(job);
            free_job(job);
        }
    }
}

static void test_what_cannot_happen_ends_the_broker(void **s)
{
    const struct rlimit no_core = {0, 0};
    size_t e;
    int state;

    (void)s;
    for (e = 0; e < EVENTS; e++) {
        for (state = 0; state < STATES; state++) {
            char said[400] = "", wanted_text[80];
            int status, ends[2];
            pid_t pid;

            if (wanted[e].next[state] != NEVER)
                continue;
            assert_int_equal(pipe(ends), 0);
            pid = fork();
            if (pid == 0) {
                (void)setrlimit(RLIMIT_CORE, &no_core);
                (void)dup2(ends[1], STDERR_FILENO);
                (void)signal(SIGABRT, SIG_DFL);
                spawn_job_on(job_in(state), wanted[e].event);
                _exit(0);
            }
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGABRT);
            (void)close(ends[1]);
            assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
            (void)close(ends[0]);
            (void)snprintf(wanted_text, sizeof(wanted_text), "is %s, and '",
                           spawn_state_name((unsigned)state));
            assert_non_null(strstr(said, "MS0690"));
            assert_non_null(strstr(said, wanted_text));
        }
    }
}

/* Of those that wait, who came back is before all that came after it. */
static void test_who_comes_back_has_its_place(void **s)
{
    spawn_job *first = job_in(QUEUED), *second = job_in(QUEUED),
              *third = job_in(QUEUED);
    const spawn_lane *lane = first->queue->lanes;

    (void)s;
    spawn_job_on(second, SPAWN_JOB_ORDERED);
    assert_ptr_equal(lane->head, first);
    assert_ptr_equal(first->next, third);
    spawn_job_on(second, SPAWN_JOB_CAME_BACK);
    assert_ptr_equal(first->next, second);
    assert_ptr_equal(second->next, third);
    spawn_job_on(first, SPAWN_JOB_ORDERED);
    spawn_job_on(first, SPAWN_JOB_CAME_BACK);
    assert_ptr_equal(lane->head, first);
    assert_ptr_equal(lane->tail, third);
    assert_int_equal(lane->count, 3);
    free_job(second);
    free_job(third);
    free_job(first);
}

/* It is asked for while it waits, and may be killed then. */
static void test_who_waits_has_no_process(void **s)
{
    spawn_job *job = job_in(RUNNING);

    (void)s;
    job->pid = 4711;
    job->boot_started = 5;
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    assert_int_equal(job->pid, 0);
    assert_int_equal(job->boot_started, 0);
    free_job(job);
    job = job_in(RUNNING);
    job->pid = 4711;
    spawn_job_on(job, SPAWN_JOB_ENDED);
    assert_int_equal(job->pid, 4711);
    free_job(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_has_all),
        cmocka_unit_test(test_each_event_in_each_state),
        cmocka_unit_test(test_what_cannot_happen_ends_the_broker),
        cmocka_unit_test(test_who_comes_back_has_its_place),
        cmocka_unit_test(test_who_waits_has_no_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
