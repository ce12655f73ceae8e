/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's structures: made, merged, found again; and the parsers of
 * values. Runs in the httpd parent while the configuration is read; the
 * structures of a directory in children too. Must not touch the machine: `httpd
 * -t` runs it.
 */
#include "module/config.h"

#include <limits.h>

#include "common/spawn_field.h"

typedef struct {
    spawn_queue_rules *queue;             /* of the section that is read */
    apr_array_header_t *cleanup_handlers; /* of const char *; NULL: not set */
    spawn_dir_queues queues;
    spawn_switch status_control;
    spawn_job_waits job_waits;
} spawn_dir_config;

void *spawn_dir_config_create(apr_pool_t *p, char *dir)
{
    (void)dir;
    return apr_pcalloc(p, sizeof(spawn_dir_config));
}

/* Of a .htaccess: what stands further out allows it, too. */
static void narrow(apr_pool_t *p, spawn_dir_queues *inner,
                   const spawn_dir_queues *outer)
{
    const apr_array_header_t *given = inner->names;
    int i;

    if (inner->access == SPAWN_QUEUES_ALL) {
        inner->access = outer->access;
        inner->names = outer->names;
    }
    else if (outer->access == SPAWN_QUEUES_NAMED) {
        inner->names = apr_array_make(p, 4, sizeof(const char *));
        for (i = 0; i < given->nelts; i++) {
            const char *queue = APR_ARRAY_IDX(given, i, const char *);

            if (spawn_is_among(outer->names, queue))
                APR_ARRAY_PUSH(inner->names, const char *) = queue;
        }
    }
    /* httpd merges what stands in a directory before that goes on top of what
     * stands in its server */
    inner->narrows = outer->access == SPAWN_QUEUES_UNSET || outer->narrows;
}

static void merge_queues(apr_pool_t *p, spawn_dir_queues *inner,
                         const spawn_dir_queues *outer)
{
    if (!inner->by_default)
        inner->by_default = outer->by_default;
    if (inner->access == SPAWN_QUEUES_UNSET) {
        inner->access = outer->access;
        inner->names = outer->names;
        inner->narrows = outer->narrows;
    }
    else if (inner->narrows) {
        narrow(p, inner, outer);
    }
}

/* A section's queue is not inherited. */
void *spawn_dir_config_merge(apr_pool_t *p, void *base, void *over)
{
    const spawn_dir_config *outer = base, *inner = over;
    spawn_dir_config *conf = apr_pmemdup(p, inner, sizeof(*conf));

    if (!conf->cleanup_handlers)
        conf->cleanup_handlers = outer->cleanup_handlers;
    merge_queues(p, &conf->queues, &outer->queues);
    if (conf->status_control == SPAWN_SWITCH_UNSET)
        conf->status_control = outer->status_control;
    if (!conf->job_waits.is_set)
        conf->job_waits = outer->job_waits;
    return conf;
}

apr_array_header_t **spawn_cleanup_handlers_of(void *dir_config)
{
    return &((spawn_dir_config *)dir_config)->cleanup_handlers;
}

spawn_dir_queues *spawn_dir_queues_of(void *dir_config)
{
    return &((spawn_dir_config *)dir_config)->queues;
}

spawn_switch *spawn_status_control_of(void *dir_config)
{
    return &((spawn_dir_config *)dir_config)->status_control;
}

spawn_job_waits *spawn_job_waits_in(void *dir_config)
{
    return &((spawn_dir_config *)dir_config)->job_waits;
}

void *spawn_section_config_create(apr_pool_t *p, spawn_queue_rules *queue)
{
    spawn_dir_config *conf = spawn_dir_config_create(p, NULL);

    conf->queue = queue;
    return conf;
}

spawn_queue_rules *spawn_queue_of_section(void *dir_config)
{
    return ((spawn_dir_config *)dir_config)->queue;
}

void spawn_queue_rules_clear(spawn_queue_rules *rules, const char *name)
{
    rules->name = name;
    rules->where = NULL;
    rules->max_jobs = SPAWN_UNSET;
    rules->max_queued = SPAWN_UNSET;
    rules->max_delayed = SPAWN_UNSET;
    rules->timeout_ms = SPAWN_UNSET;
    rules->template = NULL;
    rules->template_where = NULL;
    rules->workers_min = SPAWN_UNSET;
    rules->workers_max = SPAWN_UNSET;
    rules->worker_jobs = SPAWN_UNSET;
    rules->worker_memory = SPAWN_UNSET;
    rules->worker_idle_ms = SPAWN_UNSET;
    rules->workers_where = NULL;
    rules->history_jobs = SPAWN_UNSET;
    rules->history_age_ms = 0;
    rules->user = rules->user_where = NULL;
    rules->group = rules->group_where = NULL;
    rules->account = NULL;
    rules->allow = NULL;
    rules->access = NULL;
    rules->shared = SPAWN_SWITCH_UNSET;
    rules->shared_where = NULL;
    memset(&rules->job, 0, sizeof(rules->job));
    rules->job.grace_ms = SPAWN_UNSET;
    rules->job.nice = SPAWN_UNSET;
    rules->job.ionice = SPAWN_UNSET;
    rules->job.leftovers = SPAWN_UNSET;
}

