/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs that the ledger does not have. Runs in the broker, which may
 * find very many of them when the ledger is lost: so some are asked for, and
 * others when these are answered. Must not ask for one for ever: what the store
 * does not have after some tries ends, and is told; and must end none since the
 * store cannot be read now.
 */
#include "broker/run/durable_ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "broker/base/array.h"
#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/process/scribe.h"
#include "broker/store/store.h"

#define AT_ONCE       256 /* that are not answered, */
#define BYTES_AT_ONCE (1u << 20)
#define AGAIN         1000 /* ms */
#define TRIES         3    /* to read one, a moment apart */

typedef struct {
    spawn_id id;
    unsigned unread; /* times that it could not be read */
    int64_t due;     /* mono ms; not before one that is in front of it */
} entry;

static entry *list; /* from first to used */
static size_t first, used, room;
static int64_t not_before; /* mono ms, for all: one was not taken, or the store
                              failed */
static spawn_timer timer;
static unsigned flying; /* asked for, and not answered */
static uint64_t flying_bytes;
static uint32_t sendings;
static void (*is_not_sent)(spawn_job *job, int why);

/* ---- one ---- */

/* As it was submitted, but for the order of its attributes. 0, -ENODATA,
 * -ENOENT or -EIO: as spawn_durable_send. */
static int write_message(const spawn_job *job, spawn_writer *w)
{
    spawn_body *read = NULL;
    spawn_message m;
    int rv = spawn_store_read_body(job, &read);

    if (rv)
        return rv;
    spawn_writer_begin(w, SPAWN_M_SUBMIT, 0);
    if (spawn_body_read(job, read, &m, NULL) == 0) {
        if (!spawn_u64_or(&m, SPAWN_A_DURABLE, 0))
            rv = -ENOENT;
        spawn_put_raw(w, read->data, read->length);
        if (read->input)
            spawn_put_bytes(w, SPAWN_A_STDIN_DATA, read->input,
                            read->input_length);
        if (read->args)
            spawn_put_bytes(w, SPAWN_A_ARGS, read->args, read->args_length);
    }
    else {
        rv = -ENODATA;
    }
    free(read);
    return rv ? rv : spawn_writer_finish(w, 0) ? -ENODATA : 0;
}

uint32_t spawn_durable_sending(spawn_job *job)
{
    job->sending = ++sendings;
    return job->sending;
}

int64_t spawn_durable_send(spawn_job *job, bool asked)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_REVIVE,
                             .id = job->id,
                             .attempt = job->attempt,
                             .uid = job->caller_uid,
                             .pid = job->caller_pid,
                             .submitted_at = job->submitted_at,
                             .asked = asked};
    int64_t length;
    spawn_writer w;

    spawn_writer_init(&w, SPAWN_LEDGER_MESSAGE_MAX);
    length = write_message(job, &w);
    if (length == 0) {
        r.length = (uint32_t)w.length;
        r.sending = spawn_durable_sending(job);
        length = r.length;
        spawn_scribe_send(&r, w.data, NULL);
    }
    spawn_writer_free(&w);
    return length;
}

/* ---- all ---- */

static void ask_some(spawn_timer *t);

static bool enough_fly(void)
{
    return flying >= AT_ONCE || flying_bytes >= BYTES_AT_ONCE;
}

static void plan(void)
{
    int64_t due = spawn_mono_ms();

    if (first == used || enough_fly()) /* an answer goes on */
        return;
    if (due < list[first].due)
        due = list[first].due;
    if (due < not_before)
        due = not_before;
    timer.fire = ask_some;
    spawn_timer_set(&timer, due);
}

static void add(const spawn_id *id, unsigned unread, int64_t due)
{
    list = spawn_array_grow(list, used, &room, sizeof(*list));
    list[used++] = (entry){.id = *id, .unread = unread, .due = due};
}

/* Those that are not taken are put behind the others: so what is in front of
 * the first would grow with each round. */
static void tidy(void)
{
    if (first == used) {
        free(list);
        list = NULL;
        first = used = room = 0;
    }
    else if (first > used / 2) {
        used -= first;
        memmove(list, list + first, used * sizeof(*list));
        first = 0;
    }
}

static bool waits_for_it(const spawn_job *job)
{
    return job && job->ask_again && job->ledger == SPAWN_IN_LEDGER_ASKED
           && job->state == SPAWN_STATE_QUEUED;
}

static void ask(const entry *e, int64_t now)
{
    spawn_job *job = spawn_job_find(&e->id);
    int64_t bytes;

    if (!waits_for_it(job))
        return;
    if (!job->in_store) { /* it was not committed yet */
        add(&e->id, e->unread, now + AGAIN);
        return;
    }
    bytes = spawn_durable_send(job, true);
    if (bytes >= 0) {
        flying++;
        flying_bytes += (uint64_t)bytes;
    }
    else if (bytes == -ENOENT) {
        job->ask_again = false;
        is_not_sent(job, -ENOENT);
    }
    else if (bytes != -ENODATA) { /* of the store, and so of all */
        not_before = now + AGAIN;
        add(&e->id, e->unread, 0);
    }
    else if (e->unread + 1 < TRIES) {
        add(&e->id, e->unread + 1, now + AGAIN);
    }
    else {
        is_not_sent(job, -ENODATA);
    }
}

static void ask_some(spawn_timer *t)
{
    int64_t now = spawn_mono_ms();
    unsigned looked;

    (void)t;
    for (looked = 0; looked < AT_ONCE && first < used && !enough_fly()
                     && list[first].due <= now && not_before <= now;
         looked++) {
        const entry e = list[first++];

        ask(&e, now);
    }
    tidy();
    plan();
}

void spawn_durable_ask_for(spawn_job *job,
                           void (*not_sent)(spawn_job *job, int why))
{
    is_not_sent = not_sent;
    job->ask_again = true;
    add(&job->id, 0, 0);
    if (!timer.place)
        plan();
}

void spawn_durable_ask_answered(const spawn_ledger_record *r, spawn_job *job,
                                bool taken)
{
    flying--;
    flying_bytes -= r->length;
    if (!taken)
        not_before = spawn_mono_ms() + AGAIN;
    if (taken && job)
        job->ask_again = false;
    else if (waits_for_it(job))
        add(&job->id, 0, 0);
    plan();
}
