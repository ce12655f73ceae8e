/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directives of shared queues (docs/cluster.md). Runs in the httpd parent.
 * A password that is in a file of its own is read when it is sent, and is not
 * kept: httpd's children are copies of this process.
 */
#include "module/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_engine.h"
#include "common/spawn_log.h"

#define FILE_PREFIX "file:"

const char *spawn_relay_directive(cmd_parms *cmd, void *dir_config,
                                  const char *arg)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    spawn_engine engine;

    (void)dir_config;
    if (why)
        return why;
    conf->relay_where = spawn_where(cmd->pool, cmd->directive);
    conf->relay_url = conf->relay_file = NULL;
    if (strncmp(arg, FILE_PREFIX, strlen(FILE_PREFIX)) == 0) {
        conf->relay_file = arg + strlen(FILE_PREFIX);
        return conf->relay_file[0] == '/'
                   ? NULL
                   : "SpawnRelay: file: wants an absolute path";
    }
    why = spawn_engine_parse(arg, &engine);
    explicit_bzero(&engine, sizeof(engine));
    if (why)
        return apr_psprintf(cmd->pool,
                            "SpawnRelay: %s; wanted: "
                            "amqp://user:password@host:port,host:port/vhost, "
                            "or file:/path of a file with that",
                            why);
    conf->relay_url = arg;
    return NULL;
}

const char *spawn_relay_name_directive(cmd_parms *cmd, void *dir_config,
                                       const char *arg)
{
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir_config;
    if (why)
        return why;
    if (!spawn_engine_host_ok(arg))
        return apr_psprintf(cmd->pool,
                            "SpawnRelayName: '%.200s' is not a host's name: 1 "
                            "to %d letters, digits, '-', '_' and '.'",
                            arg, SPAWN_HOST_MAX);
    spawn_config_of(cmd->server)->relay_name = arg;
    return NULL;
}

const char *spawn_shared_directive(cmd_parms *cmd, void *dir_config, int on)
{
    spawn_queue_rules *queue = spawn_queue_of_section(dir_config);

    if (!queue)
        return "SpawnShared belongs into <SpawnQueue>: the queue of jobs "
               "that name none is not shared";
    queue->shared = on ? SPAWN_SWITCH_ON : SPAWN_SWITCH_OFF;
    queue->shared_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

/* ---- the file ---- */

/* Its address, or what is wrong with it, which may be that we may not look
 * (EACCES). */
static const char *read_file(const char *path, char *ret, size_t room,
                             int *ret_errno)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *why = NULL;
    spawn_engine engine;
    struct stat st;
    ssize_t n;

    *ret_errno = 0;
    if (fd < 0 || fstat(fd, &st) < 0) {
        *ret_errno = errno;
        why = strerror(errno);
        goto cleanup;
    }
    if (!S_ISREG(st.st_mode))
        why = "it is not a plain file";
    else if (st.st_mode & 077)
        why = "others than its owner may read it, and it has a password: chmod "
              "0600";
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        why = "it belongs neither to root nor to the account that httpd is "
              "started with";
    if (why)
        goto cleanup;
    n = read(fd, ret, room - 1);
    if (n < 0) {
        why = strerror(errno);
        goto cleanup;
    }
    ret[n] = '\0';
    ret[strcspn(ret, "\r\n")] = '\0';
    why = spawn_engine_parse(ret, &engine);
    explicit_bzero(&engine, sizeof(engine));
cleanup:
    if (fd >= 0)
        (void)close(fd);
    return why;
}

static apr_status_t check_file(server_rec *s, const spawn_server_config *conf)
{
    char url[SPAWN_RELAY_URL_MAX + 2];
    int error;
    const char *why = read_file(conf->relay_file, url, sizeof(url), &error);

    explicit_bzero(url, sizeof(url));
    if (!why || error == EACCES) /* the person who asks may not look there */
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0220) "%s: SpawnRelay: the file %s cannot be used: %s",
                 conf->relay_where, conf->relay_file, why);
    return APR_EINVAL;
}

/* ---- when all is read ---- */

static apr_status_t check_queue(server_rec *s, const spawn_server_config *conf,
                                const spawn_queue_rules *rules)
{
    if (rules->shared != SPAWN_SWITCH_ON && rules->max_jobs == 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0224) "%s: SpawnMaxJobs: '0' is not a number from 1 "
                                "on; only a queue with SpawnShared can have "
                                "its jobs run elsewhere",
                     rules->where);
        return APR_EINVAL;
    }
    if (rules->shared != SPAWN_SWITCH_ON)
        return APR_SUCCESS;
    if (!conf->relay_where) {
        ap_log_error(
            APLOG_MARK, APLOG_ERR, 0, s,
            MSNO(0221) "%s: SpawnShared: there is no SpawnRelay, which "
                       "says how hosts are connected",
            rules->shared_where);
        return APR_EINVAL;
    }
    if (rules->workers_max > 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0222) "%s: SpawnShared: queue '%s' has SpawnWorkers; "
                                "a queue has either",
                     rules->shared_where, rules->name);
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}

apr_status_t spawn_relay_complete(apr_pool_t *p, server_rec *s,
                                  spawn_server_config *conf)
{
    apr_status_t rv = APR_SUCCESS;
    char name[SPAWN_HOST_MAX + 2] = "";
    int i;

    for (i = 0; i < conf->rules->nelts && rv == APR_SUCCESS; i++)
        rv = check_queue(s, conf,
                         &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules));
    if (rv != APR_SUCCESS || !conf->relay_where)
        return rv;
    if (!conf->relay_name) {
        if (gethostname(name, sizeof(name) - 1) < 0
            || !spawn_engine_host_ok(name)) {
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                         MSNO(0223) "%s: SpawnRelay: this host has no name "
                                    "that other hosts can use; give it one "
                                    "with SpawnRelayName",
                         conf->relay_where);
            return APR_EINVAL;
        }
        conf->relay_name = apr_pstrdup(p, name);
    }
    return conf->relay_file ? check_file(s, conf) : APR_SUCCESS;
}

/* Of a file that cannot be read any more nothing is sent, and shared jobs wait:
 * the check before this has told why. */
void spawn_relay_put(spawn_writer *w, const spawn_server_config *conf)
{
    char url[SPAWN_RELAY_URL_MAX + 2];
    int error;

    if (!conf->relay_where)
        return;
    spawn_put_str(w, SPAWN_A_HOST, conf->relay_name);
    if (conf->relay_url)
        spawn_put_str(w, SPAWN_A_RELAY_URL, conf->relay_url);
    else if (!read_file(conf->relay_file, url, sizeof(url), &error))
        spawn_put_str(w, SPAWN_A_RELAY_URL, url);
    explicit_bzero(url, sizeof(url));
}
