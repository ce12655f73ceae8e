/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of jobs: those that are chosen, some at a time. Runs in httpd
 * children, in the thread of the request. Must ask for one page only: a history
 * may have millions.
 */
#include <stdlib.h>
#include <string.h>

#include "module/status/act.h"
#include "module/status/ask.h"
#include "module/status/filter.h"
#include "module/status/frame.h"
#include "module/status/many.h"
#include "module/status/rows.h"
#include "module/status/told.h"
#include "module/status/views.h"

#define ROWS 50

/* ---- rows that are sorted before they are shown ---- */

typedef struct {
    apr_bucket_brigade *html;
    uint64_t took; /* us */
    unsigned place;
} sorted;

typedef struct {
    spawn_page *page;
    unsigned count;
    sorted *rows; /* NULL: they are shown as they come */
} list;

static uint64_t took(const spawn_page *page, const spawn_message *job)
{
    uint64_t started = spawn_u64_or(job, SPAWN_A_STARTED_AT, 0);
    uint64_t now = (uint64_t)page->now;

    if (spawn_u64_or(job, SPAWN_A_STATE, 0) == SPAWN_STATE_RUNNING)
        return started && now > started ? (now - started) * 1000 : 0;
    return spawn_u64_or(job, SPAWN_A_ELAPSED, 0);
}

static void put_aside(list *l, const spawn_message *job)
{
    spawn_page *page = l->page;
    apr_bucket_brigade *out = page->out;
    sorted *row = &l->rows[l->count];

    row->html = page->out =
        apr_brigade_create(page->r->pool, page->r->connection->bucket_alloc);
    row->took = took(page, job);
    row->place = l->count;
    (void)spawn_rows_job(page, job);
    page->out = out;
}

static bool put_row(void *arg, const spawn_message *job)
{
    list *l = arg;

    if (l->rows)
        put_aside(l, job);
    else
        (void)spawn_rows_job(l->page, job);
    l->count++;
    return true;
}

static int longest_first(const void *a, const void *b)
{
    const sorted *one = a, *two = b;

    if (one->took != two->took)
        return one->took > two->took ? -1 : 1;
    return one->place < two->place ? -1 : 1;
}

static void put_sorted(list *l)
{
    unsigned i;

    if (!l->rows)
        return;
    qsort(l->rows, l->count, sizeof(*l->rows), longest_first);
    for (i = 0; i < l->count; i++)
        APR_BRIGADE_CONCAT(l->page->out, l->rows[i].html);
}

/* ---- around them ---- */

static void put_pages(spawn_page *page, const spawn_choice *choice,
                      const spawn_next *next)
{
    const char *words[2][2] = {{"The newest", "Older jobs"},
                               {"The oldest", "Newer jobs"}};
    const char **word = words[choice->oldest_first];

    spawn_page_html(page, "<nav class=\"pages\" aria-label=\"Pages\">");
    if (choice->before) {
        spawn_page_html(page, "<a class=\"button\" href=\"?view=jobs");
        spawn_filter_link(page, true);
        spawn_page_format(page, "\">%s</a> ", word[0]);
    }
    if (next->before) {
        spawn_page_html(page, "<a class=\"button\" href=\"?view=jobs");
        spawn_filter_link(page, true);
        spawn_page_format(page, "&amp;before=%llu\">%s</a> ",
                          (unsigned long long)next->before, word[1]);
    }
    spawn_page_html(page, "</nav>\n");
}

static void put_note(spawn_page *page, const list *l, const spawn_next *next)
{
    if (next->looked)
        spawn_page_format(page,
                          "<p class=\"notice\">%u found so far: not all jobs "
                          "were looked at. The next page goes on with the "
                          "search.</p>\n",
                          l->count);
    else if (!l->count)
        spawn_page_html(page, "<p class=\"empty\">There is no such job.</p>\n");
}

/* Said by a screen reader while somebody types. */
static void put_count(spawn_page *page, unsigned count, bool more)
{
    spawn_page_format(
        page, "<p id=\"count\" aria-live=\"polite\">%u job%s%s</p>\n", count,
        count == 1 ? "" : "s", more ? ", and there may be more" : "");
}

/* How many there are is told above them. */
static int put_found(spawn_page *page, const spawn_choice *choice)
{
    apr_bucket_brigade *above = page->out, *found;
    list l = {page, 0, NULL};
    spawn_next next;
    int rv;

    found = page->out =
        apr_brigade_create(page->r->pool, page->r->connection->bucket_alloc);
    if (spawn_filter_by_took(page))
        l.rows = apr_pcalloc(page->r->pool,
                             (apr_size_t)choice->rows * sizeof(*l.rows));
    spawn_page_html(page, "<div id=\"found\">\n");
    spawn_rows_begin(page, choice->oldest_first ? "Jobs, the oldest first"
                           : l.rows ? "Jobs, the longest of these first"
                                    : "Jobs, the newest first");
    rv = spawn_ask_jobs(page, choice, put_row, &l, &next);
    if (rv) {
        page->out = above;
        return -1;
    }
    put_sorted(&l);
    spawn_rows_end(page);
    put_note(page, &l, &next);
    put_pages(page, choice, &next);
    if (page->control && l.count)
        spawn_many_links(page, choice);
    spawn_page_html(page, "</div>\n");
    page->out = above;
    put_count(page, l.count, next.before != 0);
    APR_BRIGADE_CONCAT(page->out, found);
    return 0;
}

int spawn_view_jobs(spawn_page *page)
{
    spawn_choice choice;
    bool dead;

    if (spawn_filter_read(page, ROWS, SPAWN_LIST_MAX, &choice))
        return -1;
    dead = choice.states == SPAWN_STATES_DEAD;
    spawn_frame_begin(page, dead ? "Dead jobs" : "Jobs", dead ? "dead" : "jobs",
                      true);
    spawn_page_format(page, "<h1>%s</h1>\n", dead ? "Dead jobs" : "Jobs");
    spawn_act_done(page);
    if (dead)
        spawn_page_html(page, "<p class=\"soft\">Jobs that have failed, and "
                              "have no retry left.</p>\n");
    if (spawn_filter_form(page) || put_found(page, &choice))
        return -1;
    spawn_frame_end(page, true);
    return 0;
}

/* ---- as JSON ---- */

static bool tell_job(void *arg, const spawn_message *job)
{
    spawn_told_job(arg, NULL, job);
    return true;
}

int spawn_view_jobs_json(spawn_page *page)
{
    spawn_choice choice;
    spawn_next next;

    if (spawn_filter_read(page, ROWS, SPAWN_LIST_MAX, &choice))
        return -1;
    spawn_json_open(page, "jobs", '[');
    if (spawn_ask_jobs(page, &choice, tell_job, page, &next))
        return -1;
    spawn_json_close(page, ']');
    if (next.before)
        spawn_json_number(page, "before", next.before);
    else
        spawn_json_word(page, "before", "null");
    if (next.looked)
        spawn_json_word(page, "looked", "true");
    return 0;
}
