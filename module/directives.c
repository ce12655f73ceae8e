/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directives: what each takes, and its check. A handler only notes and
 * checks; spawn_config_complete does what depends on other directives.
 *
 * Runs in the httpd parent while the configuration is read. Must not touch the
 * machine (no file, no process): `httpd -t` runs it too.
 */
#include "module/directives.h"

#include <limits.h>

#include "module/cgroup.h"
#include "module/config.h"
#include "module/handlers.h"
#include "module/job_rules.h"
#include "module/relay.h"
#include "common/spawn_field.h"

#define SUBMIT_TIMEOUT_MAX_MS 3600000
#define JOBS_MAX              100000 /* the spawner has room for some more */
#define HISTORY_JOBS_MAX      100000000
#define HISTORY_SIZE_MIN      (1ull << 20)
#define HISTORY_SIZE_MAX      (1ull << 40)
#define HISTORY_AGE_MAX_MS    (3660ll * 86400 * 1000)

/* ---- configuration structures ---- */

/* ---- values ---- */

/* The rules that a directive is for, when it may stand in a queue's section. */
static spawn_queue_rules *rules_of(cmd_parms *cmd, void *dir_config)
{
    spawn_queue_rules *queue = spawn_queue_of_section(dir_config);

    return queue ? queue : &spawn_config_of(cmd->server)->given;
}

/* ---- handlers ---- */

#define ONLY_GLOBAL(cmd)                                                       \
    do {                                                                       \
        const char *not_here = ap_check_cmd_context(cmd, GLOBAL_ONLY);         \
        if (not_here)                                                          \
            return not_here;                                                   \
    } while (0)

static const char *socket_too_long(apr_pool_t *p, const char *path)
{
    return apr_psprintf(p,
                        "SpawnSocket: the path '%.200s' has %lu bytes, a Unix "
                        "socket's path can have %d; choose a shorter one",
                        path, (unsigned long)strlen(path),
                        SPAWN_SOCKET_PATH_MAX);
}

static const char *set_socket(cmd_parms *cmd, void *dir_config, const char *arg)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);

    (void)dir_config;
    ONLY_GLOBAL(cmd);
    if (strlen(arg) > SPAWN_SOCKET_PATH_MAX)
        return socket_too_long(cmd->pool, arg);
    if (!*arg || arg[strlen(arg) - 1] == '/')
        return apr_psprintf(cmd->pool,
                            "SpawnSocket: '%.200s' is a directory; a file name "
                            "is wanted",
                            arg);
    conf->socket_arg = arg;
    conf->socket_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

static const char *set_store(cmd_parms *cmd, void *dir_config, const char *arg)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);

    (void)dir_config;
    ONLY_GLOBAL(cmd);
    if (strlen(arg) > SPAWN_STORE_PATH_MAX)
        return apr_psprintf(cmd->pool,
                            "SpawnStore: the path has %lu bytes, %d are "
                            "allowed",
                            (unsigned long)strlen(arg), SPAWN_STORE_PATH_MAX);
    conf->store_arg = arg;
    conf->store_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

static const char *set_status_control(cmd_parms *cmd, void *dir_config, int on)
{
    (void)cmd;
    *spawn_status_control_of(dir_config) =
        on ? SPAWN_SWITCH_ON : SPAWN_SWITCH_OFF;
    return NULL;
}

static const char *set_submit_timeout(cmd_parms *cmd, void *dir_config,
                                      const char *arg)
{
    const char *err = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    (void)dir_config;
    if (err)
        return err;
    return spawn_parse_time(cmd->pool, cmd->cmd->name, arg,
                            SUBMIT_TIMEOUT_MAX_MS, "1h", "",
                            &spawn_config_of(cmd->server)->submit_timeout_ms);
}

static const char *set_max_jobs(cmd_parms *cmd, void *dir_config,
                                const char *arg)
{
    ONLY_GLOBAL(cmd);
    if (spawn_queue_of_section(dir_config) && strcmp(arg, "0") == 0) {
        rules_of(cmd, dir_config)->max_jobs = 0; /* relay.c looks at it */
        return NULL;
    }
    return spawn_parse_number(cmd->pool, cmd->cmd->name, arg, 1, JOBS_MAX,
                              &rules_of(cmd, dir_config)->max_jobs);
}

