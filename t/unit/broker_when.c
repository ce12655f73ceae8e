/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs whose moment comes: who gets to its queue, who expires, how many in a
 * turn, and when is looked again. Links the rooms base and job of the broker
 * and when.c; clocks and ends are played. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/state.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"
#include "broker/run/when.h"

#define HOUR   3600000
#define A_TURN 1000 /* so many */

bool spawn_durable_undecided(const spawn_job *job)
{
    (void)job;
    return false;
}

/* ---- what is played ---- */

static int64_t wall, boot;
static unsigned readings; /* of the time of day, until it is set back */

/* Of this program: the C library's own is not called. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int64_t ms = clock == CLOCK_REALTIME ? wall : boot;

    if (clock == CLOCK_REALTIME && readings > 0 && --readings == 0)
        wall -= HOUR;
    ret->tv_sec = ms / 1000;
    ret->tv_nsec = ms % 1000 * 1000000;
    return 0;
}

static int kernel[2] = {-1, -1}; /* steps are told by it, a pipe */
static bool kernel_fails;
static unsigned asked, asked_again;

int timerfd_create(int clock, int flags)
{
    (void)clock;
    (void)flags;
    asked++;
    if (kernel_fails) {
        errno = EMFILE;
        return -1;
    }
    return kernel[0];
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new,
                    struct itimerspec *old)
{
    (void)fd;
    (void)flags;
    (void)new;
    (void)old;
    asked_again++;
    return 0;
}

spawn_end *spawn_end_job(spawn_job *job, spawn_outcome outcome)
{
    job->end = spawn_alloc(sizeof(*job->end));
    job->end->outcome = outcome;
    spawn_job_on(job, SPAWN_JOB_ENDED);
    return job->end;
}

/* ---- the tests' world ---- */

static spawn_batch batch;
static spawn_job *jobs[4000];
static unsigned count;
static spawn_queue *queue;

