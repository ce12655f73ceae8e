/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of another release: what it does not have is made, with all that it
 * has kept, and one of a newer layout is refused and stays as it was (of an
 * oldest one: broker_perl.c). The protocol of broker_play.h.
 */
#include "t/unit/broker_caller.h"

/* Of a release of this layout that does not know the table. */
static void a_table_that_is_missing_is_made(void **state)
{
    spawn_id waits;

    (void)state;
    make_store();
    run_sql("DROP TABLE grace");
    (void)spawn_id_make(&waits);
    put_job(&waits, 1, NULL);
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &waits);
    say_started(&waits);
    say_exited(&waits, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, &waits);
    end_broker();
    expect_sql("SELECT count(*) FROM grace", "0");
    expect_sql("SELECT exit_code FROM job", "5");
}

/* The last one before jobs had rules. */
static const char layout_3[] =
    "CREATE TABLE job ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " queue TEXT NOT NULL,"
    " state INTEGER NOT NULL,"
    " digest INTEGER NOT NULL,"
    " fds INTEGER NOT NULL,"
    " cancel INTEGER NOT NULL DEFAULT 0,"
    " caller_uid INTEGER, caller_pid INTEGER,"
    " submitted_at INTEGER NOT NULL,"
    " started_at INTEGER, ended_at INTEGER, elapsed INTEGER,"
    " pid INTEGER, boot_started INTEGER, instance BLOB,"
    " outcome INTEGER, exit_code INTEGER, signal INTEGER, core INTEGER,"
    " step INTEGER, errno INTEGER, text TEXT, rusage BLOB,"
    " body BLOB NOT NULL,"
    " template TEXT, progress BLOB, result_kind INTEGER,"
    " end_seq INTEGER NOT NULL DEFAULT 0);" /* order of ends */
    "CREATE INDEX job_open ON job(seq) WHERE state < 4;"
    "CREATE INDEX job_end_seq ON job(end_seq) WHERE state = 4;"
    "CREATE INDEX job_ended ON job(ended_at) WHERE state = 4;"
    "CREATE TABLE input (seq INTEGER PRIMARY KEY, data BLOB NOT NULL,"
    " args BLOB);"
    "CREATE TABLE output (seq INTEGER PRIMARY KEY,"
    " out BLOB, err BLOB, out_lost INTEGER, err_lost INTEGER,"
    " result BLOB,"
    " out_cut INTEGER, err_cut INTEGER, result_cut INTEGER);"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "PRAGMA application_id=1936748081; PRAGMA user_version=3;";

static void make_layout_3(spawn_id *waits, spawn_id *done)
{
    run_sql(layout_3);
    boot_is_this_one();
    (void)spawn_id_make(waits);
    (void)spawn_id_make(done);
    put_job(done, 4, NULL);
    run_sql("UPDATE job SET ended_at = 5, outcome = 1, exit_code = 3,"
            " end_seq = 1;"
            "INSERT INTO output(seq, out, out_lost) VALUES(1, 'said', 7)");
    put_job(waits, 1, NULL);
}

static void all_is_there(const spawn_id *waits)
{
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, waits);
    say_started(waits);
    say_exited(waits, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, waits);
    end_broker();
    expect_sql("PRAGMA user_version", "5");
    expect_sql("SELECT group_concat(exit_code || '-' || end_seq) FROM"
               " (SELECT * FROM job ORDER BY seq)",
               "3-1,5-2");
    expect_sql("SELECT out || out_lost FROM output WHERE seq = 1", "said7");
    expect_sql("SELECT count(*) FROM job WHERE due_at NOT NULL"
               " OR expires_at NOT NULL",
               "0");
}

/* The first one with rules, and none for the order of jobs. */
static void a_store_of_layout_4_is_brought_up(void **state)
{
    static const char later[] =
        "ALTER TABLE job ADD COLUMN due_at INTEGER;"
        "ALTER TABLE job ADD COLUMN due_boot INTEGER;"
        "ALTER TABLE job ADD COLUMN expires_at INTEGER;"
        "ALTER TABLE job ADD COLUMN expires_boot INTEGER;"
        "ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE job ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;"
        "ALTER TABLE job ADD COLUMN retries INTEGER NOT NULL DEFAULT -1;"
        "ALTER TABLE job ADD COLUMN dead INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE job ADD COLUMN unique_key TEXT;"
        "ALTER TABLE job ADD COLUMN unique_until INTEGER;"
        "ALTER TABLE job ADD COLUMN needs INTEGER NOT NULL DEFAULT 0;"
        "CREATE INDEX job_unique ON job(unique_key)"
        " WHERE unique_key IS NOT NULL;"
        "CREATE INDEX job_dead ON job(seq) WHERE dead = 1;"
        "CREATE TABLE attempt (seq INTEGER NOT NULL, number INTEGER NOT NULL,"
        " started_at INTEGER, ended_at INTEGER, elapsed INTEGER, pid INTEGER,"
        " outcome INTEGER, exit_code INTEGER, signal INTEGER, core INTEGER,"
        " step INTEGER, errno INTEGER, text TEXT, rusage BLOB,"
        " result_kind INTEGER, out BLOB, err BLOB, result BLOB,"
        " out_lost INTEGER, err_lost INTEGER,"
        " out_cut INTEGER, err_cut INTEGER, result_cut INTEGER,"
        " UNIQUE(seq, number));"
        "CREATE TABLE need (seq INTEGER NOT NULL, id BLOB NOT NULL,"
        " PRIMARY KEY(seq, id)) WITHOUT ROWID;"
        "CREATE INDEX need_id ON need(id);"
        "PRAGMA user_version=4;";
    spawn_id waits, done;

    (void)state;
    log_is_kept = true;
    make_layout_3(&waits, &done);
    run_sql(later);
    all_is_there(&waits);
    assert_int_equal(logged("MS0897"), 1);
    assert_int_equal(logged("from layout 4 to 5"), 1);
}

static void a_store_of_layout_3_is_brought_up(void **state)
{
    spawn_id waits, done;

    (void)state;
    log_is_kept = true;
    make_layout_3(&waits, &done);
    all_is_there(&waits);
    assert_int_equal(logged("from layout 3 to 5"), 1);
    start_broker();
    expect_ready();
    end_broker();
    assert_int_equal(logged("MS0897"), 1); /* and not again */
}

/* All of the new layout is there, or nothing. */
static void also_when_a_broker_is_killed_meanwhile(void **state)
{
    spawn_id waits, done;
    int i;

    (void)state;
    make_layout_3(&waits, &done);
    for (i = 0; i < 20; i++) {
        start_broker();
        (void)usleep((unsigned)i * 500);
        kill_broker();
    }
    all_is_there(&waits);
}

static void a_store_of_a_newer_layout_is_refused(void **state)
{
    (void)state;
    make_store();
    run_sql("PRAGMA user_version=6");
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "newer mod_spawn (layout 6, this one knows 5)"));
    end_broker();
    expect_sql("PRAGMA user_version", "6");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(a_table_that_is_missing_is_made),
        ALONE(a_store_of_layout_3_is_brought_up),
        ALONE(a_store_of_layout_4_is_brought_up),
        ALONE(also_when_a_broker_is_killed_meanwhile),
        ALONE(a_store_of_a_newer_layout_is_refused)};

    find_broker();
    return cmocka_run_group_tests_name("broker layouts", tests, NULL, NULL);
}
