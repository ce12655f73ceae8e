/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the httpd parent gets its pair: a new one, a lingering one of an earlier
 * httpd, or a new spawner on the sockets of a dead one; and how the pair gets
 * its configuration.
 *
 * Runs in the httpd parent. Must not wait without a deadline, and in the MPM's
 * loop (spawn_pair_respawn) hardly at all.
 */
#include "module/pair.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/adopt.h"
#include "module/configure.h"
#include "module/places.h"
#include "module/retained.h"
#include "module/runtime_dir.h"
#include "module/socket_access.h"
#include "module/sockets.h"
#include "module/spawner_hangs.h"
#include "module/start.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"

/* How long the spawner's exec may hold up the MPM's loop. */
#define RESPAWN_EXEC_MS 1000
/* Between two looks at a lock whose holder is about to end or to begin. */
#define LOCK_LOOK_MS 50
/* How long httpd's end waits for a spawner that stores what was posted. */
#define STORE_MS 3000

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void drop_all(spawn_retained *r)
{
    spawn_link_close(r);
    close_fd(&r->listen_fd);
    spawn_listen_told();
    close_fd(&r->post_rx);
    close_fd(&r->post_tx);
    close_fd(&r->inbox);
    r->have_sockets = false;
}

/* Wait for the pair's answer to the last CONFIGURE. APR_EOF: it ended; logged
 * at the given level, since a lingering pair may end. */
static apr_status_t await_ready(const spawn_setup *setup, int level_of_end)
{
    spawn_retained *r = setup->r;
    const char *text;

    switch (spawn_answer_read(setup, r->seq, spawn_mono_ms() + SPAWN_READY_MS,
                              &text)) {
    case SPAWN_ANSWER_READY:
        spawn_listen_told();
        return APR_SUCCESS;
    case SPAWN_ANSWER_NOT_READY:
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0170) "spawner (pid %d) and broker are not ready: %s",
                     (int)r->spawner_pid, text);
        return APR_EGENERAL;
    case SPAWN_ANSWER_GONE:
        ap_log_error(APLOG_MARK, level_of_end, 0, setup->s,
                     MSNO(0171) "the spawner (pid %d) ended instead of getting "
                                "ready: %s; look for its own messages above",
                     (int)r->spawner_pid, text);
        spawn_link_close(r);
        return APR_EOF;
    default:
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0172) "spawner (pid %d) and broker did not answer "
                                "within %d s; is the machine or the disk of "
                                "the store overloaded?",
                     (int)r->spawner_pid, SPAWN_READY_MS / 1000);
        return APR_TIMEUP;
    }
}

static apr_status_t start_own(const spawn_setup *setup, int store_fd,
                              const spawn_programs *programs, int exec_ms,
                              int *ret_control)
{
    spawn_retained *r = setup->r;
    apr_status_t rv = spawn_listen_control(setup->s, store_fd, ret_control);

    if (rv == APR_SUCCESS)
        rv = spawn_start(setup->p, setup->s, programs, r->socket_path, exec_ms,
                         &r->link, &r->spawner_pid);
    if (rv == APR_SUCCESS) {
        r->own = true;
        r->since_ms = spawn_mono_ms();
        spawn_hangs_release(SPAWN_RELEASE);
    }
    return rv;
}

/* Start a spawner on r's sockets, or give them to an external one. The caller
 * has the lock. */
static apr_status_t start_locked(const spawn_setup *setup, int store_fd,
                                 int lock, int exec_ms)
{
    spawn_retained *r = setup->r;
    spawn_configure_with with = {true, false, lock, -1, -1, -1, -1};
    spawn_programs programs;
    apr_status_t rv;

    rv = spawn_programs_open(setup->p, setup->s, &programs);
    if (rv != APR_SUCCESS)
        return rv;
    with.spawner_bin = programs.spawner_bin;
    with.broker_bin = programs.broker_bin;
    with.relay_bin = programs.relay_bin;
    if (spawn_id_make(&r->spawner_life) < 0)
        rv = APR_EGENERAL;
    if (setup->conf->external) /* of a pair of before, which has gone */
        (void)unlinkat(store_fd, "control", 0);
    if (rv == APR_SUCCESS)
        rv =
            setup->conf->external
                ? spawn_external_begin(setup, spawn_mono_ms() + exec_ms)
                : start_own(setup, store_fd, &programs, exec_ms, &with.control);
    if (rv == APR_SUCCESS) {
        rv = spawn_configure_send(setup, &with);
        if (rv != APR_SUCCESS)
            spawn_link_close(r);
    }
    spawn_places_note(store_fd, setup->conf->external != NULL);
    /* from now on only the spawner has them, and they end with it */
    close_fd(&with.control);
    spawn_programs_close(&programs);
    return rv;
}

