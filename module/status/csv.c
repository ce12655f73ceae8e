/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of jobs as CSV, for spreadsheets. Runs in httpd children, in the
 * thread of the request. Must write no cell that a spreadsheet would take for a
 * formula: somebody hostile may have chosen a label or an argument.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_escape.h"
#include "module/status/ask.h"
#include "module/status/filter.h"
#include "module/status/rows.h"
#include "module/status/views.h"

#define ROWS      1000
#define ROWS_MOST 5000
#define BYTES     (8 << 20) /* after these no row follows */

/* ---- cells ---- */

static bool begins_formula(char c)
{
    return c && strchr("=+-@", c);
}

/* A program that takes another separator than the comma for one begins a new
 * cell in the midst of ours; quotes and spaces may stand before it. */
static bool may_begin_cell(char c)
{
    return strchr(",;|\"", c) != NULL;
}

/* Part of a cell; *begins: at its beginning, or where one may begin. */
static void put_shown(spawn_gather *g, const char *shown, size_t length,
                      bool *begins)
{
    size_t i;

    for (i = 0; i < length; i++) {
        if (*begins && begins_formula(shown[i]))
            spawn_gather_text(g, "'");
        else if (shown[i] == '"')
            spawn_gather_text(g, "\"");
        spawn_gather_add(g, &shown[i], 1);
        *begins = may_begin_cell(shown[i]) || (*begins && shown[i] == ' ');
    }
}

/* A character that is not printable is written as an escape (\n, \x01), so that
 * a row is one line. */
static void text_cell(spawn_page *page, const char *text)
{
    size_t left = strlen(text), taken, used;
    bool begins = true;
    char shown[1024];
    spawn_gather g;

    spawn_gather_begin(&g, page);
    spawn_gather_text(&g, "\"");
    for (; left > 0; text += taken, left -= taken) {
        taken = spawn_escape(text, left, shown, sizeof(shown), &used);
        put_shown(&g, shown, used, &begins);
    }
    spawn_gather_text(&g, "\"");
    spawn_gather_end(&g);
}

static void number_cell(spawn_page *page, const spawn_message *job,
                        unsigned attr)
{
    if (spawn_has(job, attr))
        spawn_page_format(page, "%llu",
                          (unsigned long long)spawn_u64_or(job, attr, 0));
}

static void time_cell(spawn_page *page, const spawn_message *job, unsigned attr)
{
    char text[64];

    if (!spawn_has(job, attr))
        return;
    spawn_time_iso(spawn_u64_or(job, attr, 0), text, sizeof(text));
    spawn_page_html(page, text);
}

/* ---- columns ---- */

static void put_id(spawn_page *page, const spawn_message *job)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    spawn_attr_id(&job->attr[SPAWN_A_ID], &id);
    spawn_page_html(page, spawn_id_format(&id, text));
}

static void put_state(spawn_page *page, const spawn_message *job)
{
    spawn_page_html(
        page, spawn_state_name((unsigned)spawn_u64_or(job, SPAWN_A_STATE, 0)));
}

static void put_outcome(spawn_page *page, const spawn_message *job)
{
    if (spawn_has(job, SPAWN_A_OUTCOME))
        spawn_page_html(page, spawn_outcome_name((unsigned)spawn_u64_or(
                                  job, SPAWN_A_OUTCOME, 0)));
}

static void put_step(spawn_page *page, const spawn_message *job)
{
    if (spawn_has(job, SPAWN_A_STEP))
        spawn_page_html(page, spawn_step_name((unsigned)spawn_u64_or(
                                  job, SPAWN_A_STEP, 0)));
}

static void put_command(spawn_page *page, const spawn_message *job)
{
    char *command = spawn_command_text(job, SIZE_MAX);

    text_cell(page, command ? command : "");
    free(command);
}

static void put_elapsed(spawn_page *page, const spawn_message *job)
{
    uint64_t us = spawn_u64_or(job, SPAWN_A_ELAPSED, 0);

    if (spawn_has(job, SPAWN_A_ELAPSED))
        spawn_page_format(page, "%llu.%06llu",
                          (unsigned long long)(us / 1000000),
                          (unsigned long long)(us % 1000000));
}

