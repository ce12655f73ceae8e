/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool's reading end. Runs in the broker, on files that only httpd's own
 * uid can write; their bytes are checked as everybody's.
 *
 * A file is removed when the store has its job. A broker that is killed in
 * between leaves a file whose job is known to the next one, which only removes
 * it. A file whose queue is full stays, and is not read again before there is
 * room. So no job is lost, and none runs twice.
 *
 * A turn must take in a few files only: callers are served in between.
 */
#include "broker/caller/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "common/spawn_hash.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_spool.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/notify.h"
#include "broker/base/timer.h"
#include "broker/job/queue.h"
#include "broker/run/order.h"

#define BATCH      64        /* files of a turn */
#define SKIP       2000      /* the same of those that are known to stay */
#define STAY_MAX   8192      /* are known; a power of two */
#define BYTES      (1 << 20) /* of these: they are in memory until its end */
#define LOOK_AGAIN 1000      /* ms, for what had to stay */
#define LOOK_BLIND 5000      /* ms, where the directory cannot be watched */
#define UNFINISHED 60000     /* ms until such a file is taken for abandoned */

static spawn_spool_take_fn take;
static spawn_batch *take_into;
static int dir_fd = -1;
static DIR *scan;       /* a walk through the directory that has not ended */
static bool scan_again; /* files came during it */
static bool some_stay;
static bool watched; /* by inotify */
static spawn_timer timer;

static void look_at(int64_t when)
{
    if (!timer.place || timer.at > when)
        spawn_timer_set(&timer, when);
}

void spawn_spool_retry(void)
{
    some_stay = true;
    look_at(spawn_mono_ms() + LOOK_AGAIN);
}

void spawn_spool_remove(const spawn_id *id)
{
    char name[SPAWN_ID_TEXT];

    if (unlinkat(dir_fd, spawn_id_format(id, name), 0) < 0 && errno != ENOENT)
        spawn_log_few(
            "the spool", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
            MSNO(0591) "the file %s cannot be removed from the spool: %s", name,
            strerror(errno));
}

/* ---- files that are known to stay ---- */

typedef struct {
    spawn_id id;
    spawn_spool_waits waits; /* without a queue: nobody is here */
} stay;

static stay *stays; /* by the hash of the id, at the next free place */
static unsigned stays_used;

static stay *place_of(const spawn_id *id)
{
    size_t at = spawn_hash_id(id);

    while (*stays[at % STAY_MAX].waits.queue
           && !spawn_id_equal(&stays[at % STAY_MAX].id, id))
        at++;
    return &stays[at % STAY_MAX];
}

static void forget_stays(void)
{
    free(stays);
    stays = NULL;
    stays_used = 0;
}

/* Those that find no place are read each time. */
static void note_stay(const spawn_id *id, const spawn_spool_waits *waits)
{
    stay *s;

    if (!*waits->queue)
        return;
    if (!stays)
        stays = spawn_alloc(STAY_MAX * sizeof(*stays));
    s = place_of(id);
    if (!*s->waits.queue && stays_used >= STAY_MAX / 2)
        return;
    stays_used += !*s->waits.queue;
    s->id = *id;
    s->waits = *waits;
}

static bool has_to_stay(const spawn_id *id)
{
    const stay *s = stays ? place_of(id) : NULL;
    const spawn_queue *q =
        s && *s->waits.queue ? spawn_queue_find(s->waits.queue) : NULL;

    return q && !spawn_queue_has_room(q, s->waits.delayed);
}

/* ---- one file ---- */

/* malloc'd, or NULL with errno. */
static uint8_t *read_file(const char *name, size_t *ret_length, uid_t *ret_uid)
{
    int fd =
        openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    size_t length = 0, size;
    uint8_t *data = NULL;
    struct stat st;
    int error;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) < 0)
        goto fail;
    errno = EFBIG;
    if (!S_ISREG(st.st_mode) || st.st_size < SPAWN_WIRE_HEADER
        || st.st_size > SPAWN_WIRE_HEADER + (off_t)SPAWN_SUBMIT_MAX)
        goto fail;
    size = (size_t)st.st_size;
    data = malloc(size);
    if (!data)
        goto fail;
    while (length < size) {
        ssize_t n = read(fd, data + length, size - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            goto fail;
        length += (size_t)n;
    }
    (void)close(fd);
    *ret_length = length;
    *ret_uid = st.st_uid;
    return data;
fail:
    error = errno;
    (void)close(fd);
    free(data);
    errno = error;
    return NULL;
}

/* Renamed and not removed: somebody may want to look at it. */
static void put_aside(const char *name, const char *why)
{
    char bad[SPAWN_ID_TEXT + sizeof(SPAWN_SPOOL_BAD)];

    (void)snprintf(bad, sizeof(bad), "%s" SPAWN_SPOOL_BAD, name);
    spawn_log_few(
        "the spool", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
        MSNO(0592) "the job in the spool's file %s is left out: %s; it "
                   "is now %s",
        name, why, bad);
    if (renameat(dir_fd, name, dir_fd, bad) < 0)
        (void)unlinkat(dir_fd, name, 0);
}