static const char *set_max_queued(cmd_parms *cmd, void *dir_config,
                                  const char *arg)
{
    ONLY_GLOBAL(cmd);
    return spawn_parse_number(cmd->pool, cmd->cmd->name, arg, 0, 10000000,
                              &rules_of(cmd, dir_config)->max_queued);
}

static const char *set_max_delayed(cmd_parms *cmd, void *dir_config,
                                   const char *arg)
{
    ONLY_GLOBAL(cmd);
    return spawn_parse_number(cmd->pool, cmd->cmd->name, arg, 0, 10000000,
                              &rules_of(cmd, dir_config)->max_delayed);
}

static const char *set_timeout(cmd_parms *cmd, void *dir_config,
                               const char *arg)
{
    spawn_queue_rules *rules = rules_of(cmd, dir_config);

    ONLY_GLOBAL(cmd);
    return spawn_parse_longest(cmd->pool, cmd->cmd->name, arg,
                               (apr_int64_t)SPAWN_DURATION_MAX_MS, "366d",
                               &rules->timeout_ms);
}

static const char *parse_history_size(cmd_parms *cmd, const char *arg,
                                      uint64_t *ret)
{
    if (spawn_parse_size(arg, ret) || *ret < HISTORY_SIZE_MIN
        || *ret > HISTORY_SIZE_MAX)
        return apr_psprintf(
            cmd->pool,
            "%s: '%.200s' is not a size from 1M to 1024G: a number "
            "of bytes, K, M or G may follow",
            cmd->cmd->name, arg);
    return NULL;
}

/* "10M" would be ten minutes, as "10m" is; but somebody who forgot the age has
 * written a size. */
static const char *parse_history_age(cmd_parms *cmd, const char *arg,
                                     apr_int64_t *ret_ms)
{
    apr_size_t length = strlen(arg);

    if (length > 1 && arg[length - 1] == 'M' && apr_isdigit(arg[length - 2]))
        return apr_psprintf(
            cmd->pool,
            "%s: '%.200s' stands where the age does: a size comes "
            "after it (jobs none %s), minutes are 'min'",
            cmd->cmd->name, arg, arg);
    return spawn_parse_longest(cmd->pool, cmd->cmd->name, arg,
                               HISTORY_AGE_MAX_MS, "3660d", ret_ms);
}

static const char *set_history(cmd_parms *cmd, void *dir_config,
                               const char *args)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);
    spawn_queue_rules *queue = spawn_queue_of_section(dir_config);
    apr_int64_t count = 0, age_ms = 0;
    uint64_t size = SPAWN_DEFAULT_HISTORY_SIZE;
    apr_array_header_t *words;
    const char *err;

    ONLY_GLOBAL(cmd);
    err = spawn_words(cmd, args, 1, 3, &words);
    if (!err && queue && words->nelts > 2)
        err = "SpawnHistory: a size is for all queues together, outside of "
              "<SpawnQueue>; here: SpawnHistory jobs [age]";
    if (!err)
        err = spawn_parse_number(cmd->pool, cmd->cmd->name,
                                 APR_ARRAY_IDX(words, 0, const char *), 0,
                                 HISTORY_JOBS_MAX, &count);
    if (!err && words->nelts > 1)
        err = parse_history_age(cmd, APR_ARRAY_IDX(words, 1, const char *),
                                &age_ms);
    if (!err && words->nelts > 2)
        err = parse_history_size(cmd, APR_ARRAY_IDX(words, 2, const char *),
                                 &size);
    if (err)
        return err;
    if (queue) {
        queue->history_jobs = count;
        queue->history_age_ms = age_ms;
        return NULL;
    }
    conf->history_size = (apr_int64_t)size;
    conf->history_jobs = count;
    conf->history_age_ms = age_ms;
    return NULL;
}

