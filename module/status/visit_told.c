/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers to a visitor about his job. Runs in httpd children, in the thread
 * of the request. Must tell nothing that the application did not mean for its
 * pages: no argument, account, path or output, and no text of a failure, which
 * may have any of these.
 */
#include "module/status/visit.h"

#include "common/spawn_os.h"
#include "module/status/told.h"

#define KEY(attr) spawn_attr_name(attr)

static void add_time(spawn_page *page, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        spawn_json_time(page, KEY(attr), spawn_attr_u64(&m->attr[attr]));
}

/* As Apache2::Spawn::Result says it. */
static bool ended_well(const spawn_message *m, const char *kind)
{
    if (kind)
        return spawn_u64_or(m, SPAWN_A_RESULT_KIND, 0) == SPAWN_RESULT_RETURNED;
    return spawn_has(m, SPAWN_A_EXIT_CODE)
           && spawn_u64_or(m, SPAWN_A_EXIT_CODE, 1) == 0;
}

static void add_end(spawn_page *page, const spawn_message *m)
{
    const char *kind = spawn_result_kind_name(m);

    if (!spawn_has(m, SPAWN_A_OUTCOME))
        return;
    spawn_json_text(
        page, KEY(SPAWN_A_OUTCOME),
        spawn_outcome_name((unsigned)spawn_u64_or(m, SPAWN_A_OUTCOME, 0)));
    spawn_json_word(page, "ok", ended_well(m, kind) ? "true" : "false");
    if (kind)
        spawn_json_text(page, KEY(SPAWN_A_RESULT_KIND), kind);
}

const char *spawn_visit_seen(const spawn_visit *v, char *text)
{
    (void)apr_snprintf(text, SPAWN_SEEN_TEXT, "%016" APR_UINT64_T_HEX_FMT,
                       (apr_uint64_t)v->seen);
    return text;
}

static void begin(spawn_page *page)
{
    page->now = spawn_wall_ms();
    page->comma = false;
    spawn_json_open(page, NULL, '{');
    spawn_json_number(page, "version", SPAWN_VISIT_VERSION);
    spawn_json_time(page, "now", (uint64_t)page->now);
}

void spawn_visit_told(spawn_visit *v)
{
    const spawn_message *m = &v->job.message;
    char id_text[SPAWN_ID_TEXT], seen[SPAWN_SEEN_TEXT];
    spawn_page *page = &v->page;

    begin(page);
    spawn_json_text(page, KEY(SPAWN_A_ID), spawn_id_format(&v->id, id_text));
    spawn_json_text(
        page, KEY(SPAWN_A_STATE),
        spawn_state_name((unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0)));
    spawn_json_number(page, KEY(SPAWN_A_ATTEMPT),
                      spawn_u64_or(m, SPAWN_A_ATTEMPT, 1));
    spawn_told_progress(page, m);
    add_end(page, m);
    add_time(page, m, SPAWN_A_SUBMITTED_AT);
    add_time(page, m, SPAWN_A_DUE_AT);
    add_time(page, m, SPAWN_A_STARTED_AT);
    add_time(page, m, SPAWN_A_ENDED_AT);
    spawn_json_text(page, KEY(SPAWN_A_SEEN), spawn_visit_seen(v, seen));
    spawn_json_close(page, '}');
}

void spawn_visit_fault(spawn_visit *v, const char *code, const char *text)
{
    spawn_page *page = &v->page;

    begin(page);
    spawn_json_open(page, "error", '{');
    spawn_json_text(page, "code", code);
    spawn_json_text(page, "text", text);
    spawn_json_close(page, '}');
    spawn_json_close(page, '}');
}
