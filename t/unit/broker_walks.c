/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many jobs are not walked through for each who asks: what was found counts for
 * a second. Few are, so that each answer is of this moment. In one process
 * (broker_world.h).
 */
#include "t/unit/broker_world.h"

#include <sqlite3.h>

#include "common/spawn_os.h"

#define SECOND 1000
#define MANY   2000

static world w;

static int setup(void **s)
{
    (void)s;
    begin(&w);
    return 0;
}

static int teardown(void **s)
{
    (void)s;
    end(&w);
    return 0;
}

static void jobs_are_walked_through_once_a_second(void **s)
{
    spawn_job *jobs[MANY];
    int64_t at = 0;
    spawn_id id;
    int i;

    (void)s;
    assert_true(spawn_job_walk(&at));
    assert_true(spawn_job_walk(&at)); /* there are few */
    for (i = 0; i < MANY; i++) {
        assert_int_equal(spawn_id_make(&id), 0);
        jobs[i] = spawn_job_new(&w.batch, &id);
    }
    at = 0;
    assert_true(spawn_job_walk(&at));
    at += 3600 * SECOND; /* it was just now, however slow this is */
    assert_false(spawn_job_walk(&at));
    at = spawn_mono_ms() - SECOND;
    assert_true(spawn_job_walk(&at));
    for (i = 0; i < MANY; i++)
        spawn_job_free(jobs[i]);
}

/* ---- the dead ---- */

static void sql(const char *text)
{
    assert_int_equal(sqlite3_exec(w.store->db, text, NULL, NULL, NULL),
                     SQLITE_OK);
}

static void put_dead(int count)
{
    char text[400];

    (void)snprintf(
        text, sizeof(text),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < %d) INSERT INTO job(id, queue, state, digest, fds,"
        " submitted_at, ended_at, outcome, body, end_seq, dead)"
        " SELECT randomblob(16), CASE i %% 2 WHEN 0 THEN 'even' ELSE 'odd' END,"
        " 4, 1, 0, i, i, 1, x'', i, 1 FROM n",
        count);
    sql(text);
}

static bool sees_even(const void *who, const char *queue)
{
    (void)who;
    return strcmp(queue, "even") == 0;
}

static uint64_t dead(const char *queue,
                     bool (*sees)(const void *who, const char *queue))
{
    spawn_list_filter filter;

    memset(&filter, 0, sizeof(filter));
    (void)snprintf(filter.queue, sizeof(filter.queue), "%s", queue);
    filter.sees = sees;
    return spawn_store_count_dead(w.store, &filter);
}

static void few_that_are_dead_are_counted_each_time(void **s)
{
    (void)s;
    put_dead(10);
    assert_int_equal(dead("", NULL), 10);
    assert_int_equal(dead("odd", NULL), 5);
    assert_int_equal(dead("", sees_even), 5);
    assert_int_equal(dead("odd", sees_even), 0);
    assert_int_equal(dead("none", NULL), 0);
    sql("UPDATE job SET dead = 0 WHERE seq = 1");
    assert_int_equal(dead("", NULL), 9);
}

static void many_are_counted_once_a_second(void **s)
{
    (void)s;
    put_dead(MANY);
    assert_int_equal(dead("", NULL), MANY);
    w.store->dead.counted_at += 3600 * SECOND;
    sql("UPDATE job SET dead = 0 WHERE seq = 1");
    assert_int_equal(dead("", NULL), MANY);
    assert_int_equal(dead("odd", NULL), MANY / 2);
    w.store->dead.counted_at = spawn_mono_ms() - SECOND;
    assert_int_equal(dead("odd", NULL), MANY / 2 - 1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        ALONE(jobs_are_walked_through_once_a_second),
        ALONE(few_that_are_dead_are_counted_each_time),
        ALONE(many_are_counted_once_a_second)};

    return cmocka_run_group_tests_name("walks", tests, NULL, NULL);
}
