/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids whose ends are alike, as a caller may choose them, are found as fast as
 * others. In CPU time, and compared: so a busy machine does not matter. Links
 * the rooms base and job of the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "broker/job/changes.h"
#include "broker/job/job.h"

#define JOBS   20000
#define SLOWER 30 /* times, and it was some thousand */

static spawn_batch batch;
static spawn_job *jobs[JOBS];

static int64_t cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t time_of_all(void (*make)(spawn_id *id, unsigned i))
{
    int64_t before;
    spawn_id id;
    unsigned i;

    for (i = 0; i < JOBS; i++) {
        make(&id, i);
        jobs[i] = spawn_job_new(&batch, &id);
    }
    before = cpu_us();
    for (i = 0; i < JOBS; i++) {
        make(&id, i);
        assert_ptr_equal(spawn_job_find(&id), jobs[i]);
    }
    before = cpu_us() - before;
    for (i = 0; i < JOBS; i++)
        spawn_job_free(jobs[i]);
    return before + 1;
}

static void end_differs(spawn_id *id, unsigned i)
{
    memset(id, 1, sizeof(*id));
    memcpy(id->bytes + SPAWN_ID_SIZE - sizeof(i), &i, sizeof(i));
}

static void beginning_differs(spawn_id *id, unsigned i)
{
    memset(id, 2, sizeof(*id));
    memcpy(id->bytes, &i, sizeof(i));
}

static void they_are_found_as_fast(void **state)
{
    int64_t others;

    (void)state;
    others = time_of_all(end_differs);
    assert_in_range(time_of_all(beginning_differs), 1, SLOWER * others + 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_found_as_fast)};

    return cmocka_run_group_tests_name("chosen_ids", tests, NULL, NULL);
}
