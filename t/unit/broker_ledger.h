/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger of this program's own, on a disk that fails as a test says: the
 * functions by which SQLite and our files reach it are defined here, and so
 * found before libc's. For tests that link broker/store/ledger.c.
 */
#ifndef BROKER_LEDGER_H
#define BROKER_LEDGER_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "broker/store/ledger.h"
#include "common/spawn_wire.h"
#include "t/unit/corner.h"

/* ---- the disk ---- */

/* Calls of a kind: so many more pass, then so many fail (-1: all). */
typedef struct {
    volatile int32_t done, pass, fail, error;
} calls;

#define SYNCED_MOST 64

/* Processes that a test forks have it in common. */
static struct {
    calls syncs, writes, reads, opens, renames, locks;
    calls heard, told;          /* of a socket: broker_scribe_play.h */
    volatile int32_t told_most; /* bytes at once; 0: any */
    volatile int64_t room;      /* bytes that a file may have; 0: any */
    volatile int64_t room_then; /* the same, after a sync that has failed */
    volatile int32_t synced_count;
    volatile uint64_t synced[SYNCED_MOST]; /* inodes */
} * disk;

static inline bool fails(calls *c)
{
    c->done++;
    if (!c->fail)
        return false;
    if (c->pass > 0) {
        c->pass--;
        return false;
    }
    c->fail -= c->fail > 0;
    errno = c->error;
    return true;
}

static inline void fail_after(calls *c, int pass, int fail, int error)
{
    c->done = 0;
    c->pass = pass;
    c->error = error;
    c->fail = fail;
}

static inline void disk_is_good(void)
{
    memset((void *)disk, 0, sizeof(*disk));
}

/* Nobody cuts the power. */
static inline int sync_disk(int fd)
{
    struct stat st;

    if (disk && fails(&disk->syncs)) {
        disk->room = disk->room_then;
        return -1;
    }
    if (disk && fstat(fd, &st) == 0 && disk->synced_count < SYNCED_MOST)
        disk->synced[disk->synced_count++] = st.st_ino;
    return 0;
}

int fsync(int fd)
{
    return sync_disk(fd);
}

int fdatasync(int fd)
{
    return sync_disk(fd);
}

/* Nothing else has the place of a file of SQLite's. */
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at)
{
    if (disk && disk->room && at + (off64_t)length > disk->room) {
        errno = ENOSPC;
        return -1;
    }
    if (disk && fails(&disk->writes))
        return -1;
    return lseek64(fd, at, SEEK_SET) < 0 ? -1 : write(fd, data, length);
}

ssize_t pread64(int fd, void *data, size_t length, off64_t at)
{
    if (disk && fails(&disk->reads))
        return -1;
    return lseek64(fd, at, SEEK_SET) < 0 ? -1 : read(fd, data, length);
}

/* By SQLite; our own files call open. */
int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list more;

    va_start(more, flags);
    if (flags & O_CREAT)
        mode = va_arg(more, mode_t);
    va_end(more);
    if (disk && fails(&disk->opens))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int rename(const char *from, const char *into)
{
    if (disk && fails(&disk->renames))
        return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, into, 0);
}

int flock(int fd, int what)
{
    if (disk && fails(&disk->locks))
        return -1;
    return (int)syscall(SYS_flock, fd, what);
}

/* ---- its files ---- */

static char dir[40];

static inline const char *path_of(const char *name)
{
    static char path[4][100];
    static unsigned next;
    char *room = path[next++ % 4];

    (void)snprintf(room, sizeof(path[0]), "%s/%s", dir, name);
    return room;
}

