/* SPDX-License-Identifier: Apache-2.0 */
/* Queues: when one is full, which lane a job waits in, what new rules do to
 * those that wait, that a queue goes with its last member, and that a new one
 * does not take the numbers of one that was there. Links the rooms
 * base and job of the broker only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "broker/base/alloc.h"
#include "broker/base/meters.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "common/spawn_os.h"
#include "broker/job/state.h"

static spawn_job *new_job(const char *queue)
{
    static uint32_t number;
    spawn_id id = {{0}};
    spawn_job *job;

    number++;
    memcpy(id.bytes + sizeof(id.bytes) - sizeof(number), &number,
           sizeof(number));
    job = spawn_job_new(NULL, &id);
    spawn_queue_join(job, queue);
    return job;
}

/* template NULL: its queue's. */
static spawn_job *new_perl(const char *queue, const char *template, bool pooled)
{
    spawn_job *job = new_job(queue);

    job->perl = spawn_alloc(sizeof(*job->perl));
    job->perl->named = template != NULL;
    job->perl->template =
        template ? spawn_template_get(template) : job->queue->template;
    job->perl->pooled = pooled;
    return job;
}

static void end(spawn_job *job)
{
    if (job->state != SPAWN_STATE_NONE && job->state != SPAWN_STATE_DONE)
        spawn_job_on(job, SPAWN_JOB_ENDED);
    free(job->perl);
    spawn_queue_leave(job);
    spawn_job_free(job);
}

static void rules(const char *name, uint64_t max_jobs, uint64_t max_queued,
                  const char *template)
{
    spawn_queue_rules_begin();
    if (name)
        (void)spawn_queue_rule(name, max_jobs, max_queued, 0, template);
    spawn_queue_rules_end();
}

static void test_full_when_none_can_start_or_wait(void **s)
{
    spawn_job *jobs[4];
    spawn_queue *q;
    unsigned i;

    (void)s;
    rules("q", 2, 1, "app");
    q = spawn_queue_find("q");
    for (i = 0; i < 3; i++) { /* two have room to start, one to wait */
        assert_false(spawn_queue_full(q));
        jobs[i] = new_job("q");
        spawn_job_on(jobs[i], SPAWN_JOB_SUBMITTED);
    }
    assert_true(spawn_queue_full(q));
    spawn_job_on(jobs[0], SPAWN_JOB_ORDERED);
    assert_true(spawn_queue_full(q));
    spawn_job_on(jobs[0], SPAWN_JOB_ENDED);
    assert_false(spawn_queue_full(q));
    jobs[3] = new_job("q");
    spawn_job_on(jobs[3], SPAWN_JOB_SUBMITTED);
    assert_true(spawn_queue_full(q));
    for (i = 0; i < 4; i++)
        end(jobs[i]);
    rules(NULL, 0, 0, NULL);
}

/* All that came after one job: each would be looked for from the end. */
static void test_many_that_are_blocked_no_more_take_no_time(void **s)
{
    enum {
        MANY = 40000
    };
    static spawn_job *jobs[2 * MANY + 1];
    const spawn_job *job;
    uint64_t last = 0;
    spawn_queue *q;
    clock_t begun;
    unsigned i, count = 0;

    (void)s;
    rules("q", 1, 4 * MANY, "app");
    q = spawn_queue_find("q");
    for (i = 0; i <= 2 * MANY; i++) {
        jobs[i] = new_job("q");
        if (i > 0 && i <= MANY)
            spawn_queue_block(jobs[i], SPAWN_BLOCKED_BY_JOBS);
        spawn_job_on(jobs[i], SPAWN_JOB_SUBMITTED);
    }
    begun = clock(); /* of our own: others may have the processors */
    for (i = MANY; i > 0; i--)
        spawn_queue_unblock(jobs[i], SPAWN_BLOCKED_BY_JOBS);
    assert_true(clock() - begun < CLOCKS_PER_SEC / 2);
    for (job = q->lanes->head; job; job = job->next) {
        assert_true(job->place > last);
        last = job->place;
        count++;
    }
    assert_int_equal(count, 2 * MANY + 1);
    for (i = 0; i <= 2 * MANY; i++)
        end(jobs[i]);
    rules(NULL, 0, 0, NULL);
}

static void test_lanes_for_what_jobs_wait_for(void **s)
{
    spawn_job *program, *app, *other, *call;
    spawn_queue *q;
    const spawn_lane *lane;
    unsigned lanes = 0;

    (void)s;
    rules("q", 1, 10, "app");
    q = spawn_queue_find("q");
    q->pool = spawn_alloc(sizeof(*q->pool));
    q->pool->queue = q;
    q->pool->max = 1;
    program = new_job("q");
    app = new_perl("q", NULL, false);
    other = new_perl("q", "other", false);
    call = new_perl("q", NULL, true);
    spawn_job_on(program, SPAWN_JOB_SUBMITTED);
    spawn_job_on(app, SPAWN_JOB_SUBMITTED);
    spawn_job_on(other, SPAWN_JOB_SUBMITTED);
    spawn_job_on(call, SPAWN_JOB_SUBMITTED);
    for (lane = q->lanes; lane; lane = lane->next) {
        assert_int_equal(lane->count, 1);
        assert_ptr_equal(lane->head, lane->tail);
        lanes++;
    }
    assert_int_equal(lanes, 4);
    assert_int_equal(q->queued, 4);
    end(program);
    end(app);
    end(other);
    end(call);
    rules(NULL, 0, 0, NULL);
    assert_null(spawn_queue_find("q"));
}

