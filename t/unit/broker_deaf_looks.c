/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which templates of httpd's are taken for deaf: those that leave a child
 * unreaped for half a minute, or stay for so long with nothing to do, and none
 * of which something else may be so. Links the rooms base and job of the broker
 * and process/deaf.c; processes, workers and the clock are played.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/process/deaf.h"
#include "broker/process/template_process.h"
#include "broker/process/worker.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"

/* ---- processes ---- */

#define PIDS 20

static struct {
    pid_t parent; /* 0: it cannot be seen */
    bool unreaped;
} process[PIDS];

static int64_t clock_ms = 1000000;

int64_t __wrap_spawn_mono_ms(void);
int __wrap_spawn_os_parent(pid_t pid, pid_t *ret);
bool __wrap_spawn_os_unreaped(pid_t pid);

int64_t __wrap_spawn_mono_ms(void)
{
    return clock_ms;
}

int __wrap_spawn_os_parent(pid_t pid, pid_t *ret)
{
    assert_in_range(pid, 1, PIDS - 1);
    if (!process[pid].parent)
        return -ESRCH;
    *ret = process[pid].parent;
    return 0;
}

bool __wrap_spawn_os_unreaped(pid_t pid)
{
    assert_in_range(pid, 1, PIDS - 1);
    return process[pid].unreaped;
}

/* ---- workers and templates ---- */

static spawn_worker *workers;

spawn_worker *spawn_worker_next(const spawn_worker *w)
{
    return w ? w->next : workers;
}

static spawn_template_process *deaf;
static unsigned deaf_count;

void spawn_template_process_deaf(spawn_template_process *i)
{
    deaf = i;
    deaf_count++;
}

/* The template's process is 2, its job's or worker's 3; another template's
 * process is 4. */
enum {
    TEMPLATE = 2,
    CHILD,
    OTHER,
    CHILD_TOO
};

static spawn_template_process one, other;
static spawn_batch batch;

static int set_up(void **state)
{
    (void)state;
    memset(process, 0, sizeof(process));
    process[CHILD].parent = process[CHILD_TOO].parent = TEMPLATE;
    workers = NULL;
    deaf = NULL;
    deaf_count = 0;
    one = (spawn_template_process){.template = spawn_template_get("one"),
                                   .id = {{1}},
                                   .state = SPAWN_TEMPLATE_PROCESS_READY,
                                   .foreign = true,
                                   .pid = TEMPLATE};
    other = (spawn_template_process){.template = spawn_template_get("other"),
                                     .id = {{2}},
                                     .state = SPAWN_TEMPLATE_PROCESS_READY,
                                     .foreign = true,
                                     .pid = OTHER};
    one.template->processes = &one;
    other.template->processes = &other;
    spawn_batch_init(&batch, NULL);
    return 0;
}

static spawn_job *job_of(spawn_template_process *i, uint8_t n, pid_t pid)
{
    const spawn_id id = {{n}};
    spawn_job *job = spawn_job_new(&batch, &id);

    spawn_queue_join(job, "default");
    job->perl = calloc(1, sizeof(*job->perl));
    assert_non_null(job->perl);
    job->perl->template = i->template;
    spawn_job_on(job, SPAWN_JOB_FOUND_RUNNING);
    job->pid = pid;
    return job;
}

static int tear_down(void **state)
{
    spawn_job *job;

    (void)state;
    while ((job = spawn_job_next(NULL))) {
        if (job->state != SPAWN_STATE_DONE)
            spawn_job_on(job, SPAWN_JOB_ENDED);
        spawn_job_on(job, SPAWN_JOB_UNDONE);
        spawn_queue_leave(job);
        free(job->perl);
        job->perl = NULL;
        job->orphan = NULL;
        spawn_job_free(job);
    }
    one.gone = other.gone = true; /* so it looks no more */
    clock_ms += 10000;
    spawn_timers_run(clock_ms);
    assert_int_equal(spawn_timer_next(), -1);
    return 0;
}

