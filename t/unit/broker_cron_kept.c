/* SPDX-License-Identifier: Apache-2.0 */
/* Recurring jobs in the store: each row whole, how its last run has ended, none
 * of a name that is not configured; and nothing of a write that failed. Links
 * the broker's rooms up to the store. */
#include "t/unit/broker_world.h"

#include "broker/store/sql.h"

static world one;

static int set_up(void **s)
{
    (void)s;
    begin(&one);
    return 0;
}

static int tear_down(void **s)
{
    (void)s;
    end(&one);
    return 0;
}

static void run(const char *sql)
{
    assert_int_equal(sqlite3_exec(one.store->db, sql, NULL, NULL, NULL),
                     SQLITE_OK);
}

/* A row in which no two numbers are the same. */
static spawn_cron_row full(const char *name)
{
    const spawn_cron_row row = {.name = name,
                                .plan = "* * * * *|UTC",
                                .done = 100000000001,
                                .round = 2,
                                .shown = 100000000003,
                                .paused = 100000000004,
                                .has_run = true,
                                .id = {{5, 6, 7}},
                                .planned = 100000000008,
                                .ended = true,
                                .outcome = SPAWN_OUTCOME_SIGNALLED,
                                .exit_code = 10,
                                .signo = 11,
                                .started_at = 100000000012,
                                .ended_at = 100000000013};

    return row;
}

/* One that nothing was read into. */
static spawn_cron_row blank(const char *name)
{
    const spawn_cron_row row = {.name = name, .plan = "x", .exit_code = -7};

    return row;
}

static void written(const spawn_cron_row *row)
{
    assert_int_equal(spawn_store_cron_write(one.store, row), 0);
}

static spawn_cron_row found(const char *name)
{
    spawn_cron_row row = blank(name);
    bool same;

    assert_int_equal(
        spawn_store_cron_read(one.store, name, "* * * * *|UTC", &row, &same),
        1);
    assert_true(same);
    return row;
}

static bool is_there(const char *name)
{
    spawn_cron_row row = blank(name);
    bool same;
    int rv = spawn_store_cron_read(one.store, name, "p", &row, &same);

    assert_true(rv == 0 || rv == 1);
    return rv == 1;
}

static void expect_same(const spawn_cron_row *a, const spawn_cron_row *b)
{
    assert_true(a->done == b->done);
    assert_true(a->round == b->round);
    assert_true(a->shown == b->shown);
    assert_true(a->paused == b->paused);
    assert_int_equal(a->has_run, b->has_run);
    assert_true(spawn_id_equal(&a->id, &b->id));
    assert_true(a->planned == b->planned);
    assert_int_equal(a->ended, b->ended);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->exit_code, b->exit_code);
    assert_int_equal(a->signo, b->signo);
    assert_true(a->started_at == b->started_at);
    assert_true(a->ended_at == b->ended_at);
}

static void each_number_is_kept(void **state)
{
    spawn_cron_row row = full("it"), back;

    (void)state;
    written(&row);
    back = found("it");
    expect_same(&back, &row);
    row.ended = false;
    row.exit_code = 0;
    row.done++;
    written(&row); /* it replaces the one before */
    back = found("it");
    expect_same(&back, &row);
    row.exit_code = -1; /* none */
    written(&row);
    back = found("it");
    expect_same(&back, &row);
}

static void a_row_without_a_run_has_none(void **state)
{
    spawn_cron_row row = full("it"), back;

    (void)state;
    row.has_run = false;
    written(&row);
    back = found("it");
    assert_false(back.has_run);
    assert_true(back.done == row.done && back.paused == row.paused);
    assert_int_equal(back.exit_code, -7); /* nothing of a run was read */
    run("UPDATE cron SET id = x'0102'");
    assert_false(found("it").has_run);
}

static void another_plan_is_told(void **state)
{
    spawn_cron_row row = full("it"), before;
    bool same = false;

    (void)state;
    written(&row);
    assert_int_equal(
        spawn_store_cron_read(one.store, "it", row.plan, &row, &same), 1);
    assert_true(same);
    assert_int_equal(
        spawn_store_cron_read(one.store, "it", "0 * * * *|UTC", &row, &same),
        1);
    assert_false(same);
    same = true;
    before = row;
    assert_int_equal(
        spawn_store_cron_read(one.store, "that", row.plan, &row, &same), 0);
    expect_same(&row, &before);
    assert_true(same);
}

static void only_what_is_configured_is_kept(void **state)
{
    static const char *const names[] = {"b", "c"};
    spawn_cron_row row = full("a");

    (void)state;
    /* nothing is to be done, and so nothing is written */
    assert_int_equal(spawn_sql_begin(one.store), 0);
    assert_int_equal(spawn_store_cron_keep(one.store, names, 0), 0);
    spawn_sql_rollback(one.store);
    written(&row);
    row.name = "b";
    written(&row);
    row.name = "c";
    written(&row);
    assert_int_equal(spawn_store_cron_keep(one.store, names, 2), 0);
    assert_false(is_there("a"));
    assert_true(is_there("b"));
    assert_true(is_there("c"));
    assert_int_equal(spawn_store_cron_keep(one.store, names, 1), 0);
    assert_true(is_there("b"));
    assert_false(is_there("c"));
    assert_int_equal(spawn_store_cron_keep(one.store, names, 0), 0);
    assert_false(is_there("b"));
}

