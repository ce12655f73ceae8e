/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places made anew. Runs in the httpd parent, which alone has the rights for
 * that; the broker logs at once that something was removed, and copies the
 * database back (broker/places.c).
 *
 * The lock comes first: its holder has the store. When another httpd has made a
 * store at the path meanwhile, the path is that one's, and must be left alone.
 */
#include "module/places.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/retained.h"
#include "module/runtime_dir.h"
#include "module/sockets.h"
#include "module/spool.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"

#define RETAINED_KEY "mod_spawn-places-1"
#define TRY_AGAIN_MS 60000 /* after a failure, which has been logged */

/* Plain values only, as in retained.h. */
typedef struct {
    bool known;
    dev_t dev;
    ino_t lock, control; /* control 0: it is an external spawner's, elsewhere */
    int64_t not_before_ms; /* monotonic */
} places;

static places *places_get(void)
{
    places *kept = ap_retained_data_get(RETAINED_KEY);

    return kept ? kept : ap_retained_data_create(RETAINED_KEY, sizeof(places));
}

void spawn_places_note(int store_fd, bool external)
{
    places *kept = places_get();
    struct stat lock, control;

    if (external)
        control.st_ino = 0;
    kept->known =
        fstatat(store_fd, "lock", &lock, AT_SYMLINK_NOFOLLOW) == 0
        && (external
            || fstatat(store_fd, "control", &control, AT_SYMLINK_NOFOLLOW)
                   == 0);
    if (!kept->known)
        return;
    kept->dev = lock.st_dev;
    kept->lock = lock.st_ino;
    kept->control = control.st_ino;
    kept->not_before_ms = 0;
}

bool spawn_places_external(void)
{
    return places_get()->known && !places_get()->control;
}

bool spawn_places_internal(void)
{
    return places_get()->known && places_get()->control;
}

static bool is(const char *path, dev_t dev, ino_t ino)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return st.st_dev == dev && st.st_ino == ino;
}

static bool store_there(const spawn_setup *setup, const places *kept)
{
    const char *path = setup->r->store_path;

    return is(apr_pstrcat(setup->p, path, "/lock", NULL), kept->dev, kept->lock)
           && (!kept->control
               || is(apr_pstrcat(setup->p, path, "/control", NULL), kept->dev,
                     kept->control))
           && spawn_spool_there();
}

static int give(const spawn_setup *setup, int listen, int lock, int control)
{
    const int all[] = {listen, lock, control};
    static const uint64_t role_of[] = {SPAWN_FD_LISTEN, SPAWN_FD_LOCK,
                                       SPAWN_FD_CONTROL};
    uint64_t roles[3];
    int fds[3];
    unsigned count = 0, i;
    uint8_t room[256];
    spawn_writer w;
    int rv;

    for (i = 0; i < 3; i++) {
        if (all[i] >= 0) {
            roles[count] = role_of[i];
            fds[count++] = all[i];
        }
    }
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_PLACES, 0);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, count);
    rv = spawn_writer_finish(&w, count);
    return rv < 0 ? rv
                  : spawn_packet_send(setup->r->link, w.data, w.length, fds,
                                      count);
}

/* Is the lock under its name the one that our spawner holds? */
static bool is_ours(int store_fd)
{
    const places *kept = places_get();
    struct stat st;

    return fstatat(store_fd, "lock", &st, AT_SYMLINK_NOFOLLOW) == 0
           && st.st_dev == kept->dev && st.st_ino == kept->lock;
}

/* Directory, lock, control, spool. */
static apr_status_t make_store(const spawn_setup *setup, int *ret_store,
                               int *ret_lock, int *ret_control)
{
    spawn_retained *r = setup->r;
    int store_fd;
    apr_status_t rv = spawn_dir_of_store(setup->p, setup->s, r->store_path,
                                         setup->owner, ret_store);

    if (rv != APR_SUCCESS)
        return rv;
    store_fd = *ret_store;
    rv = spawn_store_lock(setup->s, store_fd, r->store_path, ret_lock);
    /* if our lock still has its name, our own spawner holds it */
    if (rv == APR_EBUSY && is_ours(store_fd))
        rv = APR_SUCCESS;
    if (rv == APR_EBUSY)
        ap_log_error(
            APLOG_MARK, APLOG_CRIT, 0, setup->s,
            MSNO(0260) "the store %s was removed, and another httpd "
                       "has made one there meanwhile: the jobs of this "
                       "one stay with it until it stops; stop the "
                       "other, or give them different SpawnStores",
            r->store_path);
    if (rv == APR_SUCCESS && places_get()->control)
        rv = spawn_listen_control(setup->s, store_fd, ret_control);
    if (rv == APR_SUCCESS)
        rv = spawn_spool_begin(setup->p, setup->s, r->store_path, setup->owner,
                               setup->account);
    return rv;
}

static void drop(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static void tell_made(const spawn_setup *setup, bool socket, bool store)
{
    const spawn_retained *r = setup->r;

    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, setup->s,
                 MSNO(0262) "made anew, since somebody removed it:%s%s%s%s",
                 socket ? " the socket " : "", socket ? r->socket_path : "",
                 store ? " the store's directory " : "",
                 store ? r->store_path : "");
}

void spawn_places_look(const spawn_setup *setup)
{
    spawn_retained *r = setup->r;
    places *kept = places_get();
    bool store = !kept->known || store_there(setup, kept);
    bool new_listen = false, untold;
    int store_fd = -1, lock = -1, control = -1;
    apr_status_t rv = APR_SUCCESS;
    int sent = 0;

    if (r->link < 0 || spawn_mono_ms() < kept->not_before_ms)
        return;
    if (!store)
        rv = make_store(setup, &store_fd, &lock, &control);
    if (rv == APR_SUCCESS && !spawn_socket_there(r->socket_path, NULL))
        rv = spawn_listen_anew(setup, r->socket_path, &new_listen);
    untold = spawn_listen_untold(); /* also one that a restart has made */
    if (rv == APR_SUCCESS && (untold || !store)) {
        sent = give(setup, untold ? r->listen_fd : -1, lock, control);
        if (sent < 0) {
            ap_log_error(APLOG_MARK, APLOG_ERR, -sent, setup->s,
                         MSNO(0261) "the spawner (pid %d) cannot be given what "
                                    "was made anew",
                         (int)r->spawner_pid);
        }
        else {
            spawn_listen_told();
            if (!store) /* else it is made, and given, once more */
                spawn_places_note(store_fd, !kept->control);
            if (new_listen || !store)
                tell_made(setup, new_listen, !store);
        }
    }
    if (rv != APR_SUCCESS || sent < 0)
        kept->not_before_ms = spawn_mono_ms() + TRY_AGAIN_MS;
    drop(store_fd);
    drop(lock);
    drop(control);
}
