/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that a queue gives to jobs that bring none (SpawnGrace, SpawnNice,
 * SpawnIONice, SpawnDirectory, SpawnEnv, SpawnPassEnv, SpawnOutput,
 * SpawnLeftovers, SpawnOnFailure), and the most that they may ask for
 * (SpawnLimit): docs/queues.md. A directive outside of any <SpawnQueue> is for
 * each queue that does not have it.
 *
 * Runs in the httpd parent while the configuration is read. Must not touch the
 * machine (no file, no process): `httpd -t` runs it too.
 */
#include "module/job_rules.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "module/handlers.h"
#include "common/spawn_field.h"
#include "common/spawn_rule.h"

#define NICE_MAX      19
#define DIRECTORY_MAX 4095
#define OUTPUT_MAX    4090 /* on the wire some bytes come with it */
/* Variables of one place; a queue has those of two. */
#define ENV_MAX        16384
#define ON_FAILURE_MAX 4000 /* on the wire some bytes come with it */
/* Of all queues together, so that CONFIGURE has room for the rest. */
#define ALL_MAX (2 << 20)

typedef struct {
    const char *name;
    const char *value; /* NULL: taken away */
} variable;

typedef struct {
    uint64_t number; /* on the wire */
    uint64_t value;
    const char *where;
} limit;

static apr_size_t words_size(const apr_array_header_t *words)
{
    apr_size_t size = 0;
    int i;

    for (i = 0; words && i < words->nelts; i++)
        size += strlen(APR_ARRAY_IDX(words, i, const char *)) + 1;
    return size;
}

/* ---- where a directive stands ---- */

static const char *rules_of(cmd_parms *cmd, void *dir_config,
                            spawn_job_rules **ret)
{
    spawn_queue_rules *queue = spawn_queue_of_section(dir_config);
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (!err)
        *ret = queue ? &queue->job : &spawn_config_of(cmd->server)->given.job;
    return err;
}

/* ---- one value ---- */

const char *spawn_grace_directive(cmd_parms *cmd, void *dir_config,
                                  const char *arg)
{
    spawn_job_rules *rules = NULL;
    const char *err = rules_of(cmd, dir_config, &rules);

    if (err)
        return err;
    if (strcmp(arg, "0") == 0) {
        rules->grace_ms = 0;
        return NULL;
    }
    return spawn_parse_time(
        cmd->pool, cmd->cmd->name, arg, (apr_int64_t)SPAWN_DURATION_MAX_MS,
        "366d", ", or 0: SIGKILL follows at once", &rules->grace_ms);
}

const char *spawn_nice_directive(cmd_parms *cmd, void *dir_config,
                                 const char *arg)
{
    spawn_job_rules *rules = NULL;
    const char *err = rules_of(cmd, dir_config, &rules);

    return err ? err
               : spawn_parse_number(cmd->pool, cmd->cmd->name, arg, 0, NICE_MAX,
                                    &rules->nice);
}

static const char *parse_word(cmd_parms *cmd, const char *arg,
                              int (*parse)(const char *, uint64_t *),
                              const char *wanted, apr_int64_t *ret)
{
    char *word = apr_pstrdup(cmd->temp_pool, arg);
    uint64_t value;

    ap_str_tolower(word);
    if (parse(word, &value))
        return apr_psprintf(cmd->pool,
                            "%s: '%.200s' is not allowed; wanted: %s",
                            cmd->cmd->name, arg, wanted);
    *ret = (apr_int64_t)value;
    return NULL;
}

const char *spawn_ionice_directive(cmd_parms *cmd, void *dir_config,
                                   const char *arg)
{
    spawn_job_rules *rules = NULL;
    const char *err = rules_of(cmd, dir_config, &rules);

    return err ? err
               : parse_word(cmd, arg, spawn_parse_ionice,
                            "idle, best-effort or best-effort:0 to "
                            "best-effort:7",
                            &rules->ionice);
}

const char *spawn_leftovers_directive(cmd_parms *cmd, void *dir_config,
                                      const char *arg)
{
    spawn_job_rules *rules = NULL;
    const char *err = rules_of(cmd, dir_config, &rules);

    return err ? err
               : parse_word(cmd, arg, spawn_parse_leftovers, "keep or kill",
                            &rules->leftovers);
}

