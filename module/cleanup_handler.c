/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnCleanupHandler: which handlers a request has, and how they become a job.
 * They run in another process, so Perl has to write down, in httpd and at the
 * request's end, what they need of it. Apache2::Spawn::Cleanup does that in
 * mod_perl's log phase; a log_transaction hook before mod_perl's puts it there
 * for requests that have handlers.
 *
 * $r->push_handlers would do the same, but the two functions of mod_perl's that
 * are used here need no interpreter. Unlike one PerlLogHandler for the whole
 * server, this one stays when a section of httpd.conf has a PerlLogHandler of
 * its own.
 *
 * Directive and check run in the httpd parent, or where an .htaccess is read;
 * the rest runs in httpd children, in any thread. Must run no Perl itself.
 */
#include "module/cleanup_handler.h"
#include "module/cleanup.h"

#include <dlfcn.h>
#include <limits.h>

#include "module/allow.h"
#include "module/config.h"
#include "module/context.h"
#include "module/few.h"
#include "module/handlers.h"
#include "module/parent_template.h"
#include "module/terminal.h"

#define PERL_PHASE   "PerlLogHandler"
#define PERL_HANDLER "Apache2::Spawn::Cleanup::handler"
#define PERL_JOB     "Apache2::Spawn::Cleanup::run"
#define ACTION_PUSH  1 /* MP_HANDLER_ACTION_PUSH */
#define MODULE_FILE  "mod_perl.c"

/* mod_perl's, of modperl_handler.h. */
typedef apr_array_header_t **(*get_handlers_fn)(request_rec *r, conn_rec *c,
                                                server_rec *s, apr_pool_t *p,
                                                const char *phase, int action);
typedef void *(*handler_new_fn)(apr_pool_t *p, const char *name);

static get_handlers_fn get_handlers;
/* One handler for all requests of the child: under prefork mod_perl resolves it
 * once, in a pool that is never cleared; elsewhere it resolves a copy for each
 * request. */
static void *log_handler;
static bool any_handlers;
static const char *first_where; /* of httpd.conf; NULL: none */
static bool wanted;             /* by the configuration that was read last */

/* ---- the directive ---- */

static bool name_ok(const char *name)
{
    if (*name == '+' || *name == '-')
        name++;
    if (!apr_isalpha(*name) && *name != '_')
        return false;
    for (; *name; name++) {
        if (apr_isalnum(*name) || *name == '_')
            continue;
        if (name[0] == ':' && name[1] == ':')
            name++;
        else if (name[0] == '-' && name[1] == '>')
            name++;
        else
            return false;
    }
    return true;
}

static const char *add(cmd_parms *cmd, apr_array_header_t **handlers,
                       const char *arg)
{
    if (strcasecmp(arg, "none") == 0) {
        *handlers = apr_array_make(cmd->pool, 1, sizeof(const char *));
        return NULL;
    }
    if (strncmp(arg, "sub", 3) == 0
        && (arg[3] == '{' || apr_isspace(arg[3]) || !arg[3]))
        return "SpawnCleanupHandler: the handler runs in another process, "
               "where no piece of code can follow; put it into a module and "
               "name that: SpawnCleanupHandler My::Handler";
    if (!name_ok(arg))
        return apr_psprintf(cmd->pool,
                            "SpawnCleanupHandler: '%.200s' is not the name of "
                            "a handler; wanted: My::Handler, "
                            "My::Module::function or My::Class->method",
                            arg);
    if (!*handlers)
        *handlers = apr_array_make(cmd->pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(*handlers, const char *) = arg;
    /* (a thread that reads an .htaccess comes here too) */
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_RUN_MPM && !first_where)
        first_where = spawn_where(cmd->pool, cmd->directive);
    __atomic_store_n(&any_handlers, true, __ATOMIC_RELAXED);
    return NULL;
}