/* Its file is let go, also of what was prepared for these rows. */
static void a_store_that_is_closed_is_closed(void **state)
{
    char path[100];
    sqlite3 *db;

    (void)state;
    spawn_store_close(one.store);
    (void)snprintf(path, sizeof(path), "%s/jobs.db", one.directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM cron", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    open_store(&one);
}

/* ---- how the last run has ended ---- */

static void store_a_run(int state)
{
    char sql[300];

    (void)snprintf(sql, sizeof(sql),
                   "UPDATE job SET state = %d, outcome = 3, exit_code = 4,"
                   " signal = 5, started_at = 100000000006,"
                   " ended_at = 100000000007",
                   state);
    run(sql);
}

static void its_end_is_that_of_its_job(void **state)
{
    spawn_cron_row row = full("it"), before;
    spawn_job *job = submit(&one);
    spawn_committed told;

    (void)state;
    row.id = job->id;
    row.ended = false;
    assert_true(spawn_commit(&one.batch, &told));
    before = row;
    assert_int_equal(spawn_store_cron_end(one.store, &row), 0);
    expect_same(&row, &before); /* it waits */
    store_a_run(SPAWN_STATE_RUNNING);
    assert_int_equal(spawn_store_cron_end(one.store, &row), 0);
    expect_same(&row, &before);
    store_a_run(SPAWN_STATE_DONE);
    assert_int_equal(spawn_store_cron_end(one.store, &row), 0);
    assert_true(row.ended);
    assert_int_equal(row.outcome, 3);
    assert_int_equal(row.exit_code, 4);
    assert_int_equal(row.signo, 5);
    assert_true(row.started_at == 100000000006);
    assert_true(row.ended_at == 100000000007);
    run("UPDATE job SET exit_code = NULL");
    assert_int_equal(spawn_store_cron_end(one.store, &row), 0);
    assert_int_equal(row.exit_code, -1);
    forget(job);
}

/* The history has forgotten it: nobody can tell how it ended. */
static void one_that_is_forgotten_has_ended(void **state)
{
    spawn_cron_row row = full("it"), before;

    (void)state;
    row.ended = false;
    before = row;
    assert_int_equal(spawn_store_cron_end(one.store, &row), 0);
    before.ended = true;
    expect_same(&row, &before);
}

/* ---- what fails ---- */

static void what_cannot_be_written_is_as_it_was(void **state)
{
    static const char *const names[] = {"it"};
    spawn_cron_row row = full("it"), other = full("that"), back;

    (void)state;
    written(&row);
    written(&other);
    run("CREATE TEMP TRIGGER no BEFORE INSERT ON cron"
        " BEGIN SELECT RAISE(ABORT, 'full'); END");
    row.done++;
    assert_int_equal(spawn_store_cron_write(one.store, &row), -1);
    assert_true(sqlite3_get_autocommit(one.store->db) != 0);
    row.done--;
    back = found("it");
    expect_same(&back, &row);
    run("DROP TRIGGER no");
    run("CREATE TEMP TRIGGER no BEFORE DELETE ON cron"
        " BEGIN SELECT RAISE(ABORT, 'full'); END");
    assert_int_equal(spawn_store_cron_keep(one.store, names, 1), -1);
    assert_true(sqlite3_get_autocommit(one.store->db) != 0);
    run("DROP TRIGGER no");
    run("CREATE TEMP TRIGGER no BEFORE UPDATE ON cron WHEN NEW.configured = 1"
        " BEGIN SELECT RAISE(ABORT, 'full'); END");
    assert_int_equal(spawn_store_cron_keep(one.store, names, 1), -1);
    run("DROP TRIGGER no");
    run("CREATE TEMP TRIGGER no BEFORE UPDATE ON cron WHEN NEW.configured = 0"
        " BEGIN SELECT RAISE(ABORT, 'full'); END");
    assert_int_equal(spawn_store_cron_keep(one.store, names, 1), -1);
    run("DROP TRIGGER no");
    assert_true(is_there("that"));
    assert_int_equal(spawn_store_cron_keep(one.store, names, 1), 0);
    assert_false(is_there("that"));
}

/* Values of a write that failed are not in the next write. */
static void what_failed_to_begin_is_forgotten(void **state)
{
    static const char *const names[] = {"it"};
    spawn_cron_row row = full("it"), next = full("next");

    (void)state;
    next.has_run = false;
    assert_int_equal(spawn_sql_begin(one.store), 0); /* none beside it */
    assert_int_equal(spawn_store_cron_write(one.store, &row), -1);
    written(&next);
    assert_false(found("next").has_run);
    assert_int_equal(spawn_sql_begin(one.store), 0);
    assert_int_equal(spawn_store_cron_keep(one.store, names, 1), -1);
    assert_true(is_there("next"));
}

static void what_cannot_be_read_is_told(void **state)
{
    spawn_cron_row row = full("it");
    bool same = true;

    (void)state;
    written(&row);
    run("DROP TABLE cron");
    assert_int_equal(
        spawn_store_cron_read(one.store, "it", row.plan, &row, &same), -1);
    run("DROP TABLE job");
    row.ended = false;
    assert_int_equal(spawn_store_cron_end(one.store, &row), -1);
    assert_false(row.ended);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_number_is_kept),
        TEST(a_row_without_a_run_has_none),
        TEST(another_plan_is_told),
        TEST(only_what_is_configured_is_kept),
        TEST(a_store_that_is_closed_is_closed),
        TEST(its_end_is_that_of_its_job),
        TEST(one_that_is_forgotten_has_ended),
        TEST(what_cannot_be_written_is_as_it_was),
        TEST(what_failed_to_begin_is_forgotten),
        TEST(what_cannot_be_read_is_told),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("cron kept", tests, NULL, NULL);
}
