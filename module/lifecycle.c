/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair's life, by httpd's hooks. httpd reads its configuration twice at a
 * start; only the second time is real. A restart reads it once more, and finds
 * the present pair in the retained data.
 *
 * Runs in the httpd parent. `httpd -t` runs pre_config and check_config only,
 * which must therefore start and make nothing.
 */
#include "module/lifecycle.h"

#include <unistd.h>

#include "module/access.h"
#include "module/account.h"
#include "module/adopt.h"
#include "module/cgroup.h"
#include "module/cleanup_handler.h"
#include "module/config.h"
#include "module/configure.h"
#include "module/confines.h"
#include "module/directives.h"
#include "module/endpoint.h"
#include "module/forks.h"
#include "module/handlers.h"
#include "module/logs.h"
#include "module/pair.h"
#include "module/parent_template.h"
#include "module/places.h"
#include "module/setup.h"
#include "module/retained.h"
#include "module/runtime_dir.h"
#include "module/spool.h"
#include "module/start.h"
#include "module/terminal.h"
#include "module/unit.h"
#include "module/watch.h"

static uid_t opened_as;
static bool first_start; /* this reading of the configuration is that of it */

static bool real_pass(void)
{
    return ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG
           && ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_NORMAL;
}

/* Called when the module is loaded, and not in pre_config: <Perl> sections and
 * their startup files run before that, for as long as they like. At the first
 * start there is no link. */
void spawn_loaded(void)
{
    spawn_retained *r = ap_retained_data_get(SPAWN_RETAINED_KEY);

    if (!r || !spawn_in_parent(r))
        return;
    (void)spawn_forks_watch(r); /* open_logs tries again, and logs a failure */
    spawn_tell(r, SPAWN_M_LOADED);
}

int spawn_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    spawn_endpoint_reset();
    spawn_parent_templates_forget();
    return OK;
}

static apr_status_t programs_there(apr_pool_t *p, server_rec *s)
{
    spawn_programs programs;
    apr_status_t rv = spawn_programs_open(p, s, &programs);

    if (rv == APR_SUCCESS)
        spawn_programs_close(&programs);
    return rv;
}

/* Can the pair of this httpd be as the configuration says? A start refuses a
 * configuration that cannot be; a restart goes on without it. Sets the account
 * when it can be. */
static apr_status_t can_be(const spawn_setup *setup,
                           const spawn_account **ret_account)
{
    apr_status_t rv = spawn_account_resolve(setup->p, setup->s, ret_account);

    if (rv == APR_SUCCESS)
        rv = spawn_bounding_set_check(setup->s, setup->conf);
    if (rv == APR_SUCCESS)
        rv = spawn_queue_accounts_check(setup->s, setup->conf, *ret_account);
    if (rv == APR_SUCCESS)
        rv = spawn_cgroup_check(setup->p, setup->s, setup->conf);
    return rv;
}

/* `httpd -t`: faults that would keep httpd from starting, as far as they show
 * here. The person who types it may have another account than the one that
 * starts httpd, and another cgroup: so User, and all that needs root, is not
 * checked. */
static apr_status_t tested(apr_pool_t *p, server_rec *s)
{
    apr_status_t rv = programs_there(p, s);

    return rv == APR_SUCCESS ? spawn_cgroup_test(p, s, spawn_config_of(s)) : rv;
}

/* Looks at more than the configuration at `httpd -t` only, since it runs for
 * `-k stop` too. */
int spawn_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    (void)plog;
    return spawn_config_complete(pconf, s) == APR_SUCCESS
                   && spawn_cleanup_handlers_check(s) == APR_SUCCESS
                   && spawn_confines_check(s) == APR_SUCCESS
                   && (ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_CONFIG_TEST
                       || tested(ptemp, s) == APR_SUCCESS)
               ? OK
               : HTTP_INTERNAL_SERVER_ERROR;
}

/* pconf is cleared: a restart, or the end of httpd, which the pair notices by
 * itself. Children that clear their copy say nothing, nor does the only process
 * of `httpd -X`, which ends here with its rights dropped. */
static apr_status_t cleared(void *data)
{
    const spawn_retained *r = data;

    if (!spawn_in_parent(r) || geteuid() != opened_as)
        return APR_SUCCESS;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING)
        spawn_pair_at_end(spawn_watch_setup());
    else
        spawn_tell(r, SPAWN_M_CLEARED);
    return APR_SUCCESS;
}

/* Can socket and store be where they are configured, and does no other httpd
 * have the store? */
static apr_status_t places_free(apr_pool_t *p, server_rec *s)
{
    const spawn_server_config *conf = spawn_config_of(s);
    const spawn_account *account, *owner = NULL;
    int store_fd = -1;
    apr_status_t rv = spawn_account_resolve(p, s, &account);

    if (rv == APR_SUCCESS)
        rv = spawn_queue_accounts_check(s, conf, account);
    if (rv == APR_SUCCESS) {
        owner = spawn_config_owner(conf, account);
        rv = spawn_look_for_socket(p, s, conf->socket_path, owner);
    }
    if (rv == APR_SUCCESS)
        rv = spawn_look_for_store(p, s, conf->store_path, owner, &store_fd);
    /* an external spawner is not started for the question */
    if (rv == APR_SUCCESS && store_fd >= 0 && !conf->external
        && spawn_store_held(store_fd))
        rv = spawn_adopt_look(p, s, conf->store_path, store_fd);
    if (store_fd >= 0)
        (void)close(store_fd);
    return rv;
}

