/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overview: how much runs and waits, the queues against their limits, what
 * the last hour brought, the templates and workers, the newest jobs. Runs in
 * httpd children, in the thread of the request. Must say in words what is
 * paused, drained or cannot get ready: that is what somebody comes for.
 */
#include <string.h>

#include "module/status/act.h"
#include "module/status/ask.h"
#include "module/status/frame.h"
#include "module/status/numbers.h"
#include "module/status/rows.h"
#include "module/status/told.h"
#include "module/status/views.h"

#define NEWEST 10

static uint64_t number(const spawn_message *m, unsigned attr)
{
    return spawn_u64_or(m, attr, 0);
}

/* ---- the sums ---- */

/* The queues are asked for these once, and the page tells them twice. */
typedef struct {
    spawn_page *page;
    const spawn_meters_answer *numbers;
    uint64_t running, waiting, delayed, held;
} overview;

static void add_queue(overview *o, const spawn_message *queue)
{
    o->running += number(queue, SPAWN_A_RUNNING);
    o->waiting += number(queue, SPAWN_A_WAITING);
    o->delayed += number(queue, SPAWN_A_DELAYED);
    o->held += number(queue, SPAWN_A_QUEUE_MODE) != SPAWN_QUEUE_OPEN;
}

static void tile(spawn_page *page, const char *href, const char *kind,
                 uint64_t count, const char *word)
{
    spawn_page_format(page,
                      "<li><a class=\"tile %s\" href=\"%s\"><b>%llu</b> "
                      "%s</a></li>\n",
                      count ? kind : "none", href, (unsigned long long)count,
                      word);
}

/* To those that are counted, and no others. It has a name, since its address
 * changes, and the keyboard may be at it. */
static void failed_tile(spawn_page *page, uint64_t failed,
                        uint64_t counted_from)
{
    uint64_t from = spawn_numbers_hour_began(page);
    char since[64], href[160];

    spawn_time_iso(from > counted_from ? from : counted_from, since,
                   sizeof(since));
    (void)apr_snprintf(href, sizeof(href),
                       "?view=jobs&amp;outcome=failed&amp;ended_since=%s\" "
                       "id=\"failed",
                       since);
    tile(page, href, "bad", failed, "failed in the last hour");
}

static void put_sums(spawn_page *page, const overview *o, uint64_t dead)
{
    uint64_t ended, failed;

    spawn_numbers_hour(o->numbers, &ended, &failed);
    spawn_page_html(page, "<ul class=\"tiles\">\n");
    tile(page, "?view=jobs&amp;state=running", "busy", o->running, "running");
    tile(page, "?view=jobs&amp;state=queued", "wait", o->waiting, "waiting");
    tile(page, "?view=jobs&amp;state=delayed", "plain", o->delayed, "delayed");
    failed_tile(page, failed, o->numbers->pair[SPAWN_PAIR_SINCE]);
    tile(page, "?view=jobs&amp;state=dead", "bad", dead, "dead");
    spawn_page_html(page, "</ul>\n");
    if (o->held)
        spawn_page_format(page,
                          "<p class=\"notice wait\">%llu queue%s paused or "
                          "drained by hand.</p>\n",
                          (unsigned long long)o->held,
                          o->held == 1 ? " is" : "s are");
}

/* ---- queues ---- */

static void put_mode(spawn_page *page, const spawn_message *m)
{
    uint64_t mode = number(m, SPAWN_A_QUEUE_MODE);

    if (mode & SPAWN_QUEUE_PAUSED)
        spawn_page_badge(page, "wait", "paused: starts no jobs");
    if (mode & SPAWN_QUEUE_DRAINING)
        spawn_page_badge(page, "wait", "drained: takes no jobs");
    if (mode == SPAWN_QUEUE_OPEN && number(m, SPAWN_A_REMOVED))
        spawn_page_badge(page, "plain", "removed from httpd.conf");
    else if (mode == SPAWN_QUEUE_OPEN)
        spawn_page_badge(page, "good", "open");
    if (!spawn_has(m, SPAWN_A_CHANGED_AT))
        return;
    spawn_page_format(page, "<div class=\"soft\">changed by uid %llu, ",
                      (unsigned long long)number(m, SPAWN_A_CHANGED_BY));
    spawn_page_time(page, number(m, SPAWN_A_CHANGED_AT));
    if (spawn_has(m, SPAWN_A_SCALED_TO))
        spawn_page_format(page, "; SpawnMaxJobs is %llu",
                          (unsigned long long)number(m, SPAWN_A_MAX_JOBS));
    spawn_page_html(page, "</div>");
}