/* Those that name no template follow their queue; and a call that its queue's
 * workers cannot serve any more gets a process of its own. */
static void test_new_rules_move_those_that_wait(void **s)
{
    spawn_job *follows, *named, *call;
    spawn_queue *q;

    (void)s;
    rules("q", 1, 10, "app");
    q = spawn_queue_find("q");
    q->pool = spawn_alloc(sizeof(*q->pool));
    q->pool->queue = q;
    q->pool->max = 1;
    follows = new_perl("q", NULL, false);
    named = new_perl("q", "app", true);
    call = new_perl("q", NULL, true);
    spawn_job_on(follows, SPAWN_JOB_SUBMITTED);
    spawn_job_on(named, SPAWN_JOB_SUBMITTED);
    spawn_job_on(call, SPAWN_JOB_SUBMITTED);
    assert_true(named->perl->pooled);

    rules("q", 1, 10, "new");
    assert_string_equal(follows->perl->template->name, "new");
    assert_string_equal(named->perl->template->name, "app");
    assert_false(named->perl->pooled); /* the workers are of "new" now */
    assert_string_equal(call->perl->template->name, "new");
    assert_int_equal(q->queued, 3);

    q->pool->max = 0;
    rules("q", 1, 10, "new");
    assert_false(call->perl->pooled);
    end(follows);
    end(named);
    end(call);
    assert_int_equal(q->queued, 0);
    rules(NULL, 0, 0, NULL);
}

/* In the order in which they came, whatever lane they came from; and soon, for
 * everybody waits for it. */
static void test_new_rules_keep_the_order_of_many(void **s)
{
    enum {
        MANY = 60000
    };
    static spawn_job *jobs[MANY];
    const spawn_lane *lane;
    const spawn_job *job;
    clock_t began;
    unsigned i;

    (void)s;
    rules("q", 1, MANY, "app");
    spawn_queue_find("q")->pool = spawn_alloc(sizeof(spawn_pool));
    spawn_queue_find("q")->pool->queue = spawn_queue_find("q");
    spawn_queue_find("q")->pool->max = 1;
    for (i = 0; i < MANY; i++) {
        jobs[i] = new_perl("q", i % 3 == 1 ? "new" : NULL, i % 3 == 2);
        spawn_job_on(jobs[i], SPAWN_JOB_SUBMITTED);
    }
    spawn_queue_find("q")->pool->max = 0;
    began = clock();
    rules("q", 1, MANY, "new");
    assert_in_range(clock() - began, 0, CLOCKS_PER_SEC);
    for (lane = spawn_queue_find("q")->lanes; lane->count == 0;)
        lane = lane->next;
    assert_int_equal(lane->count, MANY);
    for (i = 0, job = lane->head; job; job = job->next)
        assert_ptr_equal(job, jobs[i++]);
    assert_int_equal(i, MANY);
    for (job = lane->tail; job; job = job->prev)
        assert_ptr_equal(job, jobs[--i]);
    assert_int_equal(i, 0);
    for (i = 0; i < MANY; i++)
        end(jobs[i]);
    rules(NULL, 0, 0, NULL);
}

/* Higher ones first; those of one priority in the order in which they came;
 * and soon, however many there are. */
static void test_order_of_priorities(void **s)
{
    enum {
        MANY = 60000
    };
    static spawn_job *jobs[MANY];
    const spawn_job *first, *last = NULL;
    const spawn_lane *lane;
    clock_t began = clock();
    unsigned i, lanes = 0;

    (void)s;
    rules("q", 1, MANY, "app");
    for (i = 0; i < MANY; i++) {
        jobs[i] = new_job("q");
        jobs[i]->priority = (int8_t)((int)(i % 7) * 33 - 99);
        jobs[i]->submitted_at = i;
        spawn_job_on(jobs[i], SPAWN_JOB_SUBMITTED);
    }
    for (i = 0; i < MANY; i++, last = first) {
        first = NULL;
        for (lane = spawn_queue_find("q")->lanes; lane; lane = lane->next) {
            if (lane->head && (!first || lane->head->place < first->place))
                first = lane->head;
        }
        assert_non_null(first);
        if (last)
            assert_true(last->priority > first->priority
                        || (last->priority == first->priority
                            && last->submitted_at < first->submitted_at));
        spawn_queue_take_out((spawn_job *)(uintptr_t)first);
    }
    assert_in_range(clock() - began, 0, CLOCKS_PER_SEC);
    for (lane = spawn_queue_find("q")->lanes; lane; lane = lane->next)
        lanes++;
    assert_int_equal(lanes, 7);
    for (i = 0; i < MANY; i++) { /* in no lane */
        spawn_queue_put_in(jobs[i], true);
        end(jobs[i]);
    }
    rules(NULL, 0, 0, NULL);
}

