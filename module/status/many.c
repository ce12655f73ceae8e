/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts on all jobs that are chosen. Runs in httpd children, in the thread of
 * the request. Must do nothing to a job that came after they were counted, must
 * hold a worker for seconds at most, and must say what it has done and what
 * not.
 */
#include "module/status/many.h"

#include <signal.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "module/few.h"
#include "module/status/ask.h"
#include "module/status/filter.h"
#include "module/status/form.h"
#include "module/status/frame.h"
#include "module/status/rows.h"

#define COUNTED  10000 /* at most, before it is asked */
#define SHOWN    10    /* of these */
#define BATCH    500   /* jobs of one form, */
#define BATCH_MS 5000  /* and how long it may take */

#define BIT(state) (1ull << SPAWN_STATE_##state)

typedef struct {
    const char *name, *link;
    uint64_t states;   /* of the jobs that it is for */
    const char *title; /* before how many */
    const char *means, *button;
    const char *said; /* behind how many */
} act;

static const act acts[] = {
    {"kill", "Send a signal to all that run", BIT(STARTING) | BIT(RUNNING),
     "Send a signal to",
     "So do those of the others that have begun by then. TERM asks them to "
     "end; those that do not heed it need KILL.",
     "Send the signal", "got the signal"},
    {"cancel", "Cancel all that wait", BIT(DELAYED) | BIT(QUEUED), "Cancel",
     "They have not started, and do not start any more; those that have just "
     "started get TERM.",
     "Cancel the jobs", "are cancelled, or have got TERM"},
    {"start", "Start all that wait for their time", BIT(DELAYED), "Start",
     "They wait for their time no more, but still for their turn in their "
     "queues, and for the jobs that they come after.",
     "Start them now", "wait for their time no more"},
    {"retry", "Retry all that are dead", SPAWN_STATES_DEAD, "Retry",
     "Each is tried as often as when it was submitted.", "Try them again",
     "are tried again"}};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

static const act *find(const char *name)
{
    size_t i;

    for (i = 0; i < ACTS; i++) {
        if (strcmp(acts[i].name, name) == 0)
            return &acts[i];
    }
    return NULL;
}

/* ---- which jobs ---- */

/* Those that are chosen, and that the act is for; false: none can be. Only a
 * job that has ended has an outcome and an end, and only a job that has ended
 * is dead. */
static bool narrow(const act *a, spawn_choice *choice)
{
    const bool of_dead = a->states == SPAWN_STATES_DEAD;
    uint64_t states = choice->states ? choice->states : a->states;

    if (of_dead && states & BIT(DONE))
        states = SPAWN_STATES_DEAD;
    choice->states = states & a->states;
    return choice->states
           && (of_dead || (!choice->ended && !choice->ended_since));
}

static int read_wanted(spawn_page *page, const act **ret_act,
                       spawn_choice *choice, bool *ret_any)
{
    *ret_act = find(spawn_page_arg(page, "act"));
    if (!*ret_act)
        return spawn_page_fail(page, HTTP_NOT_FOUND,
                               "'%.64s' is nothing that can be done to all",
                               spawn_page_arg(page, "act"));
    if (spawn_filter_read(page, BATCH, SPAWN_LIST_MAX, choice))
        return -1;
    *ret_any = narrow(*ret_act, choice);
    choice->oldest_first = false;
    return 0;
}

/* The purpose of the form's token: with another filter, or with later jobs, it
 * is not good. */
static const char *target(const spawn_page *page, uint64_t up_to)
{
    return apr_psprintf(page->r->pool, "%s; before %" APR_UINT64_T_FMT,
                        spawn_filter_text(page), up_to);
}

void spawn_many_links(spawn_page *page, const spawn_choice *choice)
{
    bool any = false;
    size_t i;

    for (i = 0; i < ACTS; i++) {
        spawn_choice narrowed = *choice;

        if (!narrow(&acts[i], &narrowed))
            continue;
        if (!any)
            spawn_page_html(page, "<p class=\"acts\" id=\"many\">");
        any = true;
        spawn_page_format(page, "<a class=\"button\" href=\"?act=%s&amp;all=1",
                          acts[i].name);
        spawn_filter_link(page, false);
        spawn_page_format(page, "\">%s</a> ", acts[i].link);
    }
    if (any)
        spawn_page_html(page, "</p>\n");
}

