/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which jobs a page is about, as its query says it. Runs in httpd children, in
 * the thread of the request. Must refuse what it does not understand: a list of
 * other jobs than were meant is worse than none, and acts follow it.
 */
#include "module/status/filter.h"

#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_name.h"
#include "module/status/ask.h"

/* So many jobs are looked at for 100 rows, about; then a link goes on. */
#define LOOKS 100000

#define BIT(state) (1ull << SPAWN_STATE_##state)

typedef struct {
    const char *name, *word;
    uint64_t bits;
} option;

static const option states[] = {
    {"", "all", 0},
    {"active", "not ended",
     BIT(DELAYED) | BIT(QUEUED) | BIT(STARTING) | BIT(RUNNING)},
    {"delayed", "delayed", BIT(DELAYED)},
    {"queued", "queued", BIT(QUEUED)},
    {"running", "starting or running", BIT(STARTING) | BIT(RUNNING)},
    {"done", "ended", BIT(DONE)},
    {"dead", "dead", SPAWN_STATES_DEAD}};

static const option outcomes[] = {{"", "any", 0},
                                  {"failed", "failed", 0},
                                  {"exited", "exited", 0},
                                  {"signalled", "signalled", 0},
                                  {"timed_out", "timed out", 0},
                                  {"cancelled", "cancelled", 0},
                                  {"start_failed", "start failed", 0},
                                  {"expired", "expired", 0},
                                  {"lost", "lost", 0},
                                  {"code_unknown", "code unknown", 0},
                                  {"out_of_memory", "out of memory", 0}};

enum {
    NEWEST,
    OLDEST,
    TOOK
};
static const option sorts[] = {{"", "newest first", NEWEST},
                               {"oldest", "oldest first", OLDEST},
                               {"took", "longest of the page first", TOOK}};

#define COUNT(options) (sizeof(options) / sizeof((options)[0]))

/* Arguments of the query that choose, and those that turn pages. */
static const char *const chosen_by[] = {
    "q",    "queue", "state",   "outcome", "what",  "label",
    "user", "vhost", "request", "since",   "until", "ended_since"};
static const char *const placed_by[] = {"sort", "rows"};

/* ---- from the query ---- */

static int read_option(spawn_page *page, const char *name,
                       const option *options, size_t count, uint64_t *ret)
{
    const char *value = spawn_page_arg(page, name);
    size_t i;

    for (i = 0; i < count; i++) {
        if (strcmp(options[i].name, value) == 0) {
            *ret = options[i].bits;
            return 0;
        }
    }
    return spawn_page_fail(page, HTTP_BAD_REQUEST,
                           "%s: '%.64s' is none of those that there are", name,
                           value);
}

static int read_state(spawn_page *page, spawn_choice *choice)
{
    if (read_option(page, "state", states, COUNT(states), &choice->states) == 0)
        return 0;
    return spawn_page_fail(page, HTTP_BAD_REQUEST,
                           "state: '%.64s' is not one; wanted: active, "
                           "delayed, queued, running, done, dead",
                           spawn_page_arg(page, "state"));
}

static int read_number(spawn_page *page, const char *name, int64_t least,
                       int64_t most, uint64_t *ret)
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
    *ret = (uint64_t)number;
    return 0;
}

static int read_text(spawn_page *page, const char *name, size_t most,
                     const char **ret)
{
    *ret = spawn_page_arg(page, name);
    if (strlen(*ret) <= most)
        return 0;
    return spawn_page_fail(page, HTTP_BAD_REQUEST,
                           "%s: at most %lu bytes are allowed", name,
                           (unsigned long)most);
}

static int read_time(spawn_page *page, const char *name, uint64_t *ret)
{
    const char *text = spawn_page_arg(page, name);

    if (!*text || spawn_choice_time(text, page->now, ret) == 0)
        return 0;
    return spawn_page_fail(page, HTTP_BAD_REQUEST,
                           "%s: '%.64s' is not a time; wanted: %s", name, text,
                           SPAWN_CHOICE_TIME_WANTED);
}

static int read_outcome(spawn_page *page, spawn_choice *choice)
{
    const char *text = spawn_page_arg(page, "outcome");

    if (!*text || spawn_choice_ended(text, &choice->ended) == 0)
        return 0;
    return spawn_page_fail(page, HTTP_BAD_REQUEST,
                           "outcome: '%.64s' is not one; wanted: %s", text,
                           SPAWN_CHOICE_ENDED_WANTED);
}