void *spawn_server_config_create(apr_pool_t *p, server_rec *s)
{
    spawn_server_config *conf = apr_pcalloc(p, sizeof(*conf));

    (void)s;
    conf->socket_mode = conf->socket_gid = SPAWN_UNSET;
    conf->submit_timeout_ms = SPAWN_UNSET;
    conf->history_jobs = SPAWN_UNSET;
    conf->history_age_ms = 0;
    conf->history_size = SPAWN_DEFAULT_HISTORY_SIZE;
    conf->on_stop = SPAWN_UNSET;
    conf->bounding_set = SPAWN_CAPABILITIES_ALL;
    conf->cgroup = "auto";
    spawn_queue_rules_clear(&conf->given, SPAWN_DEFAULT_QUEUE);
    conf->queues = apr_array_make(p, 4, sizeof(spawn_queue_rules *));
    conf->templates = apr_array_make(p, 4, sizeof(spawn_template_rules *));
    conf->crons = apr_array_make(p, 4, sizeof(void *));
    conf->queue_uses = apr_array_make(p, 4, 3 * sizeof(const char *));
    return conf;
}

/* All but SpawnSubmitTimeout belongs to the main server alone. */
void *spawn_server_config_merge(apr_pool_t *p, void *base, void *over)
{
    const spawn_server_config *vhost = over;
    spawn_server_config *conf = apr_pmemdup(p, base, sizeof(*conf));

    conf->queue_uses = vhost->queue_uses;
    if (vhost->submit_timeout_ms != SPAWN_UNSET)
        conf->submit_timeout_ms = vhost->submit_timeout_ms;
    return conf;
}

spawn_server_config *spawn_config_of(server_rec *s)
{
    return ap_get_module_config(s->module_config, &spawn_module);
}

const spawn_account *spawn_config_owner(const spawn_server_config *conf,
                                        const spawn_account *account)
{
    return conf->broker ? conf->broker : account;
}

uint32_t spawn_config_submit_timeout_ms(server_rec *s)
{
    apr_int64_t ms = spawn_config_of(s)->submit_timeout_ms;

    return ms == SPAWN_UNSET ? SPAWN_DEFAULT_SUBMIT_TIMEOUT_MS : (uint32_t)ms;
}

const char *spawn_where(apr_pool_t *p, const ap_directive_t *d)
{
    return apr_psprintf(p, "line %d of %s", d->line_num, d->filename);
}

const char *spawn_parse_number(apr_pool_t *p, const char *what, const char *arg,
                               apr_int64_t min, apr_int64_t max,
                               apr_int64_t *ret)
{
    char *end = NULL;
    apr_int64_t value = 0;

    errno = 0;
    if (apr_isdigit(*arg))
        value = apr_strtoi64(arg, &end, 10);
    if (!end || *end || errno || value < min || value > max)
        return apr_psprintf(
            p,
            "%s: '%.200s' is not a whole number from %" APR_INT64_T_FMT
            " to %" APR_INT64_T_FMT,
            what, arg, min, max);
    *ret = value;
    return NULL;
}

static bool no_limit(const char *arg)
{
    return strcasecmp(arg, "none") == 0 || strcmp(arg, "0") == 0;
}

const char *spawn_parse_most(apr_pool_t *p, const char *what, const char *arg,
                             apr_int64_t max, apr_int64_t *ret)
{
    const char *err;

    if (no_limit(arg)) {
        *ret = 0;
        return NULL;
    }
    err = spawn_parse_number(p, what, arg, 1, max, ret);
    return err ? apr_pstrcat(p, err, ", or 'none'", NULL) : NULL;
}

/* Not ap_timeout_parameter_parse, which takes "10sec" and "10snails" alike and
 * has no days, but the parser that job options in Perl and spawnctl use. */
const char *spawn_parse_time(apr_pool_t *p, const char *what, const char *arg,
                             apr_int64_t max, const char *max_text,
                             const char *more, apr_int64_t *ret_ms)
{
    uint64_t ms;
    int rv = spawn_parse_time_to(arg, (uint64_t)max, &ms);

    if (rv == -EINVAL)
        return apr_psprintf(
            p,
            "%s: '%.200s' is not a time: a number and a unit (ms, "
            "s, min or m, h, d; s when there is none)%s",
            what, arg, more);
    if (rv || ms < 1)
        return apr_psprintf(p, "%s: '%.200s' is not a time from 1ms to %s%s",
                            what, arg, max_text, more);
    *ret_ms = (apr_int64_t)ms;
    return NULL;
}

const char *spawn_parse_longest(apr_pool_t *p, const char *what,
                                const char *arg, apr_int64_t max,
                                const char *max_text, apr_int64_t *ret_ms)
{
    if (no_limit(arg)) {
        *ret_ms = 0;
        return NULL;
    }
    return spawn_parse_time(p, what, arg, max, max_text, ", or 'none'", ret_ms);
}

const char *spawn_words(cmd_parms *cmd, const char *args, int least, int most,
                        apr_array_header_t **ret)
{
    *ret = apr_array_make(cmd->pool, 4, sizeof(const char *));
    while (apr_isspace(*args))
        args++;
    while (*args) {
        const char *word = ap_getword_conf(cmd->pool, &args);

        if (!*word)
            return apr_psprintf(cmd->pool,
                                "%s: an argument is empty (\"\"); give it a "
                                "value, or leave it out",
                                cmd->cmd->name);
        APR_ARRAY_PUSH(*ret, const char *) = word;
    }
    if ((*ret)->nelts < least || (*ret)->nelts > most)
        return most == INT_MAX
                   ? apr_psprintf(cmd->pool,
                                  "%s takes %d or more arguments: %s",
                                  cmd->cmd->name, least, cmd->cmd->errmsg)
                   : apr_psprintf(cmd->pool, "%s takes %d-%d arguments: %s",
                                  cmd->cmd->name, least, most,
                                  cmd->cmd->errmsg);
    return NULL;
}