/* The sockets that only the first spawner of a parent needs. */
static apr_status_t make_sockets(const spawn_setup *setup)
{
    spawn_retained *r = setup->r;
    spawn_socket_access access =
        spawn_socket_access_of(setup->conf, setup->account);
    apr_status_t rv;

    rv = spawn_listen_callers(setup->p, setup->s, r->socket_path, setup->owner,
                              &access, &r->listen_fd);
    if (rv == APR_SUCCESS)
        rv = spawn_make_post(setup->s, r);
    r->have_sockets = rv == APR_SUCCESS;
    return rv;
}

/* New rules for a pair that lives. */
static apr_status_t send_rules(const spawn_setup *setup)
{
    spawn_configure_with with = {false, spawn_listen_untold(), -1, -1, -1, -1,
                                 -1};
    spawn_programs programs;
    apr_status_t rv = spawn_programs_open(setup->p, setup->s, &programs);

    if (rv != APR_SUCCESS)
        return rv;
    with.spawner_bin = programs.spawner_bin;
    with.broker_bin = programs.broker_bin;
    with.relay_bin = programs.relay_bin;
    rv = spawn_configure_send(setup, &with);
    spawn_programs_close(&programs);
    return rv;
}

static apr_status_t configure_again(const spawn_setup *setup, int level_of_end)
{
    apr_status_t rv = send_rules(setup);

    return rv == APR_SUCCESS ? await_ready(setup, level_of_end) : rv;
}

/* Has the configuration another kind of spawner than there is? */
static bool other_kind(const spawn_setup *setup)
{
    return setup->conf->external ? spawn_places_internal()
                                 : spawn_places_external();
}

static void tell_adopted(const spawn_setup *setup)
{
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, setup->s,
                 MSNO(0173) "adopted the spawner (pid %d) that had no httpd; "
                            "its jobs go on",
                 (int)setup->r->spawner_pid);
    if (other_kind(setup))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, setup->s,
                     MSNO(0297) "httpd itself had started the spawner (pid "
                                "%d), and it has jobs: 'SpawnSpawner external' "
                                "takes effect when httpd is stopped, these "
                                "jobs have ended, and httpd is started",
                     (int)setup->r->spawner_pid);
}

static void warn_of_changed_kind(const spawn_setup *setup)
{
    if (other_kind(setup))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, setup->s,
                     MSNO(0298) "'SpawnSpawner %s' is new: that takes effect "
                                "when httpd is stopped, its jobs have ended, "
                                "and httpd is started; until then the spawner "
                                "(pid %d) %s",
                     setup->conf->external ? "external" : "internal",
                     (int)setup->r->spawner_pid,
                     setup->conf->external ? "that httpd has started stays"
                                           : "that is a service stays");
}

static apr_status_t begin_adopted(const spawn_setup *setup)
{
    spawn_retained *r = setup->r;
    bool unused;
    apr_status_t rv =
        spawn_listen_anew(setup, setup->conf->socket_path, &unused);

    if (rv == APR_SUCCESS)
        rv = configure_again(setup, APLOG_INFO);
    if (rv == APR_EOF) {
        /* its last job was done just now: start a new one */
        drop_all(r);
        return APR_EAGAIN;
    }
    if (rv == APR_SUCCESS)
        tell_adopted(setup);
    return rv;
}

static apr_status_t begin_new(const spawn_setup *setup, int store_fd, int lock)
{
    apr_status_t rv = make_sockets(setup);

    if (rv == APR_SUCCESS)
        rv = start_locked(setup, store_fd, lock, SPAWN_READY_MS);
    if (rv == APR_SUCCESS)
        rv = await_ready(setup, APLOG_CRIT);
    if (rv == APR_SUCCESS)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, setup->s,
                     MSNO(0174) "spawner (pid %d) and broker are ready at %s",
                     (int)setup->r->spawner_pid, setup->r->socket_path);
    return rv;
}

static apr_status_t lock_held_for_long(const spawn_setup *setup)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                 MSNO(0175) "the store %s is locked by a process that neither "
                            "answers nor ends within %d s; look with "
                            "'fuser %s/lock' who it is%s",
                 setup->r->store_path, SPAWN_READY_MS / 1000,
                 setup->r->store_path,
                 setup->conf->external
                     ? ""
                     : "; the spawner of mod_spawn.service is taken over only "
                       "with 'SpawnSpawner external'");
    return APR_TIMEUP;
}

