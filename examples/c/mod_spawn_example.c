/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module that runs programs with mod_spawn: a handler that prints what a
 * program says, and a job for after the answer; and a handler that lists jobs
 * which have failed for good, and has them tried again. docs/c-api.md explains
 * it.
 *
 *   apxs -c -i mod_spawn_example.c
 *
 *   LoadModule spawn_module modules/mod_spawn.so
 *   LoadModule spawn_example_module modules/mod_spawn_example.so
 *   <Location /report>
 *       SetHandler spawn-example
 *       ExampleProgram /usr/bin/sort -r
 *       ExampleAfter   /usr/bin/logger report
 *   </Location>
 *   <Location /dead>
 *       SetHandler spawn-example-dead
 *       Require local
 *   </Location>
 *
 * The program reads the request's query string from its stdin. It runs outside
 * of httpd, for ten seconds at most, and has nothing of httpd's. GET /dead
 * lists dead jobs; POST /dead has them tried again.
 */
#include "httpd.h"
#include "http_config.h"
#include "http_log.h"
#include "http_protocol.h"
#include "apr_strings.h"

#include "mod_spawn.h"

module AP_MODULE_DECLARE_DATA spawn_example_module;
APLOG_USE_MODULE(spawn_example);

typedef struct {
    apr_array_header_t *program, *after; /* of const char * */
} example_config;

static spawn_api spawn;
static int have_spawn;

/* All modules are loaded by now; a restart comes here again. */
static void find_spawn(void)
{
    have_spawn = spawn_api_find(&spawn);
}

/* ---- the configuration ---- */

static void *create_config(apr_pool_t *p, char *dir)
{
    example_config *conf = apr_pcalloc(p, sizeof(*conf));

    (void)dir;
    conf->program = apr_array_make(p, 4, sizeof(const char *));
    conf->after = apr_array_make(p, 4, sizeof(const char *));
    return conf;
}

static const char *add_program(cmd_parms *cmd, void *conf, const char *word)
{
    (void)cmd;
    APR_ARRAY_PUSH(((example_config *)conf)->program, const char *) = word;
    return NULL;
}

static const char *add_after(cmd_parms *cmd, void *conf, const char *word)
{
    (void)cmd;
    APR_ARRAY_PUSH(((example_config *)conf)->after, const char *) = word;
    return NULL;
}

static const command_rec directives[] = {
    AP_INIT_ITERATE("ExampleProgram", add_program, NULL, ACCESS_CONF,
                    "the program that answers, and its arguments"),
    AP_INIT_ITERATE("ExampleAfter", add_after, NULL, ACCESS_CONF,
                    "the program that runs when the client has its answer"),
    {.name = NULL}};

/* ---- the handler ---- */

/* A job of this request; argv as the API wants it, with a NULL at its end. */
static spawn_job *job_of(request_rec *r, const apr_array_header_t *words)
{
    const char **argv =
        apr_pcalloc(r->pool, (words->nelts + 1) * sizeof(*argv));
    spawn_job *job = spawn.make(NULL, r, NULL);
    int i;

    for (i = 0; i < words->nelts; i++)
        argv[i] = APR_ARRAY_IDX(words, i, const char *);
    spawn.program(job, argv);
    return job;
}

/* A failure is the server's fault; a full queue is nobody's. */
static int failed(request_rec *r, apr_status_t rv, const char *what,
                  const spawn_job_failure *why)
{
    ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r, "%s: %s at %s: %s", what,
                  why->code_name, why->step, why->message);
    return why->code == SPAWN_FAIL_QUEUE_FULL ? HTTP_SERVICE_UNAVAILABLE
                                              : HTTP_INTERNAL_SERVER_ERROR;
}

static int handler(request_rec *r)
{
    spawn_job_failure why = {.size = sizeof(why)};
    spawn_job_info info = {.size = sizeof(info)};
    const example_config *conf;
    spawn_job *job;
    apr_status_t rv;

    if (!r->handler || strcmp(r->handler, "spawn-example") != 0)
        return DECLINED;
    if (!have_spawn) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "mod_spawn is not loaded, or too old");
        return HTTP_SERVICE_UNAVAILABLE;
    }
    conf = ap_get_module_config(r->per_dir_config, &spawn_example_module);

    /* Registered first, so that it runs however the handler ends. */
    if (conf->after->nelts > 0) {
        job = job_of(r, conf->after);
        rv = spawn.cleanup(job, r, SPAWN_CLEANUP_ALWAYS, &why);
        if (rv != APR_SUCCESS)
            return failed(r, rv, "ExampleAfter", &why);
    }

    /* submit tells of a fault in the description. */
    job = job_of(r, conf->program);
    spawn.option(job, "timeout", "10s");
    spawn.option(job, "stdout", "capture");
    spawn.option(job, "stderr", "log");
    spawn.option(job, "leftovers", "kill");
    if (r->args)
        spawn.data(job, r->args, strlen(r->args));
    rv = spawn.submit(job, SPAWN_UNTIL_FINISHED, apr_time_from_sec(20), &info,
                      &why);
    if (rv != APR_SUCCESS)
        return failed(r, rv, "ExampleProgram", &why);

    ap_set_content_type(r, "text/plain");
    apr_table_setn(r->headers_out, "X-Job", apr_pstrdup(r->pool, info.id));
    if (info.end != SPAWN_END_EXITED || info.exit_code != 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "job %s: %s", info.id,
                      info.message ? info.message : "it failed");
        return HTTP_BAD_GATEWAY;
    }
    ap_rwrite(info.out.data, (int)info.out.length, r);
    return OK;
}

/* ---- dead jobs ---- */

/* A list keeps nothing: what is wanted of a job is copied. */
static int note_id(void *ids, const spawn_job_info *info)
{
    apr_array_header_t *a = ids;

    APR_ARRAY_PUSH(a, const char *) = apr_pstrdup(a->pool, info->id);
    return 1;
}

static int dead_handler(request_rec *r)
{
    apr_array_header_t *ids = apr_array_make(r->pool, 16, sizeof(const char *));
    spawn_job_filter which = {.size = sizeof(which), .dead = 1, .rows = 1000};
    spawn_job_failure why = {.size = sizeof(why)};
    spawn_job_info info = {.size = sizeof(info)};
    apr_status_t rv;
    int i;

    if (!r->handler || strcmp(r->handler, "spawn-example-dead") != 0)
        return DECLINED;
    if (!have_spawn || !spawn.list || !spawn.revive) /* an older mod_spawn */
        return HTTP_SERVICE_UNAVAILABLE;
    rv = spawn.list(r->server, r->pool, &which, &info, note_id, ids, &why);
    if (rv != APR_SUCCESS)
        return failed(r, rv, "list", &why);

    ap_set_content_type(r, "text/plain");
    for (i = 0; i < ids->nelts; i++) {
        const char *id = APR_ARRAY_IDX(ids, i, const char *);

        if (r->method_number != M_POST)
            ap_rprintf(r, "%s\n", id);
        else if (spawn.revive(r->server, id, &why) == APR_SUCCESS)
            ap_rprintf(r, "%s is tried again\n", id);
        else
            ap_rprintf(r, "%s: %s\n", id, why.message);
    }
    return OK;
}

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_optional_fn_retrieve(find_spawn, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(dead_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA spawn_example_module = {
    STANDARD20_MODULE_STUFF, create_config,      NULL, NULL, NULL, directives,
    register_hooks,          AP_MODULE_FLAG_NONE};
