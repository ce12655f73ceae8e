/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnCgroup: the directory of cgroup v2 in which each job gets its own. The
 * spawner makes these; here it is only seen, at each start, that what the
 * configuration asks for can be had. Runs in the httpd parent.
 */
#include "module/cgroup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "module/job_rules.h"
#include "common/spawn_cgroup.h"

#define PATH_MOST 4000

const char *spawn_cgroup_directive(cmd_parms *cmd, void *dir_config,
                                   const char *arg)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);
    const char *not_here = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir_config;
    if (not_here)
        return not_here;
    if (strcasecmp(arg, "auto") == 0)
        conf->cgroup = "auto";
    else if (strcasecmp(arg, "none") == 0)
        conf->cgroup = "";
    else if (arg[0] == '/' && strlen(arg) <= PATH_MOST)
        conf->cgroup = arg;
    else
        return apr_psprintf(cmd->pool,
                            "SpawnCgroup: '%.200s' is neither 'auto', 'none' "
                            "nor an absolute path of at most %d bytes",
                            arg, PATH_MOST);
    conf->cgroup_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

static int open_it(const char *where, const char **ret_path, apr_pool_t *p)
{
    char own[PATH_MOST + 1];
    int rv;

    *ret_path = where;
    if (strcmp(where, "auto") == 0) {
        rv = spawn_cgroup_own(own, sizeof(own));
        if (rv < 0)
            return rv;
        *ret_path = apr_pstrdup(p, own);
    }
    return spawn_cgroup_open(*ret_path);
}

/* A limit of a queue that needs a cgroup. */
typedef struct {
    const char *name; /* NULL: there is none */
    const char *where;
} tree_limit;

static tree_limit limit_of(const spawn_server_config *conf)
{
    tree_limit limit = {NULL, NULL};

    limit.name = spawn_job_rules_tree_limit(conf, &limit.where);
    return limit;
}

/* own: it is the directory that we were started in, which we leave. */
static apr_status_t check_limits(apr_pool_t *p, server_rec *s,
                                 const tree_limit *limit, int dir,
                                 const char *path, bool own)
{
    const char *why = "the directory must have them (cgroup.controllers), and "
                      "no processes";
    int left = 0;

    if (own && spawn_cgroup_given(dir) != SPAWN_CGROUP_ALL)
        left = spawn_cgroup_step_aside(dir);
    if (spawn_cgroup_controllers(dir) == SPAWN_CGROUP_ALL)
        return APR_SUCCESS;
    if (left > 0)
        why = apr_psprintf(
            p, "process %d, which this httpd has not started, is in it too",
            left);
    ap_log_error(
        APLOG_MARK, APLOG_CRIT, left < 0 ? -left : 0, s,
        MSNO(0286) "%s: SpawnLimit %s needs the controllers memory, cpu "
                   "and pids of cgroup v2 in directories below %s, "
                   "and not all are there: %s",
        limit->where, limit->name, path, why);
    return APR_ENOTIMPL;
}

static apr_status_t not_usable(server_rec *s, const char *where,
                               const char *path, int error)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, error, s,
                 MSNO(0287) "%s: SpawnCgroup: %s is no directory of cgroup v2 "
                            "that can be used",
                 where, path);
    return error;
}

/* Can the spawner, which begins beside us, put jobs there? One that systemd has
 * started begins elsewhere. */
static apr_status_t check_place(server_rec *s, const char *where, int dir,
                                const char *path, bool beside_us)
{
    char lowest[2 * PATH_MOST];
    int rv = spawn_cgroup_holds(dir, lowest, sizeof(lowest));

    if (rv == -EACCES)
        return not_usable(s, where, path, EACCES);
    if (rv != -EPERM || !beside_us)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 MSNO(0289) "%s: SpawnCgroup: the account that httpd is "
                            "started with cannot move a process from its "
                            "own cgroup to %s: it may not write to "
                            "%s/cgroup.procs, of the lowest directory that "
                            "has both below it",
                 where, path, lowest);
    return -rv;
}

static apr_status_t none_for_limit(server_rec *s, const tree_limit *limit,
                                   const char *why)
{
    ap_log_error(
        APLOG_MARK, APLOG_CRIT, 0, s,
        MSNO(0288) "%s: SpawnLimit %s needs a cgroup for each job, and "
                   "there is none (%s): name a directory of cgroup v2 "
                   "with SpawnCgroup, or let systemd delegate one to "
                   "the unit (Delegate=yes)",
        limit->where, limit->name, why);
    return APR_ENOTIMPL;
}

apr_status_t spawn_cgroup_test(apr_pool_t *p, server_rec *s,
                               const spawn_server_config *conf)
{
    tree_limit limit = limit_of(conf);
    const char *path;
    int dir;

    if (!conf->cgroup[0])
        return limit.name && !conf->external
                   ? none_for_limit(s, &limit, "SpawnCgroup none")
                   : APR_SUCCESS;
    if (conf->cgroup[0] != '/')
        return APR_SUCCESS;
    dir = open_it(conf->cgroup, &path, p);
    if (dir == -EACCES) /* the person who asks may not look there */
        return APR_SUCCESS;
    if (dir < 0)
        return not_usable(s, conf->cgroup_where, path, -dir);
    (void)close(dir);
    return APR_SUCCESS;
}

apr_status_t spawn_cgroup_check(apr_pool_t *p, server_rec *s,
                                const spawn_server_config *conf)
{
    tree_limit limit = limit_of(conf);
    bool given = conf->cgroup[0] == '/';
    const char *path = "";
    apr_status_t rv = APR_SUCCESS;
    int dir;

    /* a spawner that systemd has started finds its own */
    if (conf->external && !given)
        return APR_SUCCESS;
    dir = conf->cgroup[0] ? open_it(conf->cgroup, &path, p) : -ENOENT;
    if (dir >= 0) {
        if (given)
            rv = check_place(s, conf->cgroup_where, dir, path, !conf->external);
        if (rv == APR_SUCCESS && limit.name)
            rv = check_limits(p, s, &limit, dir, path, !given);
        (void)close(dir);
        return rv;
    }
    if (given)
        return not_usable(s, conf->cgroup_where, path, -dir);
    if (!limit.name)
        return APR_SUCCESS;
    return none_for_limit(s, &limit,
                          conf->cgroup[0] ? spawn_cgroup_why_none(dir)
                                          : "SpawnCgroup none");
}