static const char *check_path(cmd_parms *cmd, const char *path,
                              const char *wanted, apr_size_t most)
{
    if (*path != '/')
        return apr_psprintf(cmd->pool,
                            "%s: '%.200s' is not allowed; wanted: %s",
                            cmd->cmd->name, path, wanted);
    if (strlen(path) > most)
        return apr_psprintf(
            cmd->pool, "%s: the path has %lu bytes, %lu are allowed",
            cmd->cmd->name, (unsigned long)strlen(path), (unsigned long)most);
    return NULL;
}

const char *spawn_directory_directive(cmd_parms *cmd, void *dir_config,
                                      const char *arg)
{
    spawn_job_rules *rules = NULL;
    const char *err = rules_of(cmd, dir_config, &rules);

    if (!err)
        err = check_path(cmd, arg, "an absolute path", DIRECTORY_MAX);
    if (!err)
        rules->directory = arg;
    return err;
}

/* Many jobs write to one file, so it is never cut. */
const char *spawn_output_directive(cmd_parms *cmd, void *dir_config,
                                   const char *arg)
{
    spawn_job_rules *rules = NULL;
    const char *err = rules_of(cmd, dir_config, &rules);

    if (err)
        return err;
    if (strncmp(arg, ">>", 2) == 0)
        arg += 2;
    if (strcasecmp(arg, "log") == 0)
        rules->output = "log";
    else if (strcasecmp(arg, "null") == 0)
        rules->output = "null";
    else {
        err = check_path(cmd, arg,
                         "log, null or an absolute path, which is appended to",
                         OUTPUT_MAX);
        if (!err)
            rules->output = arg;
    }
    return err;
}

/* A function has no arguments: it gets a hash. */
const char *spawn_on_failure_directive(cmd_parms *cmd, void *dir_config,
                                       const char *args)
{
    spawn_job_rules *rules = NULL;
    apr_array_header_t *words = NULL;
    const char *err = rules_of(cmd, dir_config, &rules);
    const char *first;

    if (!err)
        err = spawn_words(cmd, args, 1, INT_MAX, &words);
    if (err)
        return err;
    if (words_size(words) > ON_FAILURE_MAX)
        return apr_psprintf(cmd->pool,
                            "%s: program and arguments have %lu bytes, %d are "
                            "allowed",
                            cmd->cmd->name, (unsigned long)words_size(words),
                            ON_FAILURE_MAX);
    first = APR_ARRAY_IDX(words, 0, const char *);
    if (words->nelts == 1 && strcasecmp(first, SPAWN_ON_FAILURE_NONE) == 0)
        apr_array_clear(words);
    else if (*first != '/' && (words->nelts > 1 || !spawn_on_failure_ok(first)))
        return apr_psprintf(cmd->pool,
                            "%s: '%.200s' is not allowed; wanted: the full "
                            "name of a Perl function, such as "
                            "My::Report::failed, an absolute path of a program "
                            "with its arguments, or none",
                            cmd->cmd->name, args);
    rules->on_failure = words;
    return NULL;
}

/* ---- variables ---- */

static apr_size_t size_of(const apr_array_header_t *env)
{
    apr_size_t size = 0;
    int i;

    for (i = 0; env && i < env->nelts; i++) {
        const variable *v = &APR_ARRAY_IDX(env, i, variable);

        size += strlen(v->name) + (v->value ? strlen(v->value) : 0) + 2;
    }
    return size;
}

/* In the place of one of the same name. */
static void set_variable(apr_array_header_t *env, const char *name,
                         const char *value)
{
    variable *v = NULL;
    int i;

    for (i = 0; i < env->nelts && !v; i++) {
        if (strcmp(APR_ARRAY_IDX(env, i, variable).name, name) == 0)
            v = &APR_ARRAY_IDX(env, i, variable);
    }
    if (!v)
        v = apr_array_push(env);
    v->name = name;
    v->value = value;
}

static const char *check_name(cmd_parms *cmd, const char *name)
{
    static const char *const own[] = {"SPAWN_JOB_ID", "SPAWN_REQUEST_ID",
                                      "SPAWN_QUEUE", "SPAWN_ATTEMPT",
                                      "SPAWN_SOCKET"};
    size_t i;

    if (!*name || strchr(name, '='))
        return apr_psprintf(
            cmd->pool,
            "%s: '%.200s' is not the name of a variable: a name "
            "has no '='%s",
            cmd->cmd->name, name,
            strchr(name, '=') ? "; write NAME value" : "");
    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcmp(name, own[i]) == 0)
            return apr_psprintf(cmd->pool,
                                "%s: %s is filled in for each job and cannot "
                                "be set",
                                cmd->cmd->name, name);
    }
    return NULL;
}

