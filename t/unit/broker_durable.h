/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs: this program plays spawner and caller, the disk's syncs
 * (t/probe/sync.c), and the clock (broker_clock.h). The protocol of
 * broker_jobs.h.
 */
#ifndef BROKER_DURABLE_H
#define BROKER_DURABLE_H

#include "t/unit/broker_jobs.h"
#include "t/unit/corner.h"

#include <dirent.h>
#include <sys/file.h>

enum {
    SYNCS,
    FAIL_NEXT,
    HANG_AFTER,
    HANGS,
    LIES,
    NUMBERS
};
#define NEEDS_A_DISK LEAVE_OUT_IF(clocks_are_real(), "a disk is preloaded")

static volatile int32_t *disk;
static char disk_file[80];

static inline int set_up_disk(void **state)
{
    const char *build = getenv("SPAWN_BUILD");
    char text[8300];
    int fd;

    if (set_up_clock(state))
        return -1;
    (void)snprintf(disk_file, sizeof(disk_file), "%s.disk", dir);
    fd = open(disk_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, NUMBERS * sizeof(*disk)) < 0)
        return -1;
    disk = mmap(NULL, NUMBERS * sizeof(*disk), PROT_READ | PROT_WRITE,
                MAP_SHARED, fd, 0);
    (void)close(fd);
    if (disk == MAP_FAILED)
        return -1;
    disk[HANG_AFTER] = -1;
    log_is_kept = true;
    if (clocks_are_real())
        return 0;
    (void)setenv("TEST_SYNC", disk_file, 1);
    (void)snprintf(text, sizeof(text), "%.4000s/t/sync.so:%.4000s",
                   build ? build : "build", getenv("LD_PRELOAD"));
    (void)setenv("LD_PRELOAD", text, 1); /* of the brokers */
    return 0;
}

/* It writes what it was sent, and has its lock until then. */
static inline void wait_for_the_scribe(void)
{
    char path[96];
    int lock;

    (void)snprintf(path, sizeof(path), "%s/durable.lock", dir);
    lock = open(path, O_RDWR | O_CLOEXEC);
    if (lock < 0)
        return;
    (void)flock(lock, LOCK_EX);
    (void)close(lock);
}

static int held_lock = -1;

/* Once the scribe has gone: the next one waits, as for one that hangs. */
static inline void hold_the_lock(void)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "%s/durable.lock", dir);
    held_lock = open(path, O_RDWR | O_CLOEXEC);
    assert_true(held_lock >= 0);
    assert_int_equal(flock(held_lock, LOCK_EX), 0);
}

static inline void let_go_of_the_lock(void)
{
    if (held_lock >= 0)
        (void)close(held_lock);
    held_lock = -1;
}

static inline int tear_down_disk(void **state)
{
    let_go_of_the_lock();
    disk[HANG_AFTER] = -1;
    disk[FAIL_NEXT] = 0;
    if (broker > 0)
        kill_broker();
    wait_for_the_scribe();
    (void)munmap((void *)(uintptr_t)disk, NUMBERS * sizeof(*disk));
    (void)unlink(disk_file);
    (void)unsetenv("TEST_SYNC");
    return tear_down_clock(state);
}

static inline void begin_durable(spawn_writer *w)
{
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(w, &job, "/bin/true");
    spawn_put_u64(w, SPAWN_A_DURABLE, 1);
}

static inline void submit_durable(void)
{
    spawn_writer w;

    begin_durable(&w);
    ask(&w);
}

static inline void a_durable_job_waits(void)
{
    spawn_writer w;

    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static inline void a_durable_job_runs(void)
{
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
}

/* The ledger's file, once its scribe has gone. */
static inline sqlite3 *open_ledger(void)
{
    char path[PATH_MAX] = "";
    unsigned number, highest = 0;
    struct dirent *e;
    DIR *d = opendir(dir);
    sqlite3 *db;

    assert_non_null(d);
    while ((e = readdir(d))) {
        if (sscanf(e->d_name, "durable-%u.db", &number) == 1
            && number > highest)
            highest = number;
    }
    (void)closedir(d);
    assert_true(highest > 0);
    (void)snprintf(path, sizeof(path), "%s/durable-%u.db", dir, highest);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, DEADLINE_MS);
    return db;
}

static inline void ledger_sql(const char *sql)
{
    sqlite3 *db = open_ledger();

    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    (void)sqlite3_close(db);
}

static inline void expect_ledger(const char *sql, const char *wanted)
{
    sqlite3 *db = open_ledger();
    sqlite3_stmt *s;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(s, 0), wanted);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
}

static inline void everything_is_killed(void)
{
    kill_broker();
    (void)spawn_id_make(&life); /* of another spawner */
}

/* Another boot, when the store has lost these. */
static inline void the_power_was_cut(const char *lost)
{
    everything_is_killed();
    run_sql("UPDATE meta SET value = 'another boot'"
            " WHERE key IN ('boot_id', 'ledger_boot')");
    ledger_sql("UPDATE meta SET value = 'another boot' WHERE key = 'boot_id'");
    if (lost)
        run_sql(lost);
}

/* It waits for the ledger, but not for ever: 4 s. They count from when it
 * begins to read, so they pass until it is ready. */
static inline void expect_ready_without_the_ledger(void)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    struct pollfd p = {link_fd, POLLIN, 0};

    say(SPAWN_M_TABLE_END);
    while (poll(&p, 1, 20) == 0) {
        assert_true(spawn_mono_ms() < until);
        later_by(5);
    }
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]), SPAWN_E_OK);
}

static inline void another_broker(void)
{
    start_broker();
    if (held_lock >= 0)
        expect_ready_without_the_ledger();
    else
        expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static inline void look(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

static inline void expect_outcome(spawn_outcome outcome)
{
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 99), outcome);
}

static inline void expect_refused_with(const char *text)
{
    expect_answer(SPAWN_M_REFUSED);
    if (!strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), text))
        fail_msg("%s", spawn_str_or(&message, SPAWN_A_TEXT, ""));
}

/* The ledger can be read at last. */
static inline void the_lock_is_free(void)
{
    let_go_of_the_lock();
    wait_until_logged("MS0697", 1);
    has_heard();
}

static inline pid_t kill_scribe(void)
{
    char text[64] = "", path[64];
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)broker,
                   (int)broker);
    in = fopen(path, "re");
    assert_non_null(in);
    assert_non_null(fgets(text, sizeof(text), in));
    (void)fclose(in);
    assert_int_equal(kill(atoi(text), SIGKILL), 0);
    return (pid_t)atoi(text);
}

static inline void disk_goes_on(void)
{
    disk[HANG_AFTER] = -1;
    disk[HANGS] = 0;
}

static inline void wait_for_a_hang(void)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    while (!disk[HANGS] && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_int_equal(disk[HANGS], 1);
}

#endif
