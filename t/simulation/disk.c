/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk of the store: a VFS of SQLite whose files are memory of the world,
 * so they outlive a broker that dies at any point. A file of the store has no
 * other place: whoever asks for it by its path (--wrap) is told of this one.
 * Here writes fail and the disk is full, as the world wants it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "t/simulation/body.h"
#include "t/simulation/files.h"
#include "t/simulation/past.h"
#include "t/simulation/world.h"

#define FILES_MAX 6
#define BLOCK     4096
#define INODE     7000000
#define FILE_MAX  (64 << 20) /* bytes */

/* The names that --wrap gives. */
int __real_stat(const char *path, struct stat *ret);
int __wrap_stat(const char *path, struct stat *ret);
int __real_lstat(const char *path, struct stat *ret);
int __wrap_lstat(const char *path, struct stat *ret);
int __real_truncate(const char *path, off_t size);
int __wrap_truncate(const char *path, off_t size);

typedef struct {
    sqlite3_file base;
    stored *of;
    int chunk; /* its size grows by this, 0: by bytes */
} opened;

static stored files[FILES_MAX];
static uint64_t drawn; /* random bytes: no two lives have the same */

void disk_empty(void)
{
    unsigned i;

    for (i = 0; i < FILES_MAX; i++) {
        files[i].there = false;
        files[i].size = 0;
    }
    drawn = 0;
    past_forget();
}

bool disk_is_empty(void)
{
    unsigned i;

    for (i = 0; i < FILES_MAX; i++) {
        if (files[i].there)
            return false;
    }
    return true;
}

/* As it was at some time. */
static stored kept[FILES_MAX];
static uint64_t drawn_when_kept;

void disk_keep(void)
{
    unsigned i;

    for (i = 0; i < FILES_MAX; i++) {
        kept[i] = files[i];
        if (!kept[i].there)
            continue;
        kept[i].data = body_world_malloc((size_t)kept[i].size + 1);
        memcpy(kept[i].data, files[i].data, (size_t)files[i].size);
    }
    drawn_when_kept = drawn;
    past_forget();
}

void disk_as_kept(void)
{
    unsigned i;

    for (i = 0; i < FILES_MAX; i++) {
        uint8_t *data = files[i].data;

        if (kept[i].there)
            memcpy(data, kept[i].data, (size_t)kept[i].size);
        files[i] = kept[i];
        files[i].data = data;
    }
    drawn = drawn_when_kept;
    past_forget();
}

static stored *find(const char *path, bool make)
{
    stored *unused = NULL;
    unsigned i;

    for (i = 0; i < FILES_MAX; i++) {
        if (files[i].there && strcmp(files[i].path, path) == 0)
            return &files[i];
        if (!files[i].there)
            unused = &files[i];
    }
    if (!make || !unused || strlen(path) >= sizeof(unused->path))
        return NULL;
    past_write(unused, 0, 0);
    strcpy(unused->path, path);
    unused->there = true;
    unused->size = 0;
    return unused;
}

/* zeros_to: what lies behind is written now. */
static void change_size(stored *s, sqlite3_int64 size, sqlite3_int64 zeros_to)
{
    if (size > FILE_MAX)
        abort();
    past_write(s, size, s->size > size ? s->size - size : 0);
    if (zeros_to > s->size)
        memset(s->data + s->size, 0, (size_t)(zeros_to - s->size));
    s->size = size;
}

static void resize(stored *s, sqlite3_int64 size)
{
    change_size(s, size, size);
}

/* ---- a file that is open ---- */

static stored *file_of(sqlite3_file *f)
{
    return ((opened *)(void *)f)->of;
}

static int close_file(sqlite3_file *f)
{
    (void)f;
    return SQLITE_OK;
}