static const char *set_on_stop(cmd_parms *cmd, void *dir_config,
                               const char *arg)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);

    (void)dir_config;
    ONLY_GLOBAL(cmd);
    if (strcasecmp(arg, "linger") == 0)
        conf->on_stop = SPAWN_STOP_LINGER;
    else if (strcasecmp(arg, "kill") == 0)
        conf->on_stop = SPAWN_STOP_KILL;
    else
        return apr_psprintf(
            cmd->pool, "SpawnOnStop: '%.200s' is neither 'linger' nor 'kill'",
            arg);
    return NULL;
}

static const char *set_spawner(cmd_parms *cmd, void *dir_config,
                               const char *kind, const char *path)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);

    (void)dir_config;
    ONLY_GLOBAL(cmd);
    if (strcasecmp(kind, "internal") == 0 && !path) {
        conf->external = NULL;
        return NULL;
    }
    if (strcasecmp(kind, "external") != 0)
        return apr_psprintf(
            cmd->pool,
            "SpawnSpawner: '%.100s%s%.200s' is neither 'internal' nor "
            "'external', with the path of its control socket",
            kind, path ? " " : "", path ? path : "");
    conf->external = path ? path : SPAWN_DEFAULT_EXTERNAL;
    if (conf->external[0] != '/'
        || strlen(conf->external) > SPAWN_SOCKET_PATH_MAX)
        return apr_psprintf(
            cmd->pool,
            "SpawnSpawner: '%.200s' is not an absolute path of at "
            "most %d bytes",
            conf->external, SPAWN_SOCKET_PATH_MAX);
    return NULL;
}

