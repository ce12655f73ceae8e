/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confines of httpd's children that do not confine jobs: spawner and broker are
 * started before any child, once for all virtual hosts, outside of a ChrootDir
 * and with the account that User names.
 *
 * With a ChrootDir children cannot reach the callers' socket, and jobs that
 * they post run outside of it, which is a way out: an error. With an account
 * for each request (mpm_itk, mod_ruid2) everything works, but jobs have the
 * account of their queue: a warning.
 *
 * Runs in the httpd parent. Must change nothing.
 */
#include "module/confines.h"

#include "http_config.h"
#include "unixd.h"
#include "module/module.h"

apr_status_t spawn_confines_check(server_rec *s)
{
    if (!ap_unixd_config.chroot_dir)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 MSNO(0241) "ChrootDir %s: jobs would run outside of it, and a "
                            "handler could leave it by starting one; take out "
                            "ChrootDir, or do not load mod_spawn",
                 ap_unixd_config.chroot_dir);
    return APR_EGENERAL;
}

const char *spawn_confines_accounts(void)
{
    static const char *const files[][2] = {{"mpm_itk.c", "mpm_itk"},
                                           {"mod_ruid2.c", "mod_ruid2"}};
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (ap_find_linked_module(files[i][0]))
            return files[i][1];
    }
    return NULL;
}

void spawn_confines_tell(apr_pool_t *p, server_rec *s,
                         const spawn_account *account)
{
    const char *who = spawn_confines_accounts();

    if (!who)
        return;
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                 MSNO(0242) "%s is loaded: requests have accounts of their "
                            "own, but jobs run as %s, or as the SpawnUser of "
                            "their queue, whatever their virtual host: those "
                            "of one account are not protected from each other",
                 who, spawn_account_text(p, account));
}