static const char *add_variable(cmd_parms *cmd, spawn_job_rules *rules,
                                const char *name, const char *value)
{
    if (!rules->env)
        rules->env = apr_array_make(cmd->pool, 4, sizeof(variable));
    set_variable(rules->env, name, value);
    if (size_of(rules->env) <= ENV_MAX)
        return NULL;
    return apr_psprintf(cmd->pool,
                        "%s: with %s the variables of this place have %lu "
                        "bytes, %d are allowed",
                        cmd->cmd->name, name,
                        (unsigned long)size_of(rules->env), ENV_MAX);
}

/* SpawnEnv NAME value, where value may be "", or SpawnEnv !NAME. */
const char *spawn_env_directive(cmd_parms *cmd, void *dir_config,
                                const char *args)
{
    spawn_job_rules *rules = NULL;
    const char *name, *value = NULL;
    const char *err = rules_of(cmd, dir_config, &rules);
    bool away;

    if (err)
        return err;
    name = ap_getword_conf(cmd->pool, &args);
    away = *name == '!';
    name += away;
    if (*args && !away)
        value = ap_getword_conf(cmd->pool, &args);
    if (*args || (!value && !away))
        return apr_psprintf(cmd->pool,
                            "%s: wanted: NAME value (\"\" for an empty one), "
                            "or !NAME to take a variable away",
                            cmd->cmd->name);
    err = check_name(cmd, name);
    return err ? err : add_variable(cmd, rules, name, value);
}

const char *spawn_pass_env_directive(cmd_parms *cmd, void *dir_config,
                                     const char *args)
{
    spawn_job_rules *rules = NULL;
    apr_array_header_t *words;
    const char *err = rules_of(cmd, dir_config, &rules);
    int i;

    if (!err)
        err = spawn_words(cmd, args, 1, INT_MAX, &words);
    for (i = 0; !err && i < words->nelts; i++) {
        const char *name = APR_ARRAY_IDX(words, i, const char *);
        const char *value = getenv(name);

        err = check_name(cmd, name);
        if (!err && value)
            err = add_variable(cmd, rules, name, apr_pstrdup(cmd->pool, value));
        else if (!err)
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, cmd->server,
                         MSNO(0113) "%s: SpawnPassEnv: httpd was started "
                                    "without the variable %s, and jobs do not "
                                    "have it",
                         spawn_where(cmd->temp_pool, cmd->directive), name);
    }
    return err;
}

/* ---- limits ---- */

static void set_limit(apr_array_header_t *limits, const limit *set)
{
    int i;

    for (i = 0; i < limits->nelts; i++) {
        if (APR_ARRAY_IDX(limits, i, limit).number == set->number) {
            APR_ARRAY_IDX(limits, i, limit) = *set;
            return;
        }
    }
    APR_ARRAY_PUSH(limits, limit) = *set;
}

/* A job cannot have more than httpd was started with: then that is the limit.
 */
static void lower(cmd_parms *cmd, limit *l)
{
    char given[32], there[32];
    struct rlimit own;

    if (getrlimit(spawn_limit_resource(l->number), &own) < 0
        || own.rlim_max == RLIM_INFINITY || l->value == SPAWN_LIMIT_UNLIMITED
        || l->value <= own.rlim_max)
        return;
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, cmd->server,
                 MSNO(0114) "%s: SpawnLimit: %s=%s: httpd was started with %s, "
                            "which its jobs cannot exceed",
                 spawn_where(cmd->temp_pool, cmd->directive),
                 spawn_limit_name(l->number),
                 spawn_limit_text(l->number, l->value, given),
                 spawn_limit_text(l->number, own.rlim_max, there));
    l->value = own.rlim_max;
}

static const char *add_limit(cmd_parms *cmd, spawn_job_rules *rules,
                             const char *word)
{
    const char *value = strchr(word, '=');
    limit l;

    if (!value
        || spawn_parse_limit(
            apr_pstrmemdup(cmd->temp_pool, word, (apr_size_t)(value - word)),
            value + 1, &l.number, &l.value))
        return apr_psprintf(cmd->pool,
                            "%s: '%.200s' is not allowed; wanted: cpu=seconds, "
                            "memory=size, files=number, processes=number, "
                            "core=size, filesize=size, tree-memory=size, "
                            "tree-cpu=percent, tree-processes=number or "
                            "tree-weight=1 to 10000, or 'unlimited' as the "
                            "value",
                            cmd->cmd->name, word);
    l.where = spawn_where(cmd->pool, cmd->directive);
    lower(cmd, &l);
    if (!rules->limits)
        rules->limits = apr_array_make(cmd->pool, 4, sizeof(limit));
    set_limit(rules->limits, &l);
    return NULL;
}

