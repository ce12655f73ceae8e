/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's own page: its command, its caller, how it went, its output. Runs in
 * httpd children, in the thread of the request. Must bound what it shows of
 * output: 16 MB may have been captured.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_escape.h"
#include "module/status/act.h"
#include "module/status/ask.h"
#include "module/status/frame.h"
#include "module/status/output.h"
#include "module/status/rows.h"
#include "module/status/timeline.h"
#include "module/status/told.h"
#include "module/status/views.h"

#define ARGS_SHOWN     8     /* more are folded */
#define ARGS_BYTES     65536 /* of all, unfolded */
#define ARG_SHOWN      400   /* bytes of an argument; all of it when unfolded */
#define TITLE_SHOWN    80
#define PROGRESS_SHOWN 512

static uint64_t number(const spawn_message *m, unsigned attr)
{
    return spawn_u64_or(m, attr, 0);
}

/* ---- what is said in pairs ---- */

static void pair(spawn_page *page, const char *name)
{
    spawn_page_format(page, "<dt>%s</dt><dd>", name);
}

static void pair_text(spawn_page *page, const char *name, const char *text)
{
    pair(page, name);
    spawn_page_text(page, text);
    spawn_page_html(page, "</dd>\n");
}

static void pair_attr(spawn_page *page, const char *name,
                      const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        pair_text(page, name, spawn_attr_str(&m->attr[attr]));
}

static void pair_number(spawn_page *page, const char *name,
                        const spawn_message *m, unsigned attr)
{
    if (!spawn_has(m, attr))
        return;
    pair(page, name);
    spawn_page_format(page, "%llu</dd>\n", (unsigned long long)number(m, attr));
}

/* ---- how it is, or ended ---- */

/* The reason of the broker, when it says more than the words before it. */
static void put_reason(spawn_page *page, const spawn_message *m)
{
    int error = (int)number(m, SPAWN_A_ERRNO);
    const char *reason = spawn_str_or(m, SPAWN_A_TEXT, "");

    if (error
        && !strstr(reason,
                   strerrordesc_np(error) ? strerrordesc_np(error) : "\n")) {
        pair(page, "Error");
        spawn_page_format(
            page, "%s (errno %d)</dd>\n",
            strerrordesc_np(error) ? strerrordesc_np(error) : "unknown", error);
    }
    if (*reason)
        pair_text(page, "Reason", reason);
}

static void put_how(spawn_page *page, const spawn_message *m)
{
    char outcome[128];

    pair(page, "State");
    if (number(m, SPAWN_A_STATE) == SPAWN_STATE_DONE) {
        spawn_outcome_text(m, outcome, sizeof(outcome));
        spawn_page_text(page, outcome);
        if (spawn_has(m, SPAWN_A_DEAD))
            spawn_page_html(page, "; dead: no retry is left");
    }
    else {
        spawn_page_html(page,
                        spawn_state_name((unsigned)number(m, SPAWN_A_STATE)));
    }
    spawn_page_html(page, "</dd>\n");
    put_reason(page, m);
}

static void put_usage(spawn_page *page, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_RUSAGE];
    char size[32];

    if (!spawn_has(m, SPAWN_A_RUSAGE) || spawn_u64v_count(a) < SPAWN_RU_COUNT)
        return;
    spawn_size_text(spawn_u64v_at(a, SPAWN_RU_MAXRSS_KB) * 1024, size,
                    sizeof(size));
    pair(page, "CPU time");
    spawn_page_format(page, "%.3f s user, %.3f s system</dd>\n",
                      (double)spawn_u64v_at(a, SPAWN_RU_UTIME_US) / 1e6,
                      (double)spawn_u64v_at(a, SPAWN_RU_STIME_US) / 1e6);
    pair(page, "Most memory");
    spawn_page_format(page, "%s</dd>\n", size);
    pair(page, "Page faults");
    spawn_page_format(page, "%llu, and %llu from disk</dd>\n",
                      (unsigned long long)spawn_u64v_at(a, SPAWN_RU_MINFLT),
                      (unsigned long long)spawn_u64v_at(a, SPAWN_RU_MAJFLT));
    pair(page, "Disk blocks");
    spawn_page_format(page, "%llu read, %llu written</dd>\n",
                      (unsigned long long)spawn_u64v_at(a, SPAWN_RU_INBLOCK),
                      (unsigned long long)spawn_u64v_at(a, SPAWN_RU_OUBLOCK));
    pair(page, "Switches");
    spawn_page_format(page, "%llu to wait, %llu by force</dd>\n",
                      (unsigned long long)spawn_u64v_at(a, SPAWN_RU_NVCSW),
                      (unsigned long long)spawn_u64v_at(a, SPAWN_RU_NIVCSW));
    if (spawn_u64v_count(a) > SPAWN_RU_OOM_KILLS
        && spawn_u64v_at(a, SPAWN_RU_TREE_MEMORY_KB) != SPAWN_RU_UNKNOWN) {
        spawn_size_text(spawn_u64v_at(a, SPAWN_RU_TREE_MEMORY_KB) * 1024, size,
                        sizeof(size));
        pair(page, "Most memory of all its processes");
        spawn_page_format(page, "%s</dd>\n", size);
    }
}