static int read_texts(spawn_page *page, spawn_choice *c)
{
    const size_t most = SPAWN_SEARCH_MAX;

    return read_text(page, "q", most, &c->search)
                   || read_text(page, "what", most, &c->what)
                   || read_text(page, "label", SPAWN_LABEL_MAX, &c->label)
                   || read_text(page, "request", most,
                                &c->context[SPAWN_BY_REQUEST])
                   || read_text(page, "user", most, &c->context[SPAWN_BY_USER])
                   || read_text(page, "vhost", most,
                                &c->context[SPAWN_BY_VHOST])
               ? -1
               : 0;
}

int spawn_filter_read(spawn_page *page, unsigned rows, unsigned most,
                      spawn_choice *c)
{
    uint64_t sort = NEWEST;

    memset(c, 0, sizeof(*c));
    c->rows = rows;
    c->queue = spawn_page_arg(page, "queue");
    if (*c->queue && !spawn_queue_name_ok(c->queue))
        return spawn_page_fail(page, HTTP_BAD_REQUEST,
                               "queue: '%.64s' is not a queue's name",
                               c->queue);
    if (read_state(page, c) || read_outcome(page, c) || read_texts(page, c)
        || read_time(page, "since", &c->since)
        || read_time(page, "until", &c->until)
        || read_time(page, "ended_since", &c->ended_since)
        || read_option(page, "sort", sorts, COUNT(sorts), &sort)
        || read_number(page, "before", 1, INT64_MAX, &c->before)
        || read_number(page, "rows", 1, most, &c->rows))
        return -1;
    c->oldest_first = sort == OLDEST;
    if (spawn_filter_any(page))
        c->looks = LOOKS;
    return 0;
}

bool spawn_filter_any(const spawn_page *page)
{
    size_t i;

    for (i = 0; i < COUNT(chosen_by); i++) {
        if (*spawn_page_arg(page, chosen_by[i]))
            return true;
    }
    return false;
}

bool spawn_filter_by_took(const spawn_page *page)
{
    return strcmp(spawn_page_arg(page, "sort"), "took") == 0;
}

/* ---- in links ---- */

static void put_arg(spawn_page *page, const char *between, const char *name)
{
    const char *value = spawn_page_arg(page, name);

    if (!*value)
        return;
    spawn_page_format(page, "%s%s=", between, name);
    spawn_page_query(page, value);
}

static void put_args(spawn_page *page, const char *between, bool place)
{
    size_t i;

    for (i = 0; i < COUNT(chosen_by); i++)
        put_arg(page, between, chosen_by[i]);
    for (i = 0; place && i < COUNT(placed_by); i++)
        put_arg(page, between, placed_by[i]);
}

void spawn_filter_link(spawn_page *page, bool place)
{
    put_args(page, "&amp;", place);
}

void spawn_filter_header(spawn_page *page)
{
    put_args(page, "&", true);
}

const char *spawn_filter_text(const spawn_page *page)
{
    apr_pool_t *p = page->r->pool;
    const char *text = "";
    size_t i;

    for (i = 0; i < COUNT(chosen_by); i++) {
        const char *value = spawn_page_arg(page, chosen_by[i]);

        if (strpbrk(value, " +%")) /* each choice has a text of its own */
            value = ap_escape_urlencoded(p, value);
        if (*value)
            text = apr_pstrcat(p, text, *text ? " " : "", chosen_by[i], "=",
                               value, NULL);
    }
    return text;
}

/* ---- the form ---- */

/* A choice that is none of those that are offered, such as a queue of
 * which there is history alone, or two outcomes: it would be lost with the next
 * letter that is typed. */
static void put_chosen(spawn_page *page, const char *value)
{
    spawn_page_html(page, "<option value=\"");
    spawn_page_attr(page, value);
    spawn_page_html(page, "\" selected>");
    spawn_page_text(page, value);
    spawn_page_html(page, "</option>");
}

typedef struct {
    spawn_page *page;
    bool found; /* the one that is chosen */
} queue_options;

static void put_queue_option(void *arg, const spawn_message *queue)
{
    const char *name = spawn_str_or(queue, SPAWN_A_QUEUE, "");
    queue_options *o = arg;
    bool is = strcmp(name, spawn_page_arg(o->page, "queue")) == 0;

    o->found |= is;
    spawn_page_format(o->page, "<option%s>", is ? " selected" : "");
    spawn_page_text(o->page, name);
    spawn_page_html(o->page, "</option>");
}

