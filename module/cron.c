/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnCron: recurring jobs. Runs in the httpd parent while the configuration
 * is read: each field is checked, and each fault says which one it is, what is
 * wrong and what is allowed. The broker runs them. Must not touch the machine
 * but to look whether it has a time zone: `httpd -t` runs it too.
 */
#include "module/account.h"
#include "module/allow.h"
#include "module/arguments.h"
#include "module/config.h"
#include "module/cron.h"
#include "module/handlers.h"

#include <limits.h>

#include "common/spawn_cron.h"
#include "common/spawn_zone.h"
#include "common/spawn_field.h"
#include "common/spawn_moment.h"
#include "common/spawn_name.h"
#include "common/spawn_proto.h"
#include "common/spawn_retry.h"
#include "common/spawn_rule.h"

#define ENTRIES_MAX 1000
#define WORDS_MAX   60000 /* bytes of one: SPAWN_CRON_MAX has room for more */
#define ALL_MAX     (2 << 20) /* bytes of all; they go into one message */
#define OPTIONS                                                                \
    "name, queue, tz, catch_up, overlap, timeout, user, retry, retry_on, "     \
    "backoff, expires, priority, durable and on_failure"

typedef struct {
    const spawn_field *field;
    const char *text;
} cron_rule;

typedef struct {
    const char *name, *where;
    const char *schedule, *zone; /* NULL: the local one */
    const char *queue, *user;    /* NULL: not given */
    apr_int64_t timeout_ms;      /* SPAWN_UNSET: the queue's; 0: none */
    unsigned catch_up;
    bool overlap;
    bool function;
    apr_array_header_t *words; /* of const char *: what is run */
    apr_array_header_t *rules; /* of cron_rule: fields of its jobs */
} cron_entry;

/* ---- options ---- */

static const char *set_name(cmd_parms *cmd, cron_entry *e, const char *arg)
{
    if (!spawn_queue_name_ok(arg))
        return apr_psprintf(cmd->pool,
                            "SpawnCron: name: '%.200s' is not a name: 1 to %d "
                            "letters, digits, '_', '-' and '.', not starting "
                            "with '-' or '.'",
                            arg, SPAWN_NAME_MAX);
    e->name = arg;
    return NULL;
}

static const char *set_queue(cmd_parms *cmd, cron_entry *e, const char *arg)
{
    if (!spawn_queue_name_ok(arg))
        return apr_psprintf(
            cmd->pool,
            "SpawnCron: queue: '%.200s' is not a queue's name: 1 "
            "to %d letters, digits, '_', '-' and '.', not "
            "starting with '-' or '.'",
            arg, SPAWN_NAME_MAX);
    e->queue = arg;
    return NULL;
}

static const char *set_zone(cmd_parms *cmd, cron_entry *e, const char *arg)
{
    char why[300];

    if (spawn_zone_check(arg, why, sizeof(why)))
        return apr_psprintf(cmd->pool, "SpawnCron: tz: %s", why);
    e->zone = arg;
    return NULL;
}

static const char *set_catch_up(cmd_parms *cmd, cron_entry *e, const char *arg)
{
    static const char *const words[] = {[SPAWN_CATCH_UP_NONE] = "none",
                                        [SPAWN_CATCH_UP_ONE] = "one",
                                        [SPAWN_CATCH_UP_ALL] = "all"};
    unsigned i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(arg, words[i]) == 0) {
            e->catch_up = i;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool,
                        "SpawnCron: catch_up: '%.200s' is not allowed; wanted: "
                        "none, one or all",
                        arg);
}

static const char *set_overlap(cmd_parms *cmd, cron_entry *e, const char *arg)
{
    e->overlap = strcasecmp(arg, "yes") == 0;
    if (e->overlap || strcasecmp(arg, "no") == 0)
        return NULL;
    return apr_psprintf(
        cmd->pool,
        "SpawnCron: overlap: '%.200s' is not allowed; wanted: yes "
        "or no",
        arg);
}

static const char *set_timeout(cmd_parms *cmd, cron_entry *e, const char *arg)
{
    return spawn_parse_longest(cmd->pool, "SpawnCron: timeout", arg,
                               (apr_int64_t)SPAWN_DURATION_MAX_MS, "366d",
                               &e->timeout_ms);
}

static const char *set_user(cmd_parms *cmd, cron_entry *e, const char *arg)
{
    if (strlen(arg) > 255)
        return "SpawnCron: user: an account's name has at most 255 bytes";
    (void)cmd;
    e->user = arg;
    return NULL;
}

