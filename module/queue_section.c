/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The <SpawnQueue name> container. Its directives are run with a per-directory
 * configuration of the section's own, which names the queue: so the handlers in
 * directives.c know their section, and httpd itself reports file and line of an
 * inner fault.
 *
 * Runs in the httpd parent while the configuration is read. Must not touch the
 * machine: `httpd -t` runs it too.
 */
#include "module/config.h"
#include "module/handlers.h"

#include "common/spawn_name.h"

#define QUEUES_MAX 1000

static bool allowed_inside(const char *directive)
{
    static const char *const allowed[] = {
        "SpawnMaxJobs",       "SpawnMaxQueued",
        "SpawnMaxDelayed",    "SpawnTimeout",
        "SpawnTemplate",      "SpawnWorkers",
        "SpawnWorkerMaxJobs", "SpawnWorkerMaxMemory",
        "SpawnWorkerIdle",    "SpawnGrace",
        "SpawnNice",          "SpawnIONice",
        "SpawnDirectory",     "SpawnEnv",
        "SpawnPassEnv",       "SpawnOutput",
        "SpawnLeftovers",     "SpawnLimit",
        "SpawnHistory",       "SpawnUser",
        "SpawnGroup",         "SpawnAllow",
        "SpawnAccess",        "SpawnShared"};
    size_t i;

    for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (strcasecmp(directive, allowed[i]) == 0)
            return true;
    }
    return false;
}

/* The name between "<SpawnQueue" and ">". */
static const char *parse_name(cmd_parms *cmd, const char *arg, const char **ret)
{
    const char *end = ap_strrchr_c(arg, '>');
    char *name;

    if (!end)
        return "<SpawnQueue directive missing closing '>'";
    arg = apr_pstrmemdup(cmd->temp_pool, arg, (apr_size_t)(end - arg));
    name = ap_getword_conf(cmd->pool, &arg);
    if (!*name)
        return "<SpawnQueue> needs a name: <SpawnQueue name>";
    while (apr_isspace(*arg))
        arg++;
    if (*arg)
        return apr_psprintf(
            cmd->pool,
            "<SpawnQueue %.64s>: one name is wanted, '%.200s' is too "
            "much",
            name, arg);
    if (!spawn_queue_name_ok(name))
        return apr_psprintf(
            cmd->pool,
            "<SpawnQueue>: '%.200s' is not a queue's name: 1 to "
            "%d letters, digits, '_', '-' and '.', not "
            "starting with '-' or '.'",
            name, SPAWN_NAME_MAX);
    *ret = name;
    return NULL;
}

static const char *add_queue(cmd_parms *cmd, const char *name,
                             spawn_queue_rules **ret)
{
    apr_array_header_t *queues = spawn_config_of(cmd->server)->queues;
    spawn_queue_rules *queue;
    int i;

    for (i = 0; i < queues->nelts; i++) {
        queue = APR_ARRAY_IDX(queues, i, spawn_queue_rules *);
        if (strcmp(queue->name, name) == 0)
            return apr_psprintf(cmd->pool,
                                "<SpawnQueue %s>: the queue already has a "
                                "section, on %s",
                                name, queue->where);
    }
    if (queues->nelts >= QUEUES_MAX)
        return apr_psprintf(cmd->pool,
                            "<SpawnQueue %s>: there are %d queues already, "
                            "more are not allowed",
                            name, QUEUES_MAX);
    queue = apr_palloc(cmd->pool, sizeof(*queue));
    spawn_queue_rules_clear(queue, name);
    queue->where = spawn_where(cmd->pool, cmd->directive);
    APR_ARRAY_PUSH(queues, spawn_queue_rules *) = queue;
    *ret = queue;
    return NULL;
}

const char *spawn_queue_section(cmd_parms *cmd, void *dir_config,
                                const char *arg)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    const char *name = NULL;
    const ap_directive_t *child;
    spawn_queue_rules *queue = NULL;
    ap_conf_vector_t *section;

    (void)dir_config;
    if (!err)
        err = parse_name(cmd, arg, &name);
    if (!err)
        err = add_queue(cmd, name, &queue);
    if (err)
        return err;
    for (child = cmd->directive->first_child; child; child = child->next) {
        if (!allowed_inside(child->directive)) {
            cmd->err_directive = child;
            return apr_psprintf(
                cmd->pool,
                "%s%s is not allowed in <SpawnQueue>: "
                "SpawnMaxJobs, SpawnMaxQueued, SpawnMaxDelayed, SpawnTimeout, "
                "SpawnGrace, SpawnNice, SpawnIONice, SpawnDirectory, SpawnEnv, "
                "SpawnPassEnv, SpawnOutput, SpawnLeftovers, SpawnLimit, "
                "SpawnHistory, SpawnUser, SpawnGroup, SpawnAllow, "
                "SpawnAccess, SpawnShared, SpawnTemplate, SpawnWorkers and "
                "SpawnWorker* are",
                child->directive, child->directive[0] == '<' ? ">" : "");
        }
    }
    section = ap_create_per_dir_config(cmd->pool);
    ap_set_module_config(section, &spawn_module,
                         spawn_section_config_create(cmd->pool, queue));
    return ap_walk_config(cmd->directive->first_child, cmd, section);
}
