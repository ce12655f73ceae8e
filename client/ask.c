/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WAIT, GET, KILL, LIST, and what is answered by rows. Runs in callers, in any
 * thread. Must not wait past its deadline.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "client/exchange.h"

/* Rows of one LIST. Fewer than the broker would give: they are kept until the
 * last has come, so that no connection is held while the caller looks at them,
 * and a broken connection leaves no half of a list. */
#define PAGE_ROWS 100

/* Processes in the answer to one TEMPLATES: more than a machine has. */
#define PROCESSES_MAX 65536

static int parse_request(const spawn_writer *w, spawn_message *ret,
                         spawn_failure *why)
{
    if (w->error) {
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, -w->error,
                          "the request could not be written down: %s",
                          strerrordesc_np(-w->error));
        return -1;
    }
    return spawn_message_parse(w->data, w->length, SPAWN_FROM_CALLER, 0, ret,
                               why)
               ? -1
               : 0;
}

static int late(const spawn_client *client, spawn_failure *why)
{
    spawn_failure_set(why, SPAWN_E_DEADLINE, SPAWN_STEP_RECEIVE, ETIMEDOUT,
                      "no answer from %s within the deadline: the broker is "
                      "busy, stopped or being started",
                      spawn_pool_endpoint(client)->socket_path);
    return -1;
}

/* rv: of the exchange. "Unreachable" would say that nothing was sent. */
static int not_answered(const spawn_exchange *x, int rv, spawn_failure *why)
{
    if (rv == -ETIMEDOUT)
        return late(x->client, why);
    if (x->sent && why->code == SPAWN_E_UNREACHABLE)
        spawn_failure_set(why, SPAWN_E_DEADLINE, SPAWN_STEP_RECEIVE, why->error,
                          "the request was sent to %s, and the connection "
                          "broke and cannot be made again",
                          spawn_pool_endpoint(x->client)->socket_path);
    return -1;
}

/* ---- one request, one answer ---- */

/* A WAIT or WATCH that is sent again asks for the rest of its time only. */
typedef struct {
    spawn_writer *w;
    const spawn_attr *wait_ms; /* NULL: no limit */
    int64_t until;
} waiting;

static void shorten(void *arg)
{
    waiting *waits = arg;
    int64_t left = waits->until - spawn_mono_ms();

    if (waits->wait_ms)
        spawn_rewrite_u64(waits->w, waits->wait_ms,
                          left > 1 ? (uint64_t)left : 1);
}

int spawn_client_ask(spawn_client *client, spawn_writer *w, uint32_t wait_ms,
                     spawn_answer *ret, spawn_failure *why)
{
    spawn_exchange x = {.client = client, .w = w};
    waiting waits = {w, NULL, 0};
    int64_t now = spawn_mono_ms();
    spawn_message request;
    spawn_answer answer;
    int rv;

    if (parse_request(w, &request, why))
        return -1;
    x.deadline = now + spawn_pool_endpoint(client)->timeout_ms + wait_ms;
    if (request.header.type == SPAWN_M_WAIT) {
        x.again = shorten;
        x.arg = &waits;
        waits.until = now + wait_ms;
        if (spawn_u64_or(&request, SPAWN_A_WAIT_MS, 0))
            waits.wait_ms = &request.attr[SPAWN_A_WAIT_MS];
        else
            x.deadline = SPAWN_NO_DEADLINE;
    }
    rv = spawn_exchange_run(&x, &answer, why);
    if (rv)
        return not_answered(&x, rv, why);
    if (answer.message.header.type == SPAWN_M_REFUSED) {
        spawn_refused(&answer.message, why);
        spawn_answer_free(&answer);
        return -1;
    }
    if (ret)
        *ret = answer;
    else
        spawn_answer_free(&answer);
    return 0;
}

/* ---- WATCH ---- */

static void put_watch(spawn_writer *w, const spawn_id *id, uint64_t seen,
                      uint32_t wait_ms, uint64_t most)
{
    spawn_writer_begin(w, SPAWN_M_WATCH, 0);
    spawn_put_id(w, SPAWN_A_ID, id);
    spawn_put_u64(w, SPAWN_A_SEEN, seen);
    spawn_put_u64(w, SPAWN_A_WAIT_MS, wait_ms);
    spawn_put_u64(w, SPAWN_A_WATCHERS, most);
    (void)spawn_writer_finish(w, 0);
}

