/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions of the status page to the broker, by the clients that the C API
 * has. Runs in httpd children, in the thread of the request. Must end at its
 * deadline: a page is not worth a worker that waits.
 */
#include "module/status/ask.h"

#include <string.h>

#include "common/spawn_os.h"
#include "module/api_client.h"

/* The HTTP status for the code of a refusal: a fault of the visitor, a change
 * meanwhile, and, for all others, a broker that does not answer. */
static int status_of(spawn_error code)
{
    switch (code) {
    case SPAWN_E_NO_SUCH_JOB:
    case SPAWN_E_TOO_OLD:
    case SPAWN_E_UNKNOWN_QUEUE:
        return HTTP_NOT_FOUND;
    case SPAWN_E_NOT_PERMITTED:
        return HTTP_FORBIDDEN;
    case SPAWN_E_NOT_RUNNING:
    case SPAWN_E_NOT_DEAD:
    case SPAWN_E_NOT_DELAYED:
    case SPAWN_E_QUEUE_FULL:
    case SPAWN_E_NOT_UNIQUE:
        return HTTP_CONFLICT;
    case SPAWN_E_INVALID:
    case SPAWN_E_TOO_BIG:
        return HTTP_BAD_REQUEST;
    default:
        return HTTP_SERVICE_UNAVAILABLE;
    }
}

static bool have_client(spawn_page *page)
{
    if (!page->client)
        page->client = spawn_api_client(page->r->server, &page->why);
    if (!page->client)
        page->status = HTTP_SERVICE_UNAVAILABLE;
    return page->client != NULL;
}

static int done(spawn_page *page, int rv)
{
    if (rv == 0)
        return 0;
    page->status = status_of(page->why.code);
    return -1;
}

/* ---- jobs ---- */

#define LISTS_MS 5000

/* One more than is shown says whether there is another page: client/ does not
 * tell when it has all that was asked for. */
typedef struct {
    bool (*row)(void *arg, const spawn_message *job);
    void *arg;
    unsigned left;
    uint64_t last; /* SEQ of the last one that was shown */
    bool more;
} page_of_jobs;

static bool take_row(void *arg, const spawn_message *job)
{
    page_of_jobs *p = arg;

    if (p->left == 0) {
        p->more = true;
        return false;
    }
    p->left--;
    p->last = spawn_u64_or(job, SPAWN_A_SEQ, 0);
    p->more = !p->row(p->arg, job); /* there may be */
    return !p->more;
}

/* When so many were looked at, or that time is over, the page goes on by a
 * link: a search through a big history is not to hold a worker, or to end at
 * the deadline. The lists of one page have that time together. */
static int list(spawn_page *page, spawn_writer *w, spawn_list_place *place,
                page_of_jobs *p)
{
    if (!page->until)
        page->until = spawn_mono_ms() + LISTS_MS;
    return done(page,
                spawn_client_list_until(page->client, w, place, page->until,
                                        take_row, p, &page->why));
}

int spawn_ask_jobs(spawn_page *page, const spawn_choice *choice,
                   bool (*row)(void *arg, const spawn_message *job), void *arg,
                   spawn_next *ret)
{
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_LIST_BODY];
    page_of_jobs p = {row, arg, (unsigned)choice->rows, 0, false};
    spawn_list_place place = {.more = true};
    spawn_choice one_more = *choice;
    spawn_writer w;

    one_more.rows++;
    if (!have_client(page))
        return -1;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_choice_write(&one_more, &w);
    if (list(page, &w, &place, &p))
        return -1;
    ret->looked = !p.more && place.more;
    ret->before = p.more ? p.last : ret->looked ? place.before : 0;
    return 0;
}

int spawn_ask_dead(spawn_page *page, uint64_t *ret)
{
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_LIST_BODY];
    spawn_answer answer;
    spawn_writer w;

    if (!have_client(page))
        return -1;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LIST, 0);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    spawn_put_u64(&w, SPAWN_A_ROWS, 0);
    (void)spawn_writer_finish(&w, 0);
    if (done(page, spawn_client_ask(page->client, &w, 0, &answer, &page->why)))
        return -1;
    *ret = spawn_u64_or(&answer.message, SPAWN_A_DEAD, 0);
    spawn_answer_free(&answer);
    return 0;
}

/* A request that names a job, with a number beside it; with the output also
 * that of a job that runs. */
static int ask_of(spawn_page *page, uint16_t type, const spawn_id *id,
                  uint16_t attr, uint64_t value, spawn_answer *ret)
{
    static const uint64_t all[2] = {0, 0};
    uint8_t room[128];
    spawn_writer w;

    if (!have_client(page))
        return -1;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, type, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    if (attr)
        spawn_put_u64(&w, attr, value);
    if (attr == SPAWN_A_WITH_OUTPUT && value)
        spawn_put_u64v(&w, SPAWN_A_OUTPUT_FROM, all, 2);
    (void)spawn_writer_finish(&w, 0);
    return done(page, spawn_client_ask(page->client, &w, 0, ret, &page->why));
}

int spawn_ask_job(spawn_page *page, const spawn_id *id, bool with_output,
                  spawn_answer *ret)
{
    return ask_of(page, SPAWN_M_GET, id, SPAWN_A_WITH_OUTPUT, with_output, ret);
}

int spawn_ask_kill(spawn_page *page, const spawn_id *id, int signo)
{
    return ask_of(page, SPAWN_M_KILL, id, SPAWN_A_SIGNO, (uint64_t)signo, NULL);
}

int spawn_ask_revive(spawn_page *page, const spawn_id *id)
{
    return ask_of(page, SPAWN_M_REVIVE, id, 0, 0, NULL);
}

int spawn_ask_start(spawn_page *page, const spawn_id *id)
{
    return ask_of(page, SPAWN_M_START_NOW, id, 0, 0, NULL);
}

/* ---- queues and templates ---- */

static int queues(spawn_page *page, const char *name, uint64_t what,
                  uint64_t most,
                  void (*row)(void *arg, const spawn_message *queue), void *arg)
{
    uint8_t room[256];
    spawn_writer w;

    if (!have_client(page))
        return -1;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_QUEUES, 0);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, what);
    if (*name)
        spawn_put_str(&w, SPAWN_A_QUEUE, name);
    if (most)
        spawn_put_u64(&w, SPAWN_A_MAX_JOBS, most);
    (void)spawn_writer_finish(&w, 0);
    return done(page,
                spawn_client_rows(page->client, &w, row, arg, &page->why));
}

int spawn_ask_queues(spawn_page *page, const char *name,
                     void (*row)(void *arg, const spawn_message *queue),
                     void *arg)
{
    return queues(page, name, SPAWN_QUEUE_LIST, 0, row, arg);
}

static void no_row(void *arg, const spawn_message *queue)
{
    (void)arg;
    (void)queue;
}

int spawn_ask_change(spawn_page *page, const char *queue, uint64_t what,
                     uint64_t most)
{
    return queues(page, queue, what, most, no_row, NULL);
}

int spawn_ask_templates(spawn_page *page,
                        void (*row)(void *arg, const spawn_message *process),
                        void *arg)
{
    if (!have_client(page))
        return -1;
    return done(page,
                spawn_client_templates(page->client, row, arg, &page->why));
}

int spawn_ask_meters(spawn_page *page, spawn_meters_answer *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (!have_client(page))
        return -1;
    return done(page, spawn_client_meters(page->client, NULL, ret, &page->why));
}