static inline bool is_there(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static inline uint64_t inode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static inline void put_file(const char *name, const char *text)
{
    FILE *out = fopen(path_of(name), "we");

    assert_non_null(out);
    (void)fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static inline void change_file(const char *name, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path_of(name), &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 10000);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- the ledger ---- */

#define MESSAGE_ROOM 64
#define ROWS_MOST    16

static spawn_ledger ledger;

typedef struct {
    spawn_ledger_record r;
    uint8_t message[MESSAGE_ROOM];
    char text[MESSAGE_ROOM];
    bool has_text;
} row_seen;

static row_seen rows[ROWS_MOST];
static unsigned rows_count;

static inline void see(void *of, const spawn_ledger_record *r,
                       const void *message, const char *text)
{
    row_seen *it = &rows[rows_count];

    assert_ptr_equal(of, &ledger);
    assert_true(rows_count++ < ROWS_MOST);
    memset(it, 0, sizeof(*it));
    it->r = *r;
    if (r->length <= MESSAGE_ROOM)
        memcpy(it->message, message, r->length);
    it->has_text = text != NULL;
    (void)snprintf(it->text, sizeof(it->text), "%s", text ? text : "");
}

static inline void read_rows(bool ended)
{
    rows_count = 0;
    assert_int_equal(spawn_ledger_rows(&ledger, ended, see, &ledger), 0);
}

static inline spawn_id id_of(uint8_t n)
{
    spawn_id id = {{0}};

    id.bytes[0] = id.bytes[SPAWN_ID_SIZE - 1] = n;
    return id;
}

static inline spawn_ledger_record record_of(spawn_ledger_type type, uint8_t n)
{
    const spawn_ledger_record r = {
        .type = (uint16_t)type, .id = id_of(n), .attempt = 1};

    return r;
}

/* What write says. */
static inline int writes(const spawn_ledger_record *r, const void *message,
                         const char *text)
{
    int rv;

    assert_int_equal(spawn_ledger_begin(&ledger), 0);
    rv = spawn_ledger_write(&ledger, r, message, text, text ? strlen(text) : 0);
    assert_true(rv >= 0);
    assert_int_equal(spawn_ledger_commit(&ledger), 0);
    return rv;
}

static inline int puts_job(uint8_t n, const char *what)
{
    uint8_t message[MESSAGE_ROOM] = {0};
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, n);

    (void)strcpy((char *)message + SPAWN_WIRE_HEADER, what);
    r.length = (uint32_t)(SPAWN_WIRE_HEADER + strlen(what));
    return writes(&r, message, NULL);
}

static inline void opens(void)
{
    if (spawn_ledger_open(&ledger))
        fail_msg("%s", ledger.why);
}

/* What becomes of a record, when all may fail. 0 or -1. */
static inline int tries(const spawn_ledger_record *r, const void *message)
{
    if (spawn_ledger_begin(&ledger) == 0
        && spawn_ledger_write(&ledger, r, message, NULL, 0) == 0
        && spawn_ledger_commit(&ledger) == 0)
        return 0;
    spawn_ledger_rollback(&ledger);
    return -1;
}

static inline int tries_job(uint8_t n)
{
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, n);

    r.length = SPAWN_WIRE_HEADER;
    return tries(&r, "0123456789abcdef");
}

static inline void jobs_are_there(unsigned count)
{
    unsigned i;

    read_rows(true);
    assert_int_equal(rows_count, count);
    for (i = 0; i < count; i++)
        assert_int_equal(rows[i].r.id.bytes[0], i + 1);
}

/* Another scribe comes. */
static inline void scribe_ends(void)
{
    spawn_ledger_close(&ledger);
    if (ledger.lock >= 0)
        (void)close(ledger.lock);
    spawn_ledger_init(&ledger, dir);
}

static inline void opens_anew(void)
{
    scribe_ends();
    opens();
}

static inline int set_up_ledger(void **state)
{
    (void)state;
    if (!disk) {
        disk = mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (disk == MAP_FAILED)
            return -1;
    }
    disk_is_good();
    (void)strcpy(dir, "/tmp/spawn-ledger-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    memset(&ledger, 0xff, sizeof(ledger));
    spawn_ledger_init(&ledger, dir);
    return 0;
}

static inline int tear_down_ledger(void **state)
{
    char command[64];

    (void)state;
    disk_is_good();
    scribe_ends();
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

#define LEDGER_TEST(f)                                                         \
    cmocka_unit_test_setup_teardown(f, set_up_ledger, tear_down_ledger)

#endif