static const struct {
    const char *name;
    const char *(*set)(cmd_parms *cmd, cron_entry *e, const char *arg);
} options[] = {{"name", set_name},       {"queue", set_queue},
               {"tz", set_zone},         {"catch_up", set_catch_up},
               {"overlap", set_overlap}, {"timeout", set_timeout},
               {"user", set_user},       {"retry", NULL}, /* as in a submit */
               {"retry_on", NULL},       {"backoff", NULL},
               {"expires", NULL},        {"priority", NULL},
               {"durable", NULL},        {"on_failure", NULL}};

/* A field of its jobs, in the form that it has everywhere. */
static const char *set_rule(cmd_parms *cmd, cron_entry *e, const char *name,
                            const char *arg)
{
    const spawn_field *field = spawn_field_find(name);
    spawn_failure why;
    cron_rule *rule;
    spawn_writer w;
    int rv;

    if (field->attr == SPAWN_A_EXPIRES && spawn_looks_like_a_date(arg))
        return apr_psprintf(cmd->pool,
                            "SpawnCron: expires: '%.100s' is a moment, and "
                            "each run has its own; wanted: a time from when "
                            "it is due, such as 10m",
                            arg);
    spawn_writer_init(&w, WORDS_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    rv = spawn_field_put_text(&w, field, arg, &why);
    spawn_writer_free(&w);
    if (rv < 0)
        return apr_psprintf(cmd->pool, "SpawnCron: %s", why.text);
    rule = apr_array_push(e->rules);
    rule->field = field;
    rule->text = arg;
    return NULL;
}

static void put_rules(spawn_writer *w, const cron_entry *e)
{
    int i;

    for (i = 0; i < e->rules->nelts; i++) {
        const cron_rule *rule = &APR_ARRAY_IDX(e->rules, i, cron_rule);

        (void)spawn_field_put_text(w, rule->field, rule->text, NULL);
    }
}

/* A rule that the broker would refuse for each run is refused here. */
static const char *check_rules(cmd_parms *cmd, const cron_entry *e)
{
    static const spawn_id any;
    const char *err = NULL;
    spawn_failure why;
    spawn_message m;
    spawn_writer w;

    spawn_writer_init(&w, WORDS_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &any);
    put_rules(&w, e);
    spawn_failure_set(&why, SPAWN_E_SYSTEM, SPAWN_STEP_OPTIONS, 0,
                      "there is no memory to check it");
    if (spawn_writer_finish(&w, 0)
        || spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER, 0, &m, &why)
        || spawn_rules_check(&m, &why) || spawn_retry_check(&m, &why))
        err = apr_psprintf(cmd->pool, "SpawnCron: %s", why.text);
    spawn_writer_free(&w);
    return err;
}

/* "word=": an option, known or not. A program or function has '/' or ':' before
 * it. */
static apr_size_t option_length(const char *word)
{
    apr_size_t length = strspn(word, "abcdefghijklmnopqrstuvwxyz"
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-");

    return length && word[length] == '=' ? length : 0;
}

static const char *take_option(cmd_parms *cmd, cron_entry *e, const char *word,
                               apr_size_t length, unsigned *given)
{
    const char *value = word + length + 1;
    unsigned i;

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strlen(options[i].name) != length
            || strncasecmp(word, options[i].name, length) != 0)
            continue;
        if (*given & 1u << i)
            return apr_psprintf(cmd->pool, "SpawnCron: %s stands twice",
                                options[i].name);
        *given |= 1u << i;
        if (!*value)
            return apr_psprintf(cmd->pool,
                                "SpawnCron: %s: the value is missing",
                                options[i].name);
        return options[i].set ? options[i].set(cmd, e, value)
                              : set_rule(cmd, e, options[i].name, value);
    }
    return apr_psprintf(cmd->pool,
                        "SpawnCron: '%.*s' is not an option; " OPTIONS
                        " are, and -- ends them",
                        (int)length, word);
}

/* ---- what is run ---- */

static const char *take_what(cmd_parms *cmd, cron_entry *e)
{
    const char *first;

    if (e->words->nelts == 0)
        return "SpawnCron: what is to be run is missing: a Perl function "
               "(My::Module::function) or the absolute path of a program, and "
               "its arguments";
    first = APR_ARRAY_IDX(e->words, 0, const char *);
    e->function = strstr(first, "::") && spawn_perl_name_ok(first);
    if (e->function && strlen(first) > 512)
        return "SpawnCron: a function's name has at most 512 bytes";
    if (!e->function && first[0] != '/')
        return apr_psprintf(
            cmd->pool,
            "SpawnCron: '%.200s' is neither a Perl function with "
            "its package (My::Module::function) nor the "
            "absolute path of a program (/usr/bin/true)",
            first);
    return NULL;
}

