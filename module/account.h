/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file account.h
 * @brief The accounts that broker and jobs run as, as numbers: httpd's User and
 * Group, and those that directives name.
 *
 * Runs in the httpd parent, once for each reading of the configuration; the
 * name service is asked here and nowhere else.
 */
#ifndef SPAWN_ACCOUNT_H
#define SPAWN_ACCOUNT_H

#include <sys/types.h>

#include "module/module.h"

#define SPAWN_GROUPS_MAX 256

typedef struct spawn_account {
    bool switched; /* httpd was started as root: the spawner sets these */
    uid_t uid;
    gid_t gid;
    uint64_t groups[SPAWN_GROUPS_MAX]; /* as they travel */
    uint32_t groups_count;
    const char *user;  /* name, or "" when the uid has none */
    const char *group; /* name, or "" when the gid has none */
    const char *home;  /* a directory that exists, else "/" */
} spawn_account;

/**
 * The account that httpd's children will have. Logs what is wrong (root as
 * User, an account that does not exist, more groups than fit).
 * @param ret in pool p.
 */
apr_status_t spawn_account_resolve(apr_pool_t *p, server_rec *s,
                                   const spawn_account **ret);

/** The same without its names and further groups, for a restart at which they
 * cannot be had. NULL: there is none but root. */
const spawn_account *spawn_account_by_number(apr_pool_t *p);

/** For people: its name, or its number. In pool p, or its own. */
const char *spawn_account_text(apr_pool_t *p, const spawn_account *account);

/** Are these accounts that may be named? A name, or # and a number; neither
 * root nor its group. what: the directive. NULL, or what is wrong. */
const char *spawn_account_user_fault(apr_pool_t *p, const char *what,
                                     const char *user);
const char *spawn_account_group_fault(apr_pool_t *p, const char *what,
                                      const char *group);

/**
 * The account of these names.
 * @param group NULL: the account's own.
 * @return NULL, with *ret in pool p, or what is wrong.
 */
const char *spawn_account_named(apr_pool_t *p, const char *what,
                                const char *user, const char *group,
                                const spawn_account **ret);

#endif