static void put_rule(void *arg, const char *name, const char *text)
{
    spawn_page *page = arg;

    spawn_page_format(page, "<li><span class=\"soft\">%s</span> ", name);
    spawn_page_text(page, text);
    spawn_page_html(page, "</li>");
}

static void put_acts(spawn_page *page, const spawn_message *m, const char *name)
{
    static const struct {
        uint64_t unless;
        bool held; /* only of a queue that is paused or drained */
        const char *act, *word;
    } acts[] = {{SPAWN_QUEUE_PAUSED, false, "pause", "Pause"},
                {SPAWN_QUEUE_DRAINING, false, "drain", "Drain"},
                {0, true, "resume", "Resume"},
                {0, false, "scale", "Scale"}};
    uint64_t mode = number(m, SPAWN_A_QUEUE_MODE);
    size_t i;

    spawn_page_html(page, "<div class=\"acts\">");
    for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        if (mode & acts[i].unless || (acts[i].held && mode == SPAWN_QUEUE_OPEN))
            continue;
        spawn_page_format(
            page, "<a class=\"button\" href=\"?act=%s&amp;queue=", acts[i].act);
        spawn_page_query(page, name);
        spawn_page_format(page, "\">%s</a> ", acts[i].word);
    }
    spawn_page_html(page, "</div>");
}

static void put_counted(spawn_page *page, const spawn_meter_row *row)
{
    spawn_page_html(page, "</td><td data-head=\"Last hour\" class=\"hour\">");
    spawn_numbers_put_hour(page, row);
    spawn_page_html(page, "</td><td data-head=\"Waited\" class=\"num\">");
    if (row)
        spawn_numbers_put_times(page, &row->waited_hour);
    spawn_page_html(page, "</td><td data-head=\"Ran\" class=\"num\">");
    if (row)
        spawn_numbers_put_times(page, &row->ran_hour);
}

static void put_queue(void *arg, const spawn_message *m)
{
    const char *name = spawn_str_or(m, SPAWN_A_QUEUE, "");
    overview *o = arg;
    spawn_page *page = o->page;

    add_queue(o, m);
    spawn_page_html(page, "<tr><th scope=\"row\"><a href=\"?view=jobs&amp;"
                          "queue=");
    spawn_page_query(page, name);
    spawn_page_html(page, "\">");
    spawn_page_text(page, name);
    spawn_page_html(page, "</a></th>"
                          "<td data-head=\"State\">");
    put_mode(page, m);
    spawn_page_html(page, "</td><td data-head=\"Running\" class=\"bars\">");
    spawn_page_bar(page, "busy", number(m, SPAWN_A_RUNNING),
                   spawn_queue_most(m));
    spawn_page_html(page, "</td><td data-head=\"Waiting\" class=\"bars\">");
    spawn_page_bar(page, "wait", number(m, SPAWN_A_WAITING),
                   number(m, SPAWN_A_MAX_QUEUED));
    spawn_page_format(page,
                      "</td><td data-head=\"Delayed\" class=\"num\">%llu</td>"
                      "<td data-head=\"Longest wait\" class=\"num\">",
                      (unsigned long long)number(m, SPAWN_A_DELAYED));
    if (spawn_has(m, SPAWN_A_OLDEST_AT))
        spawn_page_duration(page,
                            page->now - (int64_t)number(m, SPAWN_A_OLDEST_AT));
    else
        spawn_page_html(page, "-");
    put_counted(page, spawn_numbers_of(o->numbers, name));
    spawn_page_html(page, "</td><td data-head=\"Rules\" class=\"rules\">"
                          "<details id=\"q-");
    spawn_page_attr(page, name);
    spawn_page_html(page, "\"><summary>Rules</summary><ul>");
    spawn_queue_rules_each(m, put_rule, page);
    spawn_page_html(page, "</ul></details>");
    if (page->control)
        put_acts(page, m, name);
    spawn_page_html(page, "</td></tr>\n");
}