/* ---- how many ---- */

typedef struct {
    spawn_page *page;
    unsigned count;
    uint64_t up_to; /* all have a smaller SEQ */
    uint64_t
        rest; /* those that were not looked at do, too; 0: there are none */
} counting;

/* The first of them are shown. The others come without their arguments. */
static bool count_job(void *arg, const spawn_message *job)
{
    counting *c = arg;

    if (c->count == 0)
        c->up_to = spawn_u64_or(job, SPAWN_A_SEQ, 0) + 1;
    if (c->count++ < SHOWN)
        (void)spawn_rows_job(c->page, job);
    return true;
}

static int count_jobs(spawn_page *page, const spawn_choice *choice,
                      counting *ret)
{
    apr_bucket_brigade *out = page->out;
    spawn_choice part = *choice;
    spawn_next next = {0, false};
    int rv;

    part.rows = SHOWN;
    ret->page = page;
    rv = spawn_ask_jobs(page, &part, count_job, ret, &next);
    page->out = out;
    if (rv == 0 && next.before && !next.looked) {
        part.rows = COUNTED - ret->count;
        part.before = next.before;
        part.no_argv = true;
        rv = spawn_ask_jobs(page, &part, count_job, ret, &next);
    }
    ret->rest = next.before;
    return rv;
}

/* ---- the page that asks ---- */

static void put_chosen(spawn_page *page)
{
    const char *text = spawn_filter_text(page);

    spawn_page_html(page, "<p>Chosen by: <code>");
    spawn_page_text(page, *text ? text : "nothing: all jobs");
    spawn_page_html(page, "</code></p>\n");
}

static int put_form(spawn_page *page, const act *a, const counting *c)
{
    spawn_page_format(page, "<form method=\"post\" action=\"?act=%s&amp;all=1",
                      a->name);
    spawn_filter_link(page, false);
    spawn_page_html(page, "\">\n");
    if (spawn_form_token(page, a->name, target(page, c->up_to)))
        return -1;
    spawn_page_format(page,
                      "<input type=\"hidden\" name=\"before\" "
                      "value=\"%llu\">\n",
                      (unsigned long long)c->up_to);
    if (strcmp(a->name, "kill") == 0)
        spawn_form_signals(page);
    spawn_page_format(page,
                      "<p class=\"acts\"><button type=\"submit\" "
                      "class=\"danger\">%s</button> <a class=\"button\" "
                      "href=\"?view=jobs",
                      a->button);
    spawn_filter_link(page, false);
    spawn_page_html(page, "\">No</a></p>\n</form>\n");
    return 0;
}

/* Nothing to be done: at all, or in what was looked at. */
static void put_none(spawn_page *page, const act *a, const counting *c)
{
    if (c->rest) {
        spawn_page_format(page,
                          "<p>None was found so far; older jobs were not "
                          "looked at yet.</p>\n<p class=\"acts\">"
                          "<a class=\"button\" href=\"?act=%s&amp;all=1",
                          a->name);
        spawn_filter_link(page, false);
        spawn_page_format(page, "&amp;before=%llu\">Look at these</a> ",
                          (unsigned long long)c->rest);
    }
    else {
        spawn_page_html(page, "<p>There is no such job.</p>\n"
                              "<p class=\"acts\">");
    }
    spawn_page_html(page, "<a class=\"button\" href=\"?view=jobs");
    spawn_filter_link(page, false);
    spawn_page_html(page, "\">To the list</a></p>\n");
}

static int put_question(spawn_page *page, const act *a, const counting *c)
{
    bool more = c->rest != 0;

    spawn_page_format(
        page, "<div class=\"confirm\">\n<h1>%s %s%u job%s?</h1>\n", a->title,
        more ? "at least " : "", c->count, c->count == 1 ? "" : "s");
    put_chosen(page);
    if (c->count) {
        spawn_page_format(page, "<p>%s", a->means);
        if (c->count > BATCH || more)
            spawn_page_format(page,
                              " It is done to %d at a time, and then asked "
                              "again for the others.",
                              BATCH);
        spawn_page_html(page, " Jobs that come after this page are left "
                              "alone.</p>\n");
        if (put_form(page, a, c))
            return -1;
    }
    else {
        put_none(page, a, c);
    }
    spawn_page_html(page, "</div>\n");
    return 0;
}