/* One of these for each column. */
static const struct {
    const char *name;
    void (*put)(spawn_page *page, const spawn_message *job);
    uint8_t text, number, time; /* attributes */
    const char *context;
} columns[] = {{"id", put_id, 0, 0, 0, NULL},
               {"state", put_state, 0, 0, 0, NULL},
               {"outcome", put_outcome, 0, 0, 0, NULL},
               {"exit_code", NULL, 0, SPAWN_A_EXIT_CODE, 0, NULL},
               {"signal", NULL, 0, SPAWN_A_SIGNAL, 0, NULL},
               {"step", put_step, 0, 0, 0, NULL},
               {"errno", NULL, 0, SPAWN_A_ERRNO, 0, NULL},
               {"text", NULL, SPAWN_A_TEXT, 0, 0, NULL},
               {"queue", NULL, SPAWN_A_QUEUE, 0, 0, NULL},
               {"label", NULL, SPAWN_A_LABEL, 0, 0, NULL},
               {"command", put_command, 0, 0, 0, NULL},
               {"argv_cut", NULL, 0, SPAWN_A_ARGV_CUT, 0, NULL},
               {"user", NULL, 0, 0, 0, "user"},
               {"vhost", NULL, 0, 0, 0, "vhost"},
               {"request_id", NULL, 0, 0, 0, "request_id"},
               {"client", NULL, 0, 0, 0, "client"},
               {"submitted_at", NULL, 0, 0, SPAWN_A_SUBMITTED_AT, NULL},
               {"started_at", NULL, 0, 0, SPAWN_A_STARTED_AT, NULL},
               {"ended_at", NULL, 0, 0, SPAWN_A_ENDED_AT, NULL},
               {"elapsed", put_elapsed, 0, 0, 0, NULL},
               {"pid", NULL, 0, SPAWN_A_PID, 0, NULL},
               {"attempt", NULL, 0, SPAWN_A_ATTEMPT, 0, NULL},
               {"dead", NULL, 0, SPAWN_A_DEAD, 0, NULL}};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void put_cell(spawn_page *page, const spawn_message *job, size_t i)
{
    const char *value;

    if (columns[i].put) {
        columns[i].put(page, job);
    }
    else if (columns[i].context) {
        value = spawn_rows_context(job, columns[i].context);
        text_cell(page, value ? value : "");
    }
    else if (columns[i].text) {
        text_cell(page, spawn_str_or(job, columns[i].text, ""));
    }
    else if (columns[i].number) {
        number_cell(page, job, columns[i].number);
    }
    else {
        time_cell(page, job, columns[i].time);
    }
}

/* All of it is in memory until it is sent. */
static bool put_row(void *arg, const spawn_message *job)
{
    spawn_page *page = arg;
    apr_off_t length;
    size_t i;

    for (i = 0; i < COLUMNS; i++) {
        if (i)
            spawn_page_html(page, ",");
        put_cell(page, job, i);
    }
    spawn_page_html(page, "\r\n");
    return apr_brigade_length(page->out, 1, &length) == APR_SUCCESS
           && length < BYTES;
}

/* ---- the whole ---- */

/* A row that says so would be one of the data. */
static void tell_next(spawn_page *page, uint64_t before)
{
    apr_bucket_brigade *out = page->out;
    char *link;
    apr_size_t length;

    page->out =
        apr_brigade_create(page->r->pool, page->r->connection->bucket_alloc);
    spawn_page_html(page, "<?view=jobs&format=csv");
    spawn_filter_header(page);
    spawn_page_format(page, "&before=%llu>; rel=\"next\"",
                      (unsigned long long)before);
    if (apr_brigade_pflatten(page->out, &link, &length, page->r->pool)
        == APR_SUCCESS)
        apr_table_setn(page->r->headers_out, "Link",
                       apr_pstrmemdup(page->r->pool, link, length));
    page->out = out;
}

int spawn_view_jobs_csv(spawn_page *page)
{
    spawn_choice choice;
    spawn_next next;
    size_t i;

    if (spawn_filter_read(page, ROWS, ROWS_MOST, &choice))
        return -1;
    for (i = 0; i < COLUMNS; i++)
        spawn_page_format(page, "%s%s", i ? "," : "", columns[i].name);
    spawn_page_html(page, "\r\n");
    if (spawn_ask_jobs(page, &choice, put_row, page, &next))
        return -1;
    if (next.before)
        tell_next(page, next.before);
    return 0;
}