static void put_result(spawn_page *page, const spawn_message *m)
{
    const char *kind = spawn_result_kind_name(m);

    spawn_rows_progress(page, m, "<dt>Progress</dt><dd>", "</dd>\n",
                        PROGRESS_SHOWN);
    if (!kind)
        return;
    pair(page, "Result");
    spawn_page_html(page, kind);
    if (spawn_has(m, SPAWN_A_RESULT))
        spawn_page_format(page, ", %lu bytes",
                          (unsigned long)m->attr[SPAWN_A_RESULT].length);
    else if (spawn_cut_of(m, 2))
        spawn_page_format(page, ", %llu bytes that are not kept any more",
                          (unsigned long long)spawn_cut_of(m, 2));
    spawn_page_html(page, "</dd>\n");
}

/* ---- what was run ---- */

static void put_args(spawn_page *page, const spawn_message *m, uint32_t from,
                     uint32_t to, bool whole)
{
    const spawn_attr *a = &m->attr[SPAWN_A_ARGV];
    const char *word = NULL;
    size_t left = ARGS_BYTES;
    uint32_t i;

    spawn_page_format(page, "<ol class=\"args\" start=\"%u\">\n", from);
    for (i = 0; i < to; i++) {
        word = spawn_strv_next(a, word);
        if (i < from)
            continue;
        if (left == 0) {
            spawn_page_html(page, "<li class=\"soft\">The rest is not shown "
                                  "here: spawnctl show has it.</li>\n");
            break;
        }
        spawn_page_html(page, "<li><code>");
        spawn_page_short(page, word, whole ? left : ARG_SHOWN);
        if (whole)
            left -= strnlen(word, left);
        spawn_page_html(page, *word ? "</code></li>\n"
                                    : "</code><span class=\"soft\">empty"
                                      "</span></li>\n");
    }
    spawn_page_html(page, "</ol>\n");
}

static bool is_long(const spawn_message *m, uint32_t shown)
{
    const spawn_attr *a = &m->attr[SPAWN_A_ARGV];
    const char *word = NULL;
    uint32_t i;

    for (i = 0; i < shown; i++) {
        word = spawn_strv_next(a, word);
        if (strlen(word) > ARG_SHOWN)
            return true;
    }
    return spawn_strv_count(a) > shown;
}

static void put_program(spawn_page *page, const spawn_message *m)
{
    uint32_t count = spawn_has(m, SPAWN_A_ARGV)
                         ? spawn_strv_count(&m->attr[SPAWN_A_ARGV])
                         : 0;
    uint32_t shown = count > ARGS_SHOWN ? ARGS_SHOWN : count;

    spawn_page_html(page, "<section><h2>What was run</h2>\n");
    if (spawn_has(m, SPAWN_A_FUNCTION)) {
        spawn_page_html(page, "<p>Perl function <code>");
        spawn_page_text(page, spawn_attr_str(&m->attr[SPAWN_A_FUNCTION]));
        spawn_page_html(page, "()</code></p>\n");
    }
    if (count) {
        put_args(page, m, 0, shown, false);
        if (is_long(m, shown)) {
            spawn_page_format(page,
                              "<details id=\"args\"><summary>All %u arguments "
                              "in full</summary>\n",
                              count);
            put_args(page, m, 0, count, true);
            spawn_page_html(page, "</details>\n");
        }
    }
    spawn_page_html(page, "</section>\n");
}

/* ---- the caller, and the rules that it brought ---- */

static void put_asked(spawn_page *page, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_CONTEXT];
    const char *text = NULL;
    uint32_t i;

    if (!spawn_has(m, SPAWN_A_CONTEXT) || spawn_strv_count(a) == 0)
        return;
    spawn_page_html(page, "<section><h2>Who asked</h2>\n<dl>\n");
    for (i = 0; i < spawn_strv_count(a); i++) {
        const char *equals;

        text = spawn_strv_next(a, text);
        equals = strchr(text, '=');
        if (!equals)
            continue;
        spawn_page_html(page, "<dt>");
        spawn_page_bytes(page, text, (size_t)(equals - text));
        spawn_page_html(page, "</dt><dd>");
        spawn_page_text(page, equals + 1);
        spawn_page_html(page, "</dd>\n");
    }
    spawn_page_html(page, "</dl></section>\n");
}

