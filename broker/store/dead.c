/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many jobs are dead, of each queue. Runs in the broker. Must not look at
 * all of them for each question: when there are many, it does so once a second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "broker/base/array.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define MANY        1000
#define COUNT_AGAIN 1000 /* ms */

struct spawn_dead_count {
    char queue[SPAWN_NAME_MAX + 1];
    uint64_t count;
};

#define AT(name) offsetof(spawn_store, dead.name)
static const spawn_statement all[] = {
    {AT(count), "SELECT queue, count(*) FROM job INDEXED BY job_dead"
                " WHERE dead = 1 GROUP BY queue"}};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_dead(spawn_store *store)
{
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_dead(spawn_store *store)
{
    spawn_part_dead *d = &store->dead;

    spawn_sql_finish(store, all, STATEMENTS);
    free(d->queues);
    d->queues = NULL;
    d->queues_used = d->queues_room = 0;
    d->total = 0;
}

static void count_all(spawn_part_dead *d)
{
    int64_t now = spawn_mono_ms();

    if (d->total > MANY && now - d->counted_at < COUNT_AGAIN)
        return;
    d->counted_at = now;
    d->queues_used = 0;
    d->total = 0;
    while (sqlite3_step(d->count) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(d->count, 0);
        struct spawn_dead_count *q;

        d->queues = spawn_array_grow(d->queues, d->queues_used, &d->queues_room,
                                     sizeof(*d->queues));
        q = &d->queues[d->queues_used++];
        (void)snprintf(q->queue, sizeof(q->queue), "%s", name ? name : "");
        q->count = (uint64_t)sqlite3_column_int64(d->count, 1);
        d->total += q->count;
    }
    spawn_sql_reset(d->count);
}

uint64_t spawn_store_count_dead(spawn_store *store,
                                const spawn_list_filter *filter)
{
    spawn_part_dead *d = &store->dead;
    uint64_t sum = 0;
    size_t i;

    count_all(d);
    for (i = 0; i < d->queues_used; i++) {
        const struct spawn_dead_count *q = &d->queues[i];

        if ((!filter->queue[0] || strcmp(filter->queue, q->queue) == 0)
            && (!filter->sees || filter->sees(filter->who, q->queue)))
            sum += q->count;
    }
    return sum;
}