const command_rec spawn_directives[] = {
    AP_INIT_TAKE1("SpawnSocket", set_socket, NULL, RSRC_CONF,
                  "path of the Unix socket where jobs are submitted; relative "
                  "to DefaultRuntimeDir"),
    AP_INIT_TAKE1("SpawnSocketMode", spawn_socket_mode_directive, NULL,
                  RSRC_CONF, "permissions of the socket, octal"),
    AP_INIT_TAKE1("SpawnSocketGroup", spawn_socket_group_directive, NULL,
                  RSRC_CONF, "group of the socket: a name, or # and a number"),
    AP_INIT_TAKE1("SpawnStore", set_store, NULL, RSRC_CONF,
                  "directory of the database of jobs; relative to ServerRoot"),
    AP_INIT_TAKE1("SpawnSubmitTimeout", set_submit_timeout, NULL, RSRC_CONF,
                  "longest time that a submit may hold its caller"),
    AP_INIT_TAKE1("SpawnMaxJobs", set_max_jobs, NULL, RSRC_CONF,
                  "most jobs of a queue that run at once"),
    AP_INIT_TAKE1("SpawnMaxQueued", set_max_queued, NULL, RSRC_CONF,
                  "most jobs of a queue that wait"),
    AP_INIT_TAKE1("SpawnMaxDelayed", set_max_delayed, NULL, RSRC_CONF,
                  "most jobs of a queue whose time has not come"),
    AP_INIT_TAKE1("SpawnTimeout", set_timeout, NULL, RSRC_CONF,
                  "longest run time of a job, or 'none'"),
    AP_INIT_TAKE1("SpawnGrace", spawn_grace_directive, NULL, RSRC_CONF,
                  "time between SIGTERM and SIGKILL of jobs that name none"),
    AP_INIT_TAKE1("SpawnNice", spawn_nice_directive, NULL, RSRC_CONF,
                  "0 to 19, of jobs that name none"),
    AP_INIT_TAKE1("SpawnIONice", spawn_ionice_directive, NULL, RSRC_CONF,
                  "'idle', 'best-effort' or 'best-effort:0' to ':7', of jobs "
                  "that name none"),
    AP_INIT_TAKE1("SpawnDirectory", spawn_directory_directive, NULL, RSRC_CONF,
                  "directory that jobs start in which name none"),
    AP_INIT_RAW_ARGS("SpawnEnv", spawn_env_directive, NULL, RSRC_CONF,
                     "NAME value: a variable of jobs; !NAME: they do not have "
                     "it"),
    AP_INIT_RAW_ARGS("SpawnPassEnv", spawn_pass_env_directive, NULL, RSRC_CONF,
                     "names of variables that jobs have as httpd was started "
                     "with them"),
    AP_INIT_TAKE1("SpawnOutput", spawn_output_directive, NULL, RSRC_CONF,
                  "'log', 'null' or a file to append to: stdout and stderr of "
                  "jobs that name none"),
    AP_INIT_TAKE1("SpawnLeftovers", spawn_leftovers_directive, NULL, RSRC_CONF,
                  "'keep' or 'kill': what jobs leave in their process group"),
    AP_INIT_RAW_ARGS("SpawnLimit", spawn_limit_directive, NULL, RSRC_CONF,
                     "name=value: limits of jobs, and the most that they may "
                     "ask for"),
    AP_INIT_RAW_ARGS("SpawnAllow", spawn_allow_directive, NULL, RSRC_CONF,
                     "programs (/usr/bin/convert, /opt/app/*) and functions "
                     "(My::App::*) that jobs may be, '!' before those that "
                     "they may not; or 'all', or 'none'"),
    AP_INIT_RAW_ARGS("SpawnAccess", spawn_access_directive, NULL, RSRC_CONF,
                     "user=name or group=name, and what these may over the "
                     "socket: submit, see, kill, control, or all; or 'none' "
                     "alone"),
    AP_INIT_RAW_ARGS("SpawnHistory", set_history, NULL, RSRC_CONF,
                     "how many ended jobs are kept, for how long, and in how "
                     "many bytes"),
    AP_INIT_TAKE1("SpawnOnStop", set_on_stop, NULL, RSRC_CONF,
                  "'linger' or 'kill': running jobs when httpd stops"),
    AP_INIT_TAKE12("SpawnSpawner", set_spawner, NULL, RSRC_CONF,
                   "'internal', or 'external' and the path of its control "
                   "socket: who starts the spawner"),
    AP_INIT_RAW_ARGS("SpawnBoundingSet", spawn_bounding_set_directive, NULL,
                     RSRC_CONF,
                     "'all', 'none' or names of the capabilities that set-id "
                     "programs of jobs can have"),
    AP_INIT_TAKE12("SpawnBrokerUser", spawn_broker_user_directive, NULL,
                   RSRC_CONF,
                   "account of the broker, which owns the store, and its group "
                   "when it has none of its own"),
    AP_INIT_TAKE1("SpawnUser", spawn_user_directive, NULL, RSRC_CONF,
                  "account of a queue's jobs: a name, or # and a number"),
    AP_INIT_TAKE1("SpawnGroup", spawn_group_directive, NULL, RSRC_CONF,
                  "group of a queue's jobs: a name, or # and a number"),
    AP_INIT_TAKE1("SpawnCgroup", spawn_cgroup_directive, NULL, RSRC_CONF,
                  "'auto', 'none' or a directory of cgroup v2, in which each "
                  "job gets one of its own"),
    AP_INIT_RAW_ARGS("<SpawnQueue", spawn_queue_section, NULL, RSRC_CONF,
                     "a named queue, and the rules of its jobs"),
    AP_INIT_TAKE1("SpawnRelay", spawn_relay_directive, NULL, RSRC_CONF,
                  "amqp://user:password@host:port,host:port/vhost of RabbitMQ, "
                  "or file:/path of a file with that"),
    AP_INIT_TAKE1("SpawnRelayName", spawn_relay_name_directive, NULL, RSRC_CONF,
                  "this host's name for the hosts that share queues with it"),
    AP_INIT_FLAG("SpawnShared", spawn_shared_directive, NULL, RSRC_CONF,
                 "in <SpawnQueue>, on: other hosts run its jobs, too"),
    AP_INIT_RAW_ARGS("SpawnWorkers", spawn_workers_directive, NULL, RSRC_CONF,
                     "in <SpawnQueue>: least and most processes that serve its "
                     "Perl calls one after another"),
    AP_INIT_TAKE1("SpawnWorkerMaxJobs", spawn_worker_jobs_directive, NULL,
                  RSRC_CONF,
                  "in <SpawnQueue>: calls after which a worker is replaced, or "
                  "'none'"),
    AP_INIT_TAKE1("SpawnWorkerMaxMemory", spawn_worker_memory_directive, NULL,
                  RSRC_CONF,
                  "in <SpawnQueue>: resident memory over which a worker is "
                  "replaced after its call, or 'none'"),
    AP_INIT_TAKE1("SpawnWorkerIdle", spawn_worker_idle_directive, NULL,
                  RSRC_CONF,
                  "in <SpawnQueue>: time without a call after which a worker "
                  "over the least number leaves"),
    AP_INIT_RAW_ARGS("SpawnTemplate", spawn_template_directive, NULL, RSRC_CONF,
                     "name, kind and settings of a template that Perl jobs "
                     "are forked from; in <SpawnQueue>, its name"),
    AP_INIT_TAKE1("SpawnTemplateMemory", spawn_template_memory_directive, NULL,
                  RSRC_CONF,
                  "'frozen', 'huge' or 'shared': the memory of templates that "
                  "name none themselves"),
    AP_INIT_RAW_ARGS("SpawnCron", spawn_cron_directive, NULL, RSRC_CONF,
                     "schedule, options, and the Perl function or program that "
                     "is run then"),
    AP_INIT_TAKE1("SpawnDefaultQueue", spawn_default_queue_directive, NULL,
                  OR_FILEINFO, "queue of jobs of a request that name none"),
    AP_INIT_RAW_ARGS("SpawnQueueAccess", spawn_queue_access_directive, NULL,
                     RSRC_CONF | OR_AUTHCFG,
                     "'all', 'none' or names of the queues that jobs of a "
                     "request may use"),
    AP_INIT_FLAG("SpawnStatusControl", set_status_control, NULL,
                 RSRC_CONF | ACCESS_CONF,
                 "on: jobs and queues can be acted upon from the status page"),
    AP_INIT_RAW_ARGS("SpawnJobWait", spawn_job_wait_directive, NULL,
                     RSRC_CONF | ACCESS_CONF,
                     "longest wait of a visitor's request for a change of his "
                     "job, or 'off'; and how many may wait at once"),
    AP_INIT_RAW_ARGS("SpawnCleanupHandler", spawn_cleanup_handler_add, NULL,
                     OR_ALL,
                     "Perl handlers that run as a job when a request's client "
                     "has its answer"),
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL}};

