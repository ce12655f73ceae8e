/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnSocketMode and SpawnSocketGroup. Runs in the httpd parent while the
 * configuration is read. Must touch no file: sockets.c does.
 *
 * The broker lets in uid 0, its own uid, and callers with the secret (httpd's
 * children, which have its uid): all of these can use a socket of its group. It
 * would refuse others, which therefore need not reach it, unless SpawnAccess
 * gives them rights: these may have any group. Its lines about httpd's User
 * change nothing.
 */
#include "module/socket_access.h"
#include "module/confines.h"
#include "module/handlers.h"

#include <grp.h>
#include <limits.h>
#include <unistd.h>

#define MODE_ALL 0777

static bool lets_in_others(const spawn_server_config *conf,
                           const spawn_account *account)
{
    return conf->access_count > 0
           && conf->access_only != (apr_int64_t)account->uid;
}

spawn_socket_access spawn_socket_access_of(const spawn_server_config *conf,
                                           const spawn_account *account)
{
    spawn_socket_access access = {SPAWN_DEFAULT_SOCKET_MODE, account->gid};

    if (spawn_confines_accounts() /* children of any account connect */
        || (lets_in_others(conf, account) && conf->socket_gid == SPAWN_UNSET))
        access.mode = SPAWN_ANY_SOCKET_MODE;
    if (conf->socket_mode != SPAWN_UNSET)
        access.mode = (mode_t)conf->socket_mode;
    if (conf->socket_gid != SPAWN_UNSET)
        access.gid = (gid_t)conf->socket_gid;
    return access;
}

const char *spawn_socket_mode_directive(cmd_parms *cmd, void *dir_config,
                                        const char *arg)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    char *end = NULL;
    apr_int64_t mode = -1;

    (void)dir_config;
    if (err)
        return err;
    if (apr_isdigit(*arg))
        mode = apr_strtoi64(arg, &end, 8);
    if (!end || *end || mode < 0 || mode > MODE_ALL)
        return apr_psprintf(
            cmd->pool,
            "SpawnSocketMode: '%.200s' is not an octal mode such "
            "as 0660",
            arg);
    if ((mode & 0200) == 0)
        return apr_psprintf(cmd->pool,
                            "SpawnSocketMode: with %s not even the owner could "
                            "connect; at least 0200 is needed",
                            arg);
    spawn_config_of(cmd->server)->socket_mode = mode;
    return NULL;
}

/* A process that is not root can give a file only to groups of its own. */
static bool is_ours(gid_t gid)
{
    gid_t groups[NGROUPS_MAX];
    int count = getgroups(NGROUPS_MAX, groups);

    if (geteuid() == 0 || gid == getegid())
        return true;
    while (count > 0) {
        if (groups[--count] == gid)
            return true;
    }
    return false;
}

/* As httpd's own Group: a name, or # and a number. */
const char *spawn_socket_group_directive(cmd_parms *cmd, void *dir_config,
                                         const char *arg)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_int64_t gid;

    (void)dir_config;
    if (err)
        return err;
    if (*arg == '#') {
        err = spawn_parse_number(cmd->pool, cmd->cmd->name, arg + 1, 0,
                                 UINT32_MAX - 1, &gid);
        if (err)
            return err;
    }
    else {
        const struct group *group = getgrnam(arg);

        if (!group)
            return apr_psprintf(cmd->pool,
                                "SpawnSocketGroup: there is no group '%.200s'; "
                                "make it, or name another one",
                                arg);
        gid = (apr_int64_t)group->gr_gid;
    }
    if (!is_ours((gid_t)gid))
        return apr_psprintf(
            cmd->pool,
            "SpawnSocketGroup: uid %lu is not in group '%.200s' "
            "and cannot give the socket to it; start httpd as "
            "root, or name a group of this account",
            (unsigned long)geteuid(), arg);
    spawn_config_of(cmd->server)->socket_gid = gid;
    return NULL;
}
