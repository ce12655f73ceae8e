/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of the broker: a histogram has each time in one bucket, the one
 * whose bound it does not exceed; a ring has the last 60 minutes and forgets
 * older ones; the table goes on where another broker was, keeps the numbers of
 * a queue that comes back, and those of all together when a place is given
 * away, and never has more places.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "broker/base/meters.h"

static const spawn_id first_life = {{1}}, second_life = {{2}};

/* ---- histograms ---- */

static void a_time_is_in_the_bucket_of_its_bound(void **s)
{
    static const struct {
        int64_t us;
        unsigned bucket;
    } cases[] = {{-1, 0},
                 {0, 0},
                 {1000, 0},
                 {1001, 1},
                 {2500, 1},
                 {2501, 2},
                 {1000000, 9},
                 {1000001, 10},
                 {3600000000, 19},
                 {3600000001, SPAWN_BUCKETS},
                 {INT64_MAX, SPAWN_BUCKETS}};
    size_t i;

    (void)s;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        spawn_histogram h = {0};

        spawn_histogram_add(&h, &spawn_job_bounds, cases[i].us);
        assert_int_equal(h.counts[cases[i].bucket], 1);
        assert_int_equal(h.sum_us, cases[i].us > 0 ? cases[i].us : 0);
    }
}

static void bounds_grow(const spawn_bounds *b)
{
    unsigned i;

    assert_in_range(b->count, 1, SPAWN_BUCKETS);
    for (i = 1; i < b->count; i++)
        assert_true(b->us[i] > b->us[i - 1]);
}

static void each_bound_is_larger_than_the_one_before(void **s)
{
    (void)s;
    bounds_grow(&spawn_job_bounds);
    bounds_grow(&spawn_commit_bounds);
}

static void it_is_told_with_its_bounds(void **s)
{
    uint64_t told[SPAWN_HISTOGRAM_TOLD];
    spawn_histogram h = {0};
    unsigned n;

    (void)s;
    spawn_histogram_add(&h, &spawn_commit_bounds, 100);
    spawn_histogram_add(&h, &spawn_commit_bounds, 101);
    spawn_histogram_add(&h, &spawn_commit_bounds, 5000001);
    n = spawn_histogram_tell(&h, &spawn_commit_bounds, told);
    assert_int_equal(n, 2 + 2 * spawn_commit_bounds.count);
    assert_int_equal(told[0], 100 + 101 + 5000001);
    assert_int_equal(told[1], 1);
    assert_int_equal(told[2], 100);
    assert_int_equal(told[3], 1);
    assert_int_equal(told[4], 250);
    assert_int_equal(told[5], 1);
    assert_int_equal(told[n - 2], 5000000);
    assert_int_equal(told[n - 1], 0);
}

/* ---- the last hour ---- */

static uint64_t in_the_hour(const spawn_hour *r, int64_t minute,
                            unsigned bucket)
{
    spawn_histogram h;

    spawn_hour_sum(r, minute, &h);
    assert_int_equal(h.sum_us, 0);
    return h.counts[bucket];
}

static void a_recent_one_forgets_ten_minutes_at_a_time(void **s)
{
    spawn_hour r = {0};

    (void)s;
    assert_int_equal(in_the_hour(&r, 0, 0), 0);
    spawn_hour_add(&r, &spawn_job_bounds, -5, 9);
    spawn_hour_add(&r, &spawn_job_bounds, 2500, 10);
    spawn_hour_add(&r, &spawn_job_bounds, INT64_MAX, 19);
    assert_int_equal(in_the_hour(&r, 19, 0), 1);
    assert_int_equal(in_the_hour(&r, 59, 0), 1);
    assert_int_equal(in_the_hour(&r, 60, 0), 0);
    assert_int_equal(in_the_hour(&r, 60, 1), 1);
    assert_int_equal(in_the_hour(&r, 69, SPAWN_BUCKETS), 1);
    assert_int_equal(in_the_hour(&r, 70, SPAWN_BUCKETS), 0);
}

static void a_part_that_comes_again_begins_anew(void **s)
{
    spawn_hour r = {0};

    (void)s;
    spawn_hour_add(&r, &spawn_job_bounds, 1, 5);
    spawn_hour_add(&r, &spawn_job_bounds, 1, 65); /* in the same place */
    assert_int_equal(in_the_hour(&r, 65, 0), 1);
    /* the clock of another boot: what is of later minutes is not of this hour
     */
    assert_int_equal(in_the_hour(&r, 5, 0), 0);
}

/* ---- minutes ---- */

