/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of jobs: the newest first, chosen by queue, state and context, some
 * at a time. Runs in httpd children, in the thread of the request. Must ask for
 * one page only: a history may have millions.
 */
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_name.h"
#include "module/status/ask.h"
#include "module/status/frame.h"
#include "module/status/rows.h"
#include "module/status/told.h"
#include "module/status/views.h"

#define ROWS 50

#define BIT(state) (1ull << SPAWN_STATE_##state)

static const struct {
    const char *name, *word;
    uint64_t states;
} choices[] = {{"", "all", 0},
               {"active", "not ended",
                BIT(DELAYED) | BIT(QUEUED) | BIT(STARTING) | BIT(RUNNING)},
               {"delayed", "delayed", BIT(DELAYED)},
               {"queued", "queued", BIT(QUEUED)},
               {"running", "starting or running", BIT(STARTING) | BIT(RUNNING)},
               {"done", "ended", BIT(DONE)},
               {"dead", "dead", SPAWN_STATES_DEAD}};

#define CHOICES (sizeof(choices) / sizeof(choices[0]))

/* Arguments of the query, and the names in the context of jobs. */
static const char *const contexts[3][2] = {
    {"request", "request_id"}, {"user", "user"}, {"vhost", "vhost"}};

static int read_state(spawn_page *page, spawn_choice *choice)
{
    const char *name = spawn_page_arg(page, "state");
    size_t i;

    for (i = 0; i < CHOICES; i++) {
        if (strcmp(choices[i].name, name) == 0) {
            choice->states = choices[i].states;
            return 0;
        }
    }
    return spawn_page_fail(page, HTTP_BAD_REQUEST,
                           "state: '%.64s' is not one; wanted: active, "
                           "delayed, queued, running, done, dead",
                           name);
}

static int read_number(spawn_page *page, const char *name, int64_t least,
                       int64_t most, int64_t *ret)
{
    const char *text = spawn_page_arg(page, name);
    int64_t number;

    if (!*text)
        return 0;
    if (spawn_parse_integer(text, &number) || number < least || number > most)
        return spawn_page_fail(page, HTTP_BAD_REQUEST,
                               "%s: '%.64s' is not a number of those that are "
                               "allowed",
                               name, text);
    *ret = number;
    return 0;
}

static int read_choice(spawn_page *page, spawn_choice *choice)
{
    int64_t rows = ROWS, before = 0;
    unsigned i;

    memset(choice, 0, sizeof(*choice));
    choice->queue = spawn_page_arg(page, "queue");
    if (*choice->queue && !spawn_queue_name_ok(choice->queue))
        return spawn_page_fail(page, HTTP_BAD_REQUEST,
                               "queue: '%.64s' is not a queue's name",
                               choice->queue);
    for (i = 0; i < 3; i++) {
        choice->context[i][0] = contexts[i][1];
        choice->context[i][1] = spawn_page_arg(page, contexts[i][0]);
    }
    if (read_state(page, choice)
        || read_number(page, "before", 1, INT64_MAX, &before)
        || read_number(page, "rows", 1, SPAWN_LIST_MAX, &rows))
        return -1;
    choice->before = (uint64_t)before;
    choice->rows = (unsigned)rows;
    return 0;
}

/* ---- the form ---- */

static void put_queue_option(void *arg, const spawn_message *queue)
{
    const char *name = spawn_str_or(queue, SPAWN_A_QUEUE, "");
    spawn_page *page = arg;

    spawn_page_html(page, "<option");
    if (strcmp(name, spawn_page_arg(page, "queue")) == 0)
        spawn_page_html(page, " selected");
    spawn_page_html(page, ">");
    spawn_page_text(page, name);
    spawn_page_html(page, "</option>");
}

static void put_input(spawn_page *page, const char *name, const char *word)
{
    spawn_page_format(page,
                      "<label>%s<input type=\"text\" name=\"%s\" "
                      "maxlength=\"256\" value=\"",
                      word, name);
    spawn_page_attr(page, spawn_page_arg(page, name));
    spawn_page_html(page, "\"></label>\n");
}