static void put_rule(void *arg, const char *name, const char *text)
{
    pair_text(arg, name, text);
}

typedef struct {
    spawn_page *page;
    bool any;
} own_rules;

static void put_own_rule(void *arg, const char *name, const char *text)
{
    own_rules *own = arg;

    if (!own->any)
        spawn_page_html(own->page, "<section><h2>Its own rules</h2>\n<p "
                                   "class=\"soft\">They count before those of "
                                   "its queue.</p>\n<dl>\n");
    own->any = true;
    pair_text(own->page, name, text);
}

static void put_own_rules(spawn_page *page, const spawn_message *m)
{
    own_rules own = {page, false};

    spawn_job_rules_each(m, put_own_rule, &own);
    if (own.any)
        spawn_page_html(page, "</dl></section>\n");
}

static void put_rules(void *arg, const spawn_message *queue)
{
    spawn_page *page = arg;

    spawn_page_html(page, "<section><h2>Rules of its queue</h2>\n<dl>\n");
    spawn_queue_rules_each(queue, put_rule, page);
    spawn_page_html(page, "</dl></section>\n");
}

static void put_after(spawn_page *page, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_AFTER];
    char text[SPAWN_ID_TEXT];
    spawn_id id;
    size_t at;

    if (!spawn_has(m, SPAWN_A_AFTER))
        return;
    pair(page, "Comes after");
    for (at = 0; at + SPAWN_ID_SIZE <= a->length; at += SPAWN_ID_SIZE) {
        memcpy(id.bytes, a->data + at, SPAWN_ID_SIZE);
        (void)spawn_id_format(&id, text);
        spawn_page_format(page, "<a class=\"id\" href=\"?job=%s\">%s</a> ",
                          text, text);
    }
    spawn_page_html(page, "</dd>\n");
}

static void put_failure_of(spawn_page *page, const spawn_message *m)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    if (!spawn_has(m, SPAWN_A_FAILURE_OF))
        return;
    spawn_attr_id(&m->attr[SPAWN_A_FAILURE_OF], &id);
    (void)spawn_id_format(&id, text);
    pair(page, "Failure of");
    spawn_page_format(page, "<a class=\"id\" href=\"?job=%s\">%s</a></dd>\n",
                      text, text);
}

static void put_facts(spawn_page *page, const spawn_message *m,
                      const char *id_text)
{
    const char *queue = spawn_str_or(m, SPAWN_A_QUEUE, "");

    spawn_page_html(page, "<section><h2>How it went</h2>\n<dl>\n");
    put_how(page, m);
    put_result(page, m);
    pair_number(page, "Process", m, SPAWN_A_PID);
    pair_number(page, "Attempt", m, SPAWN_A_ATTEMPT);
    if (spawn_has(m, SPAWN_A_PRIORITY)) {
        pair(page, "Priority");
        spawn_page_format(
            page, "%lld</dd>\n",
            (long long)spawn_attr_i64(&m->attr[SPAWN_A_PRIORITY]));
    }
    pair_attr(page, "Unique key", m, SPAWN_A_UNIQUE);
    put_after(page, m);
    put_failure_of(page, m);
    pair_number(page, "Handles, lost by a stop", m, SPAWN_A_HANDLES);
    pair(page, "Queue");
    spawn_page_html(page, "<a href=\"?view=jobs&amp;queue=");
    spawn_page_query(page, queue);
    spawn_page_html(page, "\">");
    spawn_page_text(page, queue);
    spawn_page_format(page, "</a></dd>\n<dt>Id</dt><dd class=\"id\">%s</dd>\n",
                      id_text);
    put_usage(page, m);
    spawn_page_html(page, "</dl></section>\n");
}

/* ---- attempts before ---- */

static void put_attempt(void *arg, const spawn_message *m)
{
    spawn_page *page = arg;
    char outcome[128];

    spawn_outcome_text(m, outcome, sizeof(outcome));
    spawn_page_format(page,
                      "<details id=\"attempt-%llu\"><summary>Attempt %llu: ",
                      (unsigned long long)number(m, SPAWN_A_ATTEMPT),
                      (unsigned long long)number(m, SPAWN_A_ATTEMPT));
    spawn_page_text(page, outcome);
    if (spawn_has(m, SPAWN_A_ENDED_AT)) {
        spawn_page_html(page, ", ");
        spawn_page_time(page, number(m, SPAWN_A_ENDED_AT));
    }
    spawn_page_html(page, "</summary>\n<dl>\n");
    put_reason(page, m);
    pair_number(page, "Process", m, SPAWN_A_PID);
    spawn_page_html(page, "</dl>\n");
    spawn_output_put(page, m, 3);
    spawn_page_html(page, "</details>\n");
}