static uint64_t sum_of(const spawn_minutes *m, int64_t now, unsigned what)
{
    uint64_t told[2 * SPAWN_MINUTES], sum = 0;
    unsigned i;

    spawn_minutes_tell(m, now, told);
    for (i = 0; i < SPAWN_MINUTES; i++)
        sum += told[2 * i + what];
    return sum;
}

static void the_present_minute_is_the_last(void **s)
{
    uint64_t told[2 * SPAWN_MINUTES];
    spawn_minutes m = {0};

    (void)s;
    spawn_minutes_add(&m, 1000, 0);
    spawn_minutes_add(&m, 1000, 1);
    spawn_minutes_add(&m, 999, 0);
    spawn_minutes_tell(&m, 1000, told);
    assert_int_equal(told[118], 2);
    assert_int_equal(told[119], 1);
    assert_int_equal(told[116], 1);
    assert_int_equal(told[117], 0);
    spawn_minutes_tell(&m, 1001, told);
    assert_int_equal(told[118], 0);
    assert_int_equal(told[116], 2);
}

static void what_is_older_than_an_hour_is_forgotten(void **s)
{
    spawn_minutes m = {0};

    (void)s;
    spawn_minutes_add(&m, 500, 1);
    assert_int_equal(sum_of(&m, 559, 0), 1);
    assert_int_equal(sum_of(&m, 559, 1), 1);
    assert_int_equal(sum_of(&m, 560, 0), 0);
    spawn_minutes_add(&m, 560, 0); /* in its place */
    assert_int_equal(sum_of(&m, 560, 0), 1);
    assert_int_equal(sum_of(&m, 560, 1), 0);
}

/* A machine that has just booted. */
static void the_first_hour_has_no_older_minutes(void **s)
{
    spawn_minutes m = {0};

    (void)s;
    assert_int_equal(sum_of(&m, 0, 0), 0);
    spawn_minutes_add(&m, 0, 0);
    assert_int_equal(sum_of(&m, 0, 0), 1);
    assert_int_equal(sum_of(&m, 59, 0), 1);
    assert_int_equal(sum_of(&m, 60, 0), 0);
}

/* ---- the table: a process has one, so each is looked at in order ---- */

static void *room;

static void nothing_is_counted_before_it_is_open(void **s)
{
    (void)s;
    assert_null(spawn_meters_told());
    assert_null(spawn_meters_get("a"));
    spawn_meter_submitted(NULL);
    spawn_meter_refused(NULL, SPAWN_E_INVALID);
    spawn_meter_ended(NULL, SPAWN_OUTCOME_EXITED, true, 1, 0);
    spawn_meters_committed(1);
    spawn_meters_leave(NULL);
}

