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

static apr_status_t check_limits(server_rec *s, const char *what, int dir,
                                 const char *path)
{
    unsigned have = spawn_cgroup_controllers(dir);

    if (have == (SPAWN_CGROUP_MEMORY | SPAWN_CGROUP_CPU | SPAWN_CGROUP_PIDS))
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 MSNO(0286) "SpawnLimit %s needs the controllers memory, cpu "
                            "and pids of cgroup v2 in directories below %s, "
                            "and not all are there: the directory must have "
                            "them (cgroup.controllers), and no processes",
                 what, path);
    return APR_ENOTIMPL;
}

apr_status_t spawn_cgroup_check(apr_pool_t *p, server_rec *s,
                                const spawn_server_config *conf)
{
    const char *limit = spawn_job_rules_tree_limit(conf);
    bool given = conf->cgroup[0] == '/';
    const char *path = "";
    apr_status_t rv = APR_SUCCESS;
    int dir;

    /* a spawner that systemd has started finds its own */
    if (conf->external && !given)
        return APR_SUCCESS;
    dir = conf->cgroup[0] ? open_it(conf->cgroup, &path, p) : -ENOENT;
    if (dir >= 0) {
        if (limit)
            rv = check_limits(s, limit, dir, path);
        (void)close(dir);
        return rv;
    }
    if (given) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, -dir, s,
                     MSNO(0287) "SpawnCgroup: %s is no directory of cgroup v2 "
                                "that can be used",
                     path);
        return -dir;
    }
    if (!limit)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 MSNO(0288) "SpawnLimit %s needs a cgroup for each job, and "
                            "there is none: name a directory of cgroup v2 "
                            "with SpawnCgroup, or let systemd delegate one to "
                            "the unit (Delegate=yes)",
                 limit);
    return APR_ENOTIMPL;
}
