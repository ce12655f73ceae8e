/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnBrokerUser, SpawnUser and SpawnGroup: the accounts of the broker and of
 * the jobs of queues. Names become numbers here, while the configuration is
 * read.
 *
 * A template is a process, and has one account: that of the queues that name
 * it. A process that httpd itself forks (a `parent` template) has httpd's User.
 *
 * Runs in the httpd parent. Must change nothing: `httpd -t` runs it too.
 */
#include "module/queue_account.h"

#include <unistd.h>

#include "unixd.h"

#include "module/handlers.h"
#include "common/spawn_field.h"
#include "common/spawn_proto.h"

/* ---- the directives ---- */

const char *spawn_broker_user_directive(cmd_parms *cmd, void *dir_config,
                                        const char *user, const char *group)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir_config;
    if (!err)
        err = spawn_account_named(cmd->pool, cmd->cmd->name, user, group,
                                  &conf->broker);
    if (!err)
        conf->broker_where = spawn_where(cmd->pool, cmd->directive);
    return err;
}

static spawn_queue_rules *rules_of(cmd_parms *cmd, void *dir_config)
{
    spawn_queue_rules *queue = spawn_queue_of_section(dir_config);

    return queue ? queue : &spawn_config_of(cmd->server)->given;
}

const char *spawn_user_directive(cmd_parms *cmd, void *dir_config,
                                 const char *arg)
{
    spawn_queue_rules *rules = rules_of(cmd, dir_config);
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (!err)
        err = spawn_account_user_fault(cmd->pool, cmd->cmd->name, arg);
    if (err)
        return err;
    rules->user = arg;
    rules->user_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

const char *spawn_group_directive(cmd_parms *cmd, void *dir_config,
                                  const char *arg)
{
    spawn_queue_rules *rules = rules_of(cmd, dir_config);
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (!err)
        err = spawn_account_group_fault(cmd->pool, cmd->cmd->name, arg);
    if (err)
        return err;
    rules->group = arg;
    rules->group_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

/* ---- queues ---- */

static bool same(const spawn_account *a, const spawn_account *b)
{
    return a == b || (a && b && a->uid == b->uid && a->gid == b->gid);
}

/* SpawnUser outside of sections is for queues that have none, with its
 * SpawnGroup; a queue's own SpawnUser does not get a group that was meant for
 * another account. */
static void inherit(const spawn_queue_rules *given, spawn_queue_rules *rules)
{
    if (rules->user)
        return;
    rules->user = given->user;
    rules->user_where = given->user_where;
    if (rules->group)
        return;
    rules->group = given->group;
    rules->group_where = given->group_where;
}

static apr_status_t not_separate(server_rec *s, const spawn_queue_rules *rules)
{
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0263) "%s: SpawnUser needs SpawnBrokerUser: an account "
                            "that only the broker has, and that owns the store "
                            "and the directory of the socket, since jobs could "
                            "change them otherwise. Make one (useradd --system "
                            "--shell /usr/sbin/nologin spawn), write "
                            "'SpawnBrokerUser spawn', stop httpd, give it "
                            "what there is ('chown -R --from=USER spawn' on "
                            "the directories of SpawnStore and SpawnSocket, "
                            "where USER is httpd's), and start httpd",
                 rules->user_where);
    return APR_EINVAL;
}

/* NULL stays for httpd's User itself. */
static apr_status_t complete_queue(apr_pool_t *p, server_rec *s,
                                   const spawn_server_config *conf,
                                   spawn_queue_rules *rules)
{
    const spawn_account *account = NULL;
    const char *err;

    inherit(&conf->given, rules);
    if (!rules->user && !rules->group)
        return APR_SUCCESS;
    if (!rules->user) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0264) "%s: SpawnGroup: queue '%s' has no SpawnUser, "
                                "whose group this is: set SpawnUser, too",
                     rules->group_where, rules->name);
        return APR_EINVAL;
    }
    if (!conf->broker)
        return not_separate(s, rules);
    err = spawn_account_named(p, "SpawnUser", rules->user, rules->group,
                              &account);
    if (err) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, MSNO(0265) "%s: %s%s",
                     rules->user_where, err,
                     rules->group ? "" : " (SpawnGroup)");
        return APR_EINVAL;
    }
    if (account->uid != ap_unixd_config.user_id
        || account->gid != ap_unixd_config.group_id)
        rules->account = account;
    return APR_SUCCESS;
}

