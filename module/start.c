/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs beside mod_spawn.so, and the start of the spawner
 * (parent/begin.c). Runs in the httpd parent. Must log what goes wrong.
 */
#include "module/start.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include "parent/begin.h"

static const char *program_path(apr_pool_t *p, const char *name)
{
    Dl_info info;
    const char *slash;

    if (!dladdr(&spawn_module, &info) || !info.dli_fname)
        return NULL;
    slash = strrchr(info.dli_fname, '/');
    if (!slash)
        return NULL;
    return apr_pstrcat(
        p,
        apr_pstrmemdup(p, info.dli_fname, (apr_size_t)(slash - info.dli_fname)),
        "/" SPAWN_PROGRAM_DIR "/", name, NULL);
}

static apr_status_t open_program(apr_pool_t *p, server_rec *s, const char *name,
                                 const char **ret_path, int *ret_fd)
{
    const char *path = program_path(p, name);
    int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;

    if (fd < 0 || access(path, X_OK) < 0) {
        apr_status_t rv = path ? errno : APR_ENOENT;

        ap_log_error(
            APLOG_MARK, APLOG_CRIT, rv, s,
            MSNO(0140) "cannot execute %s; the programs spawner and "
                       "broker belong into the directory " SPAWN_PROGRAM_DIR
                       " beside mod_spawn.so: "
                       "install mod_spawn again",
            path ? path : name);
        if (fd >= 0)
            (void)close(fd);
        return rv;
    }
    *ret_path = path;
    *ret_fd = fd;
    return APR_SUCCESS;
}

apr_status_t spawn_programs_open(apr_pool_t *p, server_rec *s,
                                 spawn_programs *ret)
{
    const char *unused;
    apr_status_t rv;

    rv = open_program(p, s, "spawner", &ret->spawner_path, &ret->spawner_bin);
    if (rv != APR_SUCCESS)
        return rv;
    rv = open_program(p, s, "broker", &unused, &ret->broker_bin);
    if (rv != APR_SUCCESS)
        (void)close(ret->spawner_bin);
    return rv;
}

void spawn_programs_close(spawn_programs *programs)
{
    (void)close(programs->spawner_bin);
    (void)close(programs->broker_bin);
}

apr_status_t spawn_start(apr_pool_t *p, server_rec *s,
                         const spawn_programs *programs,
                         const char *socket_path, int wait_ms, int *ret_link,
                         pid_t *ret_pid)
{
    char *argv[] = {apr_pstrdup(p, "mod_spawn spawner"),
                    apr_pstrdup(p, socket_path), NULL};
    char *envp[3] = {apr_pstrdup(p, "PATH=/usr/local/bin:/usr/bin:/bin"), NULL,
                     NULL};
    const char *zone = getenv("TZ");
    int rv;

    if (zone)
        envp[1] = apr_pstrcat(p, "TZ=", zone, NULL);
    rv = spawn_begin(programs->spawner_path, argv, envp, wait_ms, ret_link,
                     ret_pid);
    if (rv)
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                     MSNO(0141) "cannot start %s", programs->spawner_path);
    return rv;
}
