/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches the spawner. For our own child there is APR's other_child, which the
 * MPMs call when they reap it; for an adopted one the monitor hook looks for
 * end of file on the control link. Callers' submits wait in the sockets
 * meanwhile.
 *
 * Runs in the httpd parent, in the MPM's loop: must not wait, must not reap.
 */
#include "module/watch.h"

#include "module/configure.h"
#include "module/pair.h"
#include "module/parent_template.h"
#include "module/places.h"
#include "module/retained.h"
#include "module/spawner_hangs.h"

#include "ap_mpm.h"
#include "mpm_common.h"
#include "apr_thread_proc.h"
#include "common/spawn_os.h"

/* A spawner that lived for a shorter time is started again more and more
 * slowly. */
#define YOUNG_MS    10000
#define PAUSE_MAX_S 60

/* This reading of the configuration; NULL when pconf is cleared. */
static const spawn_setup *watched;
static apr_proc_t watched_child;
static bool registered;
static bool reported; /* the log says that the pair does not get ready */

static void on_child(int reason, void *data, int status);

static void watch_child(const spawn_setup *setup)
{
    if (!setup->r->own || setup->r->link < 0)
        return;
    memset(&watched_child, 0, sizeof(watched_child));
    watched_child.pid = setup->r->spawner_pid;
    apr_proc_other_child_register(&watched_child, on_child, &watched_child,
                                  NULL, setup->s->process->pconf);
    registered = true;
}

/* Calls on_child with UNREGISTER. APR would crash when the child is not
 * registered. */
static void unwatch_child(void)
{
    if (registered)
        apr_proc_other_child_unregister(&watched_child);
    registered = false;
}

static bool stopping(void)
{
    int state;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) != APR_SUCCESS
           || state == AP_MPMQ_STOPPING;
}

/* Seconds to wait after n young deaths in a row: none after the first. */
static unsigned pause_after(unsigned deaths)
{
    if (deaths < 2)
        return 0;
    return deaths > 7 ? PAUSE_MAX_S : 1u << (deaths - 2);
}

static void count_failure(spawn_retained *r, bool young)
{
    r->young_deaths = young ? r->young_deaths + 1 : 0;
    r->retry_at_ms =
        spawn_mono_ms() + 1000 * (int64_t)pause_after(r->young_deaths);
}

static void respawn(const spawn_setup *setup)
{
    spawn_setup now = *setup;

    apr_pool_create(&now.p, setup->p);
    apr_pool_tag(now.p, "spawn_respawn");
    reported = false;
    spawn_hangs_begin();
    if (spawn_pair_respawn(&now) == APR_SUCCESS) {
        watch_child(setup);
        spawn_parent_templates_again(setup);
    }
    else {
        count_failure(setup->r, true);
    }
    apr_pool_destroy(now.p);
}

/* In a restart the next open_logs starts the new spawner. */
static void died(const spawn_setup *setup, const char *what, const char *how)
{
    spawn_retained *r = setup->r;
    bool young = spawn_mono_ms() - r->since_ms < YOUNG_MS;
    char when[40];

    spawn_link_close(r);
    if (stopping())
        return;
    count_failure(r, young);
    if (pause_after(r->young_deaths) == 0)
        apr_cpystrn(when, "at once", sizeof(when));
    else
        apr_snprintf(when, sizeof(when), "in %u to %u s",
                     pause_after(r->young_deaths),
                     pause_after(r->young_deaths) + 11);
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, setup->s,
                 MSNO(0191) "the spawner (pid %d) %s: %s; a new one is "
                            "started %s",
                 (int)r->spawner_pid, what, how, when);
    if (pause_after(r->young_deaths) == 0)
        respawn(setup);
}

/* status is a decoded exit code from alert and a raw one from refresh, and
 * alert does not say whether it is a code or a signal. */
static void on_child(int reason, void *data, int status)
{
    char how[64];

    (void)data;
    if (reason == APR_OC_REASON_UNREGISTER) {
        registered = false;
        return;
    }
    if ((reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST)
        || !watched)
        return;
    unwatch_child();
    if (reason == APR_OC_REASON_DEATH)
        apr_snprintf(how, sizeof(how), "exit code or signal %d", status);
    else
        apr_cpystrn(how, "nobody knows how", sizeof(how));
    died(watched, "ended", how);
}

/* Nobody waits for a spawner that is started while httpd runs: without this,
 * one that hangs before it is ready would never be reported. */
static void report_unready(const spawn_setup *setup)
{
    const spawn_retained *r = setup->r;
    int64_t age = spawn_mono_ms() - r->since_ms;

    if (r->ready || reported || age < SPAWN_READY_MS)
        return;
    reported = true;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, setup->s,
                 MSNO(0194) "spawner (pid %d) and broker are still not ready "
                            "after %d s: submits fail meanwhile; is the "
                            "machine or the disk of the store overloaded?",
                 (int)r->spawner_pid, (int)(age / 1000));
}

/* Read what it said since; false when it has gone. */
static bool listen_to(const spawn_setup *setup, const char **ret_text)
{
    for (;;) {
        switch (spawn_answer_read(setup, 0, 0, ret_text)) {
        case SPAWN_ANSWER_NONE:
            return true;
        case SPAWN_ANSWER_GONE:
            return false;
        case SPAWN_ANSWER_READY:
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, setup->s,
                         MSNO(0192) "the new spawner (pid %d) and its broker "
                                    "are ready",
                         (int)setup->r->spawner_pid);
            break;
        case SPAWN_ANSWER_NOT_READY:
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, setup->s,
                         MSNO(0193) "spawner (pid %d) and broker are not "
                                    "ready: %s",
                         (int)setup->r->spawner_pid, *ret_text);
            reported = true;
            break;
        }
    }
}

int spawn_watch_monitor(apr_pool_t *p, server_rec *s)
{
    spawn_retained *r;
    spawn_setup now;
    const char *text;

    (void)s;
    if (!watched || !spawn_in_parent(watched->r) || stopping())
        return DECLINED;
    now = *watched;
    apr_pool_create(&now.p, p);
    apr_pool_tag(now.p, "spawn_monitor");
    r = now.r;
    if (r->link >= 0 && !listen_to(&now, &text)) {
        unwatch_child();
        died(watched, "has ended or left", text);
    }
    else if (r->link < 0 && r->have_sockets
             && spawn_mono_ms() >= r->retry_at_ms) {
        respawn(watched);
    }
    else if (r->link >= 0) {
        report_unready(&now);
        spawn_hangs_look(&now);
        spawn_places_look(&now);
    }
    apr_pool_destroy(now.p);
    spawn_parent_templates_look(watched);
    return DECLINED;
}

const spawn_setup *spawn_watch_setup(void)
{
    return watched;
}

static apr_status_t forget(void *unused)
{
    (void)unused;
    watched = NULL;
    return APR_SUCCESS;
}

void spawn_watch_begin(const spawn_setup *setup)
{
    watched = setup;
    spawn_hangs_begin();
    registered = false;
    reported = !setup->r->ready; /* open_logs has reported it */
    apr_pool_cleanup_register(setup->s->process->pconf, NULL, forget,
                              apr_pool_cleanup_null);
    watch_child(setup);
}