const char *spawn_cleanup_handler_add(cmd_parms *cmd, void *dir_config,
                                      const char *args)
{
    apr_array_header_t *words;
    const char *err = spawn_words(cmd, args, 1, INT_MAX, &words);
    int i;

    for (i = 0; !err && words->nelts > 1 && i < words->nelts; i++)
        if (strcasecmp(APR_ARRAY_IDX(words, i, const char *), "none") == 0)
            return "SpawnCleanupHandler: 'none' stands alone";
    for (i = 0; !err && i < words->nelts; i++)
        err = add(cmd, spawn_cleanup_handlers_of(dir_config),
                  APR_ARRAY_IDX(words, i, const char *));
    return err;
}

apr_status_t spawn_cleanup_handlers_check(server_rec *s)
{
    bool without = any_handlers && !ap_find_linked_module(MODULE_FILE);
    bool refused =
        any_handlers && !spawn_allow_any(spawn_config_of(s), PERL_JOB);
    const char *where = first_where ? first_where : "httpd.conf";

    wanted = any_handlers;
    any_handlers = false;
    first_where = NULL;
    if (refused)
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0118) "%s: SpawnCleanupHandler: no queue runs the "
                                "function " PERL_JOB ", by which handlers are "
                                "called: name it in the SpawnAllow of their "
                                "queue",
                     where);
    if (!without)
        return refused ? APR_EINVAL : APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0212) "%s: SpawnCleanupHandler needs mod_perl, which is "
                            "not loaded: add LoadModule perl_module, or take "
                            "the directive away",
                 where);
    return APR_EINVAL;
}

/* Has mod_perl started its Perl? */
static bool perl_started(void)
{
    int (*running)(void);

    *(void **)&running = dlsym(RTLD_DEFAULT, "modperl_is_running");
    return running && running();
}

apr_status_t spawn_cleanup_handlers_ready(server_rec *s)
{
    static const char text[] =
        MSNO(0281) "SpawnCleanupHandler needs 'PerlModule Apache2::Spawn', "
                   "which nothing has loaded: add it to httpd.conf, or take "
                   "the directive away";

    if (!wanted || !perl_started() || spawn_template_runner_there())
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "%s", text);
    spawn_terminal_say(text);
    return APR_EINVAL;
}

/* ---- at the end of a request ---- */

void spawn_cleanup_handlers_child_init(apr_pool_t *p, server_rec *s)
{
    handler_new_fn handler_new;

    (void)s;
    *(void **)&get_handlers =
        dlsym(RTLD_DEFAULT, "modperl_handler_get_handlers");
    *(void **)&handler_new = dlsym(RTLD_DEFAULT, "modperl_handler_new");
    log_handler = handler_new ? handler_new(p, PERL_HANDLER) : NULL;
}

const apr_array_header_t *spawn_cleanup_handlers(request_rec *r)
{
    request_rec *first = spawn_first_request(r);

    return *spawn_cleanup_handlers_of(
        ap_get_module_config(first->per_dir_config, &spawn_module));
}

int spawn_cleanup_log_first(request_rec *r)
{
    const apr_array_header_t *handlers = spawn_cleanup_handlers(r);
    static spawn_few few;
    apr_array_header_t **phase;

    if (!handlers || handlers->nelts == 0)
        return DECLINED;
    phase =
        get_handlers && log_handler
            ? get_handlers(r, NULL, r->server, r->pool, PERL_PHASE, ACTION_PUSH)
            : NULL;
    if (!phase || !*phase) {
        if (spawn_few_lines(&few, r->server, APLOG_ERR, "MS0213",
                            "all requests"))
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                          MSNO(0213) "SpawnCleanupHandler %s is left out: "
                                     "mod_perl is not there",
                          APR_ARRAY_IDX(handlers, 0, const char *));
        return DECLINED;
    }
    APR_ARRAY_PUSH(*phase, void *) = log_handler;
    return DECLINED;
}