/* No event tells when a lock becomes free or when its holder begins to listen,
 * and the kernel names the httpd that made the socket, not the process that
 * listens. So look again, up to a deadline. */
static bool look_again(int64_t deadline_ms)
{
    if (spawn_mono_ms() >= deadline_ms)
        return false;
    (void)poll(NULL, 0, LOCK_LOOK_MS);
    return true;
}

apr_status_t spawn_pair_start_or_adopt(const spawn_setup *setup)
{
    spawn_retained *r = setup->r;
    int64_t deadline = spawn_mono_ms() + SPAWN_READY_MS;
    bool external = false;
    int store_fd, lock;
    apr_status_t rv;

    apr_cpystrn(r->store_path, setup->conf->store_path, sizeof(r->store_path));
    rv = spawn_dir_of_store(setup->p, setup->s, r->store_path, setup->owner,
                            &store_fd);
    if (rv != APR_SUCCESS)
        return rv;
    for (;;) {
        apr_cpystrn(r->socket_path, setup->conf->socket_path,
                    sizeof(r->socket_path));
        rv = spawn_store_lock(setup->s, store_fd, r->store_path, &lock);
        if (rv == APR_SUCCESS) {
            rv = begin_new(setup, store_fd, lock);
            (void)close(lock);
            break;
        }
        if (rv == APR_EBUSY)
            rv = spawn_adopt(setup, store_fd, deadline, &external);
        if (rv == APR_SUCCESS) {
            spawn_places_note(store_fd, external);
            rv = begin_adopted(setup);
        }
        if (rv != APR_EAGAIN)
            break;
        if (!look_again(deadline)) {
            rv = lock_held_for_long(setup);
            break;
        }
    }
    (void)close(store_fd);
    if (rv != APR_SUCCESS)
        drop_all(r);
    return rv;
}

/* Start a new spawner on the present sockets; wait for the lock of the dead one
 * until deadline_ms. Or adopt the spawner that has left us: the module was away
 * for long, or somebody has shut down the link. */
static apr_status_t start_again(const spawn_setup *setup, int64_t deadline_ms,
                                int exec_ms, bool *ret_adopted)
{
    spawn_retained *r = setup->r;
    int store_fd, lock = -1;
    bool external = false;
    apr_status_t rv;

    *ret_adopted = false;

    rv = spawn_dir_of_store(setup->p, setup->s, r->store_path, setup->owner,
                            &store_fd);
    if (rv != APR_SUCCESS)
        return rv;
    do {
        rv = spawn_store_lock(setup->s, store_fd, r->store_path, &lock);
        if (rv == APR_EBUSY) {
            rv = spawn_adopt(setup, store_fd, spawn_mono_ms() + exec_ms,
                             &external);
            *ret_adopted = rv == APR_SUCCESS;
        }
    } while (rv == APR_EAGAIN && look_again(deadline_ms));
    if (rv == APR_EAGAIN)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, setup->s,
                     MSNO(0176) "the store %s is still locked by another "
                                "process; a new spawner is started when it is "
                                "free",
                     r->store_path);
    if (*ret_adopted)
        spawn_places_note(store_fd, external);
    else if (rv == APR_SUCCESS)
        rv = start_locked(setup, store_fd, lock, exec_ms);
    close_fd(&lock);
    (void)close(store_fd);
    return rv;
}

static void warn_of_changed_paths(const spawn_setup *setup)
{
    const spawn_retained *r = setup->r;

    if (strcmp(setup->conf->socket_path, r->socket_path) != 0
        || strcmp(setup->conf->store_path, r->store_path) != 0)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, setup->s,
                     MSNO(0177) "SpawnSocket or SpawnStore was changed to %s "
                                "and %s: that takes effect when httpd is "
                                "stopped and started; until then %s and %s "
                                "stay in use",
                     setup->conf->socket_path, setup->conf->store_path,
                     r->socket_path, r->store_path);
}

/* Read what the spawner said; note its end. */
static void read_all(const spawn_setup *setup)
{
    spawn_retained *r = setup->r;
    const char *text;

    while (r->link >= 0) {
        spawn_answer_kind kind = spawn_answer_read(setup, 0, 0, &text);

        if (kind == SPAWN_ANSWER_GONE)
            spawn_link_close(r);
        else if (kind == SPAWN_ANSWER_NONE)
            return;
    }
}

/* Its broker could not open the store with another account, nor could the next
 * one after a crash. */
static bool owner_changes(const spawn_setup *setup)
{
    struct stat st;

    return setup->account->switched && lstat(setup->r->store_path, &st) == 0
           && st.st_uid != setup->owner->uid;
}

