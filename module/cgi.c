/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPAWN_SOCKET in the environment of CGI scripts: a script is a process of its
 * own, and finds the broker by that as a cron script does. Whom the broker lets
 * in is decided there, by the account; a script whose account is not let in is
 * not told of it.
 *
 * Runs in httpd children, in the thread that works on the request. Must not
 * replace what SetEnv says, and must ask no name service.
 */
#include "module/cgi.h"

#include <string.h>
#include <unistd.h>

#include "apr_tables.h"
#include "http_config.h"
#include "http_core.h"
#include "http_main.h"
#include "unixd.h"

#include "module/access.h"
#include "module/config.h"
#include "module/endpoint.h"

#define NAME "SPAWN_SOCKET"

/* The two names that mod_cgi and mod_cgid take. */
static bool is_cgi(const request_rec *r)
{
    return r->handler
           && (strcmp(r->handler, "cgi-script") == 0
               || strcmp(r->handler, "application/x-httpd-cgi") == 0);
}

/* httpd's User, or that of the virtual host (mpm_itk), or of suexec. */
static bool is_let_in(const request_rec *r)
{
    const ap_unix_identity_t *other =
        ap_unixd_config.suexec_enabled ? ap_run_get_suexec_identity(r) : NULL;
    uid_t uid = other ? other->uid : geteuid();
    gid_t gid = other ? other->gid : getegid();

    return uid == 0 || uid == ap_unixd_config.user_id
           || spawn_access_lets_in(spawn_config_of(ap_server_conf), uid, gid,
                                   r->pool);
}

int spawn_cgi_fixups(request_rec *r)
{
    const spawn_child_endpoint *endpoint =
        is_cgi(r) ? spawn_child_endpoint_get() : NULL;

    if (endpoint && !apr_table_get(r->subprocess_env, NAME) && is_let_in(r))
        apr_table_setn(r->subprocess_env, NAME,
                       apr_pstrdup(r->pool, endpoint->socket_path));
    return DECLINED;
}
