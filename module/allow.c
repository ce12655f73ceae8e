/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAllow: which programs and functions a queue runs. A list outside of any
 * <SpawnQueue> is for each queue that has none itself. Runs in the httpd parent
 * while the configuration is read; `httpd -t` runs it too.
 */
#include "module/allow.h"

#include <limits.h>
#include <unistd.h>

#include "module/handlers.h"
#include "common/spawn_allow.h"

/* Of all queues together, so that CONFIGURE has room for the rest. */
#define ALL_MAX (512 << 10)

static const char *const nothing[] = {"!/**", "!*"};

/* ---- the directive ---- */

/* "all" and "none" are no lists that more is added to. */
static bool is_whole(const apr_array_header_t *list)
{
    return list->nelts == 0
           || APR_ARRAY_IDX(list, 0, const char *) == nothing[0];
}

static apr_size_t size_of(const apr_array_header_t *list)
{
    apr_size_t size = 4;
    int i;

    for (i = 0; i < list->nelts; i++)
        size += strlen(APR_ARRAY_IDX(list, i, const char *)) + 1;
    return size;
}

static const char *take_word(cmd_parms *cmd, apr_array_header_t *words)
{
    const char *word = APR_ARRAY_IDX(words, 0, const char *);

    if (words->nelts > 1)
        return apr_psprintf(cmd->pool, "%s: '%s' stands alone", cmd->cmd->name,
                            word);
    words->nelts = 0;
    if (strcasecmp(word, "none") == 0) {
        APR_ARRAY_PUSH(words, const char *) = nothing[0];
        APR_ARRAY_PUSH(words, const char *) = nothing[1];
    }
    return NULL;
}

const char *spawn_allow_directive(cmd_parms *cmd, void *dir_config,
                                  const char *args)
{
    spawn_queue_rules *queue = spawn_queue_of_section(dir_config);
    apr_array_header_t *words, **list;
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    int i;

    if (!err)
        err = spawn_words(cmd, args, 1, INT_MAX, &words);
    if (err)
        return err;
    list = queue ? &queue->allow : &spawn_config_of(cmd->server)->given.allow;
    for (i = 0; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);
        const char *why = spawn_allow_bad_pattern(word);

        if (strcasecmp(word, "all") == 0 || strcasecmp(word, "none") == 0) {
            *list = words;
            return take_word(cmd, words);
        }
        if (why)
            return apr_psprintf(cmd->pool, "%s: '%.200s' is not allowed: %s",
                                cmd->cmd->name, word, why);
    }
    if (*list && !is_whole(*list))
        apr_array_cat(*list, words);
    else
        *list = words;
    if (size_of(*list) <= SPAWN_ALLOW_MAX)
        return NULL;
    return apr_psprintf(cmd->pool,
                        "%s: the patterns of this place have %lu bytes, %d are "
                        "allowed",
                        cmd->cmd->name, (unsigned long)size_of(*list),
                        SPAWN_ALLOW_MAX);
}

/* ---- when all is read ---- */

apr_status_t spawn_allow_complete(server_rec *s,
                                  const spawn_server_config *conf)
{
    apr_size_t sum = 0;
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const apr_array_header_t *list =
            APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).allow;

        sum += list ? size_of(list) : 0;
    }
    if (sum <= ALL_MAX)
        return APR_SUCCESS;
    ap_log_error(
        APLOG_MARK, APLOG_ERR, 0, s,
        MSNO(0117) "SpawnAllow: the patterns of all %d queues together "
                   "have %lu bytes, %d are possible: set fewer (what "
                   "stands outside of <SpawnQueue> counts for each "
                   "queue)",
        conf->rules->nelts, (unsigned long)sum, ALL_MAX);
    return APR_EINVAL;
}

static const spawn_queue_rules *find(const spawn_server_config *conf,
                                     const char *queue)
{
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const spawn_queue_rules *rules =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);

        if (strcmp(rules->name, queue) == 0)
            return rules;
    }
    return NULL;
}

static void put_list(spawn_writer *w, const apr_array_header_t *list)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_ALLOW);
    int i;

    for (i = 0; i < list->nelts; i++) {
        const char *text = APR_ARRAY_IDX(list, i, const char *);

        spawn_add_text(w, mark, text, strlen(text));
    }
    spawn_close(w, mark);
}

/* A program that is not there is judged by its name. */
static spawn_allow judge_program(const spawn_attr *list, const char *program)
{
    char path[4096];
    int fd = spawn_allow_open(program, true, path, sizeof(path));

    if (fd < 0)
        return spawn_allow_judge(list, program, NULL);
    (void)close(fd);
    return spawn_allow_judge_file(list, path, true, NULL);
}

static bool is_allowed(const apr_array_header_t *list, const char *what)
{
    spawn_allow is = SPAWN_ALLOW_YES;
    spawn_reader reader;
    spawn_writer w;
    spawn_attr a;

    if (!list || list->nelts == 0)
        return true;
    spawn_writer_init(&w, SPAWN_WIRE_HEADER + 2 * SPAWN_ALLOW_MAX);
    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, 0);
    put_list(&w, list);
    if (spawn_writer_finish(&w, 0) == 0) {
        spawn_reader_init(&reader, w.data + SPAWN_WIRE_HEADER,
                          w.length - SPAWN_WIRE_HEADER);
        if (spawn_reader_next(&reader, &a) == 1)
            is = *what == '/'
                     ? judge_program(&a, what)
                     : spawn_allow_judge_function(&a, what, NULL, NULL);
    }
    spawn_writer_free(&w);
    return is == SPAWN_ALLOW_YES;
}

bool spawn_allow_queue(const spawn_server_config *conf, const char *queue,
                       const char *what)
{
    const spawn_queue_rules *rules = find(conf, queue);

    return !rules || is_allowed(rules->allow, what);
}

bool spawn_allow_has_list(const spawn_server_config *conf, const char *queue)
{
    const spawn_queue_rules *rules = find(conf, queue);

    return rules && rules->allow && rules->allow->nelts > 0;
}

bool spawn_allow_any(const spawn_server_config *conf, const char *function)
{
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        if (is_allowed(APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).allow,
                       function))
            return true;
    }
    return false;
}

const char *spawn_allow_text(apr_pool_t *p, const spawn_server_config *conf,
                             const char *queue)
{
    const spawn_queue_rules *rules = find(conf, queue);

    return rules && rules->allow ? apr_array_pstrcat(p, rules->allow, ' ') : "";
}

/* ---- to spawner and broker ---- */

void spawn_allow_put(spawn_writer *w, const spawn_server_config *conf)
{
    bool any = false;
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const apr_array_header_t *list =
            APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules).allow;

        any |= list && list->nelts > 0;
    }
    /* also those that allow all: an order for a queue that is not named here is
     * refused */
    for (i = 0; any && i < conf->rules->nelts; i++) {
        const spawn_queue_rules *rules =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);
        size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_ALLOW);

        spawn_put_str(w, SPAWN_A_QUEUE, rules->name);
        if (rules->allow && rules->allow->nelts > 0)
            put_list(w, rules->allow);
        spawn_close(w, mark);
    }
}