/* A process with the broker's account can write to the store. */
static apr_status_t check_broker(server_rec *s, const spawn_server_config *conf)
{
    int i;

    if (!conf->broker)
        return APR_SUCCESS;
    if (conf->broker->uid == ap_unixd_config.user_id) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0269) "%s: SpawnBrokerUser: that is httpd's User; "
                                "name an account that nothing else has",
                     conf->broker_where);
        return APR_EINVAL;
    }
    for (i = 0; i < conf->rules->nelts; i++) {
        const spawn_queue_rules *rules =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);

        if (!rules->account || rules->account->uid != conf->broker->uid)
            continue;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0273) "%s: SpawnUser: queue '%s' has the account of "
                                "SpawnBrokerUser, which nothing else may have",
                     rules->user_where, rules->name);
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}

/* ---- templates ---- */

static spawn_template_rules *template_of(const spawn_server_config *conf,
                                         const spawn_queue_rules *rules)
{
    const char *name =
        rules->template ? rules->template : SPAWN_DEFAULT_TEMPLATE;
    int i;

    for (i = 0; i < conf->templates->nelts; i++) {
        spawn_template_rules *t =
            APR_ARRAY_IDX(conf->templates, i, spawn_template_rules *);

        if (strcmp(t->name, name) == 0)
            return t;
    }
    return NULL; /* spawn_templates_complete has refused it */
}

/* httpd forks it as its User. A queue that names none may have programs only;
 * its Perl calls are refused by the broker. */
static apr_status_t check_parent(server_rec *s, const spawn_queue_rules *rules,
                                 const spawn_template_rules *t)
{
    if (!rules->account || (!rules->template && rules->workers_max <= 0))
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0266) "%s: SpawnUser: queue '%s' has Perl calls of the "
                            "template '%s', which is forked from httpd and has "
                            "httpd's User: give the queue a template of its "
                            "own (SpawnTemplate %s exec preload=..., and "
                            "'SpawnTemplate %s' in the queue)",
                 rules->user_where, rules->name, t->name, rules->name,
                 rules->name);
    return APR_EINVAL;
}

static apr_status_t give_account(server_rec *s, const spawn_queue_rules *rules,
                                 spawn_template_rules *t)
{
    if (!t->account_of) {
        t->account = rules->account;
        t->account_of = rules->name;
        return APR_SUCCESS;
    }
    if (same(t->account, rules->account))
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0267) "%s: the queues '%s' and '%s' name the template "
                            "'%s', and their jobs have different accounts, "
                            "while a template has one: define another one for "
                            "'%s'",
                 rules->template_where ? rules->template_where
                                       : rules->user_where,
                 t->account_of, rules->name, t->name, rules->name);
    return APR_EINVAL;
}

static apr_status_t complete_template(server_rec *s,
                                      const spawn_server_config *conf,
                                      const spawn_queue_rules *rules)
{
    spawn_template_rules *t = template_of(conf, rules);

    if (!t)
        return APR_SUCCESS;
    if (t->parent)
        return check_parent(s, rules, t);
    return rules->template || rules->workers_max > 0 ? give_account(s, rules, t)
                                                     : APR_SUCCESS;
}

/* The default template is executed, and no queue names it: it has the account
 * of the queue that most jobs are in. */