/* ---- when all is read ---- */

static apr_status_t complete_socket(apr_pool_t *p, server_rec *s,
                                    spawn_server_config *conf)
{
    const char *where =
        conf->socket_where ? conf->socket_where : "no SpawnSocket given";
    const char *arg =
        conf->socket_arg ? conf->socket_arg : SPAWN_DEFAULT_SOCKET;
    const char *path = ap_runtime_dir_relative(p, arg);

    if (!path) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0100) "%s: SpawnSocket: '%s' is not a usable path",
                     where, arg);
        return APR_EINVAL;
    }
    if (strlen(path) > SPAWN_SOCKET_PATH_MAX) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, MSNO(0101) "%s: %s", where,
                     socket_too_long(p, path));
        return APR_EINVAL;
    }
    conf->socket_path = path;
    return APR_SUCCESS;
}

static apr_status_t complete_store(apr_pool_t *p, server_rec *s,
                                   spawn_server_config *conf)
{
    char *path = conf->store_arg
                     ? ap_server_root_relative(p, conf->store_arg)
                     : ap_runtime_dir_relative(p, SPAWN_DEFAULT_STORE);
    size_t length;

    if (!path || strlen(path) > SPAWN_STORE_PATH_MAX) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0102) "%s: SpawnStore: '%s' is not a usable path "
                                "(at most %d bytes)",
                     conf->store_where ? conf->store_where
                                       : "no SpawnStore given",
                     conf->store_arg ? conf->store_arg : SPAWN_DEFAULT_STORE,
                     SPAWN_STORE_PATH_MAX);
        return APR_EINVAL;
    }
    length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    conf->store_path = path;
    return APR_SUCCESS;
}

static apr_int64_t first_set(apr_int64_t a, apr_int64_t b, apr_int64_t c)
{
    return a != SPAWN_UNSET ? a : b != SPAWN_UNSET ? b : c;
}

