/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnDefaultQueue and SpawnQueueAccess: which queue the jobs of a request run
 * in when they name none, and which they may name. Merged as httpd merges what
 * stands in server, virtual host, directory, location and .htaccess; but an
 * access of a .htaccess takes away only. Every way to submit with what httpd
 * knows asks spawn_queues_choose.
 *
 * The directives run in the httpd parent, or in a child that reads a .htaccess;
 * the rest runs in httpd children, in any thread. It keeps applications of one
 * httpd apart that mean well: code in a child can reach the broker without it.
 */
#include "module/queue_access.h"

#include <limits.h>

#include "http_main.h"

#include "module/allow.h"
#include "module/config.h"
#include "module/handlers.h"
#include "common/spawn_allow.h"
#include "common/spawn_field.h"
#include "common/spawn_name.h"

/* A queue that a directive names. */
typedef struct {
    const char *directive, *queue, *where;
} use;

static const char *configured_names(apr_pool_t *p,
                                    const spawn_server_config *conf)
{
    const char *names = "";
    int i;

    for (i = 0; i < conf->rules->nelts; i++)
        names = apr_pstrcat(
            p, names, i ? ", " : "",
            APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).name, NULL);
    return names;
}

static bool is_configured(const spawn_server_config *conf, const char *queue)
{
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).name, queue)
            == 0)
            return true;
    }
    return false;
}

/* A queue may have its section further down: what httpd.conf names is looked up
 * when all is read, what a .htaccess names at once. */
static const char *note(cmd_parms *cmd, const char *queue)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);
    use *u;

    if (!spawn_queue_name_ok(queue))
        return apr_psprintf(cmd->pool, "%s: '%.200s' is not a queue's name",
                            cmd->cmd->name, queue);
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_RUN_MPM) {
        conf = spawn_config_of(ap_server_conf);
        return is_configured(conf, queue)
                   ? NULL
                   : apr_psprintf(cmd->pool,
                                  "%s: queue '%s' is not configured; "
                                  "configured: %s",
                                  cmd->cmd->name, queue,
                                  configured_names(cmd->pool, conf));
    }
    u = apr_array_push(conf->queue_uses);
    u->directive = cmd->cmd->name;
    u->queue = queue;
    u->where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

/* httpd says so with one pool for both. */
static bool in_htaccess(const cmd_parms *cmd)
{
    return ap_check_cmd_context((cmd_parms *)(uintptr_t)cmd, NOT_IN_HTACCESS)
           != NULL;
}

const char *spawn_default_queue_directive(cmd_parms *cmd, void *dir_config,
                                          const char *arg)
{
    const char *err = note(cmd, arg);

    if (!err)
        spawn_dir_queues_of(dir_config)->by_default = arg;
    return err;
}

const char *spawn_queue_access_directive(cmd_parms *cmd, void *dir_config,
                                         const char *args)
{
    spawn_dir_queues *queues = spawn_dir_queues_of(dir_config);
    apr_array_header_t *words;
    const char *err = spawn_words(cmd, args, 1, INT_MAX, &words);
    int i;

    for (i = 0; !err && i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);
        bool all = strcasecmp(word, "all") == 0;
        bool none = strcasecmp(word, "none") == 0;

        if ((all || none) && words->nelts > 1)
            return apr_psprintf(cmd->pool, "%s: '%s' stands alone",
                                cmd->cmd->name, word);
        queues->narrows = in_htaccess(cmd);
        if (all || none) {
            queues->access = all ? SPAWN_QUEUES_ALL : SPAWN_QUEUES_NAMED;
            queues->names = apr_array_make(cmd->pool, 1, sizeof(const char *));
            return NULL;
        }
        err = note(cmd, word);
    }
    if (err)
        return err;
    queues->access = SPAWN_QUEUES_NAMED;
    queues->names = words;
    return NULL;
}

apr_status_t spawn_queue_uses_check(apr_pool_t *p, server_rec *s)
{
    const spawn_server_config *conf = spawn_config_of(s);
    const server_rec *of;
    int i;

    for (of = s; of; of = of->next) {
        const apr_array_header_t *uses =
            spawn_config_of((server_rec *)(uintptr_t)of)->queue_uses;

        for (i = 0; i < uses->nelts; i++) {
            const use *u = &APR_ARRAY_IDX(uses, i, use);

            if (is_configured(conf, u->queue))
                continue;
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                         MSNO(0115) "%s: %s: queue '%s' is not configured; "
                                    "configured: %s",
                         u->where, u->directive, u->queue,
                         configured_names(p, conf));
            return APR_EINVAL;
        }
    }
    return APR_SUCCESS;
}

/* ---- for a job ---- */

const spawn_dir_queues *spawn_queues_of(const request_rec *r,
                                        const server_rec *s)
{
    if (!r && !s)
        s = ap_server_conf;
    return spawn_dir_queues_of(ap_get_module_config(
        r ? r->per_dir_config : s->lookup_defaults, &spawn_module));
}

const char *spawn_queue_choose(request_rec *r, server_rec *s, const char *named,
                               char *text, apr_size_t room)
{
    return spawn_queues_choose(spawn_queues_of(r, s), r != NULL, named, text,
                               room);
}

bool spawn_queue_refuses(request_rec *r, const char *named,
                         const char *variable)
{
    const char *queue;
    char unused[256];

    if (!spawn_allow_is_power(variable))
        return false;
    queue = spawn_queue_choose(r, NULL, named, unused, sizeof(unused));
    return queue
           && spawn_allow_has_list(spawn_config_of(ap_server_conf), queue);
}
