/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts of the status page. Runs in httpd children, in the thread of the
 * request. Must do nothing that a visitor has not confirmed on a page of ours,
 * nothing where SpawnStatusControl is not on, and nothing without a line in the
 * error log that names the visitor.
 */
#include "module/status/act.h"

#include <string.h>

#include "client/spawn_words.h"
#include "common/spawn_name.h"
#include "common/spawn_text.h"
#include "module/few.h"
#include "module/status/ask.h"
#include "module/status/form.h"
#include "module/status/frame.h"
#include "module/status/many.h"
#include "module/status/rows.h"

typedef struct {
    const char *name;
    bool of_job;     /* else of a queue */
    uint64_t what;   /* of a queue: QUEUE_DO */
    const char *ask; /* before the job or queue, and what it means */
    const char *means;
    const char *button;
    const char *said; /* afterwards */
} act;

static const act acts[] = {
    {"kill", true, 0, "Send a signal to job",
     "TERM asks it to end; one that does not heed it needs KILL.",
     "Send the signal", "The signal was sent."},
    {"cancel", true, 0, "Cancel job",
     "It has not started, and does not start any more; if it has just "
     "started, it gets TERM.",
     "Cancel the job", "The job is cancelled, or has got TERM."},
    {"start", true, 0, "Start job",
     "It waits for its time no more, but still for its turn in its queue, and "
     "for the jobs that it comes after.",
     "Start it now", "The job waits for its time no more."},
    {"retry", true, 0, "Retry job",
     "It is tried as often as when it was submitted.", "Try it again",
     "The job is tried again."},
    {"pause", false, SPAWN_QUEUE_PAUSE, "Pause queue",
     "It takes jobs, and starts none, until it is resumed: also after a "
     "restart "
     "of httpd.",
     "Pause the queue", "The queue is paused."},
    {"drain", false, SPAWN_QUEUE_DRAIN, "Drain queue",
     "It starts the jobs that it has, and refuses new ones, until it is "
     "resumed: also after a restart of httpd.",
     "Drain the queue", "The queue is drained."},
    {"resume", false, SPAWN_QUEUE_RESUME, "Resume queue",
     "It takes and starts jobs again.", "Resume the queue",
     "The queue is resumed."},
    {"scale", false, SPAWN_QUEUE_SCALE, "Scale queue",
     "So many of its jobs run at once, in the place of SpawnMaxJobs: also "
     "after a restart of httpd. Those that run go on.",
     "Scale the queue", "The queue is scaled."}};

/* ---- what is asked for ---- */

static const act *find(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        if (strcmp(acts[i].name, name) == 0)
            return &acts[i];
    }
    return NULL;
}

/* Of the query: which act, on what. */
typedef struct {
    const act *act;
    const char *target; /* the job's id as text, or the queue */
    spawn_id id;
} wanted;

static int read_wanted(spawn_page *page, wanted *w)
{
    char text[SPAWN_ID_TEXT];

    w->act = find(spawn_page_arg(page, "act"));
    if (!w->act)
        return spawn_page_fail(page, HTTP_NOT_FOUND,
                               "'%.64s' is nothing that can be done",
                               spawn_page_arg(page, "act"));
    w->target = spawn_page_arg(page, w->act->of_job ? "job" : "queue");
    if (w->act->of_job ? spawn_id_parse(w->target, &w->id) != 0
                       : !spawn_queue_name_ok(w->target))
        return spawn_page_fail(
            page, HTTP_NOT_FOUND, "'%.64s' is not %s", w->target,
            w->act->of_job ? "the id of a job" : "a queue's name");
    if (w->act->of_job)
        w->target = apr_pstrdup(page->r->pool, spawn_id_format(&w->id, text));
    return 0;
}

/* ---- the page that asks ---- */

static int put_job(spawn_page *page, const wanted *w)
{
    spawn_answer answer;

    if (spawn_ask_job(page, &w->id, false, &answer))
        return -1;
    spawn_rows_begin(page, "The job");
    (void)spawn_rows_job(page, &answer.message);
    spawn_rows_end(page);
    spawn_answer_free(&answer);
    return 0;
}

static void put_most(void *arg, const spawn_message *queue)
{
    spawn_page_format(
        arg,
        "<label>Jobs at once (empty: SpawnMaxJobs, %llu)"
        "<input type=\"number\" name=\"most\" min=\"1\" value=\"",
        (unsigned long long)spawn_u64_or(queue, SPAWN_A_MAX_JOBS, 0));
    if (spawn_has(queue, SPAWN_A_SCALED_TO))
        spawn_page_format(
            arg, "%llu",
            (unsigned long long)spawn_u64_or(queue, SPAWN_A_SCALED_TO, 0));
    spawn_page_html(arg, "\"></label>\n");
}