int spawn_many_ask(spawn_page *page)
{
    apr_bucket_brigade *out = page->out, *rows;
    counting c = {page, 0, 0, 0};
    spawn_choice choice;
    bool any = false;
    const act *a;
    int rv = 0;

    if (read_wanted(page, &a, &choice, &any))
        return -1;
    rows = page->out =
        apr_brigade_create(page->r->pool, page->r->connection->bucket_alloc);
    spawn_rows_begin(page, "The first of these jobs");
    if (any)
        rv = count_jobs(page, &choice, &c);
    spawn_rows_end(page);
    page->out = out;
    if (rv)
        return -1;
    /* with no-referrer the form would come without an Origin to look at */
    apr_table_setn(page->r->headers_out, "Referrer-Policy", "same-origin");
    spawn_frame_begin(page, a->title, "-", false);
    spawn_many_done(page);
    if (put_question(page, a, &c))
        return -1;
    if (c.count)
        APR_BRIGADE_CONCAT(page->out, rows);
    if (c.count > SHOWN)
        spawn_page_format(page, "<p class=\"soft\">The first %d of them.</p>\n",
                          SHOWN);
    spawn_frame_end(page, false);
    return 0;
}

/* ---- the act ---- */

typedef struct {
    spawn_id ids[BATCH];
    unsigned used;
    uint64_t seqs[BATCH];
} batch;

static bool take_id(void *arg, const spawn_message *job)
{
    batch *b = arg;

    spawn_attr_id(&job->attr[SPAWN_A_ID], &b->ids[b->used]);
    b->seqs[b->used++] = spawn_u64_or(job, SPAWN_A_SEQ, 0);
    return true; /* no more than BATCH are asked for */
}

typedef struct {
    unsigned done, changed;
    uint64_t before; /* the next ones have a smaller SEQ; 0: there are none */
    bool failed;     /* for a reason that stops it: the page's why */
} result;

/* It has ended, has gone, or is no more dead: nothing that stops the others. */
static bool has_changed(spawn_error code)
{
    return code == SPAWN_E_NOT_RUNNING || code == SPAWN_E_NOT_DEAD
           || code == SPAWN_E_NOT_DELAYED || code == SPAWN_E_NO_SUCH_JOB
           || code == SPAWN_E_TOO_OLD || code == SPAWN_E_NOT_UNIQUE;
}

static int one(spawn_page *page, const act *a, const spawn_id *id, int signo)
{
    char text[SPAWN_ID_TEXT];
    int rv = strcmp(a->name, "retry") == 0   ? spawn_ask_revive(page, id)
             : strcmp(a->name, "start") == 0 ? spawn_ask_start(page, id)
                                             : spawn_ask_kill(page, id, signo);

    if (rv == 0)
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, page->r,
                      MSNO(0971) "status page: job %s: %s, by %s",
                      spawn_id_format(id, text), a->name,
                      spawn_form_who(page->r));
    return rv;
}

static void perform(spawn_page *page, const act *a, const batch *b, int signo,
                    result *ret)
{
    int64_t until = spawn_mono_ms() + BATCH_MS;
    unsigned i;

    for (i = 0; i < b->used; i++) {
        if (spawn_mono_ms() >= until) {
            ret->before = b->seqs[i] + 1;
            return;
        }
        if (one(page, a, &b->ids[i], signo) == 0) {
            ret->done++;
        }
        else if (has_changed(page->why.code)) {
            page->status = 0;
            ret->changed++;
        }
        else {
            ret->failed = true;
            return;
        }
    }
}

