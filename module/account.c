/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolves httpd's User and Group for the pair, and the accounts that
 * directives name. Runs in the httpd parent at start and restart; must not run
 * later, since a name service may block. Must resolve nothing to uid 0.
 */
#include "module/account.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unixd.h"

/* Supplementary groups as httpd's children get them: initgroups(3). 0, or how
 * many there are when they are too many. */
static int find_groups(spawn_account *account)
{
    gid_t groups[SPAWN_GROUPS_MAX];
    int count = SPAWN_GROUPS_MAX, i;

    if (getgrouplist(account->user, account->gid, groups, &count) < 0)
        return count;
    for (i = 0; i < count; i++)
        account->groups[i] = groups[i];
    account->groups_count = (uint32_t)count;
    return 0;
}

static apr_status_t resolve_groups(server_rec *s, spawn_account *account)
{
    int count = find_groups(account);

    if (count == 0)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 MSNO(0110) "User %s is in %d groups, %d are possible; take "
                            "another User or leave some groups",
                 account->user, count, SPAWN_GROUPS_MAX);
    return APR_EINVAL;
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

const spawn_account *spawn_account_by_number(apr_pool_t *p)
{
    spawn_account *account;

    if (geteuid() != 0 || ap_unixd_config.user_id == 0
        || ap_unixd_config.group_id == (gid_t)-1)
        return NULL;
    account = apr_pcalloc(p, sizeof(*account));
    account->switched = true;
    account->uid = ap_unixd_config.user_id;
    account->gid = ap_unixd_config.group_id;
    account->groups[0] = account->gid;
    account->groups_count = 1;
    account->user = account->group = "";
    account->home = "/";
    return account;
}

const char *spawn_account_text(apr_pool_t *p, const spawn_account *account)
{
    return *account->user
               ? account->user
               : apr_psprintf(p, "uid %lu", (unsigned long)account->uid);
}

/* ---- accounts that are named ---- */

/* The number behind #; NULL, or what is wrong. */
static const char *number_of(apr_pool_t *p, const char *what, const char *arg,
                             uint32_t *ret)
{
    char *end;
    apr_int64_t number = apr_strtoi64(arg + 1, &end, 10);

    if (!apr_isdigit(arg[1]) || *end || number > UINT32_MAX - 1)
        return apr_psprintf(p,
                            "%s: '%.200s' is no number of an account; wanted: "
                            "a name, or # and a number",
                            what, arg);
    *ret = (uint32_t)number;
    return NULL;
}

/* @param ret_pw NULL: the number is no account of this machine. */
static const char *find_user(apr_pool_t *p, const char *what, const char *arg,
                             uid_t *ret, const struct passwd **ret_pw)
{
    const struct passwd *pw;
    uint32_t uid;
    const char *err;

    if (*arg == '#') {
        err = number_of(p, what, arg, &uid);
        if (err)
            return err;
        pw = getpwuid(uid);
    }
    else {
        pw = getpwnam(arg);
        if (!pw)
            return apr_psprintf(p,
                                "%s: there is no account '%.200s'; make it "
                                "(useradd --system --shell /usr/sbin/nologin "
                                "%.200s), or name another one",
                                what, arg, arg);
        uid = pw->pw_uid;
    }
    if (uid == 0)
        return apr_psprintf(p,
                            "%s: '%.200s' is root: neither jobs nor the broker "
                            "ever run as root; name an account without "
                            "privileges",
                            what, arg);
    *ret = uid;
    *ret_pw = pw;
    return NULL;
}

static const char *find_group(apr_pool_t *p, const char *what, const char *arg,
                              gid_t *ret)
{
    const struct group *group;
    uint32_t gid;
    const char *err;

    if (*arg == '#') {
        err = number_of(p, what, arg, &gid);
        if (err)
            return err;
    }
    else {
        group = getgrnam(arg);
        if (!group)
            return apr_psprintf(p,
                                "%s: there is no group '%.200s'; make it, or "
                                "name another one",
                                what, arg);
        gid = group->gr_gid;
    }
    if (gid == 0)
        return apr_psprintf(p,
                            "%s: '%.200s' is the group of root; name one "
                            "without privileges",
                            what, arg);
    *ret = gid;
    return NULL;
}

const char *spawn_account_user_fault(apr_pool_t *p, const char *what,
                                     const char *user)
{
    const struct passwd *pw;
    uid_t uid;

    return find_user(p, what, user, &uid, &pw);
}

const char *spawn_account_group_fault(apr_pool_t *p, const char *what,
                                      const char *group)
{
    gid_t gid;

    return find_group(p, what, group, &gid);
}

const char *spawn_account_named(apr_pool_t *p, const char *what,
                                const char *user, const char *group,
                                const spawn_account **ret)
{
    spawn_account *account = apr_pcalloc(p, sizeof(*account));
    const struct passwd *pw;
    const char *err = find_user(p, what, user, &account->uid, &pw);
    int count;

    if (err)
        return err;
    if (!group && !pw)
        return apr_psprintf(p,
                            "%s: uid %s has no account here that tells its "
                            "group; name the group, too",
                            what, user + 1);
    if (!group && pw->pw_gid == 0)
        return apr_psprintf(p,
                            "%s: the group of '%.200s' is that of root; name "
                            "one without privileges, too",
                            what, user);
    if (!group)
        account->gid = pw->pw_gid;
    account->switched = true;
    if (pw) /* before another look-up takes its place */
        account->user = apr_pstrdup(p, pw->pw_name);
    if (group) {
        err = find_group(p, what, group, &account->gid);
        if (err)
            return err;
    }
    pw = account->user ? getpwnam(account->user) : NULL;
    set_names(p, account, pw);
    account->groups[0] = account->gid;
    account->groups_count = 1;
    count = pw ? find_groups(account) : 0;
    if (count)
        return apr_psprintf(p,
                            "%s: '%.200s' is in %d groups, %d are possible; "
                            "name another account, or leave some groups",
                            what, user, count, SPAWN_GROUPS_MAX);
    *ret = account;
    return NULL;
}