/* The last part of the function's name or the program's path. */
static const char *name_it(cmd_parms *cmd, cron_entry *e)
{
    const char *first = APR_ARRAY_IDX(e->words, 0, const char *);
    const char *last = strrchr(first, e->function ? ':' : '/') + 1;

    if (!spawn_queue_name_ok(last))
        return apr_psprintf(
            cmd->pool,
            "SpawnCron: '%.200s' gives it no name; give it one: "
            "name=...",
            first);
    e->name = last;
    return NULL;
}

/* Of the entry in a message, at most. */
static apr_size_t size_of(const cron_entry *e)
{
    apr_size_t size = strlen(e->schedule) + (e->rules->nelts ? 2000 : 1000);
    int i;

    for (i = 0; i < e->words->nelts; i++)
        size += strlen(APR_ARRAY_IDX(e->words, i, const char *)) + 8;
    return size;
}

static const char *add(cmd_parms *cmd, cron_entry *e)
{
    apr_array_header_t *crons = spawn_config_of(cmd->server)->crons;
    apr_size_t all = size_of(e);
    int i;

    for (i = 0; i < crons->nelts; i++) {
        const cron_entry *other = APR_ARRAY_IDX(crons, i, cron_entry *);

        all += size_of(other);
        if (strcmp(other->name, e->name) == 0)
            return apr_psprintf(
                cmd->pool,
                "SpawnCron: a recurring job '%.200s' is already "
                "there, on %s; give one of them another name: "
                "name=...",
                e->name, other->where);
    }
    if (size_of(e) > WORDS_MAX)
        return apr_psprintf(cmd->pool,
                            "SpawnCron: the arguments have too many bytes; "
                            "%d are allowed",
                            WORDS_MAX);
    if (crons->nelts >= ENTRIES_MAX || all > ALL_MAX)
        return apr_psprintf(cmd->pool,
                            "SpawnCron: there are %d recurring jobs already; "
                            "%d are allowed, with %d bytes together",
                            crons->nelts, ENTRIES_MAX, ALL_MAX);
    APR_ARRAY_PUSH(crons, cron_entry *) = e;
    return NULL;
}

/* ---- the directive ---- */

static const char *take_words(cmd_parms *cmd, cron_entry *e,
                              const apr_array_header_t *words)
{
    bool more = true;
    unsigned given = 0;
    int i;

    for (i = 1; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);
        apr_size_t length = more ? option_length(word) : 0;
        const char *err;

        if (length) {
            err = take_option(cmd, e, word, length, &given);
            if (err)
                return err;
            continue;
        }
        if (more && strcmp(word, "--") == 0) {
            more = false;
            continue;
        }
        more = false;
        APR_ARRAY_PUSH(e->words, const char *) = word;
    }
    return take_what(cmd, e);
}

const char *spawn_cron_directive(cmd_parms *cmd, void *dir_config,
                                 const char *args)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    cron_entry *e = apr_pcalloc(cmd->pool, sizeof(*e));
    apr_array_header_t *words;
    spawn_cron when;
    char why[400];

    (void)dir_config;
    if (!err)
        err = spawn_words(cmd, args, 2, INT_MAX, &words);
    if (err)
        return err;
    e->where = spawn_where(cmd->pool, cmd->directive);
    e->timeout_ms = SPAWN_UNSET;
    e->words = apr_array_make(cmd->pool, 4, sizeof(const char *));
    e->rules = apr_array_make(cmd->pool, 2, sizeof(cron_rule));
    e->schedule = APR_ARRAY_IDX(words, 0, const char *);
    if (spawn_cron_parse(e->schedule, &when, why, sizeof(why)))
        return apr_psprintf(cmd->pool, "SpawnCron: schedule: %s%s", why,
                            strchr(e->schedule, ' ') || *e->schedule == '@'
                                ? ""
                                : " (quote the five: \"*/5 * * * *\")");
    err = take_words(cmd, e, words);
    if (!err)
        err = check_rules(cmd, e);
    if (!err && !e->name)
        err = name_it(cmd, e);
    return err ? err : add(cmd, e);
}

/* ---- when all is read ---- */

static bool has_queue(const spawn_server_config *conf, const char *name)
{
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).name, name)
            == 0)
            return true;
    }
    return false;
}

static const char *queue_names(apr_pool_t *p, const spawn_server_config *conf)
{
    const char *names = SPAWN_DEFAULT_QUEUE;
    int i;

    for (i = 1; i < conf->rules->nelts && i < 20; i++)
        names = apr_pstrcat(
            p, names, ", ",
            APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).name, NULL);
    return names;
}

