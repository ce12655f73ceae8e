/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnTemplate: the processes that Perl jobs are forked from. Outside of any
 * section it defines a template; in a <SpawnQueue> it names the template of the
 * queue's Perl jobs.
 *
 * Runs in the httpd parent while the configuration is read. Looks whether the
 * named files are there. Must change nothing: `httpd -t` runs it too.
 */
#include "module/config.h"
#include "module/handlers.h"

#include <limits.h>

#include <unistd.h>

#include "common/spawn_field.h"
#include "common/spawn_name.h"
#include "common/spawn_proto.h"

/* Most bytes of a template's texts; the rest of the message has room for their
 * headers. */
#define TEXTS_MAX       14000
#define LIST_MAX        8000 /* preload, or inc */
#define MAX_JOBS_MAX    1000000000
#define MAX_AGE_MAX_MS  ((apr_int64_t)SPAWN_DURATION_MAX_MS)
#define PATH_LENGTH_MAX 4000

/* A template that is being read. */
typedef struct {
    cmd_parms *cmd;
    spawn_template_rules *rules;
    size_t texts;
} reading;

static const char *fault(const reading *in, const char *key, const char *text)
{
    return apr_psprintf(in->cmd->pool, "SpawnTemplate %s: %s: %s",
                        in->rules->name, key, text);
}

/* A path that exists and is of this kind. */
static const char *take_path(const reading *in, const char *key,
                             const char *value, apr_filetype_e kind,
                             const char **ret)
{
    const char *path =
        *value ? ap_server_root_relative(in->cmd->pool, value) : NULL;
    apr_finfo_t info;
    apr_status_t rv;

    if (!path || strlen(path) > PATH_LENGTH_MAX)
        return fault(in, key,
                     apr_psprintf(in->cmd->pool,
                                  "'%.200s' is not a usable path", value));
    rv = apr_stat(&info, path, APR_FINFO_TYPE, in->cmd->temp_pool);
    if (rv != APR_SUCCESS && rv != APR_INCOMPLETE)
        return fault(in, key,
                     apr_psprintf(in->cmd->pool, "'%.200s' is not there (%pm)",
                                  path, &rv));
    if (info.filetype != kind)
        return fault(in, key,
                     apr_psprintf(in->cmd->pool, "'%.200s' is not a %s", path,
                                  kind == APR_DIR ? "directory" : "file"));
    *ret = path;
    return NULL;
}

static const char *add_text(reading *in, const char *key,
                            apr_array_header_t *list, const char *text)
{
    size_t all = strlen(text) + 1;
    int i;

    for (i = 0; i < list->nelts; i++)
        all += strlen(APR_ARRAY_IDX(list, i, const char *)) + 1;
    in->texts += strlen(text) + 1;
    if (all > LIST_MAX)
        return fault(in, key,
                     apr_psprintf(in->cmd->pool,
                                  "more than %d bytes; write them into a file "
                                  "for require",
                                  LIST_MAX));
    APR_ARRAY_PUSH(list, const char *) = text;
    return NULL;
}

/* ---- the keys ---- */

static const char *take_preload(reading *in, const char *value)
{
    const char *err = NULL;
    char *state, *name;

    name = apr_strtok(apr_pstrdup(in->cmd->pool, value), ",", &state);
    if (!name)
        return fault(in, "preload", "no module is named");
    for (; name && !err; name = apr_strtok(NULL, ",", &state)) {
        if (!spawn_perl_name_ok(name))
            return fault(in, "preload",
                         apr_psprintf(in->cmd->pool,
                                      "'%.200s' is not the name of a module; "
                                      "wanted: My::Module[,My::Other...]",
                                      name));
        err = add_text(in, "preload", in->rules->preload, name);
    }
    return err;
}

static const char *take_require(reading *in, const char *value)
{
    if (in->rules->require)
        return fault(in, "require", "stands twice; one file can be named");
    return take_path(in, "require", value, APR_REG, &in->rules->require);
}

static const char *take_inc(reading *in, const char *value)
{
    const char *path = NULL;
    const char *err = take_path(in, "inc", value, APR_DIR, &path);

    return path ? add_text(in, "inc", in->rules->include, path) : err;
}

static const char *take_perl(reading *in, const char *value)
{
    const char *err = take_path(in, "perl", value, APR_REG, &in->rules->perl);

    if (!err && access(in->rules->perl, X_OK) < 0)
        return fault(in, "perl",
                     apr_psprintf(in->cmd->pool, "'%.200s' cannot be executed",
                                  in->rules->perl));
    return err;
}

static const char *take_max_jobs(reading *in, const char *value)
{
    const char *what = apr_psprintf(in->cmd->pool, "SpawnTemplate %s: max_jobs",
                                    in->rules->name);

    return spawn_parse_most(in->cmd->pool, what, value, MAX_JOBS_MAX,
                            &in->rules->max_jobs);
}

