/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about recurring jobs. Runs in the broker, on checked messages. A run
 * by hand is answered as a submit is, when it is stored; the others by rows, of
 * all entries or of the one that was asked about.
 */
#include "broker/caller/cron_request.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/alloc.h"
#include "broker/job/end.h"
#include "broker/job/job.h"
#include "broker/store/store.h"
#include "broker/caller/access.h"
#include "broker/caller/ask.h"
#include "broker/caller/check.h"
#include "broker/caller/cron.h"
#include "broker/caller/reply.h"
#include "broker/caller/submit.h"

#define ROW_ROOM (SPAWN_WIRE_HEADER + 8192)

/* ---- rows ---- */

static void put_end(spawn_writer *w, const spawn_cron_row *end)
{
    spawn_put_u64(w, SPAWN_A_STATE, SPAWN_STATE_DONE);
    spawn_put_u64(w, SPAWN_A_OUTCOME, end->outcome);
    if (end->exit_code >= 0)
        spawn_put_u64(w, SPAWN_A_EXIT_CODE, (uint64_t)end->exit_code);
    if (end->signo)
        spawn_put_u64(w, SPAWN_A_SIGNAL, (uint64_t)end->signo);
    if (end->started_at)
        spawn_put_u64(w, SPAWN_A_STARTED_AT, (uint64_t)end->started_at);
    if (end->ended_at)
        spawn_put_u64(w, SPAWN_A_ENDED_AT, (uint64_t)end->ended_at);
}

/* It has ended, and is not stored yet. */
static void put_new_end(spawn_writer *w, const spawn_job *job)
{
    const spawn_cron_row end = {.outcome = job->end->outcome,
                                .exit_code = job->end->exit_code,
                                .signo = job->end->signo,
                                .started_at = job->started_at,
                                .ended_at = job->end->ended_at};

    put_end(w, &end);
}

static void put_going_on(spawn_writer *w, const spawn_job *job)
{
    spawn_put_u64(w, SPAWN_A_STATE,
                  job ? (uint64_t)job->state : SPAWN_STATE_QUEUED);
    if (job && job->started_at)
        spawn_put_u64(w, SPAWN_A_STARTED_AT, (uint64_t)job->started_at);
}

static void put_run(spawn_writer *w, const spawn_cron_entry *e)
{
    int64_t planned = e->pending ? e->pending_planned : e->row.planned;
    spawn_id id;
    bool active = spawn_cron_active(e, &id);
    const spawn_job *job;

    if (!e->pending && !e->row.has_run)
        return;
    job = spawn_job_find(&id);
    spawn_put_id(w, SPAWN_A_ID, &id);
    if (planned)
        spawn_put_u64(w, SPAWN_A_CRON_PLANNED, 1000 * (uint64_t)planned);
    if (job && job->state == SPAWN_STATE_DONE && job->end)
        put_new_end(w, job);
    else if (active)
        put_going_on(w, job);
    else
        put_end(w, &e->row);
}

static void put_entry(spawn_writer *w, spawn_cron_entry *e)
{
    int64_t next = e->row.paused || !e->known ? -1 : spawn_cron_entry_next(e);

    spawn_put_str(w, SPAWN_A_CRON, e->name);
    spawn_put_str(w, SPAWN_A_CRON_SCHEDULE, e->schedule);
    if (*e->zone)
        spawn_put_str(w, SPAWN_A_CRON_ZONE, e->zone);
    spawn_put_u64(w, SPAWN_A_CRON_CATCH_UP, e->catch_up);
    spawn_put_u64(w, SPAWN_A_CRON_OVERLAP, e->overlap);
    if (next >= 0)
        spawn_put_u64(w, SPAWN_A_CRON_NEXT, 1000 * (uint64_t)next);
    if (e->row.paused)
        spawn_put_u64(w, SPAWN_A_CRON_PAUSED, (uint64_t)e->row.paused);
    put_run(w, e);
}

static spawn_row *row_of(spawn_cron_entry *e, uint32_t seq)
{
    static uint8_t room[ROW_ROOM];
    spawn_writer w;
    spawn_row *row;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_CRON_ENTRY, seq);
    put_entry(&w, e);
    if (spawn_writer_finish(&w, 0) < 0)
        return NULL;
    row = spawn_alloc(sizeof(*row) + w.length);
    row->length = w.length;
    memcpy(row->data, w.data, w.length);
    return row;
}

/* one NULL: of all that the caller may see. */
static void answer_rows(spawn_peer *peer, const spawn_message *m,
                        spawn_cron_entry *one)
{
    spawn_ask *a = spawn_alloc(sizeof(*a));
    spawn_row **last = &a->told;
    spawn_cron_entry *e = one ? one : spawn_cron_entries(NULL);

    a->seq = m->header.seq;
    a->rows_there = true;
    for (; e; e = one ? NULL : e->next) {
        if (!one && !spawn_access_has(peer, e->queue, SPAWN_MAY_SEE))
            continue;
        spawn_cron_look(peer->batch, e);
        *last = row_of(e, m->header.seq);
        if (*last)
            last = &(*last)->next;
    }
    spawn_peer_ask(peer, a);
}

