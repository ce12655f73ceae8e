/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of which a broker has read some jobs, and cannot read on: it ends, so
 * that another one reads all of them; or in which it cannot look up what the
 * ledger has: it does not begin. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#include <sys/mman.h>

#define JOBS 60
#define UNCHECKED                                                              \
    "40000000" /* bytes: so big a store is not read at its open                \
                */

#define IS_LONG                                                                \
    "INSERT INTO output(seq, out) VALUES(1, zeroblob(" UNCHECKED "))"

static off_t place;      /* of the page that is damaged */
static uint8_t was[100]; /* its beginning */
static const uint8_t damage[sizeof(was)] = {0xff, 0xff, 0xff};

/* The page with this text. */
static void find_page(const char *text)
{
    char path[128];
    struct stat st;
    uint8_t *all, *at;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/jobs.db", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    all = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(all != MAP_FAILED);
    at = memmem(all, (size_t)st.st_size, text, strlen(text));
    assert_non_null(at);
    place = (at - all) / 4096 * 4096;
    memcpy(was, all + place, sizeof(was));
    (void)munmap(all, (size_t)st.st_size);
    (void)close(fd);
}

static void write_page(const uint8_t *bytes)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/jobs.db", dir);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, sizeof(was), place), sizeof(was));
    (void)close(fd);
}

static void it_ends_by_itself(void)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;
    pid_t pid = 0;
    int status;

    while (pid == 0 && spawn_mono_ms() < end) {
        pid = waitpid(broker, &status, WNOHANG);
        (void)usleep(1000);
    }
    assert_int_equal(pid, broker);
    broker = 0;
    assert_int_equal(status, 0);
    (void)close(link_fd);
    link_fd = -1;
}

static void a_broker_ends_and_another_reads_all(void **state)
{
    char count[8];

    (void)state;
    make_store();
    boot_is_this_one();
    run_sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 60)"
            " INSERT INTO job(id, queue, state, digest, fds, submitted_at,"
            " instance, body) SELECT randomblob(16), 'other', 1, 1, 0, 1,"
            " randomblob(16), CAST('this is job ' || i || '.' AS BLOB)"
            " || zeroblob(1000) FROM n;" IS_LONG);
    find_page("this is job 40.");
    write_page(damage);
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
    it_ends_by_itself();
    write_page(was);
    start_broker();
    expect_ready();
    end_broker();
    (void)snprintf(count, sizeof(count), "%d", JOBS);
    expect_sql("SELECT count(*) FROM job WHERE state = 1", count);
}

/* Which jobs it has is known, but for those that have ended. */
static void the_index_of_ids_is_damaged(void)
{
    place = 4096
            * (atoi(ask_sql("SELECT rootpage FROM sqlite_master"
                            " WHERE name = 'sqlite_autoindex_job_1'"))
               - 1);
    assert_true(place > 0);
    write_page(damage);
}

/* It might have it run again. */
static void what_the_ledger_has_waits_until_it_can_be_looked_up(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    run_sql("DELETE FROM job;" IS_LONG);
    the_index_of_ids_is_damaged();
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_broker_ends_and_another_reads_all,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_the_ledger_has_waits_until_it_can_be_looked_up, set_up_disk,
            tear_down_disk),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