static void goes_on_as_before(const spawn_setup *setup)
{
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, setup->s,
                 MSNO(0178) "the pair (spawner pid %d) goes on with the "
                            "configuration that it had; correct what is named "
                            "above and restart again",
                 (int)setup->r->spawner_pid);
}

void spawn_pair_leave(const spawn_setup *setup)
{
    read_all(setup); /* one that has ended is started again by watch.c */
    if (setup->r->link >= 0)
        goes_on_as_before(setup);
}

void spawn_pair_reconfigure(const spawn_setup *setup)
{
    spawn_retained *r = setup->r;
    bool unused, adopted;
    apr_status_t rv = APR_EOF;

    warn_of_changed_paths(setup);
    warn_of_changed_kind(setup);
    if (r->link >= 0 && owner_changes(setup)) { /* spool.c has told it */
        goes_on_as_before(setup);
        return;
    }
    (void)spawn_listen_anew(setup, r->socket_path, &unused); /* it has logged */
    /* answers from before this restart no longer matter, but an end does */
    read_all(setup);
    if (r->link >= 0) {
        rv = configure_again(setup, APLOG_ERR);
        if (rv != APR_SUCCESS && r->link >= 0) {
            goes_on_as_before(setup);
            return;
        }
    }
    if (r->link < 0) {
        rv = start_again(setup, spawn_mono_ms() + SPAWN_READY_MS,
                         SPAWN_READY_MS, &adopted);
        if (rv == APR_SUCCESS && adopted) {
            tell_adopted(setup);
            rv = configure_again(setup, APLOG_ERR);
        }
        else if (rv == APR_SUCCESS) {
            rv = await_ready(setup, APLOG_CRIT);
        }
    }
    if (rv == APR_SUCCESS)
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, setup->s,
                     MSNO(0179) "the pair (spawner pid %d) has the new "
                                "configuration",
                     (int)r->spawner_pid);
}

/* An external one cannot be had: systemd starts no service while it stops
 * httpd's unit, which comes before that. One of our own stores it, as long as
 * we are here: then systemd kills what is left in the unit. */
static apr_status_t store_by_our_own(spawn_setup *now)
{
    int64_t deadline = spawn_mono_ms() + STORE_MS;
    spawn_server_config conf = *now->conf;
    siginfo_t ended;
    bool adopted;
    apr_status_t rv;

    conf.external = NULL;
    now->conf = &conf;
    rv = start_again(now, 0, RESPAWN_EXEC_MS, &adopted);
    now->conf = NULL;
    if (rv != APR_SUCCESS || adopted)
        return rv;
    spawn_link_close(now->r); /* it ends when it has */
    do {
        ended.si_pid = 0;
        if (waitid(P_PID, (id_t)now->r->spawner_pid, &ended, WEXITED | WNOHANG)
            < 0)
            break;
    } while (!ended.si_pid && look_again(deadline));
    return APR_SUCCESS;
}

/* Without GO, the pair stores what waits in post socket and inbox, and ends. */
void spawn_pair_at_end(const spawn_setup *setup)
{
    spawn_setup now = *setup;
    apr_status_t rv;
    bool adopted;

    read_all(setup);
    if (setup->r->link >= 0 || !setup->r->have_sockets)
        return;
    apr_pool_create(&now.p, NULL); /* setup's own is about to be cleared */
    apr_pool_tag(now.p, "spawn_at_end");
    rv = start_again(&now, 0, RESPAWN_EXEC_MS, &adopted);
    if (rv != APR_SUCCESS && setup->conf->external)
        rv = store_by_our_own(&now);
    if (rv == APR_SUCCESS)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, setup->s,
                     MSNO(0226) "httpd ends without a spawner: another one "
                                "(pid %d) stores what has been posted since",
                     (int)setup->r->spawner_pid);
    else
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, setup->s,
                     MSNO(0227) "httpd ends without a spawner, and none can be "
                                "started, for the reason above: jobs that were "
                                "posted or accepted since are lost, if there "
                                "are any");
    apr_pool_destroy(now.p);
}

apr_status_t spawn_pair_respawn(const spawn_setup *setup)
{
    bool adopted;
    apr_status_t rv = start_again(setup, 0, RESPAWN_EXEC_MS, &adopted);

    if (rv == APR_SUCCESS && adopted) {
        tell_adopted(setup);
        rv = send_rules(setup);
    }
    else if (rv == APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, setup->s,
                     MSNO(0190) "started a new spawner (pid %d)",
                     (int)setup->r->spawner_pid);
    }
    /* The spawner keeps GO until its broker is ready. */
    if (rv == APR_SUCCESS)
        spawn_tell(setup->r, SPAWN_M_GO);
    return rv;
}