static spawn_worker *worker_of(const spawn_template_process *i, pid_t pid)
{
    static spawn_worker w;

    w = (spawn_worker){.template_id = i->id, .pid = pid};
    workers = &w;
    return &w;
}

/* It looks each five seconds. */
static void seconds_pass(int seconds)
{
    int64_t end = clock_ms + (int64_t)seconds * 1000;

    while (spawn_timer_next() >= 0 && spawn_timer_next() <= end) {
        if (clock_ms < spawn_timer_next())
            clock_ms = spawn_timer_next();
        spawn_timers_run(clock_ms);
    }
    clock_ms = end;
}

static void it_is_deaf(void)
{
    spawn_deaf_watch();
    seconds_pass(34); /* it is seen after 5 s */
    assert_int_equal(deaf_count, 0);
    seconds_pass(1);
    assert_int_equal(deaf_count, 1);
    assert_ptr_equal(deaf, &one);
}

static void none_is(void)
{
    spawn_deaf_watch();
    seconds_pass(300);
    assert_int_equal(deaf_count, 0);
}

/* ---- a child that is not reaped ---- */

static void one_whose_job_is_not_reaped(void **state)
{
    (void)state;
    (void)job_of(&one, 1, CHILD);
    process[CHILD].unreaped = true;
    it_is_deaf();
}

/* Another template comes each moment. */
static void one_of_many(void **state)
{
    int i;

    (void)state;
    (void)job_of(&one, 1, CHILD);
    process[CHILD].unreaped = true;
    for (i = 0; i < 10; i++) {
        spawn_deaf_watch();
        seconds_pass(4);
    }
    assert_true(deaf_count > 0);
}

static void one_whose_job_starts_and_is_not_reaped(void **state)
{
    const spawn_id id = {{1}};
    spawn_job *job = spawn_job_new(&batch, &id);

    (void)state;
    spawn_queue_join(job, "default");
    job->perl = calloc(1, sizeof(*job->perl));
    assert_non_null(job->perl);
    job->perl->template = one.template;
    spawn_job_on(job, SPAWN_JOB_FOUND_STARTING);
    job->pid = CHILD;
    process[CHILD].unreaped = true;
    it_is_deaf();
}

static void one_whose_worker_is_not_reaped(void **state)
{
    (void)state;
    (void)worker_of(&one, CHILD);
    process[CHILD].unreaped = true;
    it_is_deaf();
}

static void none_whose_job_lives(void **state)
{
    (void)state;
    (void)job_of(&one, 1, CHILD);
    none_is();
}

/* Its number may be that of another process. */
static void none_of_whose_children_it_is_not(void **state)
{
    (void)state;
    (void)job_of(&one, 1, CHILD);
    (void)worker_of(&one, CHILD_TOO);
    process[CHILD].unreaped = process[CHILD_TOO].unreaped = true;
    process[CHILD].parent = OTHER;
    process[CHILD_TOO].parent = 0;
    none_is();
}

/* Nobody's: the template tells of none of these. */
static void none_whose_job_it_is_not(void **state)
{
    static spawn_worker w;
    spawn_job *job;

    (void)state;
    process[CHILD].unreaped = true;
    job = job_of(&one, 1, CHILD);
    job->perl->worker = &w; /* a call */
    job = job_of(&one, 2, CHILD);
    job->orphan = (spawn_orphan *)&w;
    job = job_of(&one, 3, CHILD);
    spawn_job_on(job, SPAWN_JOB_ENDED);
    (void)job_of(&other, 4, CHILD);
    job = job_of(&one, 5, CHILD);
    free(job->perl);
    job->perl = NULL;
    none_is();
}

static void none_whose_worker_it_is_not(void **state)
{
    (void)state;
    process[CHILD].unreaped = true;
    (void)worker_of(&other, CHILD);
    none_is();
    worker_of(&one, CHILD)->unparented = true;
    none_is();
}

static void none_that_is_slow(void **state)
{
    int i;

    (void)state;
    (void)job_of(&one, 1, CHILD);
    spawn_deaf_watch();
    for (i = 0; i < 20; i++) {
        process[CHILD].unreaped = i % 2 == 0;
        seconds_pass(25);
    }
    assert_int_equal(deaf_count, 0);
}