static void tell(spawn_page *page, const act *a, const char *signal,
                 const result *res)
{
    static spawn_few few;
    request_rec *r = page->r;
    const char *text = spawn_filter_text(page);
    const char *what = apr_psprintf(
        r->pool, "%s%s%s of all jobs with '%s': %u done, %u had changed",
        a->name, *signal ? " " : "", signal, text, res->done, res->changed);

    if (!res->failed)
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r,
                      MSNO(0970) "status page: %s, by %s", what,
                      spawn_form_who(r));
    else if (spawn_few_lines(&few, r->server, APLOG_WARNING, "MS0972",
                             r->useragent_ip))
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      MSNO(0972) "status page: %s, by %s, then it failed: "
                                 "%s: %s",
                      what, spawn_form_who(r), spawn_error_name(page->why.code),
                      page->why.text);
}

/* To the question for the others, or to the list. */
static int send_on(spawn_page *page, const act *a, const result *res)
{
    apr_bucket_brigade *out = page->out;
    apr_size_t length;
    char *where;

    page->out =
        apr_brigade_create(page->r->pool, page->r->connection->bucket_alloc);
    if (res->before)
        spawn_page_format(page, "?act=%s&before=%llu", a->name,
                          (unsigned long long)res->before);
    else
        spawn_page_html(page, "?view=jobs");
    spawn_filter_header(page);
    spawn_page_format(page, "&all=1&done=%s&n=%u&changed=%u", a->name,
                      res->done, res->changed);
    if (apr_brigade_pflatten(page->out, &where, &length, page->r->pool)
        == APR_SUCCESS)
        apr_table_setn(page->r->headers_out, "Location",
                       apr_pstrmemdup(page->r->pool, where, length));
    page->out = out;
    page->status = HTTP_SEE_OTHER;
    spawn_page_html(page, "Done.\n");
    return 0;
}

static int read_form(spawn_page *page, const act *a, spawn_choice *choice,
                     const char **ret_signal)
{
    apr_array_header_t *pairs;
    int64_t before;

    if (spawn_form_read(page, &pairs))
        return -1;
    if (spawn_parse_integer(spawn_form_field(page, pairs, "before"), &before)
        || before < 1)
        return spawn_page_fail(page, HTTP_BAD_REQUEST,
                               "What was sent is no form of this page.");
    choice->before = (uint64_t)before;
    if (spawn_form_check(page, a->name, target(page, choice->before), pairs))
        return -1;
    *ret_signal = "";
    return strcmp(a->name, "kill") == 0
               ? spawn_form_signal(page, pairs, ret_signal)
               : 0;
}

int spawn_many_do(spawn_page *page)
{
    result res = {0, 0, 0, false};
    const char *signal = "";
    spawn_next next = {0, false};
    spawn_choice choice;
    const act *a;
    batch *b;
    bool any = false;

    if (read_wanted(page, &a, &choice, &any)
        || read_form(page, a, &choice, &signal))
        return -1;
    b = apr_pcalloc(page->r->pool, sizeof(*b));
    choice.rows = BATCH;
    choice.no_argv = true;
    if (any && spawn_ask_jobs(page, &choice, take_id, b, &next))
        return -1;
    res.before = next.before;
    perform(page, a, b, *signal ? spawn_form_signal_number(signal) : SIGTERM,
            &res);
    tell(page, a, signal, &res);
    if (!res.failed)
        return send_on(page, a, &res);
    (void)apr_snprintf(page->why.text + strlen(page->why.text),
                       sizeof(page->why.text) - strlen(page->why.text),
                       " (%u jobs before it %s.)", res.done, a->said);
    return -1;
}

/* ---- afterwards ---- */

static unsigned number_of(const spawn_page *page, const char *name)
{
    int64_t number;

    return spawn_parse_integer(spawn_page_arg(page, name), &number) == 0
                   && number >= 0 && number <= BATCH
               ? (unsigned)number
               : 0;
}

void spawn_many_done(spawn_page *page)
{
    const act *a = find(spawn_page_arg(page, "done"));
    unsigned changed = number_of(page, "changed");

    if (!a || !page->control)
        return;
    spawn_page_format(page,
                      "<p class=\"notice good\" role=\"status\">%u jobs %s.",
                      number_of(page, "n"), a->said);
    if (changed)
        spawn_page_format(page, " %u had changed meanwhile.", changed);
    spawn_page_html(page, "</p>\n");
}
