/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A big store of another boot is looked at in slices: what is good is good, an
 * index that is not of its table is met, also by a store that was opened anew
 * in between. In one process (broker_world.h).
 */
#include "t/unit/broker_world.h"

#include <sqlite3.h>

#include "common/spawn_os.h"
#include "broker/store/look.h"
#include "broker/store/parts.h"
#include "broker/store/sql.h"

#define JOBS 30000

static world w;

static void sql(const char *text)
{
    char *error = NULL;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(w.store->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
    (void)sqlite3_close(db);
}

/* All but the last have ended. A small one of another boot would be compared
 * as a whole. */
static int setup(void **s)
{
    char text[500], boot[37] = "";

    (void)s;
    begin(&w);
    spawn_store_close(w.store);
    (void)snprintf(
        text, sizeof(text),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < %d) INSERT INTO job(id, queue, state, digest, fds,"
        " submitted_at, ended_at, outcome, exit_code, body, end_seq)"
        " SELECT randomblob(16), 'q', CASE i WHEN %d THEN 1 ELSE 4 END, 1, 0,"
        " i, i, 1, 0, randomblob(50), i FROM n",
        JOBS, JOBS);
    sql(text);
    (void)spawn_os_boot_id(boot);
    (void)snprintf(text, sizeof(text),
                   "INSERT OR REPLACE INTO meta VALUES('boot_id', '%s')", boot);
    sql(text);
    return 0;
}

static int teardown(void **s)
{
    (void)s;
    spawn_store_damage_over();
    end(&w);
    return 0;
}

/* The index is not told of a change of its table. */
static void unseen(const char *index, const char *change)
{
    char text[600];

    (void)snprintf(text, sizeof(text),
                   "PRAGMA writable_schema=ON;"
                   "CREATE TEMP TABLE kept AS SELECT type, name, tbl_name,"
                   " rootpage, sql FROM main.sqlite_master WHERE name = '%s';"
                   "DELETE FROM main.sqlite_master WHERE name = '%s';"
                   "PRAGMA writable_schema=RESET; %s;"
                   "PRAGMA writable_schema=ON;"
                   "INSERT INTO main.sqlite_master SELECT * FROM kept;",
                   index, index, change);
    sql(text);
}

/* False: damage was met. */
static bool looks(void)
{
    bool met;

    while (spawn_look_on(w.store))
        ;
    met = spawn_store_met_damage(w.store);
    return !met;
}

static void a_good_one_is_good(void **s)
{
    unsigned slices = 1;

    (void)s;
    open_store(&w);
    assert_int_equal(spawn_look_begin(w.store), 0);
    while (spawn_look_on(w.store))
        slices++;
    assert_false(spawn_store_met_damage(w.store));
    assert_true(slices > 1); /* so none was long */
    spawn_store_close(w.store);
    open_store(&w);
    assert_false(spawn_look_on(w.store)); /* it is done */
}

static void an_end_that_the_index_lacks_is_met(void **s)
{
    (void)s;
    unseen("job_end_seq", "UPDATE job SET end_seq = -1 WHERE seq = 29000");
    open_store(&w);
    assert_int_equal(spawn_look_begin(w.store), 0);
    assert_false(looks());
}

static void so_is_a_job_that_waits(void **s)
{
    (void)s;
    unseen("job_open", "UPDATE job SET state = 1 WHERE seq = 29000");
    open_store(&w);
    assert_int_equal(spawn_look_begin(w.store), 0);
    assert_false(looks());
}

/* Such a job would be in no list, revived by nobody, and kept for ever. */
static void so_is_one_that_failed(void **s)
{
    (void)s;
    unseen("job_failed", "UPDATE job SET exit_code = 3 WHERE seq = 29000");
    open_store(&w);
    assert_int_equal(spawn_look_begin(w.store), 0);
    assert_false(looks());
}

static void so_is_one_that_is_dead(void **s)
{
    (void)s;
    unseen("job_dead", "UPDATE job SET dead = 1 WHERE seq = 29000");
    open_store(&w);
    assert_int_equal(spawn_look_begin(w.store), 0);
    assert_false(looks());
}

static void so_is_one_that_ended_at_another_time(void **s)
{
    (void)s;
    unseen("job_ended", "UPDATE job SET ended_at = 5 WHERE seq = 29000");
    open_store(&w);
    assert_int_equal(spawn_look_begin(w.store), 0);
    assert_false(looks());
}

/* A store that was big already has no index of those that failed. */
static void without_that_index_it_is_good(void **s)
{
    (void)s;
    open_store(&w);
    assert_int_equal(sqlite3_exec(w.store->db,
                                  "DROP INDEX job_failed;"
                                  "UPDATE job SET exit_code = 3, dead = 1"
                                  " WHERE seq = 29000",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    spawn_store_finish_look(w.store);
    assert_int_equal(spawn_store_prepare_look(w.store), 0);
    assert_int_equal(spawn_look_begin(w.store), 0);
    assert_true(looks());
}

static void the_next_one_goes_on(void **s)
{
    (void)s;
    unseen("job_end_seq", "UPDATE job SET end_seq = -1 WHERE seq = 29000");
    open_store(&w);
    assert_int_equal(spawn_look_begin(w.store), 0);
    assert_true(spawn_look_on(w.store));
    spawn_store_close(w.store);
    open_store(&w);
    assert_false(looks());
}

/* Recovery would start it again. */
static void a_job_that_has_ended_is_met_at_once(void **s)
{
    char text[100];

    (void)s;
    (void)snprintf(text, sizeof(text),
                   "UPDATE job SET state = 4 WHERE seq = %d", JOBS);
    unseen("job_open", text);
    open_store(&w);
    assert_int_equal(spawn_look_begin(w.store), -1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        ALONE(a_good_one_is_good),
        ALONE(an_end_that_the_index_lacks_is_met),
        ALONE(so_is_a_job_that_waits),
        ALONE(so_is_one_that_failed),
        ALONE(so_is_one_that_is_dead),
        ALONE(so_is_one_that_ended_at_another_time),
        ALONE(without_that_index_it_is_good),
        ALONE(the_next_one_goes_on),
        ALONE(a_job_that_has_ended_is_met_at_once)};

    return cmocka_run_group_tests_name("big_store", tests, NULL, NULL);
}
