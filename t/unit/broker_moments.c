/* SPDX-License-Identifier: Apache-2.0 */
/* The moments that jobs wait for: each comes when its own clock says so, in
 * order; and what a million jobs cost that wait for one. Links the rooms base
 * and job of the broker only; time is played. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "common/spawn_os.h"
#include "common/spawn_proto.h"
#include "common/spawn_rule.h"
#include "broker/base/moments.h"
#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/state.h"

static int64_t wall = 1000000, boot = 5000;

/* Of this program: the C library's own is not called. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int64_t ms = clock == CLOCK_REALTIME ? wall : boot;

    ret->tv_sec = ms / 1000;
    ret->tv_nsec = ms % 1000 * 1000000;
    return 0;
}

/* ---- moments ---- */

static void each_clock_has_its_own(void **state)
{
    spawn_moment a = {0}, b = {0};

    (void)state;
    assert_int_equal(spawn_moments_next(), -1);
    spawn_moment_in(&a, 100);
    spawn_moment_at(&b, wall + 50);
    spawn_moment_wait(&a);
    assert_false(spawn_moments_of_day());
    spawn_moment_wait(&b);
    assert_true(spawn_moments_of_day());
    assert_int_equal(spawn_moments_next(), 50);
    assert_null(spawn_moment_come());
    wall -= 1000;
    assert_int_equal(spawn_moments_next(), 100);
    assert_int_equal(spawn_moment_time(&a), wall + 100);
    boot += 99;
    assert_null(spawn_moment_come());
    boot += 1;
    assert_ptr_equal(spawn_moment_come(), &a);
    assert_false(spawn_moment_waits(&a));
    assert_null(spawn_moment_come());
    wall += 1049;
    assert_int_equal(spawn_moments_next(), 1);
    assert_null(spawn_moment_come());
    wall += 1;
    assert_int_equal(spawn_moments_next(), 0);
    assert_ptr_equal(spawn_moment_come(), &b);
    assert_int_equal(spawn_moments_next(), -1);
}

/* Whichever of the two clocks has come, it is not waited for the other. */
static void what_has_come_is_next_by_either_clock(void **state)
{
    spawn_moment a = {0}, b = {0};

    (void)state;
    spawn_moment_at(&b, wall - 10);
    spawn_moment_wait(&b);
    assert_int_equal(spawn_moments_next(), 0);
    spawn_moment_in(&a, 50);
    spawn_moment_wait(&a);
    assert_int_equal(spawn_moments_next(), 0);
    spawn_moment_forget(&b);
    boot += 60;
    spawn_moment_at(&b, wall + 50);
    spawn_moment_wait(&b);
    assert_int_equal(spawn_moments_next(), 0);
    spawn_moment_forget(&a);
    spawn_moment_forget(&b);
}

static void those_of_one_time_come_in_their_order(void **state)
{
    static spawn_moment m[100];
    unsigned i;

    (void)state;
    memset(m, 0, sizeof(m));
    for (i = 0; i < 100; i++) {
        spawn_moment_at(&m[i], wall + 10);
        spawn_moment_wait(&m[i]);
    }
    wall += 10;
    assert_ptr_equal(spawn_moment_come(), &m[0]);
    spawn_moment_wait(&m[0]); /* it cannot be done now, and stays the first */
    for (i = 0; i < 100; i++)
        assert_ptr_equal(spawn_moment_come(), &m[i]);
}

/* Those that cannot be done now do not hide when the next one comes. */
static void the_next_is_seen_behind_those_that_have_come(void **state)
{
    spawn_moment m[20] = {{0}};
    unsigned i;

    (void)state;
    assert_int_equal(spawn_moments_after(), -1);
    for (i = 0; i < 20; i++) {
        spawn_moment_in(&m[i], (i * 7 % 20 + 1) * 100);
        spawn_moment_wait(&m[i]);
    }
    for (i = 0; i < 20; i++) {
        assert_int_equal(spawn_moments_after(), 100);
        boot += 100;
        assert_int_equal(spawn_moments_next(), 0);
    }
    assert_int_equal(spawn_moments_after(), -1);
    spawn_moment_forget(&m[0]);
    spawn_moment_at(&m[0], wall + 30);
    spawn_moment_wait(&m[0]);
    assert_int_equal(spawn_moments_after(), 30);
    for (i = 0; i < 20; i++)
        spawn_moment_forget(&m[i]);
}