static int put_form(spawn_page *page, const wanted *w)
{
    spawn_page_format(page, "<form method=\"post\" action=\"?act=%s&amp;%s=",
                      w->act->name, w->act->of_job ? "job" : "queue");
    spawn_page_query(page, w->target);
    spawn_page_html(page, "\">\n");
    if (spawn_form_token(page, w->act->name, w->target))
        return -1;
    if (strcmp(w->act->name, "kill") == 0)
        spawn_form_signals(page);
    if (w->act->what == SPAWN_QUEUE_SCALE
        && spawn_ask_queues(page, w->target, put_most, page))
        return -1;
    spawn_page_format(page,
                      "<p class=\"acts\"><button type=\"submit\" "
                      "class=\"danger\">%s</button> <a class=\"button\" "
                      "href=\"?",
                      w->act->button);
    if (w->act->of_job)
        spawn_page_format(page, "job=%s", w->target);
    spawn_page_html(page, "\">No</a></p>\n</form>\n");
    return 0;
}

int spawn_act_ask(spawn_page *page)
{
    wanted w;

    if (!page->control)
        return spawn_form_no_control(page);
    if (*spawn_page_arg(page, "all"))
        return spawn_many_ask(page);
    if (read_wanted(page, &w))
        return -1;
    /* with no-referrer the form would come without an Origin to look at */
    apr_table_setn(page->r->headers_out, "Referrer-Policy", "same-origin");
    spawn_frame_begin(page, w.act->ask, "-", false);
    spawn_page_format(page, "<div class=\"confirm\">\n<h1>%s ", w.act->ask);
    spawn_page_text(page,
                    w.act->of_job ? strrchr(w.target, '-') + 1 : w.target);
    spawn_page_format(page, "?</h1>\n<p>%s</p>\n", w.act->means);
    if (put_form(page, &w))
        return -1;
    spawn_page_html(page, "</div>\n");
    if (w.act->of_job && put_job(page, &w))
        return -1;
    spawn_frame_end(page, false);
    return 0;
}

/* ---- the act ---- */

/* The choice of the form: a signal, or how many jobs, or "". */
static int read_choice(spawn_page *page, const wanted *w,
                       const apr_array_header_t *pairs, const char **ret)
{
    int64_t most;

    *ret = "";
    if (strcmp(w->act->name, "cancel") == 0)
        *ret = "TERM";
    else if (strcmp(w->act->name, "kill") == 0)
        return spawn_form_signal(page, pairs, ret);
    if (w->act->what != SPAWN_QUEUE_SCALE)
        return 0;
    *ret = spawn_form_field(page, pairs, "most");
    if (**ret && (spawn_parse_integer(*ret, &most) || most < 1))
        return spawn_page_fail(page, HTTP_BAD_REQUEST,
                               "'%.64s' is not a number of jobs.", *ret);
    return 0;
}

static int perform(spawn_page *page, const wanted *w, const char *choice)
{
    int64_t most = 0;

    if (w->act->what == SPAWN_QUEUE_SCALE)
        (void)spawn_parse_integer(choice, &most); /* "": 0, undone */
    if (!w->act->of_job)
        return spawn_ask_change(page, w->target, w->act->what, (uint64_t)most);
    if (strcmp(w->act->name, "retry") == 0)
        return spawn_ask_revive(page, &w->id);
    if (strcmp(w->act->name, "start") == 0)
        return spawn_ask_start(page, &w->id);
    return spawn_ask_kill(page, &w->id, spawn_form_signal_number(choice));
}

static int tell(spawn_page *page, const wanted *w, const char *choice, int rv)
{
    static spawn_few few;
    request_rec *r = page->r;
    const char *what =
        apr_psprintf(r->pool, "%s %s: %s%s%s", w->act->of_job ? "job" : "queue",
                     w->target, w->act->name, *choice ? " " : "", choice);

    if (rv == 0)
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r,
                      MSNO(0960) "status page: %s, by %s", what,
                      spawn_form_who(r));
    else if (spawn_few_lines(&few, r->server, APLOG_WARNING, "MS0962",
                             r->useragent_ip))
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      MSNO(0962) "status page: %s, by %s, failed: %s: %s", what,
                      spawn_form_who(r), spawn_error_name(page->why.code),
                      page->why.text);
    return rv;
}

int spawn_act_do(spawn_page *page)
{
    request_rec *r = page->r;
    apr_array_header_t *pairs = NULL;
    const char *choice;
    wanted w;

    if (!page->control)
        return spawn_form_no_control(page);
    if (*spawn_page_arg(page, "all"))
        return spawn_many_do(page);
    if (read_wanted(page, &w))
        return -1;
    if (spawn_form_read(page, &pairs)
        || spawn_form_check(page, w.act->name, w.target, pairs)
        || read_choice(page, &w, pairs, &choice))
        return -1;
    if (tell(page, &w, choice, perform(page, &w, choice)))
        return -1;
    page->status = HTTP_SEE_OTHER;
    apr_table_setn(
        r->headers_out, "Location",
        w.act->of_job
            ? apr_psprintf(r->pool, "?job=%s&done=%s", w.target, w.act->name)
            : apr_psprintf(r->pool, "?done=%s", w.act->name));
    spawn_page_html(page, w.act->said);
    return 0;
}

/* The query says what was done: only a known word is shown. */
void spawn_act_done(spawn_page *page)
{
    const act *done = find(spawn_page_arg(page, "done"));

    if (*spawn_page_arg(page, "all"))
        spawn_many_done(page);
    else if (done && page->control)
        spawn_page_format(page,
                          "<p class=\"notice good\" role=\"status\">%s</p>\n",
                          done->said);
}