/* ---- requests ---- */

static void refuse(spawn_peer *peer, const spawn_message *m, spawn_error code,
                   const char *fmt, const char *text)
{
    spawn_failure why;

    spawn_failure_set(&why, code, SPAWN_STEP_CHECK, 0, fmt, text);
    spawn_peer_refuse(peer, m->header.seq, NULL, &why);
}

static void refuse_unknown(spawn_peer *peer, const spawn_message *m,
                           const char *name)
{
    const spawn_cron_entry *e = spawn_cron_entries(NULL);
    spawn_failure why;
    char names[300] = "";
    size_t used = 0;

    for (; e && used + sizeof(e->name) + 2 < sizeof(names); e = e->next) {
        if (!spawn_access_has(peer, e->queue, SPAWN_MAY_SEE))
            continue;
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                 used ? ", " : "", e->name);
    }
    spawn_failure_set(&why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                      "no recurring job '%s' is configured; %s%s%s", name,
                      used ? "configured: " : "there are none (SpawnCron)",
                      names, e ? ", ..." : "");
    spawn_peer_refuse(peer, m->header.seq, NULL, &why);
}

/* The caller has made it, as those of its jobs. */
static int check_id(spawn_store *store, const spawn_id *id, spawn_failure *why)
{
    spawn_known known;

    if (spawn_job_find(id) || spawn_store_find(store, id, &known) != 0)
        return 0;
    return spawn_check_time(store, id, why);
}

static void run(spawn_peer *peer, const spawn_message *m, const spawn_id *id,
                spawn_cron_entry *e)
{
    char text[SPAWN_ID_TEXT];
    spawn_failure why;
    spawn_id active;
    spawn_job *job;

    if (!spawn_has(m, SPAWN_A_ID)) {
        refuse(peer, m, SPAWN_E_INVALID, "%s", "a run needs an id");
        return;
    }
    if (check_id(peer->batch->store, id, &why)) {
        spawn_peer_refuse(peer, m->header.seq, id, &why);
        return;
    }
    spawn_cron_look(peer->batch, e); /* the last one may have been refused */
    if (!e->overlap && spawn_cron_active(e, &active)
        && !spawn_id_equal(&active, id)) {
        refuse(peer, m, SPAWN_E_CONFLICT,
               "its run before has not ended: job %s; only with overlap=yes "
               "can there be two",
               spawn_id_format(&active, text));
        return;
    }
    if (spawn_cron_ends(e) && !spawn_id_equal(&e->row.id, id)) {
        refuse(peer, m, SPAWN_E_CONFLICT,
               "its run before, job %s, has just ended, and that is not stored "
               "yet",
               spawn_id_format(&e->row.id, text));
        return;
    }
    if (spawn_cron_run(peer->batch, e, id, &why) == SPAWN_OWN_REFUSED) {
        spawn_peer_refuse(peer, m->header.seq, id, &why);
        return;
    }
    job = spawn_job_find(id);
    if (job)
        spawn_reply_accepted(peer, m->header.seq, job);
    else
        spawn_peer_accepted(peer, m->header.seq, id, SPAWN_STATE_DONE);
}

void spawn_request_cron(spawn_peer *peer, const spawn_message *m,
                        spawn_packet *p, const spawn_id *id)
{
    uint64_t what = spawn_attr_u64(&m->attr[SPAWN_A_CRON_DO]);
    const char *name = spawn_str_or(m, SPAWN_A_CRON, "");
    spawn_cron_entry *e = spawn_cron_find(name);

    (void)p;
    spawn_cron_rules_read(peer->batch);
    if (what > SPAWN_CRON_RESUME) {
        refuse(peer, m, SPAWN_E_INVALID, "%s",
               "cron_do: wanted: list, run, pause or resume");
        return;
    }
    if (!e && (*name || what != SPAWN_CRON_LIST)) {
        refuse_unknown(peer, m, name);
        return;
    }
    if (e && !e->known && what != SPAWN_CRON_LIST) {
        refuse(peer, m, SPAWN_E_STORE, "%s",
               "the store cannot be read or written; see the error log");
        return;
    }
    if (what == SPAWN_CRON_RUN) {
        run(peer, m, id, e);
        return;
    }
    if (what != SPAWN_CRON_LIST
        && spawn_cron_pause(peer->batch, e, what == SPAWN_CRON_PAUSE,
                            (long)peer->uid, (long)peer->pid)) {
        refuse(peer, m, SPAWN_E_STORE, "%s",
               "the store cannot be written; see the error log");
        return;
    }
    answer_rows(peer, m, e);
}