static void one_that_is_forgotten_never_comes(void **state)
{
    static spawn_moment m[1000];
    unsigned i, count = 0;
    int64_t last = 0;
    spawn_moment *next;

    (void)state;
    memset(m, 0, sizeof(m));
    srand(7);
    for (i = 0; i < 1000; i++) {
        spawn_moment_in(&m[i], rand() % 5000);
        spawn_moment_wait(&m[i]);
        spawn_moment_wait(&m[i]); /* which it does already */
    }
    for (i = 0; i < 1000; i += 3) {
        spawn_moment_forget(&m[i]);
        spawn_moment_forget(&m[i]);
    }
    boot += 5000;
    while ((next = spawn_moment_come())) {
        assert_int_not_equal((next - m) % 3, 0);
        assert_true(next->boot >= last);
        last = next->boot;
        count++;
    }
    assert_int_equal(count, 666);
}

/* In each order that so many can be put in, and with each of them forgotten. */
static void few_come_in_order_however_they_were_put(void **state)
{
    spawn_moment m[5];
    unsigned order, left, i, count, gone, last;
    spawn_moment *next;

    (void)state;
    for (order = 0; order < 3125; order++) {
        for (gone = 0; gone <= 5; gone++) {
            memset(m, 0, sizeof(m));
            for (i = 0, left = order; i < 5; i++, left /= 5) {
                spawn_moment_in(&m[i], left % 5);
                spawn_moment_wait(&m[i]);
            }
            if (gone < 5)
                spawn_moment_forget(&m[gone]);
            boot += 5;
            count = last = 0;
            while ((next = spawn_moment_come())) {
                assert_ptr_not_equal(next, gone < 5 ? &m[gone] : NULL);
                assert_true(next->boot >= (int64_t)last);
                last = (unsigned)next->boot;
                count++;
            }
            assert_int_equal(count, gone < 5 ? 4 : 5);
        }
    }
}

/* ---- a job's rules ---- */

/* 0: it has none. */
static void take(spawn_job *job, uint64_t delay, uint64_t at, uint64_t expires,
                 int64_t since, bool delayed)
{
    const uint64_t values[] = {delay, at, expires};
    static const uint16_t attrs[] = {SPAWN_A_DELAY, SPAWN_A_AT,
                                     SPAWN_A_EXPIRES};
    uint8_t room[200];
    spawn_writer w;
    spawn_message m;
    unsigned i;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &job->id);
    for (i = 0; i < 3; i++) {
        if (values[i])
            spawn_put_u64(&w, attrs[i], values[i]);
    }
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER, 0, &m, NULL),
        0);
    assert_int_equal(spawn_rules_delay(&m, since), delayed);
    spawn_rules_take(job, &m, since);
}

static spawn_job *new_job(void)
{
    spawn_id id = {{1}};

    return spawn_job_new(NULL, &id);
}

static void of_rules_that_it_lacks_there_is_no_memory(void **state)
{
    spawn_job *job = new_job();

    (void)state;
    take(job, 0, 0, 0, wall, false);
    assert_null(job->rules);
    assert_false(spawn_job_expired(job));
    spawn_job_free(job);
}

static void a_duration_counts_from_its_order(void **state)
{
    spawn_job *job = new_job();

    (void)state;
    take(job, 1000, 0, 3000, wall - 400, true);
    assert_int_equal(spawn_moment_left(&job->rules->due), 600);
    assert_int_equal(spawn_moment_left(&job->rules->expires), 2600);
    take(job, 1000, 0, 0, wall - 999, true);
    take(job, 1000, 0, 0, wall - 1000, false);
    take(job, 1000, 0, 0, wall + 5000, true); /* its clock was ahead of ours */
    assert_int_equal(spawn_moment_left(&job->rules->due), 1000);
    boot += 2599;
    assert_false(spawn_job_expired(job));
    boot += 1;
    assert_true(spawn_job_expired(job));
    spawn_rules_drop(job);
    spawn_job_free(job);
}