static const char *take_max_age(reading *in, const char *value)
{
    const char *what = apr_psprintf(in->cmd->pool, "SpawnTemplate %s: max_age",
                                    in->rules->name);

    return spawn_parse_longest(in->cmd->pool, what, value, MAX_AGE_MAX_MS,
                               "366d", &in->rules->max_age_ms);
}

static const char *parse_memory(apr_pool_t *p, const char *what,
                                const char *value, unsigned *ret)
{
    if (strcasecmp(value, "frozen") == 0)
        *ret = SPAWN_MEMORY_FROZEN;
    else if (strcasecmp(value, "huge") == 0)
        *ret = SPAWN_MEMORY_HUGE;
    else if (strcasecmp(value, "shared") == 0)
        *ret = SPAWN_MEMORY_SHARED;
    else
        return apr_psprintf(
            p,
            "%s: '%.200s' is not known here; wanted: frozen, huge "
            "or shared",
            what, value);
    return NULL;
}

static const char *take_memory(reading *in, const char *value)
{
    const char *what = apr_psprintf(in->cmd->pool, "SpawnTemplate %s: memory",
                                    in->rules->name);

    return parse_memory(in->cmd->pool, what, value, &in->rules->memory);
}

static const char *take_spares(reading *in, const char *value)
{
    const char *what = apr_psprintf(in->cmd->pool, "SpawnTemplate %s: spares",
                                    in->rules->name);
    apr_int64_t spares = 0;
    const char *err = spawn_parse_number(in->cmd->pool, what, value, 0,
                                         SPAWN_SPARES_MAX, &spares);

    in->rules->spares = (unsigned)spares;
    return err;
}

static const struct {
    const char *key;
    const char *(*take)(reading *in, const char *value);
    bool parent; /* one of the kind parent has it, too */
} keys[] = {
    {"preload", take_preload, false},   {"require", take_require, false},
    {"inc", take_inc, false},           {"perl", take_perl, false},
    {"max_jobs", take_max_jobs, false}, {"max_age", take_max_age, false},
    {"memory", take_memory, true},      {"spares", take_spares, true}};

static const char *take_setting(reading *in, const char *arg)
{
    const char *equals = ap_strchr_c(arg, '=');
    size_t i;

    for (i = 0; equals && i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strlen(keys[i].key) == (size_t)(equals - arg)
            && strncmp(keys[i].key, arg, (size_t)(equals - arg)) == 0
            && (keys[i].parent || !in->rules->parent))
            return keys[i].take(in, equals + 1);
    }
    if (in->rules->parent)
        return apr_psprintf(
            in->cmd->pool,
            "SpawnTemplate %s: a template of the kind parent "
            "has what httpd itself has loaded (PerlModule, "
            "PerlPostConfigRequire) and takes no '%.200s'; memory= "
            "and spares= it takes",
            in->rules->name, arg);
    return apr_psprintf(in->cmd->pool,
                        "SpawnTemplate %s: '%.200s' is not known here; wanted: "
                        "preload=, require=, inc=, perl=, max_jobs=, max_age=, "
                        "memory= or spares=",
                        in->rules->name, arg);
}

/* ---- the directive ---- */

static const char *bad_name(apr_pool_t *p, const char *name)
{
    return apr_psprintf(
        p,
        "SpawnTemplate: '%.200s' is not a template's name: 1 to "
        "%d letters, digits, '_', '-' and '.', not starting "
        "with '-' or '.'",
        name, SPAWN_NAME_MAX);
}

static const spawn_template_rules *find(const apr_array_header_t *templates,
                                        const char *name)
{
    int i;

    for (i = 0; i < templates->nelts; i++) {
        const spawn_template_rules *rules =
            APR_ARRAY_IDX(templates, i, spawn_template_rules *);

        if (strcmp(rules->name, name) == 0)
            return rules;
    }
    return NULL;
}

static const char *take_kind(cmd_parms *cmd, const char *kind,
                             spawn_template_rules *rules)
{
    if (!kind)
        return apr_psprintf(cmd->pool,
                            "SpawnTemplate %s: its kind is missing: "
                            "SpawnTemplate %s exec [preload=My::Module...] or "
                            "SpawnTemplate %s parent; a name alone belongs "
                            "into a <SpawnQueue>",
                            rules->name, rules->name, rules->name);
    rules->parent = strcasecmp(kind, "parent") == 0;
    if (!rules->parent && strcasecmp(kind, "exec") != 0)
        return apr_psprintf(
            cmd->pool,
            "SpawnTemplate %s: '%.200s' is not a kind of template; "
            "'exec' and 'parent' are",
            rules->name, kind);
    return NULL;
}

static const char *take_settings(reading *in, int count,
                                 const char *const *args)
{
    const char *err = NULL;
    int i;

    for (i = 0; i < count && !err; i++)
        err = take_setting(in, args[i]);
    return err;
}