static void complete_default_template(const spawn_server_config *conf)
{
    const spawn_queue_rules *rules =
        &APR_ARRAY_IDX(conf->rules, 0, spawn_queue_rules);
    spawn_template_rules *t;

    if (rules->template)
        return;
    t = template_of(conf, rules);
    if (t && !t->parent && !t->account_of)
        t->account = rules->account;
}

apr_status_t spawn_queue_accounts_complete(apr_pool_t *p, server_rec *s,
                                           spawn_server_config *conf)
{
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        if (complete_queue(p, s, conf,
                           &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules))
            != APR_SUCCESS)
            return APR_EINVAL;
    }
    if (check_broker(s, conf) != APR_SUCCESS)
        return APR_EINVAL;
    for (i = 0; i < conf->rules->nelts; i++) {
        if (complete_template(s, conf,
                              &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules))
            != APR_SUCCESS)
            return APR_EINVAL;
    }
    complete_default_template(conf);
    return APR_SUCCESS;
}

/* ---- at a start ---- */

apr_status_t spawn_queue_accounts_check(server_rec *s,
                                        const spawn_server_config *conf,
                                        const spawn_account *account)
{
    if (!conf->broker || account->switched)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 MSNO(0268) "%s: SpawnBrokerUser and SpawnUser need an httpd "
                            "that is started as root; without, broker and jobs "
                            "have the account that starts it: leave them out",
                 conf->broker_where);
    return APR_EACCES;
}

/* ---- to the spawner ---- */

static void put_queue_names(spawn_writer *w, const spawn_server_config *conf,
                            const spawn_account *account)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_QUEUE_NAMES);
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const spawn_queue_rules *rules =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);

        if (same(rules->account, account))
            spawn_add_text(w, mark, rules->name, strlen(rules->name));
    }
    spawn_close(w, mark);
}

/* The spawner does not start the templates that httpd forks. */
static void put_template_names(spawn_writer *w, const spawn_server_config *conf,
                               const spawn_account *account)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_TEMPLATE_NAMES);
    int i;

    for (i = 0; i < conf->templates->nelts; i++) {
        const spawn_template_rules *t =
            APR_ARRAY_IDX(conf->templates, i, spawn_template_rules *);

        if (!t->parent && same(t->account, account))
            spawn_add_text(w, mark, t->name, strlen(t->name));
    }
    spawn_close(w, mark);
}

/* own: of those that have it as their own; NULL: of the others. */
static void put_account(spawn_writer *w, const spawn_server_config *conf,
                        const spawn_account *account, const spawn_account *own)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_ACCOUNT);

    spawn_put_u64(w, SPAWN_A_UID, account->uid);
    spawn_put_u64(w, SPAWN_A_GID, account->gid);
    spawn_put_u64v(w, SPAWN_A_GROUPS, account->groups, account->groups_count);
    spawn_put_str(w, SPAWN_A_JOB_HOME, account->home);
    if (*account->user)
        spawn_put_str(w, SPAWN_A_JOB_USER, account->user);
    if (*account->group)
        spawn_put_str(w, SPAWN_A_JOB_GROUP, account->group);
    put_queue_names(w, conf, own);
    put_template_names(w, conf, own);
    spawn_close(w, mark);
}

/* Has a queue before this one the same account? */
static bool is_put(const spawn_server_config *conf, int before,
                   const spawn_account *account)
{
    while (before > 0) {
        if (same(
                APR_ARRAY_IDX(conf->rules, --before, spawn_queue_rules).account,
                account))
            return true;
    }
    return false;
}

void spawn_queue_accounts_put(spawn_writer *w, const spawn_server_config *conf,
                              const spawn_account *account)
{
    int i;

    if (!conf->broker)
        return;
    put_account(w, conf, account, NULL);
    for (i = 0; i < conf->rules->nelts; i++) {
        const spawn_account *own =
            APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).account;

        if (own && !is_put(conf, i, own))
            put_account(w, conf, own, own);
    }
}