const char *spawn_limit_directive(cmd_parms *cmd, void *dir_config,
                                  const char *args)
{
    spawn_job_rules *rules = NULL;
    apr_array_header_t *words;
    const char *err = rules_of(cmd, dir_config, &rules);
    int i;

    if (!err)
        err = spawn_words(cmd, args, 1, INT_MAX, &words);
    for (i = 0; !err && i < words->nelts; i++)
        err = add_limit(cmd, rules, APR_ARRAY_IDX(words, i, const char *));
    return err;
}

/* ---- when all is read ---- */

static apr_int64_t inner(apr_int64_t own, apr_int64_t given)
{
    return own == SPAWN_UNSET ? given : own;
}

void spawn_job_rules_merge(apr_pool_t *p, const spawn_job_rules *given,
                           spawn_job_rules *rules)
{
    apr_array_header_t *env, *limits;
    int i;

    rules->grace_ms = inner(rules->grace_ms, given->grace_ms);
    rules->nice = inner(rules->nice, given->nice);
    rules->ionice = inner(rules->ionice, given->ionice);
    rules->leftovers = inner(rules->leftovers, given->leftovers);
    if (!rules->directory)
        rules->directory = given->directory;
    if (!rules->output)
        rules->output = given->output;
    if (!rules->on_failure)
        rules->on_failure = given->on_failure;
    env = given->env ? apr_array_copy(p, given->env)
                     : apr_array_make(p, 4, sizeof(variable));
    for (i = 0; rules->env && i < rules->env->nelts; i++)
        set_variable(env, APR_ARRAY_IDX(rules->env, i, variable).name,
                     APR_ARRAY_IDX(rules->env, i, variable).value);
    rules->env = env;
    limits = given->limits ? apr_array_copy(p, given->limits)
                           : apr_array_make(p, 4, sizeof(limit));
    for (i = 0; rules->limits && i < rules->limits->nelts; i++)
        set_limit(limits, &APR_ARRAY_IDX(rules->limits, i, limit));
    rules->limits = limits;
}

static apr_size_t bytes_of(const spawn_job_rules *rules)
{
    return size_of(rules->env)
           + (rules->directory ? strlen(rules->directory) : 0)
           + (rules->output ? 2 * strlen(rules->output) : 0)
           + words_size(rules->on_failure);
}

apr_status_t spawn_job_rules_check(server_rec *s,
                                   const spawn_server_config *conf)
{
    const spawn_queue_rules *most = NULL;
    apr_size_t sum = 0;
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const spawn_queue_rules *rules =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);

        sum += bytes_of(&rules->job);
        if (!most || bytes_of(&rules->job) > bytes_of(&most->job))
            most = rules;
    }
    if (sum <= ALL_MAX)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 MSNO(0109) "variables, directories and outputs of all %d "
                            "queues together have %lu bytes, %d are possible; "
                            "'%s' has the most, %lu: set fewer (what stands "
                            "outside of <SpawnQueue> counts for each queue)",
                 conf->rules->nelts, (unsigned long)sum, ALL_MAX, most->name,
                 (unsigned long)bytes_of(&most->job));
    return APR_EINVAL;
}

static const limit *tree_limit(const spawn_job_rules *rules)
{
    int i;

    for (i = 0; rules->limits && i < rules->limits->nelts; i++) {
        const limit *l = &APR_ARRAY_IDX(rules->limits, i, limit);

        if (spawn_limit_resource(l->number) >= RLIMIT_SPAWN_TREE_MEMORY
            && l->value != SPAWN_LIMIT_UNLIMITED)
            return l;
    }
    return NULL;
}

const char *spawn_job_rules_tree_limit(const spawn_server_config *conf,
                                       const char **ret_where)
{
    const limit *l = NULL;
    int i;

    for (i = 0; !l && i < conf->rules->nelts; i++)
        l = tree_limit(&APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).job);
    if (!l)
        return NULL;
    *ret_where = l->where;
    return spawn_limit_name(l->number);
}

/* ---- to the broker ---- */

