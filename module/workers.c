/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnWorkers and SpawnWorker...: how many processes stay and serve the Perl
 * calls of a queue. Runs in the httpd parent while the configuration is read.
 * Must not touch the machine: `httpd -t` runs it too.
 */
#include "module/config.h"
#include "module/handlers.h"

#include "common/spawn_field.h"

#define WORKERS_MAX   1000
#define JOBS_MOST     1000000000
#define IDLE_MAX_MS   ((apr_int64_t)SPAWN_DURATION_MAX_MS)
#define MEMORY_LEAST  (1 << 20)
#define IDLE_MAX_TEXT "366d"

/* The queue that the directive stands in. */
static const char *queue_of(cmd_parms *cmd, void *dir_config,
                            spawn_queue_rules **ret)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (err)
        return err;
    *ret = spawn_queue_of_section(dir_config);
    if (!*ret)
        return apr_psprintf(cmd->pool,
                            "%s belongs into a <SpawnQueue>: the workers are "
                            "one queue's",
                            cmd->cmd->name);
    if (!(*ret)->workers_where)
        (*ret)->workers_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

const char *spawn_workers_directive(cmd_parms *cmd, void *dir_config,
                                    const char *args)
{
    spawn_queue_rules *queue = NULL;
    apr_int64_t least = 0, most = 0;
    const char *min = NULL, *max = NULL;
    apr_array_header_t *words;
    const char *err = queue_of(cmd, dir_config, &queue);

    if (!err)
        err = spawn_words(cmd, args, 1, 2, &words);
    if (!err) {
        min = APR_ARRAY_IDX(words, 0, const char *);
        if (words->nelts > 1)
            max = APR_ARRAY_IDX(words, 1, const char *);
    }
    if (!err)
        err = spawn_parse_number(cmd->pool, cmd->cmd->name, min, max ? 0 : 1,
                                 WORKERS_MAX, &least);
    most = least;
    if (!err && max)
        err = spawn_parse_number(cmd->pool, cmd->cmd->name, max, 1, WORKERS_MAX,
                                 &most);
    if (!err && most < least)
        err = apr_psprintf(cmd->pool,
                           "SpawnWorkers: the most (%s) is less than the least "
                           "(%s); wanted: SpawnWorkers min max",
                           max, min);
    if (err)
        return err;
    queue->workers_min = least;
    queue->workers_max = most;
    queue->workers_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

const char *spawn_worker_jobs_directive(cmd_parms *cmd, void *dir_config,
                                        const char *arg)
{
    spawn_queue_rules *queue = NULL;
    const char *err = queue_of(cmd, dir_config, &queue);

    return err ? err
               : spawn_parse_most(cmd->pool, cmd->cmd->name, arg, JOBS_MOST,
                                  &queue->worker_jobs);
}

const char *spawn_worker_memory_directive(cmd_parms *cmd, void *dir_config,
                                          const char *arg)
{
    spawn_queue_rules *queue = NULL;
    const char *err = queue_of(cmd, dir_config, &queue);
    uint64_t bytes = 0;

    if (err)
        return err;
    if (strcasecmp(arg, "none") == 0 || strcmp(arg, "0") == 0) {
        queue->worker_memory = 0;
        return NULL;
    }
    if (spawn_parse_size(arg, &bytes) || bytes < MEMORY_LEAST
        || bytes > APR_INT64_MAX)
        return apr_psprintf(
            cmd->pool,
            "%s: '%.200s' is not a size from 1M on: a number of "
            "bytes, K, M or G may follow; or 'none'",
            cmd->cmd->name, arg);
    queue->worker_memory = (apr_int64_t)bytes;
    return NULL;
}

const char *spawn_worker_idle_directive(cmd_parms *cmd, void *dir_config,
                                        const char *arg)
{
    spawn_queue_rules *queue = NULL;
    const char *err = queue_of(cmd, dir_config, &queue);

    return err ? err
               : spawn_parse_time(cmd->pool, cmd->cmd->name, arg, IDLE_MAX_MS,
                                  IDLE_MAX_TEXT, "", &queue->worker_idle_ms);
}

apr_status_t spawn_workers_complete(server_rec *s, spawn_queue_rules *rules)
{
    if (rules->workers_where && rules->workers_max == SPAWN_UNSET) {
        ap_log_error(
            APLOG_MARK, APLOG_ERR, 0, s,
            MSNO(0105) "%s: queue '%s' has settings for workers and "
                       "no SpawnWorkers; add SpawnWorkers, or take them away",
            rules->workers_where, rules->name);
        return APR_EINVAL;
    }
    if (rules->workers_max > rules->max_jobs) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0106) "%s: SpawnWorkers: %" APR_INT64_T_FMT
                                " workers, but SpawnMaxJobs of queue '%s' lets "
                                "%" APR_INT64_T_FMT
                                " run at once; raise it, or have fewer workers",
                     rules->workers_where, rules->workers_max, rules->name,
                     rules->max_jobs);
        return APR_EINVAL;
    }
    if (rules->workers_max == SPAWN_UNSET)
        rules->workers_min = rules->workers_max = 0;
    if (rules->worker_jobs == SPAWN_UNSET)
        rules->worker_jobs = SPAWN_DEFAULT_WORKER_JOBS;
    if (rules->worker_memory == SPAWN_UNSET)
        rules->worker_memory = 0;
    if (rules->worker_idle_ms == SPAWN_UNSET)
        rules->worker_idle_ms = SPAWN_DEFAULT_WORKER_IDLE_MS;
    return APR_SUCCESS;
}