static void add_rules(apr_pool_t *p, spawn_server_config *conf,
                      const spawn_queue_rules *queue)
{
    spawn_queue_rules *rules = apr_array_push(conf->rules);

    *rules = *queue;
    rules->max_jobs = first_set(queue->max_jobs, conf->given.max_jobs,
                                SPAWN_DEFAULT_MAX_JOBS);
    rules->max_queued = first_set(queue->max_queued, conf->given.max_queued,
                                  SPAWN_DEFAULT_MAX_QUEUED);
    rules->max_delayed = first_set(queue->max_delayed, conf->given.max_delayed,
                                   SPAWN_DEFAULT_MAX_DELAYED);
    rules->timeout_ms = first_set(queue->timeout_ms, conf->given.timeout_ms, 0);
    spawn_job_rules_merge(p, &conf->given.job, &rules->job);
    if (!rules->allow)
        rules->allow = conf->given.allow;
}

static void complete_queues(apr_pool_t *p, spawn_server_config *conf)
{
    const spawn_queue_rules *by_default = &conf->given;
    int i;

    conf->rules =
        apr_array_make(p, conf->queues->nelts + 1, sizeof(spawn_queue_rules));
    for (i = 0; i < conf->queues->nelts; i++) {
        const spawn_queue_rules *queue =
            APR_ARRAY_IDX(conf->queues, i, spawn_queue_rules *);

        if (strcmp(queue->name, SPAWN_DEFAULT_QUEUE) == 0)
            by_default = queue;
    }
    add_rules(p, conf, by_default);
    for (i = 0; i < conf->queues->nelts; i++) {
        const spawn_queue_rules *queue =
            APR_ARRAY_IDX(conf->queues, i, spawn_queue_rules *);

        if (queue != by_default)
            add_rules(p, conf, queue);
    }
}

static apr_status_t complete_workers(server_rec *s,
                                     const spawn_server_config *conf)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < conf->rules->nelts && rv == APR_SUCCESS; i++)
        rv = spawn_workers_complete(
            s, &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules));
    return rv;
}

/* One spawner runs the jobs of all queues. */
static apr_status_t check_jobs(server_rec *s, const spawn_server_config *conf)
{
    const spawn_queue_rules *most = NULL;
    apr_int64_t sum = 0;
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const spawn_queue_rules *rules =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);

        sum += rules->max_jobs + rules->workers_max;
        if (!most || rules->max_jobs > most->max_jobs)
            most = rules;
    }
    if (sum <= JOBS_MAX)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0103) "SpawnMaxJobs of all queues together is "
                            "%" APR_INT64_T_FMT ", %d are possible; %d queues, "
                            "'%s' %" APR_INT64_T_FMT " the most: lower some",
                 sum, JOBS_MAX, conf->rules->nelts, most->name, most->max_jobs);
    return APR_EINVAL;
}

apr_status_t spawn_config_complete(apr_pool_t *p, server_rec *s)
{
    spawn_server_config *conf = spawn_config_of(s);
    apr_status_t rv = complete_socket(p, s, conf);

    if (rv == APR_SUCCESS)
        rv = complete_store(p, s, conf);
    if (rv == APR_SUCCESS)
        rv = spawn_templates_complete(p, s, conf);
    if (rv != APR_SUCCESS)
        return rv;
    if (conf->history_jobs == SPAWN_UNSET)
        conf->history_jobs = SPAWN_DEFAULT_HISTORY_JOBS;
    if (conf->on_stop == SPAWN_UNSET)
        conf->on_stop = SPAWN_STOP_LINGER;
    complete_queues(p, conf);
    rv = complete_workers(s, conf);
    if (rv == APR_SUCCESS)
        rv = spawn_queue_accounts_complete(p, s, conf);
    if (rv == APR_SUCCESS)
        rv = spawn_job_rules_check(s, conf);
    if (rv == APR_SUCCESS)
        rv = spawn_queue_uses_check(p, s);
    if (rv == APR_SUCCESS)
        rv = spawn_allow_complete(s, conf);
    if (rv == APR_SUCCESS)
        rv = spawn_cron_complete(p, s, conf);
    if (rv == APR_SUCCESS)
        rv = spawn_relay_complete(p, s, conf);
    return rv == APR_SUCCESS ? check_jobs(s, conf) : rv;
}