static int put_queues(spawn_page *page)
{
    const char *chosen = spawn_page_arg(page, "queue");
    queue_options o = {page, !*chosen};

    spawn_page_html(page, "<label>Queue<select name=\"queue\">"
                          "<option value=\"\">all</option>");
    if (spawn_ask_queues(page, "", put_queue_option, &o))
        return -1;
    if (!o.found)
        put_chosen(page, chosen);
    spawn_page_html(page, "</select></label>\n");
    return 0;
}

static void put_select(spawn_page *page, const char *name, const char *word,
                       const option *options, size_t count)
{
    const char *chosen = spawn_page_arg(page, name);
    bool found = false;
    size_t i;

    spawn_page_format(page, "<label>%s<select name=\"%s\">", word, name);
    for (i = 0; i < count; i++) {
        bool is = strcmp(options[i].name, chosen) == 0;

        found |= is;
        spawn_page_format(page, "<option value=\"%s\"%s>%s</option>",
                          options[i].name, is ? " selected" : "",
                          options[i].word);
    }
    if (!found)
        put_chosen(page, chosen);
    spawn_page_html(page, "</select></label>\n");
}

static void put_input(spawn_page *page, const char *name, const char *word,
                      const char *more)
{
    spawn_page_format(page,
                      "<label>%s<input type=\"text\" name=\"%s\" "
                      "maxlength=\"256\"%s value=\"",
                      word, name, more);
    spawn_page_attr(page, spawn_page_arg(page, name));
    spawn_page_html(page, "\"></label>\n");
}

static void put_search(spawn_page *page)
{
    spawn_page_html(page,
                    "<label class=\"search\">Search<input type=\"search\" "
                    "name=\"q\" maxlength=\"256\" placeholder=\"id, label, "
                    "argument, request, fault\" value=\"");
    spawn_page_attr(page, spawn_page_arg(page, "q"));
    spawn_page_html(page, "\"></label>\n");
}

/* A filter that has no field of its own. */
static void put_hidden(spawn_page *page, const char *name)
{
    const char *value = spawn_page_arg(page, name);

    if (!*value)
        return;
    spawn_page_format(page, "<input type=\"hidden\" name=\"%s\" value=\"",
                      name);
    spawn_page_attr(page, value);
    spawn_page_html(page, "\">\n");
}

int spawn_filter_form(spawn_page *page)
{
    spawn_page_html(page, "<form class=\"filter\" id=\"filter\" "
                          "method=\"get\" role=\"search\" "
                          "aria-label=\"Which jobs\">\n"
                          "<input type=\"hidden\" name=\"view\" "
                          "value=\"jobs\">\n");
    put_hidden(page, "rows");
    put_hidden(page, "refresh");
    put_search(page);
    if (put_queues(page))
        return -1;
    put_select(page, "state", "State", states, COUNT(states));
    put_select(page, "outcome", "Outcome", outcomes, COUNT(outcomes));
    put_input(page, "what", "Program or function", "");
    put_input(page, "label", "Label", "");
    put_input(page, "user", "User", "");
    put_input(page, "vhost", "Virtual host", "");
    put_input(page, "request", "Request id", "");
    put_input(page, "since", "Submitted since",
              " list=\"times\" placeholder=\"1h or 2030-01-31\"");
    put_input(page, "until", "Submitted before",
              " list=\"times\" placeholder=\"1h or 2030-01-31\"");
    put_input(page, "ended_since", "Ended since",
              " list=\"times\" placeholder=\"1h or 2030-01-31\"");
    put_select(page, "sort", "Sort", sorts, COUNT(sorts));
    spawn_page_html(page, "<datalist id=\"times\"><option value=\"15m\">"
                          "<option value=\"1h\"><option value=\"1d\">"
                          "<option value=\"7d\"></datalist>\n"
                          "<p class=\"acts\"><button type=\"submit\">Show"
                          "</button>");
    if (spawn_filter_any(page))
        spawn_page_html(page, " <a class=\"button\" href=\"?view=jobs\">"
                              "Show all</a>");
    spawn_page_html(page, "</p>\n</form>\n");
    return 0;
}
