/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger as the disk has it: a row for each durable job. It outlives all
 * processes and the power. What is checked here: when all is quiet, each end
 * that was told is in it.
 */
#include <stdlib.h>
#include <string.h>

#include "t/simulation/durable.h"

#define ROWS_MAX      400
#define KEPT_AT_LEAST 120000 /* ms, as in broker/store/history.c */

typedef struct {
    bool there;
    bool trimmed; /* it is not, since its end was old */
    spawn_ledger_record r;
    uint8_t *data;
} row;

static bool there;
static unsigned of_boot;
static row rows[ROWS_MAX];
static unsigned used;

void ledger_empty(void)
{
    while (used > 0)
        free(rows[--used].data);
    there = false;
}

bool ledger_is_there(void)
{
    return there;
}

void ledger_make(void)
{
    if (!there)
        of_boot = board->boot;
    there = true;
}

bool ledger_of_other_boot(void)
{
    return of_boot != board->boot;
}

static row *find(const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (rows[i].there && spawn_id_equal(&rows[i].r.id, id))
            return &rows[i];
    }
    return NULL;
}

/* ---- writing ---- */

static void keep_data(row *it, const uint8_t *message, const uint8_t *text,
                      uint32_t text_length)
{
    uint8_t *data = malloc((size_t)it->r.length + text_length + 1);

    if (!data)
        abort();
    memcpy(data, message, it->r.length);
    memcpy(data + it->r.length, text, text_length);
    free(it->data);
    it->data = data;
    it->r.text_length = text_length;
}

static void put(const spawn_ledger_record *r, const uint8_t *data)
{
    row *it = &rows[used];

    if (find(&r->id))
        return; /* sent again */
    if (used == ROWS_MAX)
        abort();
    used++;
    memset(it, 0, sizeof(*it));
    it->there = true;
    it->r = *r;
    it->r.type = SPAWN_LEDGER_ROW;
    it->r.state = SPAWN_LEDGER_IS_WAITING;
    it->r.attempt = 1;
    keep_data(it, data, data + r->length, 0);
}

/* One that had ended, or that the ledger does not have, waits again. */
static void revive(const spawn_ledger_record *r, const uint8_t *data)
{
    row *it;

    put(r, data);
    it = find(&r->id);
    it->r.state = SPAWN_LEDGER_IS_WAITING;
    it->r.attempt = r->attempt;
    it->r.chosen = true;
    it->r.due_at = 0;
    memset(&it->r.end, 0, sizeof(it->r.end));
    it->r.alone = false;
    it->r.text_length = 0;
}

static void set_state(row *it, const spawn_ledger_record *r,
                      spawn_ledger_state state)
{
    it->r.state = (uint16_t)state;
    it->r.attempt = r->attempt;
    it->r.chosen |= state == SPAWN_LEDGER_IS_ORDERED;
    it->r.due_at = r->due_at;
    memset(&it->r.end, 0, sizeof(it->r.end));
    it->r.alone = false;
    it->r.text_length = 0;
}

static void put_end(row *it, const spawn_ledger_record *r, const uint8_t *data)
{
    it->r.state = SPAWN_LEDGER_IS_ENDED;
    it->r.attempt = r->attempt;
    it->r.end = r->end;
    it->r.alone = r->alone;
    keep_data(it, it->data, data + r->length, r->text_length);
}

static void trim(const spawn_ledger_record *r)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        row *it = &rows[i];

        if (it->there && it->r.state == SPAWN_LEDGER_IS_ENDED && !it->r.alone
            && it->r.end.ended_at < r->before) {
            it->there = false;
            it->trimmed = true;
        }
    }
}

/* An end is dropped when the history has forgotten the job; a job that waits
 * when it is refused, and the ledger may not take it when it comes again. */