static void a_moment_is_of_the_day(void **state)
{
    spawn_job *job = new_job();

    (void)state;
    take(job, 0, (uint64_t)wall + 1, 0, wall - 5000, true);
    assert_int_equal(spawn_moment_left(&job->rules->due), 1);
    assert_false(spawn_job_expired(job)); /* it need not */
    take(job, 0, (uint64_t)wall, 0, wall - 5000, false);
    take(job, 0, 0, ((uint64_t)wall + 1) | SPAWN_EXPIRES_MOMENT, wall, false);
    boot += 5000;
    assert_false(spawn_job_expired(job));
    wall += 1;
    assert_true(spawn_job_expired(job));
    spawn_rules_drop(job);
    spawn_job_free(job);
}

static void who_drops_its_rules_waits_for_nothing(void **state)
{
    spawn_job *job = new_job();

    (void)state;
    take(job, 1000, 0, 2000, wall, true);
    spawn_moment_wait(&job->rules->due);
    spawn_moment_wait(&job->rules->expires);
    spawn_rules_drop(job);
    assert_null(job->rules);
    assert_int_equal(spawn_moments_next(), -1);
    spawn_rules_drop(job); /* it has none */
    spawn_job_free(job);
}

/* ---- a million jobs ---- */

#define MANY 1000000

/* As a store gives them to a broker that begins. */
static spawn_job *delayed_job(uint32_t number)
{
    spawn_id id = {{0}};
    spawn_job *job;

    memcpy(id.bytes + sizeof(id.bytes) - sizeof(number), &number,
           sizeof(number));
    job = spawn_job_new(NULL, &id);
    spawn_moment_in(&spawn_rules_get(job)->due,
                    1000 + (int64_t)(number * 7919 % 3600000));
    spawn_queue_join(job, "q");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

static double seconds(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec)
           + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void a_million_cost_some_bytes_each(void **state)
{
    struct mallinfo2 before = mallinfo2(), after;
    double began = seconds(), made, bytes;
    unsigned i, count = 0;
    spawn_moment *m;
    spawn_queue *q;

    (void)state;
    q = spawn_queue_get("q");
    for (i = 1; i <= MANY; i++)
        (void)delayed_job(i);
    made = seconds();
    after = mallinfo2();
    bytes = (double)(after.uordblks + after.hblkhd - before.uordblks
                     - before.hblkhd)
            / MANY;
    assert_int_equal(q->delayed, MANY);
    assert_int_equal(q->queued, 0);
    boot += 3601000;
    while ((m = spawn_moment_come())) {
        spawn_job *job = spawn_rules_job(m);

        spawn_queue_due(job);
        spawn_job_on(job, SPAWN_JOB_ENDED);
        count++;
    }
    assert_int_equal(count, MANY);
    assert_int_equal(q->delayed, 0);
    (void)printf("# a delayed job: %.0f bytes; %.2f us to take it in, %.2f us "
                 "when it is due\n",
                 bytes, (made - began) * 1e6 / MANY,
                 (seconds() - made) * 1e6 / MANY);
    assert_true(bytes < 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_clock_has_its_own),
        cmocka_unit_test(what_has_come_is_next_by_either_clock),
        cmocka_unit_test(those_of_one_time_come_in_their_order),
        cmocka_unit_test(the_next_is_seen_behind_those_that_have_come),
        cmocka_unit_test(one_that_is_forgotten_never_comes),
        cmocka_unit_test(few_come_in_order_however_they_were_put),
        cmocka_unit_test(of_rules_that_it_lacks_there_is_no_memory),
        cmocka_unit_test(a_duration_counts_from_its_order),
        cmocka_unit_test(a_moment_is_of_the_day),
        cmocka_unit_test(who_drops_its_rules_waits_for_nothing),
        cmocka_unit_test(a_million_cost_some_bytes_each)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("moments", tests, NULL, NULL);
}
