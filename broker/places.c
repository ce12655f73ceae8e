/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching over the socket, the store and the spool. Runs in the broker. Must
 * not make what only httpd's parent may make (module/places.c).
 *
 * inotify only says that a look is worth while; the look by path comes a moment
 * later, so that one rm -r gives one line. It comes from time to time anyway,
 * since inotify may not work, or may watch what is no longer there.
 */
#include "broker/places.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/conf.h"
#include "broker/base/notify.h"
#include "broker/base/timer.h"
#include "broker/store/lock.h"
#include "broker/store/place.h"
#include "broker/store/store.h"
#include "broker/caller/spool.h"

#define A_MOMENT   50    /* ms, until rm has come to its end */
#define LOOK_AGAIN 1000  /* ms, while something is missing */
#define LOOK_BLIND 30000 /* ms, without an event */

#define EVENTS                                                                 \
    (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT    \
     | IN_ONLYDIR)

static spawn_timer timer;
static spawn_store *store; /* the store that these places are of */
static bool told;          /* that something is missing */
/* It has been there. That of an external spawner is elsewhere. */
static bool has_control;

static void look_in(int64_t ms)
{
    int64_t when = spawn_mono_ms() + ms;

    if (!timer.place || timer.at > when)
        spawn_timer_set(&timer, when);
}

static void changed(void)
{
    look_in(A_MOMENT);
}

/* The directories that are at these paths now. */
static void watch(void)
{
    char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char *slash;

    spawn_notify_leave(changed);
    (void)snprintf(dir, sizeof(dir), "%s", spawn_conf.socket_path);
    slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir ? 1 : 0] = '\0';
    (void)spawn_notify_watch(dir, EVENTS, changed);
    (void)spawn_notify_watch(spawn_conf.store_path, EVENTS, changed);
}

static bool socket_there(void)
{
    struct stat st;

    return !*spawn_conf.socket_path || lstat(spawn_conf.socket_path, &st) == 0
           || (errno != ENOENT && errno != ENOTDIR);
}

static bool in_store(const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", spawn_conf.store_path, name);
    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

typedef struct {
    bool socket, marks, store, spool; /* they are there */
} places;

static bool all_there(const places *p)
{
    return p->socket && p->marks && p->store && p->spool;
}

static void tell(const places *p)
{
    char what[4 * PATH_MAX] = "";
    size_t used = 0;

#define SAY(there, word, path)                                                 \
    do {                                                                       \
        if (!(there))                                                          \
            used += (size_t)snprintf(what + used, sizeof(what) - used,         \
                                     "%s%s %s", used ? ", " : "", word, path); \
    } while (0)
    SAY(p->socket, "the socket", spawn_conf.socket_path);
    SAY(p->store, "the database in", spawn_conf.store_path);
    SAY(p->marks, "lock or control in", spawn_conf.store_path);
    SAY(p->spool, "the spool in", spawn_conf.store_path);
#undef SAY
    spawn_log_few(
        "the places", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
        MSNO(0640) "removed while httpd runs: %.600s; no job is lost, and "
                   "httpd makes them anew within some 10 s. Keep from "
                   "there what removed them (rm, or a cleaner of "
                   "temporary files), or set SpawnSocket and SpawnStore "
                   "to other places",
        what);
    told = true;
}

static bool marks_there(void)
{
    bool control = in_store("control");

    has_control |= control;
    return in_store("lock") && (control || !has_control);
}

static void look(spawn_timer *t)
{
    places p = {.socket = socket_there(),
                .marks = marks_there(),
                .store = spawn_store_there(store),
                .spool = spawn_spool_there()};

    (void)t;
    if (!told && !all_there(&p))
        tell(&p);
    if (!p.store)
        p.store = spawn_store_restore(store);
    if (p.store)
        spawn_store_mark(store);
    if (p.store && !p.spool)
        p.spool = spawn_spool_again();
    if (told && all_there(&p)) {
        told = false;
        watch();
        spawn_log_few(
            "the places", SPAWN_LOG_FEW, SPAWN_LOG_NOTICE,
            MSNO(0641) "the socket %s and the store %s are whole again, "
                       "with all jobs",
            spawn_conf.socket_path, spawn_conf.store_path);
    }
    look_in(told ? LOOK_AGAIN : LOOK_BLIND);
}

void spawn_places_open(spawn_store *of)
{
    store = of;
    timer.fire = look;
    (void)marks_there();
    watch();
    look_in(LOOK_BLIND);
}

void spawn_places_renewed(void)
{
    look_in(0);
}