static int read_file(sqlite3_file *f, void *data, int length, sqlite3_int64 at)
{
    const stored *s = file_of(f);
    sqlite3_int64 got = at < s->size ? s->size - at : 0;

    if (got >= length) {
        memcpy(data, s->data + at, (size_t)length);
        return SQLITE_OK;
    }
    if (got > 0)
        memcpy(data, s->data + at, (size_t)got);
    memset((uint8_t *)data + got, 0, (size_t)(length - got));
    return SQLITE_IOERR_SHORT_READ;
}

static bool one_fails(void)
{
    return board->fail_in > 0 && --board->fail_in == 0;
}

static int fails_as(int error)
{
    board->failed_ms = board->mono_ms;
    return error;
}

static void put(stored *s, const void *data, int length, sqlite3_int64 at)
{
    past_write(s, at, length);
    if (at + length > s->size)
        change_size(s, at + length, at);
    memcpy(s->data + at, data, (size_t)length);
}

static int write_file(sqlite3_file *f, const void *data, int length,
                      sqlite3_int64 at)
{
    stored *s = file_of(f);
    sqlite3_int64 more;

    life_point();
    if (board->store == STORE_BROKEN || one_fails())
        return fails_as(SQLITE_IOERR_WRITE);
    if (board->store == STORE_FULL) {
        more = at + length > s->size ? at + length - s->size : 0;
        if (more > board->room)
            return fails_as(SQLITE_FULL);
        board->room -= more;
    }
    if (life_ends_here()) {
        put(s, data, length / 2, at);
        life_dies();
    }
    put(s, data, length, at);
    return SQLITE_OK;
}

static int truncate_file(sqlite3_file *f, sqlite3_int64 size)
{
    const opened *o = (const opened *)(const void *)f;

    if (o->chunk > 0)
        size = (size + o->chunk - 1) / o->chunk * o->chunk;
    resize(o->of, size);
    return SQLITE_OK;
}

static int sync_file(sqlite3_file *f, int flags)
{
    (void)f;
    (void)flags;
    return SQLITE_OK;
}

static int size_of_file(sqlite3_file *f, sqlite3_int64 *ret)
{
    *ret = file_of(f)->size;
    return SQLITE_OK;
}

static int lock_file(sqlite3_file *f, int how)
{
    (void)f;
    (void)how;
    return SQLITE_OK;
}

static int check_lock(sqlite3_file *f, int *ret)
{
    (void)f;
    *ret = 0;
    return SQLITE_OK;
}

/* Room in advance, of which the unix VFS makes a file too. */
static void grow_to(opened *o, sqlite3_int64 size)
{
    if (o->chunk <= 0)
        return;
    size = (size + o->chunk - 1) / o->chunk * o->chunk;
    if (size > o->of->size)
        resize(o->of, size);
}

static int control_file(sqlite3_file *f, int what, void *with)
{
    opened *o = (opened *)(void *)f;

    switch (what) {
    case SQLITE_FCNTL_CHUNK_SIZE:
        o->chunk = *(int *)with;
        return SQLITE_OK;
    case SQLITE_FCNTL_SIZE_HINT:
        grow_to(o, *(sqlite3_int64 *)with);
        return SQLITE_OK;
    default:
        return SQLITE_NOTFOUND;
    }
}

static int sector_size(sqlite3_file *f)
{
    (void)f;
    return BLOCK;
}

static int characteristics(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* Version 1: without shared memory, which an exclusive lock needs not. */
static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = close_file,
                                           .xRead = read_file,
                                           .xWrite = write_file,
                                           .xTruncate = truncate_file,
                                           .xSync = sync_file,
                                           .xFileSize = size_of_file,
                                           .xLock = lock_file,
                                           .xUnlock = lock_file,
                                           .xCheckReservedLock = check_lock,
                                           .xFileControl = control_file,
                                           .xSectorSize = sector_size,
                                           .xDeviceCharacteristics =
                                               characteristics};

