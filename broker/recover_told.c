/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's report to a broker that begins: its table, kept until the store
 * is open. Runs in the broker. Must keep all of it: what it has forgotten of a
 * job nobody tells again.
 */
#include "broker/recover_told.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/alloc.h"
#include "broker/base/array.h"
#include "broker/job/phase.h"
#include "broker/process/link.h"

static spawn_told *table;
static size_t table_used, table_room;
static bool sorted, waits;

static void keep(const spawn_id *id, uint16_t type, const spawn_packet *p)
{
    spawn_told *t;

    table = spawn_array_grow(table, table_used, &table_room, sizeof(*table));
    t = &table[table_used++];
    sorted = false;
    *t = (spawn_told){.id = *id,
                      .type = type,
                      .length = p->length,
                      .fds_count = p->fds_count};
    t->data = spawn_alloc(p->length);
    memcpy(t->data, p->data, p->length);
    t->fds = spawn_alloc((p->fds_count + 1) * sizeof(int));
    memcpy(t->fds, p->fds, p->fds_count * sizeof(int));
}

void spawn_recover_running(const spawn_id *id, const spawn_message *m,
                           spawn_packet *p)
{
    (void)m;
    if (spawn_phase.recovered)
        return;
    keep(id, SPAWN_M_RUNNING, p);
    p->fds_count = 0;
}

void spawn_recover_held(const spawn_id *id, spawn_packet *p)
{
    if (spawn_phase.recovered)
        return;
    keep(id, SPAWN_M_HELD, p);
    p->fds_count = 0;
}

void spawn_recover_told(const spawn_id *id, const spawn_message *m,
                        const spawn_packet *p)
{
    keep(id, m->header.type, p);
}

static int by_id(const void *a, const void *b)
{
    const spawn_told *x = a, *y = b;
    int rv = memcmp(x->id.bytes, y->id.bytes, SPAWN_ID_SIZE);

    return rv ? rv : (int)x->type - (int)y->type;
}

static void sort(void)
{
    if (!sorted && table_used > 0)
        qsort(table, table_used, sizeof(spawn_told), by_id);
    sorted = true;
}

static spawn_told *search(const spawn_id *id, uint16_t type)
{
    const spawn_told key = {.id = *id, .type = type};

    if (table_used == 0)
        return NULL;
    sort();
    return bsearch(&key, table, table_used, sizeof(spawn_told), by_id);
}

bool spawn_told_has_ended(const spawn_id *id)
{
    return search(id, SPAWN_M_EXITED) || search(id, SPAWN_M_ORPHANED);
}

spawn_told *spawn_told_find(const spawn_id *id, uint16_t type)
{
    spawn_told *t = search(id, type);

    if (t)
        t->used = true;
    return t;
}

int spawn_told_parse(const spawn_told *t, spawn_message *ret)
{
    return spawn_message_parse(t->data, t->length, SPAWN_FROM_SPAWNER,
                               t->fds_count, ret, NULL);
}

spawn_told *spawn_told_of(const spawn_job *job, uint16_t type)
{
    spawn_told *t = spawn_told_find(&job->id, type);
    spawn_message m;

    if (!t || spawn_told_parse(t, &m)
        || spawn_u64_or(&m, SPAWN_A_ATTEMPT, 0) == spawn_job_attempt_mark(job))
        return t;
    spawn_link_send_id(SPAWN_M_FORGET, &job->id, NULL, 0);
    return NULL;
}

void spawn_told_free(void)
{
    unsigned i;

    for (i = 0; i < table_used; i++) {
        spawn_close_passed(table[i].fds, table[i].fds_count);
        free(table[i].fds);
        free(table[i].data);
    }
    free(table);
    table = NULL;
    table_used = table_room = 0;
    waits = false;
}

void spawn_told_wait(void)
{
    waits = true;
}

bool spawn_told_waits(void)
{
    return waits;
}

spawn_told *spawn_told_next(spawn_told *t)
{
    size_t next = t ? (size_t)(t - table) + 1 : 0;

    sort(); /* a caller that looks for one meanwhile moves none */
    return next < table_used ? &table[next] : NULL;
}

/* ---- before the store is open ---- */

bool spawn_recover_anything_runs(void)
{
    spawn_told *t = NULL;

    while ((t = spawn_told_next(t))) {
        if (t->type == SPAWN_M_RUNNING && !spawn_told_has_ended(&t->id))
            return true;
    }
    return false;
}

unsigned spawn_recover_give_up(void (*lost)(const spawn_id *id,
                                            const char *how))
{
    unsigned i, count = 0;
    spawn_message m;
    char how[64];

    for (i = 0; i < table_used; i++) {
        if (table[i].type != SPAWN_M_EXITED || spawn_told_parse(&table[i], &m))
            continue;
        if (spawn_has(&m, SPAWN_A_WAIT_STATUS))
            (void)snprintf(
                how, sizeof(how), "wait status 0x%04x",
                (unsigned)spawn_attr_u64(&m.attr[SPAWN_A_WAIT_STATUS]));
        else
            (void)snprintf(how, sizeof(how), "could not be started");
        count++;
        lost(&table[i].id, how);
    }
    return count;
}