/* The account of its queue's jobs; NULL: httpd's User. */
static const spawn_account *account_of(const spawn_server_config *conf,
                                       const char *queue)
{
    int i;

    for (i = 0; queue && i < conf->rules->nelts; i++) {
        const spawn_queue_rules *rules =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);

        if (strcmp(rules->name, queue) == 0)
            return rules->account;
    }
    return APR_ARRAY_IDX(conf->rules, 0, spawn_queue_rules).account;
}

static apr_status_t check_user(apr_pool_t *p, server_rec *s,
                               const spawn_server_config *conf,
                               const cron_entry *e)
{
    const spawn_account *account = account_of(conf, e->queue);
    apr_status_t rv =
        account ? APR_SUCCESS : spawn_account_resolve(p, s, &account);
    const char *number;

    if (rv != APR_SUCCESS)
        return rv;
    number = apr_psprintf(p, "%lu", (unsigned long)account->uid);
    if ((*account->user && strcmp(e->user, account->user) == 0)
        || strcmp(e->user, number) == 0)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0108) "%s: SpawnCron: user: '%s' cannot be had; allowed: "
                            "%s, the account of its queue",
                 e->where, e->user, *account->user ? account->user : number);
    return APR_EINVAL;
}

static apr_status_t not_allowed(apr_pool_t *p, server_rec *s,
                                const spawn_server_config *conf,
                                const cron_entry *e)
{
    const char *queue = e->queue ? e->queue : SPAWN_DEFAULT_QUEUE;

    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0116) "%s: SpawnCron: queue '%s' does not run '%.200s'; "
                            "its SpawnAllow: %.500s",
                 e->where, queue, APR_ARRAY_IDX(e->words, 0, const char *),
                 spawn_allow_text(p, conf, queue));
    return APR_EINVAL;
}

apr_status_t spawn_cron_complete(apr_pool_t *p, server_rec *s,
                                 const spawn_server_config *conf)
{
    int i;

    for (i = 0; i < conf->crons->nelts; i++) {
        const cron_entry *e = APR_ARRAY_IDX(conf->crons, i, cron_entry *);

        if (e->queue && !has_queue(conf, e->queue)) {
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                         MSNO(0107) "%s: SpawnCron: queue: '%s' is not "
                                    "configured; configured: %s",
                         e->where, e->queue, queue_names(p, conf));
            return APR_EINVAL;
        }
        if (!spawn_allow_queue(conf, e->queue ? e->queue : SPAWN_DEFAULT_QUEUE,
                               APR_ARRAY_IDX(e->words, 0, const char *)))
            return not_allowed(p, s, conf, e);
        if (e->user && check_user(p, s, conf, e) != APR_SUCCESS)
            return APR_EINVAL;
    }
    return APR_SUCCESS;
}

/* ---- for the broker ---- */

static void put_words(spawn_writer *w, uint16_t attr, const cron_entry *e)
{
    size_t mark = spawn_open_strv(w, attr);
    int i;

    for (i = 0; i < e->words->nelts; i++) {
        const char *text = APR_ARRAY_IDX(e->words, i, const char *);

        spawn_add_text(w, mark, text, strlen(text));
    }
    spawn_close(w, mark);
}

void spawn_cron_put(apr_pool_t *p, spawn_writer *w,
                    const spawn_server_config *conf)
{
    int i;

    for (i = 0; i < conf->crons->nelts; i++) {
        const cron_entry *e = APR_ARRAY_IDX(conf->crons, i, cron_entry *);
        size_t mark = spawn_open_nest(w, SPAWN_A_CRON_RULES);

        spawn_put_str(w, SPAWN_A_CRON, e->name);
        spawn_put_str(w, SPAWN_A_CRON_SCHEDULE, e->schedule);
        if (e->zone)
            spawn_put_str(w, SPAWN_A_CRON_ZONE, e->zone);
        spawn_put_u64(w, SPAWN_A_CRON_CATCH_UP, e->catch_up);
        spawn_put_u64(w, SPAWN_A_CRON_OVERLAP, e->overlap);
        if (e->function) {
            spawn_put_str(w, SPAWN_A_FUNCTION,
                          APR_ARRAY_IDX(e->words, 0, const char *));
            spawn_put_arguments(p, w, e->words, 1);
        }
        else {
            put_words(w, SPAWN_A_ARGV, e);
        }
        if (e->queue)
            spawn_put_str(w, SPAWN_A_QUEUE, e->queue);
        if (e->timeout_ms != SPAWN_UNSET)
            spawn_put_u64(w, SPAWN_A_TIMEOUT, (uint64_t)e->timeout_ms);
        if (e->user)
            spawn_put_str(w, SPAWN_A_USER, e->user);
        put_rules(w, e);
        spawn_close(w, mark);
    }
}
