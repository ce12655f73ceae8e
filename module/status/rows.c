/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs as rows of a table. Runs in httpd children, in the thread of the
 * request. Must bound what a row shows: a command line may have megabytes.
 */
#include "module/status/rows.h"

#include <stdlib.h>
#include <string.h>

#define COMMAND_SHOWN 160
#define WORD_SHOWN    60

static unsigned number(const spawn_message *m, unsigned attr)
{
    return (unsigned)spawn_u64_or(m, attr, 0);
}

static const char *kind_of(const spawn_message *job)
{
    unsigned state = number(job, SPAWN_A_STATE);
    unsigned outcome = number(job, SPAWN_A_OUTCOME);

    if (state == SPAWN_STATE_RUNNING || state == SPAWN_STATE_STARTING)
        return "busy";
    if (state != SPAWN_STATE_DONE)
        return "wait";
    if (outcome == SPAWN_OUTCOME_CANCELLED)
        return "plain";
    return outcome == SPAWN_OUTCOME_EXITED
                   && number(job, SPAWN_A_EXIT_CODE) == 0
                   && number(job, SPAWN_A_RESULT_KIND) != SPAWN_RESULT_DIED
               ? "good"
               : "bad";
}

void spawn_rows_badge(spawn_page *page, const spawn_message *job)
{
    char text[128];

    spawn_outcome_brief(job, text, sizeof(text));
    if (spawn_has(job, SPAWN_A_DEAD))
        (void)apr_snprintf(text + strlen(text), sizeof(text) - strlen(text),
                           ", dead");
    spawn_page_badge(page, kind_of(job), text);
}

const char *spawn_rows_context(const spawn_message *job, const char *name)
{
    const spawn_attr *a = &job->attr[SPAWN_A_CONTEXT];
    size_t length = strlen(name);
    const char *text = NULL;
    uint32_t i;

    for (i = 0; spawn_has(job, SPAWN_A_CONTEXT) && i < spawn_strv_count(a);
         i++) {
        text = spawn_strv_next(a, text);
        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return text + length + 1;
    }
    return NULL;
}

void spawn_rows_progress(spawn_page *page, const spawn_message *job,
                         const char *head, const char *tail, size_t most)
{
    char text[512];
    double share;

    if (!spawn_progress_text(job, text, sizeof(text)))
        return;
    spawn_page_html(page, head);
    spawn_page_short(page, text, most);
    if (number(job, SPAWN_A_STATE) != SPAWN_STATE_DONE
        && spawn_progress_share(job, &share))
        spawn_page_share(page, "busy told", share);
    spawn_page_html(page, tail);
}

/* ---- the table ---- */

static const char *const heads[] = {"State",     "Job",  "Queue",   "Runs",
                                    "Submitted", "Took", "Asked by"};

void spawn_rows_begin(spawn_page *page, const char *caption)
{
    size_t i;

    spawn_page_format(page,
                      "<table class=\"jobs\"><caption>%s</caption>"
                      "<thead><tr>",
                      caption);
    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        spawn_page_format(page, "<th scope=\"col\">%s</th>", heads[i]);
    spawn_page_html(page, "</tr></thead>\n<tbody>\n");
}

void spawn_rows_end(spawn_page *page)
{
    spawn_page_html(page, "</tbody></table>\n");
}

/* On a narrow page a cell stands below the name of its column. */
static void cell(spawn_page *page, unsigned column, const char *class)
{
    spawn_page_format(page, "%s<td data-head=\"%s\" class=\"%s\">",
                      column ? "</td>" : "", heads[column], class);
}

static void put_command(spawn_page *page, const spawn_message *job)
{
    const char *label = spawn_str_or(job, SPAWN_A_LABEL, "");
    char *command = spawn_command_text(job, COMMAND_SHOWN + 1);

    if (*label) {
        spawn_page_html(page, "<b>");
        spawn_page_short(page, label, WORD_SHOWN);
        spawn_page_html(page, "</b> ");
    }
    spawn_page_html(page, "<code>");
    spawn_page_short(page, command ? command : "", COMMAND_SHOWN);
    if (spawn_has(job, SPAWN_A_ARGV_CUT)
        && strlen(command ? command : "") <= COMMAND_SHOWN)
        spawn_page_html(page, "&#8230;");
    spawn_page_html(page, "</code>");
    free(command);
    spawn_rows_progress(page, job, " <span class=\"soft\">", "</span>",
                        WORD_SHOWN);
}

/* From start to end, or since the start. */
static void put_took(spawn_page *page, const spawn_message *job)
{
    uint64_t started = spawn_u64_or(job, SPAWN_A_STARTED_AT, 0);
    unsigned state = number(job, SPAWN_A_STATE);

    if (state == SPAWN_STATE_DONE && spawn_has(job, SPAWN_A_ELAPSED))
        spawn_page_duration(page, (int64_t)spawn_u64_or(job, SPAWN_A_ELAPSED, 0)
                                      / 1000);
    else if (state == SPAWN_STATE_RUNNING && started)
        spawn_page_duration(page, page->now > (int64_t)started
                                      ? page->now - (int64_t)started
                                      : 0);
    else
        spawn_page_html(page, "-");
}

static void put_who(spawn_page *page, const spawn_message *job)
{
    const char *user = spawn_rows_context(job, "user");
    const char *client = spawn_rows_context(job, "client");

    if (user)
        spawn_page_short(page, user, WORD_SHOWN);
    if (user && client)
        spawn_page_html(page, ", ");
    if (client)
        spawn_page_short(page, client, WORD_SHOWN);
    if (!user && !client)
        spawn_page_html(page, "-");
}

bool spawn_rows_job(void *arg, const spawn_message *job)
{
    const char *queue = spawn_str_or(job, SPAWN_A_QUEUE, "");
    char id_text[SPAWN_ID_TEXT];
    spawn_page *page = arg;
    spawn_id id;

    spawn_attr_id(&job->attr[SPAWN_A_ID], &id);
    (void)spawn_id_format(&id, id_text);
    spawn_page_html(page, "<tr>");
    cell(page, 0, "");
    spawn_rows_badge(page, job);
    cell(page, 1, "id");
    /* jobs of one moment begin alike and end differently */
    spawn_page_format(page,
                      "<a id=\"j-%s\" href=\"?job=%s\" title=\"%s\">%s</a>",
                      id_text, id_text, id_text, strrchr(id_text, '-') + 1);
    cell(page, 2, "queue");
    spawn_page_html(page, "<a href=\"?view=jobs&amp;queue=");
    spawn_page_query(page, queue);
    spawn_page_html(page, "\">");
    spawn_page_text(page, queue);
    spawn_page_html(page, "</a>");
    cell(page, 3, "command");
    put_command(page, job);
    cell(page, 4, "num");
    spawn_page_time(page, spawn_u64_or(job, SPAWN_A_SUBMITTED_AT, 0));
    cell(page, 5, "num");
    put_took(page, job);
    cell(page, 6, "who");
    put_who(page, job);
    spawn_page_html(page, "</td></tr>\n");
    return true;
}
