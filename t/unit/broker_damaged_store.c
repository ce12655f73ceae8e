/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that cannot be used: a damaged one is set aside and another one made
 * (jobs that run meanwhile: broker_damaged_runs.c); one that another process
 * has locked is tried again until it is free. The protocol of broker_play.h.
 */
#undef DEADLINE_MS
#define DEADLINE_MS 60000 /* a broker waits 5000 for a lock */
#include "t/unit/broker_play.h"

#include <dirent.h>

/* Its name; the store has one at most. */
static bool find_aside(char *ret, size_t room)
{
    struct dirent *e;
    DIR *d = opendir(dir);
    bool found = false;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, "jobs.db.damaged-", 16) == 0) {
            assert_false(found);
            (void)snprintf(ret, room, "%s/%s", dir, e->d_name);
            found = true;
        }
    }
    (void)closedir(d);
    return found;
}

static void overwrite(off_t at, size_t length)
{
    char name[300], bytes[65536];
    int fd;

    memset(bytes, 'x', sizeof(bytes));
    (void)snprintf(name, sizeof(name), "%s/jobs.db", dir);
    fd = open(name, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, at), length);
    (void)close(fd);
}

static void expect_set_aside(void)
{
    char name[600];
    struct stat st;

    assert_int_equal(logged("MS0866"), 1);
    assert_true(find_aside(name, sizeof(name)));
    assert_int_equal(stat(name, &st), 0);
    assert_true(st.st_size > 0);
    assert_int_equal(unlink(name), 0);
}

static void what_is_no_database_is_set_aside(void **state)
{
    spawn_id waits;

    (void)state;
    log_is_kept = true;
    make_store();
    (void)spawn_id_make(&waits);
    put_job(&waits, 1, NULL);
    overwrite(0, 4096);
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    end_broker();
    expect_set_aside();
    expect_sql("SELECT count(*) FROM job", "0");
}

static void one_with_damaged_pages_is_too(void **state)
{
    char name[600];

    (void)state;
    log_is_kept = true;
    make_store();
    overwrite(8192, 65536);
    start_broker();
    expect_ready();
    end_broker();
    expect_set_aside();
    expect_sql("SELECT count(*) FROM job", "0");
    /* and the new one is good */
    start_broker();
    expect_ready();
    end_broker();
    assert_int_equal(logged("MS0866"), 1);
    assert_false(find_aside(name, sizeof(name)));
}

static void one_that_is_locked_is_tried_again(void **state)
{
    sqlite3 *other;
    char name[300], *error = NULL;

    (void)state;
    log_is_kept = true;
    make_store();
    (void)snprintf(name, sizeof(name), "%s/jobs.db", dir);
    assert_int_equal(sqlite3_open(name, &other), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(other,
                     "PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE;"
                     "UPDATE meta SET value = value; COMMIT",
                     NULL, NULL, &error),
        SQLITE_OK);
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "is in use by another process"));
    (void)sqlite3_close(other);
    expect(SPAWN_M_BROKER_READY); /* by itself */
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]), SPAWN_E_OK);
    end_broker();
    assert_int_equal(logged("MS0515"), 1);
    assert_int_equal(logged("MS0867"), 1);
    assert_int_equal(logged("MS0866"), 0);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(what_is_no_database_is_set_aside),
        ALONE(one_with_damaged_pages_is_too),
        ALONE(one_that_is_locked_is_tried_again),
    };

    find_broker();
    return cmocka_run_group_tests_name("broker damaged store", tests, NULL,
                                       NULL);
}