static void put_env(apr_pool_t *p, spawn_writer *w,
                    const apr_array_header_t *env)
{
    size_t mark;
    int i;

    if (!env || !env->nelts)
        return;
    mark = spawn_open_strv(w, SPAWN_A_ENV);
    for (i = 0; i < env->nelts; i++) {
        const variable *v = &APR_ARRAY_IDX(env, i, variable);
        const char *text =
            v->value ? apr_pstrcat(p, v->name, "=", v->value, NULL) : v->name;

        spawn_add_text(w, mark, text, strlen(text));
    }
    spawn_close(w, mark);
}

static void put_limits(apr_pool_t *p, spawn_writer *w,
                       const apr_array_header_t *limits)
{
    uint64_t *pairs;
    uint32_t count = 0;
    int i;

    if (!limits || !limits->nelts)
        return;
    pairs = apr_palloc(p, 2 * (apr_size_t)limits->nelts * sizeof(*pairs));
    for (i = 0; i < limits->nelts; i++) {
        const limit *l = &APR_ARRAY_IDX(limits, i, limit);

        if (l->value == SPAWN_LIMIT_UNLIMITED)
            continue;
        pairs[count++] = l->number;
        pairs[count++] = l->value;
    }
    if (count)
        spawn_put_u64v(w, SPAWN_A_LIMITS, pairs, count);
}

static void put_output(spawn_writer *w, const char *output)
{
    spawn_stdio s = {SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 0, output};

    if (!output)
        return;
    if (*output != '/') {
        s.how = *output == 'l' ? SPAWN_STDIO_LOG : SPAWN_STDIO_NULL;
        s.flags = 0;
        s.path = "";
    }
    spawn_put_stdio(w, SPAWN_A_STDOUT, &s);
    spawn_put_stdio(w, SPAWN_A_STDERR, &s);
}

static void put_on_failure(spawn_writer *w, const apr_array_header_t *words)
{
    const char *first =
        words && words->nelts ? APR_ARRAY_IDX(words, 0, const char *) : NULL;
    size_t mark;
    int i;

    if (!first)
        return;
    if (*first != '/') {
        spawn_put_str(w, SPAWN_A_ON_FAILURE, first);
        return;
    }
    mark = spawn_open_strv(w, SPAWN_A_ON_FAILURE_ARGV);
    for (i = 0; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);

        spawn_add_text(w, mark, word, strlen(word));
    }
    spawn_close(w, mark);
}

static void put_number(spawn_writer *w, uint16_t attr, apr_int64_t value)
{
    if (value != SPAWN_UNSET)
        spawn_put_u64(w, attr, (uint64_t)value);
}

static bool sets_something(const spawn_queue_rules *queue)
{
    const spawn_job_rules *r = &queue->job;

    return queue->history_jobs != SPAWN_UNSET || r->grace_ms != SPAWN_UNSET
           || r->nice != SPAWN_UNSET || r->ionice != SPAWN_UNSET
           || r->leftovers != SPAWN_UNSET || r->directory || r->output
           || (r->on_failure && r->on_failure->nelts)
           || (r->env && r->env->nelts) || (r->limits && r->limits->nelts);
}

static void put_queue(apr_pool_t *p, spawn_writer *w,
                      const spawn_queue_rules *queue)
{
    const spawn_job_rules *r = &queue->job;
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS);

    spawn_put_str(w, SPAWN_A_QUEUE, queue->name);
    put_number(w, SPAWN_A_GRACE, r->grace_ms);
    if (r->nice != SPAWN_UNSET)
        spawn_put_i64(w, SPAWN_A_NICE, r->nice);
    put_number(w, SPAWN_A_IONICE, r->ionice);
    put_number(w, SPAWN_A_LEFTOVERS, r->leftovers);
    if (r->directory)
        spawn_put_str(w, SPAWN_A_CWD, r->directory);
    put_output(w, r->output);
    put_env(p, w, r->env);
    put_limits(p, w, r->limits);
    put_on_failure(w, r->on_failure);
    put_number(w, SPAWN_A_HISTORY_JOBS, queue->history_jobs);
    if (queue->history_age_ms)
        put_number(w, SPAWN_A_HISTORY_AGE, queue->history_age_ms);
    spawn_close(w, mark);
}

void spawn_job_rules_put(apr_pool_t *p, spawn_writer *w,
                         const spawn_server_config *conf)
{
    const apr_array_header_t *env = conf->given.job.env;
    size_t mark;
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const spawn_queue_rules *queue =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);

        if (sets_something(queue))
            put_queue(p, w, queue);
    }
    if (!env || !env->nelts)
        return;
    mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS); /* of templates */
    put_env(p, w, env);
    spawn_close(w, mark);
}