static int put_queues(spawn_page *page, overview *o)
{
    spawn_page_html(
        page,
        "<h2>Queues</h2>\n<table class=\"queues\"><caption>Queues, what runs "
        "and waits in them, and their limits</caption><thead><tr>"
        "<th scope=\"col\">Queue</th><th scope=\"col\">State</th>"
        "<th scope=\"col\">Running</th><th scope=\"col\">Waiting</th>"
        "<th scope=\"col\">Delayed</th><th scope=\"col\">Longest wait</th>"
        "<th scope=\"col\">Last hour</th><th scope=\"col\">Waited</th>"
        "<th scope=\"col\">Ran</th>"
        "<th scope=\"col\">Rules</th></tr></thead>\n<tbody>\n");
    if (spawn_ask_queues(page, "", put_queue, o))
        return -1;
    spawn_page_html(page,
                    "</tbody></table>\n<p class=\"key\">Last hour: <span "
                    "class=\"runs\"></span> jobs that ended in each minute, "
                    "<span class=\"fails\"></span> of which failed. Waited, "
                    "ran: half (p50) and 95 of 100 (p95) of the last hour took "
                    "at most about so long. Counting began ");
    spawn_page_time(page, o->numbers->pair[SPAWN_PAIR_SINCE]);
    spawn_page_html(page, ".</p>\n");
    return 0;
}

/* ---- templates and workers ---- */

static const char *process_kind(uint64_t state)
{
    switch (state) {
    case SPAWN_PROCESS_NONE:
        return "bad";
    case SPAWN_PROCESS_BUSY:
        return "busy";
    case SPAWN_PROCESS_READY:
    case SPAWN_PROCESS_IDLE:
        return "good";
    default:
        return "wait";
    }
}

static void number_cell(spawn_page *page, const char *head,
                        const spawn_message *m, unsigned attr)
{
    spawn_page_format(page, "<td data-head=\"%s\" class=\"num\">", head);
    if (spawn_has(m, attr))
        spawn_page_format(page, "%llu</td>",
                          (unsigned long long)number(m, attr));
    else
        spawn_page_html(page, "-</td>");
}

/* The memory that a job of a template has for itself is reckoned from jobs that
 * have ended. */
static void memory_cell(spawn_page *page, const spawn_message *m)
{
    char text[32];
    uint64_t bytes;

    spawn_page_html(page, "<td data-head=\"Memory\" class=\"num\">");
    if (spawn_has(m, SPAWN_A_RESIDENT))
        spawn_size_text(number(m, SPAWN_A_RESIDENT), text, sizeof(text));
    else
        apr_cpystrn(text, "-", sizeof(text));
    spawn_page_text(page, text);
    if (spawn_private_per_job(m, &bytes)) {
        spawn_size_text(bytes, text, sizeof(text));
        spawn_page_format(page, "<div class=\"soft\">about %s a job</div>",
                          text);
    }
    spawn_page_html(page, "</td>");
}

static void put_process(void *arg, const spawn_message *m)
{
    uint64_t state = number(m, SPAWN_A_PROCESS_STATE);
    const char *kind = spawn_told_kind(m);
    bool worker = spawn_has(m, SPAWN_A_QUEUE);
    spawn_page *page = arg;

    spawn_page_format(page, "<tr><th scope=\"row\"%s>",
                      worker ? " class=\"worker\"" : "");
    if (worker)
        spawn_page_html(page, "<span class=\"soft\">worker of queue</span> ");
    spawn_page_text(
        page, spawn_str_or(m, worker ? SPAWN_A_QUEUE : SPAWN_A_TEMPLATE, ""));
    spawn_page_format(page,
                      "</th><td data-head=\"Kind\">%s</td>"
                      "<td data-head=\"State\">",
                      kind ? kind : "-");
    spawn_page_badge(page, process_kind(state),
                     state == SPAWN_PROCESS_NONE
                         ? "no process"
                         : spawn_process_name((unsigned)state));
    if (spawn_has(m, SPAWN_A_TEXT)) {
        spawn_page_html(page, "<div class=\"why\">");
        spawn_page_text(page, spawn_str_or(m, SPAWN_A_TEXT, ""));
        spawn_page_html(page, "</div>");
    }
    spawn_page_html(page, "</td>");
    number_cell(page, "Process", m, SPAWN_A_PID);
    memory_cell(page, m);
    spawn_page_html(page, "<td data-head=\"Started\" class=\"num\">");
    spawn_page_time(page, number(m, SPAWN_A_STARTED_AT));
    spawn_page_html(page, "</td>");
    number_cell(page, worker ? "Calls" : "Forked", m, SPAWN_A_SERVED);
    number_cell(page, "Running", m, SPAWN_A_RUNNING);
    spawn_page_html(page, "</tr>\n");
}