/* Another one each time: it reaps. */
static void none_that_reaps_one_after_another(void **state)
{
    int i;

    (void)state;
    (void)job_of(&one, 1, CHILD);
    (void)job_of(&one, 2, CHILD_TOO);
    spawn_deaf_watch();
    for (i = 0; i < 20; i++) {
        process[CHILD].unreaped = i % 2 == 0;
        process[CHILD_TOO].unreaped = i % 2 != 0;
        seconds_pass(25);
    }
    assert_int_equal(deaf_count, 0);
}

/* The same one all the time, whatever comes in front of it. */
static void one_of_whose_jobs_one_is_not_reaped(void **state)
{
    int i;

    (void)state;
    (void)job_of(&one, 1, CHILD);
    (void)worker_of(&one, CHILD_TOO);
    process[CHILD_TOO].unreaped = true;
    spawn_deaf_watch();
    for (i = 0; i < 6 && !deaf_count; i++) {
        seconds_pass(6);
        process[CHILD].unreaped = i % 2 == 0;
    }
    assert_int_equal(deaf_count, 1);
}

/* ---- one that stays ---- */

static void one_that_was_told_to_go_and_stays(void **state)
{
    (void)state;
    one.state = SPAWN_TEMPLATE_PROCESS_LEAVING;
    it_is_deaf();
}

static void none_that_was_not_told_to_go(void **state)
{
    (void)state;
    none_is();
}

static void none_that_may_have_something_to_do(void **state)
{
    spawn_job *job;

    (void)state;
    one.state = SPAWN_TEMPLATE_PROCESS_LEAVING;
    one.flying = 1;
    none_is();
    one.flying = 0;
    job = job_of(&one, 1, CHILD);
    none_is();
    job->pid = 0; /* not known yet */
    none_is();
    job->pid = CHILD;
    process[CHILD].parent = 0; /* it cannot be seen */
    none_is();
    process[CHILD].parent = OTHER; /* it is none of its children */
    it_is_deaf();
}

static void a_worker_keeps_it(void **state)
{
    spawn_worker *w;

    (void)state;
    one.state = SPAWN_TEMPLATE_PROCESS_LEAVING;
    w = worker_of(&one, CHILD);
    none_is();
    w->unparented = true;
    it_is_deaf();
}

/* ---- which are looked at ---- */

static void none_but_those_of_httpds_that_are_there(void **state)
{
    (void)state;
    one.state = SPAWN_TEMPLATE_PROCESS_LEAVING;
    one.foreign = false;
    none_is();
    one.foreign = true;
    one.pid = 0;
    none_is();
    one.pid = -1;
    none_is();
    one.pid = TEMPLATE;
    one.gone = true;
    none_is();
    one.gone = false;
    it_is_deaf();
}

/* It looks while there is one to be looked at. */
static void nothing_is_looked_at_for_nothing(void **state)
{
    (void)state;
    spawn_deaf_watch();
    spawn_deaf_watch();
    seconds_pass(60);
    assert_true(spawn_timer_next() >= clock_ms);
    one.gone = other.gone = true;
    seconds_pass(6);
    assert_int_equal(spawn_timer_next(), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_whose_job_is_not_reaped),
        TEST(one_of_many),
        TEST(one_whose_job_starts_and_is_not_reaped),
        TEST(one_whose_worker_is_not_reaped),
        TEST(none_whose_job_lives),
        TEST(none_of_whose_children_it_is_not),
        TEST(none_whose_job_it_is_not),
        TEST(none_whose_worker_it_is_not),
        TEST(none_that_is_slow),
        TEST(none_that_reaps_one_after_another),
        TEST(one_of_whose_jobs_one_is_not_reaped),
        TEST(one_that_was_told_to_go_and_stays),
        TEST(none_that_was_not_told_to_go),
        TEST(none_that_may_have_something_to_do),
        TEST(a_worker_keeps_it),
        TEST(none_but_those_of_httpds_that_are_there),
        TEST(nothing_is_looked_at_for_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