int spawn_client_watch(spawn_client *client, const spawn_id *id, uint64_t seen,
                       uint32_t wait_ms, uint64_t most,
                       const spawn_beside *beside, spawn_answer *ret,
                       spawn_failure *why)
{
    uint8_t room[SPAWN_WIRE_HEADER + 128];
    spawn_writer w;
    spawn_exchange x = {.client = client, .w = &w, .beside = beside};
    waiting waits = {&w, NULL, spawn_mono_ms() + wait_ms};
    spawn_message request;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    put_watch(&w, id, seen, wait_ms, most);
    if (parse_request(&w, &request, why))
        return -1;
    waits.wait_ms = &request.attr[SPAWN_A_WAIT_MS];
    x.again = shorten;
    x.arg = &waits;
    x.deadline = waits.until + spawn_pool_endpoint(client)->timeout_ms;
    rv = spawn_exchange_run(&x, ret, why);
    if (rv == -ECANCELED)
        return 1;
    if (rv)
        return not_answered(&x, rv, why);
    if (ret->message.header.type != SPAWN_M_REFUSED)
        return 0;
    spawn_refused(&ret->message, why);
    spawn_answer_free(ret);
    return -1;
}

/* ---- LIST ---- */

typedef struct {
    spawn_answer rows[PAGE_ROWS];
    unsigned count;
    spawn_answer last; /* END or REFUSED */
    bool ended;
} page;

static void page_clear(void *arg)
{
    page *p = arg;

    while (p->count > 0)
        spawn_answer_free(&p->rows[--p->count]);
    if (p->ended)
        spawn_answer_free(&p->last);
    p->ended = false;
}

static int page_add(void *arg, spawn_answer *answer)
{
    page *p = arg;

    if (answer->message.header.type == SPAWN_M_JOB) {
        if (p->count == PAGE_ROWS) {
            spawn_answer_free(answer); /* more than was asked for */
            return 1;
        }
        p->rows[p->count++] = *answer;
        return 1;
    }
    p->last = *answer;
    p->ended = true;
    return 0;
}

static int get_page(spawn_client *client, const spawn_message *request,
                    uint64_t rows, const spawn_list_place *place, page *ret,
                    spawn_failure *why)
{
    /* attributes that each page asks for alike */
    static const uint8_t kept[] = {
        SPAWN_A_QUEUE,        SPAWN_A_STATES, SPAWN_A_CONTEXT,
        SPAWN_A_ENDED_AS,     SPAWN_A_WHAT,   SPAWN_A_LABEL,
        SPAWN_A_SINCE,        SPAWN_A_UNTIL,  SPAWN_A_SEARCH,
        SPAWN_A_OLDEST_FIRST, SPAWN_A_LOOKS,  SPAWN_A_ARGV_MOST,
        SPAWN_A_ENDED_SINCE};
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_LIST_BODY];
    spawn_writer w;
    spawn_exchange x = {.client = client, .w = &w};
    size_t i;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LIST, 0);
    for (i = 0; i < sizeof(kept); i++) {
        if (spawn_has(request, kept[i])
            && !(place->plain && kept[i] == SPAWN_A_ARGV_MOST))
            spawn_put_attr(&w, kept[i], &request->attr[kept[i]]);
    }
    spawn_put_u64(&w, SPAWN_A_ROWS, rows);
    if (place->paged)
        spawn_put_u64(&w, SPAWN_A_BEFORE, place->before);
    (void)spawn_writer_finish(&w, 0);
    x.deadline = spawn_mono_ms() + spawn_pool_endpoint(client)->timeout_ms;
    rv = spawn_exchange_many(&x, page_add, page_clear, ret, why);
    if (rv == 0 && ret->last.message.header.type == SPAWN_M_REFUSED) {
        spawn_refused(&ret->last.message, why);
        return -1;
    }
    if (rv)
        return not_answered(&x, rv, why);
    return 0;
}

/* Arguments that are not shortened are no reason to tell nothing. */
static int get_any_page(spawn_client *client, const spawn_message *request,
                        uint64_t rows, spawn_list_place *place, page *ret,
                        spawn_failure *why)
{
    int rv = get_page(client, request, rows, place, ret, why);

    if (rv == 0 || why->code != SPAWN_E_PROTOCOL || place->plain
        || !spawn_has(request, SPAWN_A_ARGV_MOST))
        return rv;
    page_clear(ret);
    place->plain = true;
    return get_page(client, request, rows, place, ret, why);
}

/* A page is full, or the broker has looked at as much as it may. That it goes
 * on from where it was would never end. */
static void next_place(const page *p, uint64_t wanted, bool on,
                       spawn_list_place *place)
{
    uint64_t before = spawn_u64_or(&p->last.message, SPAWN_A_BEFORE, 0);

    place->rows += p->count;
    place->looked = on && p->count < wanted && before > 0;
    place->more =
        on && before > 0 && !(place->paged && before == place->before);
    if (!place->more)
        return;
    place->before = before;
    place->paged = true;
}