static void drop(row *it)
{
    job *j = job_find(&it->r.id);

    it->there = false;
    if (j && it->r.state == SPAWN_LEDGER_IS_WAITING)
        j->put_failed = true;
    it->trimmed = it->r.state == SPAWN_LEDGER_IS_ENDED && j
                  && j->ended_ms <= board->mono_ms - KEPT_AT_LEAST;
}

static void note_put(const spawn_ledger_record *r, bool good)
{
    job *j = job_find(&r->id);

    if (!j || r->type != SPAWN_LEDGER_PUT)
        return;
    j->put_failed = !good;
    if (!good && !j->promised)
        j->undone_in = turns;
}

void ledger_did_not_take(const spawn_ledger_record *r)
{
    note_put(r, false);
}

void ledger_write(const spawn_ledger_record *r, const uint8_t *data)
{
    row *it = find(&r->id);

    note_put(r, true);

    if (r->type == SPAWN_LEDGER_PUT)
        put(r, data);
    else if (r->type == SPAWN_LEDGER_REVIVE)
        revive(r, data);
    else if (r->type == SPAWN_LEDGER_TRIM)
        trim(r);
    else if (r->type == SPAWN_LEDGER_READ)
        of_boot = board->boot;
    else if (!it)
        return;
    else if (r->type == SPAWN_LEDGER_ORDER)
        set_state(it, r, SPAWN_LEDGER_IS_ORDERED);
    else if (r->type == SPAWN_LEDGER_WAITS)
        set_state(it, r, SPAWN_LEDGER_IS_WAITING);
    else if (r->type == SPAWN_LEDGER_END)
        put_end(it, r, data);
    else if (r->type == SPAWN_LEDGER_DROP && it->r.state == r->state)
        drop(it);
}

/* ---- reading ---- */

unsigned ledger_rows(void)
{
    return used;
}

const spawn_ledger_record *ledger_row(unsigned at, const uint8_t **ret_data)
{
    const row *it = &rows[at];

    if (!it->there)
        return NULL;
    *ret_data = it->data;
    return &it->r;
}

bool ledger_has(const job *j)
{
    return find(&j->id) != NULL;
}

bool ledger_has_order(const job *j, unsigned attempt)
{
    const row *it = find(&j->id);

    return it && it->r.state == SPAWN_LEDGER_IS_ORDERED
           && it->r.attempt == attempt;
}

bool ledger_has_later_order(const job *j)
{
    const row *it = find(&j->id);

    return it && it->r.state == SPAWN_LEDGER_IS_ORDERED
           && it->r.attempt > j->attempt;
}

bool ledger_has_end(const job *j)
{
    const row *it = find(&j->id);

    return it && it->r.state == SPAWN_LEDGER_IS_ENDED;
}

bool ledger_had(const job *j)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (spawn_id_equal(&rows[i].r.id, &j->id))
            return true;
    }
    return false;
}

bool ledger_trimmed(const job *j)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (rows[i].trimmed && spawn_id_equal(&rows[i].r.id, &j->id))
            return true;
    }
    return false;
}

/* ---- what must be there ---- */

/* It was cancelled, or expired, before the ledger had it; perhaps after the
 * ledger had forgotten it, and did not take it again. */
static bool never_came(const job *j)
{
    return j->launches == 0 && !find(&j->id)
           && (j->put_failed || !ledger_had(j));
}

void ledger_check(void)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *j = &jobs[i];
        const row *it = find(&j->id);

        if (!j->durable || j->unsure || !j->done || ledger_trimmed(j)
            || never_came(j))
            continue;
        if (!it || it->r.state != SPAWN_LEDGER_IS_ENDED)
            promise_broken("durable job %u has ended, and that is never "
                           "written to the disk",
                           i);
        else if ((unsigned)it->r.end.outcome != j->outcome)
            promise_broken("durable job %u has ended as %s, and is %s on the "
                           "disk",
                           i, spawn_outcome_name(j->outcome),
                           spawn_outcome_name((unsigned)it->r.end.outcome));
    }
}