/* An empty lane is used for the next priority: there are no more of them than
 * were needed at once. */
static void test_lanes_are_used_again(void **s)
{
    const spawn_lane *lane;
    unsigned lanes = 0;
    int priority;

    (void)s;
    rules("q", 1, 10, "app");
    for (priority = -100; priority <= 100; priority++) {
        spawn_job *job = new_job("q");

        job->priority = (int8_t)priority;
        spawn_job_on(job, SPAWN_JOB_SUBMITTED);
        end(job);
    }
    for (lane = spawn_queue_find("q")->lanes; lane; lane = lane->next)
        lanes++;
    assert_int_equal(lanes, 1);
    rules(NULL, 0, 0, NULL);
}

/* One that comes back has the place that it had, before others of its priority
 * and behind those of a higher one. */
static void test_comes_back_to_its_place(void **s)
{
    spawn_job *high, *first, *second;
    const spawn_lane *lane;

    (void)s;
    rules("q", 1, 10, "app");
    first = new_job("q");
    second = new_job("q");
    high = new_job("q");
    high->priority = 1;
    spawn_job_on(first, SPAWN_JOB_SUBMITTED);
    spawn_job_on(second, SPAWN_JOB_SUBMITTED);
    spawn_job_on(first, SPAWN_JOB_ORDERED);
    spawn_job_on(high, SPAWN_JOB_SUBMITTED);
    spawn_job_on(first, SPAWN_JOB_CAME_BACK);
    for (lane = spawn_queue_find("q")->lanes; lane->priority != 0;)
        lane = lane->next;
    assert_ptr_equal(lane->head, first);
    assert_ptr_equal(lane->tail, second);
    assert_true(high->place < first->place);
    end(high);
    end(first);
    end(second);
    rules(NULL, 0, 0, NULL);
}

static void test_queue_goes_with_its_last_member(void **s)
{
    spawn_job *one, *two;

    (void)s;
    rules("q", 1, 1, "app");
    one = new_job("q");
    two = new_job("gone");
    rules(NULL, 0, 0, NULL);
    assert_false(spawn_queue_find("q")->configured);
    end(two);
    assert_null(spawn_queue_find("gone"));
    assert_non_null(spawn_queue_find("q"));
    end(one);
    assert_null(spawn_queue_find("q"));
}

/* One that is configured stays without a member; one with workers as long as
 * they are there. */
static void test_queue_stays_for_its_workers(void **s)
{
    spawn_job *one;
    spawn_queue *q;

    (void)s;
    rules("q", 1, 1, "app");
    one = new_job("q");
    end(one);
    q = spawn_queue_find("q");
    assert_non_null(q);
    q->pool = spawn_alloc(sizeof(*q->pool));
    q->pool->queue = q;
    q->pool->workers = (spawn_worker *)q; /* any */
    rules(NULL, 0, 0, NULL);
    assert_ptr_equal(spawn_queue_find("q"), q);
    q->pool->workers = NULL;
    rules(NULL, 0, 0, NULL);
    assert_null(spawn_queue_find("q"));
}

static void a_broker_has_counted(void *room, const spawn_id *life)
{
    char name[16];
    unsigned i;

    spawn_meters_open(room, life);
    for (i = 0; i < SPAWN_METERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "q%u", i);
        spawn_meter_submitted(spawn_meters_get(name));
    }
}

/* There are numbers of as many queues as there can be: a new broker finds those
 * of its own, whichever of them its configuration has first. */
static void test_new_one_takes_no_numbers(void **s)
{
    static const spawn_id life = {{1}};
    void *room = mmap(NULL, spawn_meters_size(), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid;

    (void)s;
    assert_ptr_not_equal(room, MAP_FAILED);
    pid = fork();
    if (pid == 0) {
        a_broker_has_counted(room, &life);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    spawn_meters_open(room, &life);
    end(new_job("of-a-stranger"));
    spawn_queue_rules_begin();
    (void)spawn_queue_rule("new", 1, 1, 0, "app");
    (void)spawn_queue_rule("q0", 1, 1, 0, "app");
    spawn_queue_rules_end();
    assert_int_equal(spawn_queue_find("q0")->meter->submitted, 1);
    assert_int_equal(spawn_queue_find("new")->meter->submitted, 0);
    assert_true(spawn_meters_has("q2"));
    rules(NULL, 0, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_when_none_can_start_or_wait),
        cmocka_unit_test(test_many_that_are_blocked_no_more_take_no_time),
        cmocka_unit_test(test_lanes_for_what_jobs_wait_for),
        cmocka_unit_test(test_new_rules_move_those_that_wait),
        cmocka_unit_test(test_new_rules_keep_the_order_of_many),
        cmocka_unit_test(test_order_of_priorities),
        cmocka_unit_test(test_lanes_are_used_again),
        cmocka_unit_test(test_comes_back_to_its_place),
        cmocka_unit_test(test_queue_goes_with_its_last_member),
        cmocka_unit_test(test_queue_stays_for_its_workers),
        cmocka_unit_test(test_new_one_takes_no_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