/* ---- acts ---- */

static void act(spawn_page *page, const char *name, const char *id_text,
                const char *word)
{
    spawn_page_format(page,
                      "<a class=\"button\" href=\"?act=%s&amp;job=%s\">%s</a> ",
                      name, id_text, word);
}

static void put_acts(spawn_page *page, const spawn_message *m,
                     const char *id_text)
{
    uint64_t state = number(m, SPAWN_A_STATE);

    spawn_page_html(page, "<div class=\"acts\">");
    if (state == SPAWN_STATE_DELAYED)
        act(page, "start", id_text, "Start now");
    if (state == SPAWN_STATE_RUNNING || state == SPAWN_STATE_STARTING)
        act(page, "kill", id_text, "Send a signal");
    else if (state != SPAWN_STATE_DONE)
        act(page, "cancel", id_text, "Cancel");
    else if (spawn_has(m, SPAWN_A_DEAD))
        act(page, "retry", id_text, "Try again");
    spawn_page_html(page, "</div>\n");
}

/* ---- the whole ---- */

static int find(spawn_page *page, bool with_output, spawn_answer *ret)
{
    const char *text = spawn_page_arg(page, "job");
    spawn_id id;

    if (spawn_id_parse(text, &id)) {
        (void)spawn_page_fail(page, HTTP_NOT_FOUND,
                              "'%.64s' is not the id of a job", text);
        return -1;
    }
    return spawn_ask_job(page, &id, with_output, ret);
}

/* Its name for people: the label, else what it runs. */
static const char *name_of(const spawn_page *page, const spawn_message *m)
{
    const char *label = spawn_str_or(m, SPAWN_A_LABEL, "");
    char *command;
    const char *name;

    if (*label)
        return apr_pstrdup(page->r->pool, label);
    command = spawn_command_text(m, TITLE_SHOWN + 1);
    name = apr_pstrdup(page->r->pool, command && *command ? command : "Job");
    free(command);
    return name;
}

static int put_job(spawn_page *page, const spawn_message *m)
{
    bool lives = spawn_u64_or(m, SPAWN_A_STATE, 0) != SPAWN_STATE_DONE;
    const char *name = name_of(page, m);
    size_t shown = strnlen(name, TITLE_SHOWN);
    char id_text[SPAWN_ID_TEXT];
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    (void)spawn_id_format(&id, id_text);
    spawn_frame_begin(
        page,
        apr_pstrmemdup(page->r->pool, name, spawn_escape_whole(name, shown)),
        "-", lives);
    spawn_act_done(page);
    spawn_page_html(page, "<div class=\"title\"><h1>");
    spawn_page_short(page, name, TITLE_SHOWN);
    spawn_page_html(page, "</h1>\n");
    spawn_rows_badge(page, m);
    spawn_page_html(page, "</div>\n");
    if (page->control)
        put_acts(page, m, id_text);
    spawn_page_html(page, "<section><h2>When</h2>\n");
    spawn_timeline(page, m);
    spawn_page_html(page, "</section>\n<div class=\"columns\">\n");
    put_facts(page, m, id_text);
    put_program(page, m);
    put_asked(page, m);
    put_own_rules(page, m);
    /* its queue may have gone: that is no fault of the job's page */
    if (spawn_ask_queues(page, spawn_str_or(m, SPAWN_A_QUEUE, ""), put_rules,
                         page)) {
        if (page->status == HTTP_SERVICE_UNAVAILABLE)
            return -1;
        page->status = 0;
    }
    spawn_page_html(page, "</div>\n");
    spawn_output_put(page, m, 2);
    if (spawn_has(m, SPAWN_A_ATTEMPTS)) {
        spawn_page_html(page, "<section><h2>Attempts before</h2>\n");
        spawn_attempts_each(m, put_attempt, page);
        spawn_page_html(page, "</section>\n");
    }
    spawn_frame_end(page, lives);
    return 0;
}

int spawn_view_job(spawn_page *page)
{
    spawn_answer answer;
    int rv;

    if (find(page, true, &answer))
        return -1;
    rv = put_job(page, &answer.message);
    spawn_answer_free(&answer);
    return rv;
}

int spawn_view_job_json(spawn_page *page)
{
    spawn_answer answer;

    if (find(page, strcmp(spawn_page_arg(page, "output"), "1") == 0, &answer))
        return -1;
    spawn_told_job(page, "job", &answer.message);
    spawn_answer_free(&answer);
    return 0;
}