/* ---- files by their names ---- */

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *f,
                     int flags, int *ret_flags)
{
    opened *o = (opened *)(void *)f;

    (void)vfs;
    memset(o, 0, sizeof(*o));
    o->of = name ? find(name, flags & SQLITE_OPEN_CREATE) : NULL;
    if (!o->of)
        return SQLITE_CANTOPEN;
    o->base.pMethods = &methods;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int remove_file(sqlite3_vfs *vfs, const char *name, int sync)
{
    stored *s = find(name, false);

    (void)vfs;
    (void)sync;
    if (!s)
        return SQLITE_IOERR_DELETE_NOENT;
    past_write(s, 0, s->size);
    s->there = false;
    return SQLITE_OK;
}

static int access_file(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    const stored *s = find(name, false);

    (void)vfs;
    *ret = s && (flags != SQLITE_ACCESS_EXISTS || s->size > 0);
    return SQLITE_OK;
}

static int full_name(sqlite3_vfs *vfs, const char *name, int room, char *ret)
{
    (void)vfs;
    (void)sqlite3_snprintf(room, ret, "%s", name);
    return SQLITE_OK;
}

static int random_bytes(sqlite3_vfs *vfs, int count, char *ret)
{
    int i;

    (void)vfs;
    for (i = 0; i < count; i++) {
        drawn = drawn * 6364136223846793005u + 1442695040888963407u;
        ret[i] = (char)(drawn >> 56);
    }
    return count;
}

static int last_error(sqlite3_vfs *vfs, int room, char *ret)
{
    (void)vfs;
    (void)room;
    (void)ret;
    return 0;
}

static int now(sqlite3_vfs *vfs, double *ret)
{
    (void)vfs;
    *ret = 2440587.5 + (double)board->wall_ms / 86400000.0;
    return SQLITE_OK;
}

/* ---- its memory: that of the broker ---- */

static void *take(int size)
{
    return malloc((size_t)size);
}

static void *take_more(void *p, int size)
{
    return realloc(p, (size_t)size);
}

static int size_of(void *p)
{
    return p ? (int)memory_room(p) : 0;
}

static int rounded(int size)
{
    return (size + 7) & ~7;
}

static int begin(void *of)
{
    (void)of;
    return SQLITE_OK;
}

static void end(void *of)
{
    (void)of;
}

static sqlite3_vfs disk = {.iVersion = 1,
                           .szOsFile = sizeof(opened),
                           .mxPathname = 512,
                           .zName = "simulation",
                           .xOpen = open_file,
                           .xDelete = remove_file,
                           .xAccess = access_file,
                           .xFullPathname = full_name,
                           .xRandomness = random_bytes,
                           .xGetLastError = last_error,
                           .xCurrentTime = now};

void disk_open(void)
{
    static const sqlite3_mem_methods memory = {
        take, free, take_more, size_of, rounded, begin, end, NULL};

    uint8_t *room =
        mmap(NULL, (size_t)FILES_MAX * FILE_MAX, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    unsigned i;

    if (room == MAP_FAILED)
        abort();
    for (i = 0; i < FILES_MAX; i++)
        files[i].data = room + (size_t)i * FILE_MAX;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_vfs_register(&disk, 1);
}

/* ---- the same files, and others, for who knows their path ---- */

static bool of_file(const char *path, struct stat *ret)
{
    const stored *s = find(path, false);
    const node *n = s ? NULL : file_at(path);

    if (n)
        file_stat(n, ret);
    if (!s)
        return n;
    memset(ret, 0, sizeof(*ret));
    ret->st_mode = S_IFREG | 0600;
    ret->st_ino = (ino_t)(INODE + (s - files));
    ret->st_size = s->size;
    return true;
}

int __wrap_stat(const char *path, struct stat *ret)
{
    return of_file(path, ret) ? 0 : __real_stat(path, ret);
}

int __wrap_lstat(const char *path, struct stat *ret)
{
    return of_file(path, ret) ? 0 : __real_lstat(path, ret);
}

int __wrap_truncate(const char *path, off_t size)
{
    stored *s = find(path, false);

    if (!s && file_truncate(path, (size_t)size))
        return 0;
    if (!s)
        return __real_truncate(path, size);
    resize(s, size);
    return 0;
}