/* How many bytes it has. */
static size_t take_file(const char *name, const spawn_id *id)
{
    spawn_spool_waits waits = {.queue = ""};
    spawn_spool_result result;
    spawn_failure why;
    size_t length;
    uint8_t *data;
    uid_t uid;

    data = read_file(name, &length, &uid);
    if (!data) {
        if (errno == EFBIG || errno == ELOOP)
            put_aside(name, "it is no file of a job's size");
        else if (errno != ENOENT)
            spawn_spool_retry();
        return 0;
    }
    result = take(take_into, id, data, length, uid, &waits, &why);
    free(data);
    switch (result) {
    case SPAWN_SPOOLED_TAKEN:
        break; /* it is removed after the commit */
    case SPAWN_SPOOLED_KNOWN:
        spawn_spool_remove(id);
        break;
    case SPAWN_SPOOLED_LATER:
        note_stay(id, &waits);
        spawn_spool_retry();
        break;
    case SPAWN_SPOOLED_BAD:
        put_aside(name, why.text);
        spawn_order_forgotten(id);
        break;
    }
    return length;
}

/* Unfinished files, and when they were first seen: their own time says nothing
 * when the clock was set. When there are more of them, they wait. */
static struct {
    char name[SPAWN_ID_TEXT + sizeof(SPAWN_SPOOL_UNFINISHED)];
    int64_t seen;
} unfinished[8];

/* If the file stays, a child was killed while it wrote. */
static void check_unfinished(const char *name)
{
    int64_t now = spawn_mono_ms();
    unsigned i, place = sizeof(unfinished) / sizeof(unfinished[0]);

    for (i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
        if (strcmp(unfinished[i].name, name) == 0)
            break;
        if (!*unfinished[i].name || now - unfinished[i].seen > 2 * UNFINISHED)
            place = i;
    }
    if (i == sizeof(unfinished) / sizeof(unfinished[0])) {
        if (place < i && strlen(name) < sizeof(unfinished[0].name)) {
            (void)strcpy(unfinished[place].name, name);
            unfinished[place].seen = now;
        }
        look_at(now + UNFINISHED);
        return;
    }
    if (now - unfinished[i].seen < UNFINISHED) {
        look_at(unfinished[i].seen + UNFINISHED);
        return;
    }
    unfinished[i].name[0] = '\0';
    spawn_log_few(
        "the spool", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
        MSNO(0593) "%s in the spool was never finished (an httpd child "
                   "was killed while it wrote) and is removed",
        name);
    (void)unlinkat(dir_fd, name, 0);
}

/* ---- the directory ---- */

static void begin_scan(void)
{
    int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);

    if (!some_stay || stays_used >= STAY_MAX / 2)
        forget_stays();
    scan_again = false;
    some_stay = false;
    scan = fd >= 0 ? fdopendir(fd) : NULL;
    if (scan) {
        rewinddir(scan); /* the place is shared with all duplicates */
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    spawn_spool_retry();
}

static void end_scan(void)
{
    (void)closedir(scan);
    scan = NULL;
    if (some_stay)
        look_at(spawn_mono_ms() + LOOK_AGAIN);
    else if (scan_again)
        look_at(spawn_mono_ms());
    else if (!watched)
        look_at(spawn_mono_ms() + LOOK_BLIND);
}

static void look(spawn_timer *t)
{
    const struct dirent *entry;
    unsigned taken = 0, skipped = 0;
    size_t bytes = 0;
    spawn_id id;

    (void)t;
    if (!scan)
        begin_scan();
    while (scan && taken < BATCH && skipped < SKIP && bytes < BYTES) {
        entry = readdir(scan);
        if (!entry) {
            end_scan();
            return;
        }
        if (strncmp(entry->d_name, SPAWN_SPOOL_UNFINISHED,
                    sizeof(SPAWN_SPOOL_UNFINISHED) - 1)
            == 0)
            check_unfinished(entry->d_name);
        else if (strlen(entry->d_name) == SPAWN_ID_TEXT - 1
                 && spawn_id_parse(entry->d_name, &id) == 0) {
            if (has_to_stay(&id)) {
                spawn_spool_retry();
                skipped++;
                continue;
            }
            bytes += take_file(entry->d_name, &id);
            taken++;
        }
    }
    if (scan)
        look_at(spawn_mono_ms());
}

static void changed(void)
{
    if (scan)
        scan_again = true;
    else if (!some_stay) /* else a look is due soon */
        look_at(spawn_mono_ms());
}

static void path_of(char *room, size_t size)
{
    (void)snprintf(room, size, "%s/" SPAWN_SPOOL_DIR, spawn_conf.store_path);
}

void spawn_spool_open(spawn_spool_take_fn to, spawn_batch *batch)
{
    char path[4096 + sizeof(SPAWN_SPOOL_DIR) + 1];

    take = to;
    take_into = batch;
    if (dir_fd >= 0)
        return;
    path_of(path, sizeof(path));
    dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0590) "the spool %s cannot be opened: %s; jobs that "
                             "wait there wait on",
                  path, strerror(errno));
        return;
    }
    timer.fire = look;
    watched = spawn_notify_watch(path, IN_MOVED_TO | IN_ONLYDIR, changed) == 0;
    look_at(spawn_mono_ms());
}

bool spawn_spool_there(void)
{
    char path[4096 + sizeof(SPAWN_SPOOL_DIR) + 1];
    struct stat is, was;

    path_of(path, sizeof(path));
    if (dir_fd < 0 || fstat(dir_fd, &was) < 0)
        return true; /* never was */
    if (lstat(path, &is) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return is.st_dev == was.st_dev && is.st_ino == was.st_ino;
}

bool spawn_spool_again(void)
{
    char path[4096 + sizeof(SPAWN_SPOOL_DIR) + 1];

    path_of(path, sizeof(path));
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return false;
    if (scan)
        (void)closedir(scan);
    scan = NULL;
    spawn_notify_leave(changed);
    (void)close(dir_fd);
    dir_fd = -1;
    spawn_spool_open(take, take_into);
    return dir_fd >= 0;
}