/* When httpd reads its configuration the first time, the terminal is still
 * there, and somebody waits for the exit code. So faults that can be known now
 * are told now. Runs before the core opens the error log. */
int spawn_first_look(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                     server_rec *s)
{
    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG
        || ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL)
        return OK;
    spawn_terminal_keep(pconf);
    return programs_there(ptemp, s) == APR_SUCCESS
                   && places_free(ptemp, s) == APR_SUCCESS
               ? OK
               : HTTP_INTERNAL_SERVER_ERROR;
}

static spawn_setup *make_setup(apr_pool_t *pconf, server_rec *s)
{
    spawn_setup *setup = apr_pcalloc(pconf, sizeof(*setup));

    setup->p = pconf;
    setup->s = s;
    setup->conf = spawn_config_of(s);
    setup->r = spawn_retained_get();
    return setup;
}

/* The account of jobs, and that of the pair. fits: the configuration can be;
 * one that cannot is no reason to end when httpd serves already. */
static int find_accounts(spawn_setup *setup, bool *fits)
{
    *fits = can_be(setup, &setup->account) == APR_SUCCESS;
    if (!setup->account && setup->r->have_sockets)
        setup->account = spawn_account_by_number(setup->p);
    if (!setup->account || (!*fits && !setup->r->have_sockets))
        return HTTP_INTERNAL_SERVER_ERROR;
    setup->owner = spawn_config_owner(setup->conf, setup->account);
    return OK;
}

static int have_spool(const spawn_setup *setup)
{
    const char *store =
        setup->r->have_sockets ? setup->r->store_path : setup->conf->store_path;
    apr_status_t rv = spawn_spool_begin(setup->p, setup->s, store, setup->owner,
                                        setup->account);

    return rv == APR_SUCCESS || setup->r->have_sockets
               ? OK
               : HTTP_INTERNAL_SERVER_ERROR;
}

static int watch_forks(spawn_retained *r, server_rec *s)
{
    apr_status_t rv;

    if (!r->have_sockets)
        r->parent_pid = getpid();
    rv = spawn_forks_watch(r);
    if (rv == APR_SUCCESS)
        return OK;
    ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                 MSNO(0240) "the processes that httpd forks cannot be "
                            "watched; is there no memory?");
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int start_pair(const spawn_setup *setup, apr_pool_t *ptemp)
{
    if (setup->r->parent_pid == 1)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, setup->s,
                     MSNO(0200) "httpd is process 1: if the spawner is "
                                "killed, its jobs become httpd's, and one "
                                "that exits with 15 stops httpd; run an "
                                "init (docker run --init) as process 1");
    if (spawn_pair_start_or_adopt(setup) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0201) "httpd does not start without its "
                                "spawner; the reason stands above");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!spawn_places_external())
        spawn_unit_tell(ptemp, setup->s);
    return OK;
}

static int have_pair(const spawn_setup *setup, apr_pool_t *ptemp, bool fits)
{
    if (!setup->r->have_sockets)
        return start_pair(setup, ptemp);
    if (fits)
        spawn_pair_reconfigure(setup);
    else
        spawn_pair_leave(setup);
    return OK;
}

int spawn_open_logs(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                    server_rec *s)
{
    spawn_retained *r = spawn_retained_get();
    spawn_setup *setup;
    bool fits;

    (void)plog;
    if (!real_pass())
        return OK;
    opened_as = geteuid();
    first_start = !r->have_sockets;
    setup = make_setup(pconf, s);
    if (!r->have_sockets && spawn_machine_check(s) != APR_SUCCESS)
        return HTTP_INTERNAL_SERVER_ERROR;
    if (find_accounts(setup, &fits) != OK)
        return HTTP_INTERNAL_SERVER_ERROR;
    spawn_confines_tell(pconf, s, setup->account);
    spawn_access_tell(setup);
    if (have_spool(setup) != OK || watch_forks(r, s) != OK
        || have_pair(setup, ptemp, fits) != OK)
        return HTTP_INTERNAL_SERVER_ERROR;
    spawn_logs_write_kept(setup);
    spawn_watch_begin(setup);
    apr_pool_cleanup_register(pconf, r, cleared, apr_pool_cleanup_null);
    return OK;
}

/* All modules have agreed, and mod_perl has run its PerlPostConfigRequire:
 * everything that templates are to have is loaded. Waiting jobs may start. */
int spawn_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *s)
{
    (void)pconf;
    (void)plog;
    if (spawn_cleanup_handlers_ready(s) != APR_SUCCESS
        && ap_state_query(AP_SQ_CONFIG_GEN) == 0)
        return HTTP_INTERNAL_SERVER_ERROR; /* a restart goes on without them */
    if (!real_pass())
        return OK;
    /* registered here and not with the other hooks: hooks that modules add now
     * run last, in the order in which they were added, and mod_wsgi adds one */
    ap_hook_pre_mpm(spawn_forks_before_children, NULL, NULL,
                    APR_HOOK_REALLY_LAST);
    spawn_parent_templates_begin(spawn_watch_setup());
    if (first_start && spawn_places_external())
        spawn_unit_tell_templates(ptemp, s,
                                  spawn_parent_templates_names(ptemp));
    spawn_tell(spawn_retained_get(), SPAWN_M_GO);
    return OK;
}