int spawn_client_list_page(spawn_client *client, spawn_writer *w,
                           spawn_list_place *place,
                           bool (*row)(void *arg, const spawn_message *job),
                           void *arg, spawn_failure *why)
{
    spawn_message request;
    uint64_t left, wanted;
    bool limited, on = true;
    unsigned i;
    page *p;
    int rv;

    if (parse_request(w, &request, why))
        return -1;
    p = calloc(1, sizeof(*p));
    if (!p) {
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_OPTIONS, ENOMEM,
                          "no memory for a list");
        return -1;
    }
    limited = spawn_u64_or(&request, SPAWN_A_ROWS, 0) > 0;
    left = spawn_u64_or(&request, SPAWN_A_ROWS, 0) - place->rows;
    if (!place->paged && spawn_has(&request, SPAWN_A_BEFORE)) {
        place->before = spawn_attr_u64(&request.attr[SPAWN_A_BEFORE]);
        place->paged = true;
    }
    wanted = limited && left < PAGE_ROWS ? left : PAGE_ROWS;
    rv = get_any_page(client, &request, wanted, place, p, why);
    if (rv == 0) {
        for (i = 0; on && i < p->count; i++)
            on = row(arg, &p->rows[i].message);
        next_place(p, wanted, on, place);
        place->more &= !limited || p->count < left;
    }
    page_clear(p);
    free(p);
    return rv;
}

int spawn_client_list(spawn_client *client, spawn_writer *w,
                      bool (*row)(void *arg, const spawn_message *job),
                      void *arg, spawn_failure *why)
{
    spawn_list_place place = {.more = true};
    int rv = 0;

    while (rv == 0 && place.more)
        rv = spawn_client_list_page(client, w, &place, row, arg, why);
    return rv;
}

int spawn_client_list_until(spawn_client *client, spawn_writer *w,
                            spawn_list_place *place, int64_t until,
                            bool (*row)(void *arg, const spawn_message *job),
                            void *arg, spawn_failure *why)
{
    int rv;

    do
        rv = spawn_client_list_page(client, w, place, row, arg, why);
    while (rv == 0 && place->more && !place->looked && spawn_mono_ms() < until);
    return rv;
}

/* ---- TEMPLATES, CRON, QUEUES, METERS ---- */

typedef struct {
    spawn_answer *rows;
    unsigned count, room;
    spawn_answer last; /* END, ACCEPTED or REFUSED */
    bool ended;
} processes;

static void processes_clear(void *arg)
{
    processes *p = arg;

    while (p->count > 0)
        spawn_answer_free(&p->rows[--p->count]);
    if (p->ended)
        spawn_answer_free(&p->last);
    p->ended = false;
}

static int processes_add(void *arg, spawn_answer *answer)
{
    processes *p = arg;

    if (answer->message.header.type != SPAWN_M_PROCESS
        && answer->message.header.type != SPAWN_M_CRON_ENTRY
        && answer->message.header.type != SPAWN_M_METER
        && answer->message.header.type != SPAWN_M_QUEUE_STATE) {
        p->last = *answer;
        p->ended = true;
        return 0;
    }
    if (p->count == p->room) {
        unsigned room = p->room ? 2 * p->room : 32;
        spawn_answer *rows = room > PROCESSES_MAX
                                 ? NULL
                                 : realloc(p->rows, room * sizeof(*rows));

        if (!rows) {
            spawn_answer_free(answer);
            return -ENOMEM;
        }
        p->rows = rows;
        p->room = room;
    }
    p->rows[p->count++] = *answer;
    return 1;
}

static int get_processes(spawn_client *client, spawn_writer *w, processes *ret,
                         spawn_failure *why)
{
    spawn_exchange x = {.client = client, .w = w};
    int rv;

    x.deadline = spawn_mono_ms() + spawn_pool_endpoint(client)->timeout_ms;
    rv = spawn_exchange_many(&x, processes_add, processes_clear, ret, why);
    if (rv == -ENOMEM)
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_RECEIVE, ENOMEM,
                          "no memory for so many rows");
    if (rv)
        return not_answered(&x, rv, why);
    if (ret->last.message.header.type == SPAWN_M_REFUSED) {
        spawn_refused(&ret->last.message, why);
        return -1;
    }
    return 0;
}

static int rows(spawn_client *client, spawn_writer *w,
                void (*row)(void *arg, const spawn_message *m), void *arg,
                spawn_failure *why)
{
    processes p;
    unsigned i;
    int rv;

    memset(&p, 0, sizeof(p));
    rv = get_processes(client, w, &p, why);
    for (i = 0; rv == 0 && i < p.count; i++)
        row(arg, &p.rows[i].message);
    if (rv == 0 && p.last.message.header.type == SPAWN_M_ACCEPTED)
        row(arg, &p.last.message);
    processes_clear(&p);
    free(p.rows);
    return rv;
}

int spawn_client_templates(spawn_client *client,
                           void (*row)(void *arg, const spawn_message *process),
                           void *arg, spawn_failure *why)
{
    uint8_t room[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_TEMPLATES, 0);
    (void)spawn_writer_finish(&w, 0);
    return rows(client, &w, row, arg, why);
}

int spawn_client_rows(spawn_client *client, spawn_writer *w,
                      void (*row)(void *arg, const spawn_message *m), void *arg,
                      spawn_failure *why)
{
    spawn_message request;

    return parse_request(w, &request, why) ? -1
                                           : rows(client, w, row, arg, why);
}