static spawn_template_rules *new_rules(apr_pool_t *p, const char *name)
{
    spawn_template_rules *rules = apr_pcalloc(p, sizeof(*rules));

    rules->name = name;
    rules->perl = SPAWN_PERL;
    rules->spares = SPAWN_SPARES_DEFAULT;
    rules->preload = apr_array_make(p, 2, sizeof(const char *));
    rules->include = apr_array_make(p, 2, sizeof(const char *));
    return rules;
}

static const char *define(cmd_parms *cmd, int argc, const char *const *argv)
{
    apr_array_header_t *templates = spawn_config_of(cmd->server)->templates;
    const spawn_template_rules *other = find(templates, argv[0]);
    reading in = {.cmd = cmd};
    const char *err;

    in.rules = new_rules(cmd->pool, argv[0]);
    in.rules->where = spawn_where(cmd->pool, cmd->directive);
    err = take_kind(cmd, argc > 1 ? argv[1] : NULL, in.rules);
    if (err)
        return err;
    if (other)
        return apr_psprintf(cmd->pool,
                            "SpawnTemplate %s: a template of this name is "
                            "already there, on %s",
                            argv[0], other->where);
    if (templates->nelts >= SPAWN_TEMPLATES_MAX)
        return apr_psprintf(cmd->pool,
                            "SpawnTemplate %s: there are %d templates "
                            "already, more are not allowed",
                            argv[0], SPAWN_TEMPLATES_MAX);
    err = take_settings(&in, argc - 2, argv + 2);
    if (!err && in.texts > TEXTS_MAX)
        err = apr_psprintf(cmd->pool,
                           "SpawnTemplate %s: preload and inc have more than "
                           "%d bytes together; write them into a file for "
                           "require",
                           argv[0], TEXTS_MAX);
    if (!err)
        APR_ARRAY_PUSH(templates, spawn_template_rules *) = in.rules;
    return err;
}

const char *spawn_template_directive(cmd_parms *cmd, void *dir_config,
                                     const char *args)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    spawn_queue_rules *queue = spawn_queue_of_section(dir_config);
    apr_array_header_t *words;
    const char *const *argv;
    int argc;

    if (!err)
        err = spawn_words(cmd, args, 0, INT_MAX, &words);
    if (err)
        return err;
    argv = (const char *const *)words->elts;
    argc = words->nelts;
    if (argc < 1)
        return "SpawnTemplate needs a name";
    if (!spawn_queue_name_ok(argv[0]))
        return bad_name(cmd->pool, argv[0]);
    if (!queue)
        return define(cmd, argc, argv);
    if (argc > 1)
        return apr_psprintf(cmd->pool,
                            "SpawnTemplate in <SpawnQueue> takes the name of a "
                            "template and no more; '%.200s' belongs to the "
                            "SpawnTemplate outside of any section that "
                            "defines it",
                            argv[1]);
    queue->template = argv[0];
    queue->template_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

const char *spawn_template_memory_directive(cmd_parms *cmd, void *dir_config,
                                            const char *arg)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir_config;
    return err ? err
               : parse_memory(cmd->pool, cmd->cmd->name, arg,
                              &spawn_config_of(cmd->server)->memory);
}

/* ---- when all is read ---- */

static const char *names(apr_pool_t *p, const apr_array_header_t *templates)
{
    const char *text = "";
    int i;

    for (i = 0; i < templates->nelts; i++)
        text = apr_pstrcat(
            p, text, i ? ", " : "",
            APR_ARRAY_IDX(templates, i, spawn_template_rules *)->name, NULL);
    return *text ? text : "none";
}

apr_status_t spawn_templates_complete(apr_pool_t *p, server_rec *s,
                                      spawn_server_config *conf)
{
    apr_status_t rv = APR_SUCCESS;
    spawn_template_rules *own;
    int i;

    if (!find(conf->templates, SPAWN_DEFAULT_TEMPLATE)) {
        own = new_rules(p, SPAWN_DEFAULT_TEMPLATE);
        own->parent = true;
        APR_ARRAY_PUSH(conf->templates, spawn_template_rules *) = own;
    }

    for (i = 0; i < conf->templates->nelts; i++) {
        own = APR_ARRAY_IDX(conf->templates, i, spawn_template_rules *);
        if (!own->memory)
            own->memory = conf->memory  ? conf->memory
                          : own->parent ? SPAWN_MEMORY_SHARED
                                        : SPAWN_MEMORY_FROZEN;
    }
    for (i = 0; i < conf->queues->nelts; i++) {
        const spawn_queue_rules *queue =
            APR_ARRAY_IDX(conf->queues, i, spawn_queue_rules *);

        if (!queue->template || find(conf->templates, queue->template))
            continue;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     MSNO(0104) "%s: SpawnTemplate: queue '%s' names the "
                                "template '%s', which no SpawnTemplate "
                                "defines; defined: %s",
                     queue->template_where, queue->name, queue->template,
                     names(p, conf->templates));
        rv = APR_EINVAL;
    }
    return rv;
}