static int put_templates(spawn_page *page)
{
    spawn_page_html(
        page,
        "<h2>Templates and workers</h2>\n<table class=\"processes\"><caption>"
        "Processes that Perl jobs are forked from, and workers</caption>"
        "<thead><tr><th scope=\"col\">Template</th><th scope=\"col\">Kind</th>"
        "<th scope=\"col\">State</th><th scope=\"col\">Process</th>"
        "<th scope=\"col\">Memory</th><th scope=\"col\">Started</th><th "
        "scope=\"col\">Forked, or calls</th>"
        "<th scope=\"col\">Running</th></tr></thead>\n<tbody>\n");
    if (spawn_ask_templates(page, put_process, page))
        return -1;
    spawn_page_html(page, "</tbody></table>\n");
    return 0;
}

/* ---- the whole ---- */

static int put_newest(spawn_page *page)
{
    spawn_choice choice = {.rows = NEWEST};
    spawn_next next;

    spawn_page_html(page, "<h2>Newest jobs</h2>\n");
    spawn_rows_begin(page, "The newest jobs");
    if (spawn_ask_jobs(page, &choice, spawn_rows_job, page, &next))
        return -1;
    spawn_rows_end(page);
    spawn_page_html(page, "<p><a href=\"?view=jobs\">All jobs</a></p>\n");
    return 0;
}

/* The sums stand above the queues, and come with them: the table is written
 * aside. */
static int put_whole(spawn_page *page, overview *o)
{
    apr_bucket_brigade *above = page->out, *table;
    uint64_t dead;
    int rv;

    if (spawn_ask_dead(page, &dead))
        return -1;
    table = page->out =
        apr_brigade_create(page->r->pool, page->r->connection->bucket_alloc);
    rv = put_queues(page, o);
    page->out = above;
    if (rv)
        return -1;
    put_sums(page, o, dead);
    APR_BRIGADE_CONCAT(page->out, table);
    return put_templates(page) || put_newest(page) ? -1 : 0;
}

int spawn_view_overview(spawn_page *page)
{
    spawn_meters_answer numbers;
    overview o = {.page = page, .numbers = &numbers};
    int rv;

    spawn_frame_begin(page, "Overview", "", true);
    spawn_page_html(page, "<h1>Overview</h1>\n");
    spawn_act_done(page);
    rv = spawn_ask_meters(page, &numbers);
    if (rv == 0)
        rv = put_whole(page, &o);
    spawn_meters_free(&numbers);
    if (rv)
        return -1;
    spawn_frame_end(page, true);
    return 0;
}

/* ---- as JSON ---- */

static void tell_queue(void *arg, const spawn_message *queue)
{
    spawn_told_queue(arg, queue);
}

static void tell_process(void *arg, const spawn_message *process)
{
    spawn_told_process(arg, process);
}

static int tell_numbers(spawn_page *page)
{
    spawn_meters_answer numbers;
    int rv = spawn_ask_meters(page, &numbers);

    if (rv == 0)
        spawn_numbers_told(page, &numbers);
    spawn_meters_free(&numbers);
    return rv;
}

int spawn_view_overview_json(spawn_page *page)
{
    uint64_t dead;

    spawn_json_open(page, "queues", '[');
    if (spawn_ask_queues(page, "", tell_queue, page))
        return -1;
    spawn_json_close(page, ']');
    spawn_json_open(page, "templates", '[');
    if (spawn_ask_templates(page, tell_process, page)
        || spawn_ask_dead(page, &dead))
        return -1;
    spawn_json_close(page, ']');
    spawn_json_number(page, "dead", dead);
    return tell_numbers(page);
}