/* ms; 0: none */
static spawn_job *submit(int64_t delay, int64_t expires)
{
    spawn_id id = {{0}};
    spawn_job *job;

    id.bytes[14] = (uint8_t)((count + 1) >> 8);
    id.bytes[15] = (uint8_t)(count + 1);
    job = jobs[count++] = spawn_job_new(&batch, &id);
    job->attempt = 1;
    job->submitted_at = wall;
    if (delay)
        spawn_moment_in(&spawn_rules_get(job)->due, delay);
    if (expires)
        spawn_moment_in(&spawn_rules_get(job)->expires, expires);
    spawn_queue_join(job, "q");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

/* Not before its time of day. */
static spawn_job *submit_by_day(int64_t expires)
{
    spawn_job *job = submit(0, HOUR);

    spawn_moment_forget(&job->rules->expires);
    spawn_moment_at(&job->rules->expires, wall + expires);
    spawn_moment_wait(&job->rules->expires);
    return job;
}

/* A slot has it, and the store did not take it. */
static spawn_job *submit_kept(int64_t expires)
{
    spawn_job *job = submit(0, expires);

    job->slot = 1;
    assert_true(spawn_job_kept(job));
    return job;
}

static void time_goes(int64_t ms)
{
    wall += ms;
    boot += ms;
}

static unsigned ended(void)
{
    unsigned i, n = 0;

    for (i = 0; i < count; i++)
        n += jobs[i]->state == SPAWN_STATE_DONE;
    return n;
}

/* ms until the broker looks again, or -1. */
static int64_t looks_in(void)
{
    int64_t at;

    spawn_when_wait();
    at = spawn_timer_next();
    return at < 0 ? at : at - boot;
}

static int setup(void **s)
{
    (void)s;
    wall = 1896111000000; /* 2030-01-31T17:30:00Z */
    boot = HOUR;
    readings = 0;
    spawn_batch_init(&batch, NULL);
    queue = spawn_queue_get("q");
    return 0;
}

static int teardown(void **s)
{
    (void)s;
    while (count > 0) {
        spawn_job *job = jobs[--count];

        if (job->state != SPAWN_STATE_DONE)
            spawn_job_on(job, SPAWN_JOB_ENDED);
        spawn_end_drop(job);
        spawn_rules_drop(job);
        spawn_queue_leave(job);
        spawn_job_free(job);
    }
    spawn_when_wait();
    return 0;
}

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static int open_loop(void **s)
{
    (void)s;
    return spawn_loop_init() || pipe(kernel) ? -1 : 0;
}

/* A process of its own, since a broker asks the kernel once: before any test
 * that waits for a moment in this one. */
static void in_a_broker(void (*test)(void))
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        must(open_loop(NULL) == 0);
        test();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- when it looks ---- */

static jmp_buf out;

static void turn_ends(void *of)
{
    (void)of;
    longjmp(out, 1);
}

static void steps_are_told(void)
{
    char bytes[8] = {0};
    int i;

    (void)submit(10 * HOUR, 0);
    must(looks_in() == HOUR);
    must(looks_in() == HOUR && asked == 1 && asked_again == 1);
    for (i = 0; i < 2; i++) {
        must(write(kernel[1], bytes, sizeof(bytes)) == sizeof(bytes));
        if (setjmp(out) == 0) /* a turn comes, long before the hour is over */
            spawn_loop_run(turn_ends, NULL);
        must(asked_again == (unsigned)i + 2);
    }
}

static void steps_are_not_told(void)
{
    kernel_fails = true;
    (void)submit(10 * HOUR, 0);
    must(looks_in() == 10000);
    (void)submit(9999, 0);
    must(looks_in() == 9999);
}

static void a_step_that_the_kernel_tells_of_causes_a_turn(void **s)
{
    (void)s;
    in_a_broker(steps_are_told);
}

static void where_it_tells_nothing_it_looks_more_often(void **s)
{
    (void)s;
    in_a_broker(steps_are_not_told);
}

static void nothing_is_looked_at_where_nothing_waits(void **s)
{
    (void)s;
    assert_int_equal(looks_in(), -1);
    (void)submit(500, 0);
    assert_int_equal(looks_in(), 500);
    spawn_job_on(jobs[0], SPAWN_JOB_ENDED);
    assert_int_equal(looks_in(), -1);
}

/* ---- who comes, and who expires ---- */

static void what_is_due_comes_to_its_queue(void **s)
{
    spawn_job *job = submit(100, 200);

    (void)s;
    time_goes(99);
    spawn_when_look();
    assert_int_equal(queue->delayed, 1);
    time_goes(1);
    spawn_when_look();
    assert_int_equal(queue->delayed, 0);
    assert_int_equal(queue->queued, 1);
    assert_int_equal(job->state, SPAWN_STATE_QUEUED);
    assert_false(spawn_when_expires(job));
}

/* It was not in its queue, where nobody may look for it. */
static void what_is_due_too_late_expires(void **s)
{
    spawn_job *job = submit(100, 200);

    (void)s;
    time_goes(200);
    spawn_when_look();
    assert_int_equal(job->state, SPAWN_STATE_DONE);
    assert_int_equal(job->end->outcome, SPAWN_OUTCOME_EXPIRED);
    assert_int_equal(queue->delayed, 0);
    assert_int_equal(queue->queued, 0);
    assert_int_equal(looks_in(), -1);
}

static void its_end_says_why(void **s)
{
    spawn_job *within = submit(0, 1500), *by = submit_by_day(1500),
              *next = submit(0, 1500);

    (void)s;
    next->attempt = 2;
    time_goes(1500);
    spawn_when_look();
    assert_string_equal(within->end->text,
                        "it had not started within 1.5 s of its submit");
    assert_string_equal(by->end->text,
                        "it had not started by 2030-01-31T17:30:01Z");
    assert_string_equal(next->end->text, "its next attempt had not started "
                                         "within 1.5 s of its submit");
}

/* Between two looks at it in a turn. */
static void a_clock_that_is_set_back_meanwhile_expires_nothing(void **s)
{
    spawn_job *job = submit_by_day(1000);

    (void)s;
    time_goes(1000);
    readings = 1;
    spawn_when_look();
    assert_int_equal(readings, 0);
    assert_int_equal(job->state, SPAWN_STATE_QUEUED);
    assert_int_equal(queue->delayed, 0);
    assert_int_equal(queue->queued, 1);
    assert_int_equal(looks_in(), HOUR);
    time_goes(HOUR);
    spawn_when_look();
    assert_int_equal(job->state, SPAWN_STATE_DONE);
}

/* ---- how many in a turn ---- */

static void so_many_expire_in_a_turn(void **s)
{
    unsigned i;

    (void)s;
    for (i = 0; i < 2 * A_TURN + 1; i++)
        (void)submit(0, 100);
    time_goes(100);
    spawn_when_look();
    assert_int_equal(ended(), A_TURN);
    assert_int_equal(looks_in(), 0);
    assert_true(spawn_when_expires(jobs[2 * A_TURN])); /* it does not start */
    assert_int_equal(jobs[2 * A_TURN]->state, SPAWN_STATE_QUEUED);
    spawn_when_look();
    assert_int_equal(ended(), 2 * A_TURN);
    spawn_when_look();
    assert_int_equal(ended(), 2 * A_TURN + 1);
    assert_int_equal(looks_in(), -1);
}

/* Those that were not looked at, and are to start, expire then. */
static void who_was_not_looked_at_expires_at_its_start(void **s)
{
    const unsigned half = A_TURN / 2;
    unsigned i;

    (void)s;
    for (i = 0; i < half; i++)
        (void)submit(0, 100);
    for (i = 0; i < half; i++)
        (void)submit(200, 0);
    for (i = 0; i < half + 1; i++)
        (void)submit(0, 300);
    time_goes(300);
    spawn_when_look();
    assert_int_equal(ended(), half);
    assert_int_equal(queue->delayed, 0);
    for (i = 0; i < half + 1; i++)
        assert_true(spawn_when_expires(jobs[A_TURN + i]));
    assert_int_equal(ended(), A_TURN);
    assert_int_equal(jobs[A_TURN + half]->state, SPAWN_STATE_QUEUED);
    spawn_when_look();
    assert_int_equal(ended(), A_TURN + 1);
}

/* ---- jobs that their slots keep ---- */

static void what_is_kept_expires_when_it_can_be_stored(void **s)
{
    spawn_job *job = submit_kept(100), *other = submit(0, 200);

    (void)s;
    time_goes(100);
    spawn_when_look();
    assert_int_equal(job->state, SPAWN_STATE_QUEUED);
    assert_int_equal(looks_in(), 100); /* of the other one */
    time_goes(100);
    spawn_when_look();
    assert_int_equal(other->state, SPAWN_STATE_DONE);
    assert_int_equal(looks_in(), 1000);
    other = submit(1000, 0);
    assert_int_equal(looks_in(), 1000);
    spawn_job_on(other, SPAWN_JOB_ENDED);
    (void)submit(2000, 0);
    assert_int_equal(looks_in(), 1000);
    job->slot = 0;
    spawn_when_look();
    assert_int_equal(job->state, SPAWN_STATE_DONE);
    assert_int_equal(looks_in(), 2000);
}

/* They are not the only ones that are looked at. */
static void what_is_kept_does_not_keep_the_others_waiting(void **s)
{
    unsigned i;

    (void)s;
    for (i = 0; i < A_TURN; i++)
        (void)submit_kept(100);
    time_goes(100);
    spawn_when_look();
    assert_int_equal(looks_in(), 0); /* there may be more */
    for (i = 0; i < A_TURN; i++)
        jobs[i]->slot = 0;
    spawn_when_look();
    assert_int_equal(ended(), A_TURN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_step_that_the_kernel_tells_of_causes_a_turn),
        TEST(where_it_tells_nothing_it_looks_more_often),
        TEST(nothing_is_looked_at_where_nothing_waits),
        TEST(what_is_due_comes_to_its_queue),
        TEST(what_is_due_too_late_expires),
        TEST(its_end_says_why),
        TEST(a_clock_that_is_set_back_meanwhile_expires_nothing),
        TEST(so_many_expire_in_a_turn),
        TEST(who_was_not_looked_at_expires_at_its_start),
        TEST(what_is_kept_expires_when_it_can_be_stored),
        TEST(what_is_kept_does_not_keep_the_others_waiting),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("when", tests, open_loop, NULL);
}