/* Another broker, in memory that had something else. */
static void counts_in_another_process(void)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        spawn_meters_open(room, &first_life);
        spawn_meter_submitted(spawn_meters_get("before"));
        spawn_meters_leave(spawn_meters_get("gone"));
        _exit(spawn_meters_told()->brokers == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void another_broker_goes_on(void **s)
{
    const spawn_meters *all;

    (void)s;
    room = mmap(NULL, spawn_meters_size(), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(room != MAP_FAILED);
    memset(room, 0xa5, spawn_meters_size()); /* begun anew */
    counts_in_another_process();
    spawn_meters_open(room, &second_life);
    all = spawn_meters_told();
    assert_int_equal(all->brokers, 2);
    assert_int_equal(all->spawners, 2);
    assert_true(all->since > 0);
    assert_int_equal(all->whole.submitted, 1);
    assert_int_equal(spawn_meters_get("before")->submitted, 1);
}

static void each_queue_and_all_together_are_counted(void **s)
{
    const spawn_meters *all = spawn_meters_told();
    spawn_meter *a = spawn_meters_get("a"), *b = spawn_meters_get("b");
    uint64_t before = all->whole.submitted;

    (void)s;
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    spawn_meter_submitted(a);
    spawn_meter_submitted(b);
    spawn_meter_submitted(b);
    spawn_meter_started(a, 7, 3);
    spawn_meter_ended(a, SPAWN_OUTCOME_TIMED_OUT, true, 1500, 3);
    spawn_meter_ended(b, SPAWN_OUTCOME_EXITED, false, -1, 3);
    spawn_meter_ended(b, 999, true, -1, 3);
    spawn_meter_retried(a);
    spawn_meter_revived(a);
    spawn_meter_dead(a);
    spawn_meters_committed(100);
    assert_int_equal(a->submitted, 1);
    assert_int_equal(b->submitted, 2);
    assert_int_equal(all->whole.submitted, before + 3);
    assert_int_equal(a->ended[SPAWN_OUTCOME_TIMED_OUT], 1);
    assert_int_equal(a->waited.counts[3], 1);
    assert_int_equal(a->waited.sum_us, 7000);
    assert_int_equal(a->ran.counts[1], 1);
    assert_int_equal(in_the_hour(&a->waited_hour, 3, 3), 1);
    assert_int_equal(in_the_hour(&all->whole.waited_hour, 3, 3), 1);
    assert_int_equal(in_the_hour(&a->ran_hour, 3, 1), 1);
    assert_int_equal(in_the_hour(&b->ran_hour, 3, 0), 0);
    assert_int_equal(b->ran.sum_us, 0); /* not known */
    assert_int_equal(b->ended[SPAWN_OUTCOME_NONE], 1);
    assert_int_equal(all->whole.failed, 2);
    assert_int_equal(a->retried + a->revived + a->dead, 3);
    assert_int_equal(all->commits.counts[0], 1);
    assert_int_equal(sum_of(&all->whole.minutes, 3, 0), 3);
}

static void a_refusal_of_no_queue_is_counted_apart(void **s)
{
    const spawn_meters *all = spawn_meters_told();
    spawn_meter *c = spawn_meters_get("c");

    (void)s;
    spawn_meter_refused(NULL, SPAWN_E_UNKNOWN_QUEUE);
    spawn_meter_refused(c, SPAWN_E_QUEUE_FULL);
    spawn_meter_refused(c, 4711);
    assert_int_equal(all->elsewhere[SPAWN_E_UNKNOWN_QUEUE], 1);
    assert_int_equal(all->elsewhere[SPAWN_E_QUEUE_FULL], 0);
    assert_int_equal(c->refused[SPAWN_E_QUEUE_FULL], 1);
    assert_int_equal(c->refused[SPAWN_E_OK], 1);
    assert_int_equal(all->whole.refused[SPAWN_E_UNKNOWN_QUEUE], 1);
    assert_int_equal(all->whole.refused[SPAWN_E_QUEUE_FULL], 1);
}

static void a_queue_that_comes_back_goes_on(void **s)
{
    spawn_meter *d = spawn_meters_get("d");

    (void)s;
    spawn_meter_submitted(d);
    spawn_meters_leave(d);
    assert_ptr_equal(spawn_meters_get("d"), d);
    assert_int_equal(d->submitted, 1);
}

/* So many queues come and go as there are places: none more. */
static void the_one_that_left_first_makes_room(void **s)
{
    const spawn_meters *all = spawn_meters_told();
    uint64_t before = all->whole.submitted;
    spawn_meter *old = spawn_meters_get("old"), *m = NULL;
    spawn_meter *stays = spawn_meters_get("stays");
    char name[32];
    unsigned i;

    (void)s;
    spawn_meter_submitted(old);
    spawn_meter_submitted(stays);
    spawn_meters_leave(old);
    for (i = 0; i < 2 * SPAWN_METERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "passes-%u", i);
        m = spawn_meters_get(name);
        assert_non_null(m);
        spawn_meter_submitted(m);
        spawn_meters_leave(m);
    }
    assert_int_equal(stays->submitted, 1);
    old = spawn_meters_get("old");
    assert_int_equal(old->submitted, 0); /* anew */
    assert_int_equal(all->whole.submitted, before + 2 + 2 * SPAWN_METERS_MAX);
}

static void more_queues_than_places_have_no_numbers(void **s)
{
    const spawn_meters *all = spawn_meters_told();
    uint64_t before = all->whole.submitted;
    spawn_meter *m = NULL;
    char name[32];
    unsigned i;

    (void)s;
    for (i = 0; i < SPAWN_METERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "stays-%u", i);
        m = spawn_meters_get(name);
    }
    assert_null(m);
    spawn_meter_submitted(m);
    assert_int_equal(all->whole.submitted, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_in_the_bucket_of_its_bound),
        cmocka_unit_test(each_bound_is_larger_than_the_one_before),
        cmocka_unit_test(it_is_told_with_its_bounds),
        cmocka_unit_test(a_recent_one_forgets_ten_minutes_at_a_time),
        cmocka_unit_test(a_part_that_comes_again_begins_anew),
        cmocka_unit_test(the_present_minute_is_the_last),
        cmocka_unit_test(what_is_older_than_an_hour_is_forgotten),
        cmocka_unit_test(the_first_hour_has_no_older_minutes),
        cmocka_unit_test(nothing_is_counted_before_it_is_open),
        cmocka_unit_test(another_broker_goes_on),
        cmocka_unit_test(each_queue_and_all_together_are_counted),
        cmocka_unit_test(a_refusal_of_no_queue_is_counted_apart),
        cmocka_unit_test(a_queue_that_comes_back_goes_on),
        cmocka_unit_test(the_one_that_left_first_makes_room),
        cmocka_unit_test(more_queues_than_places_have_no_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