static int put_form(spawn_page *page)
{
    size_t i;

    spawn_page_html(page, "<form class=\"filter\" method=\"get\" "
                          "role=\"search\" aria-label=\"Which jobs\">\n"
                          "<input type=\"hidden\" name=\"view\" "
                          "value=\"jobs\">\n"
                          "<label>Queue<select name=\"queue\">"
                          "<option value=\"\">all</option>");
    if (spawn_ask_queues(page, "", put_queue_option, page))
        return -1;
    spawn_page_html(page, "</select></label>\n<label>State<select "
                          "name=\"state\">");
    for (i = 0; i < CHOICES; i++)
        spawn_page_format(
            page, "<option value=\"%s\"%s>%s</option>", choices[i].name,
            strcmp(choices[i].name, spawn_page_arg(page, "state")) == 0
                ? " selected"
                : "",
            choices[i].word);
    spawn_page_html(page, "</select></label>\n");
    put_input(page, "user", "User");
    put_input(page, "vhost", "Virtual host");
    put_input(page, "request", "Request id");
    spawn_page_html(page, "<button type=\"submit\">Show</button>\n</form>\n");
    return 0;
}

/* ---- the list ---- */

typedef struct {
    spawn_page *page;
    unsigned count;
} counted;

static bool put_row(void *arg, const spawn_message *job)
{
    counted *c = arg;

    c->count++;
    return spawn_rows_job(c->page, job);
}

static void put_pages(spawn_page *page, const spawn_choice *choice,
                      uint64_t before)
{
    static const char *const kept[] = {"queue", "state",   "user",
                                       "vhost", "request", "rows"};
    int older;

    spawn_page_html(page, "<nav class=\"pages\" aria-label=\"Pages\">");
    for (older = 0; older <= 1; older++) {
        size_t i;

        if (older ? !before : !choice->before)
            continue;
        spawn_page_html(page, "<a class=\"button\" href=\"?view=jobs");
        for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
            const char *is = spawn_page_arg(page, kept[i]);

            if (!*is)
                continue;
            spawn_page_format(page, "&amp;%s=", kept[i]);
            spawn_page_query(page, is);
        }
        if (older)
            spawn_page_format(page, "&amp;before=%llu\">Older jobs</a> ",
                              (unsigned long long)before);
        else
            spawn_page_html(page, "\">The newest</a> ");
    }
    spawn_page_html(page, "</nav>\n");
}

int spawn_view_jobs(spawn_page *page)
{
    counted c = {page, 0};
    spawn_choice choice;
    uint64_t before;
    bool dead;

    if (read_choice(page, &choice))
        return -1;
    dead = choice.states == SPAWN_STATES_DEAD;
    spawn_frame_begin(page, dead ? "Dead jobs" : "Jobs", dead ? "dead" : "jobs",
                      true);
    spawn_page_format(page, "<h1>%s</h1>\n", dead ? "Dead jobs" : "Jobs");
    if (dead)
        spawn_page_html(page, "<p class=\"soft\">Jobs that have failed, and "
                              "have no retry left.</p>\n");
    if (put_form(page))
        return -1;
    spawn_rows_begin(page, "Jobs, the newest first");
    if (spawn_ask_jobs(page, &choice, put_row, &c, &before))
        return -1;
    spawn_rows_end(page);
    if (!c.count)
        spawn_page_html(page, "<p class=\"empty\">There is no such job.</p>\n");
    put_pages(page, &choice, before);
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
    uint64_t before;

    if (read_choice(page, &choice))
        return -1;
    spawn_json_open(page, "jobs", '[');
    if (spawn_ask_jobs(page, &choice, tell_job, page, &before))
        return -1;
    spawn_json_close(page, ']');
    if (before)
        spawn_json_number(page, "before", before);
    else
        spawn_json_word(page, "before", "null");
    return 0;
}
