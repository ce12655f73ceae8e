/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolves httpd's User and Group for the pair. Runs in the httpd parent at
 * start and restart; must not run later, since a name service may block.
 */
#include "module/account.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unixd.h"

/* Supplementary groups as httpd's children get them: initgroups(3). */
static apr_status_t resolve_groups(server_rec *s, spawn_account *account)
{
    gid_t groups[SPAWN_GROUPS_MAX];
    int count = SPAWN_GROUPS_MAX, i;

    if (getgrouplist(account->user, account->gid, groups, &count) < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     MSNO(0110) "User %s is in %d groups, %d are possible; "
                                "take another User or leave some groups",
                     account->user, count, SPAWN_GROUPS_MAX);
        return APR_EINVAL;
    }
    for (i = 0; i < count; i++)
        account->groups[i] = groups[i];
    account->groups_count = (uint32_t)count;
    return APR_SUCCESS;
}

static void set_names(apr_pool_t *p, spawn_account *account,
                      const struct passwd *pw)
{
    const struct group *group;
    struct stat st;

    account->user = pw ? apr_pstrdup(p, pw->pw_name) : "";
    account->home = "/";
    if (pw && pw->pw_dir && pw->pw_dir[0] == '/' && stat(pw->pw_dir, &st) == 0
        && S_ISDIR(st.st_mode))
        account->home = apr_pstrdup(p, pw->pw_dir);
    group = getgrgid(account->gid);
    account->group = group ? apr_pstrdup(p, group->gr_name) : "";
}

apr_status_t spawn_account_resolve(apr_pool_t *p, server_rec *s,
                                   const spawn_account **ret)
{
    spawn_account *account = apr_pcalloc(p, sizeof(*account));
    const char *given = ap_unixd_config.user_name;
    const struct passwd *pw;
    apr_status_t rv;

    if (geteuid() != 0) {
        account->uid = geteuid();
        account->gid = getegid();
        set_names(p, account, getpwuid(account->uid));
        *ret = account;
        return APR_SUCCESS;
    }
    if (ap_unixd_config.user_id == 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     MSNO(0111) "User is root: jobs and the broker would run "
                                "as root; set User to an account without "
                                "privileges");
        return APR_EINVAL;
    }
    /* The name counts, not the number: a uid can have several accounts. */
    pw = given && given[0] != '#' ? getpwnam(given)
                                  : getpwuid(ap_unixd_config.user_id);
    if (!pw || ap_unixd_config.group_id == (gid_t)-1) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     MSNO(0112) "User '%s' or Group '%s' does not exist here; "
                                "set both to what this system has",
                     given ? given : "",
                     ap_unixd_config.group_name ? ap_unixd_config.group_name
                                                : "");
        return APR_EINVAL;
    }
    account->switched = true;
    account->uid = ap_unixd_config.user_id;
    account->gid = ap_unixd_config.group_id;
    set_names(p, account, pw);
    rv = resolve_groups(s, account);
    if (rv == APR_SUCCESS)
        *ret = account;
    return rv;
}
