/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs in memory: the table by id. Runs in the broker. Must not free what
 * others hold of a job: turn_undo.c takes it apart first.
 */
#include "broker/job/job.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/spawn_hash.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "broker/base/alloc.h"

#define MANY       1000 /* jobs, to be walked through for each question */
#define WALK_AGAIN 1000 /* ms */

static spawn_job **table;
static unsigned table_size; /* a power of two */
static unsigned count;

/* Callers choose their ids. */
static unsigned place_of(const spawn_id *id)
{
    return (unsigned)spawn_hash_id(id) & (table_size - 1);
}

static void grow(void)
{
    spawn_job **old = table;
    unsigned old_size = table_size, i;

    table_size = old_size ? old_size * 2 : 256;
    table = spawn_alloc(table_size * sizeof(spawn_job *));
    for (i = 0; i < old_size; i++) {
        while (old[i]) {
            spawn_job *job = old[i];
            unsigned place = place_of(&job->id);

            old[i] = job->hash_next;
            job->hash_next = table[place];
            table[place] = job;
        }
    }
    free(old);
}

spawn_job *spawn_job_find(const spawn_id *id)
{
    spawn_job *job;

    if (!table)
        return NULL;
    for (job = table[place_of(id)]; job; job = job->hash_next) {
        if (spawn_id_equal(&job->id, id))
            return job;
    }
    return NULL;
}

spawn_job *spawn_job_new(spawn_batch *batch, const spawn_id *id)
{
    spawn_job *job = spawn_alloc(sizeof(*job));
    unsigned place;

    if (count >= table_size)
        grow();
    job->id = *id;
    job->batch = batch;
    job->leader = -1;
    job->attempt = 1;
    place = place_of(id);
    job->hash_next = table[place];
    table[place] = job;
    count++;
    return job;
}

void spawn_job_free(spawn_job *job)
{
    spawn_job **at = &table[place_of(&job->id)];

    while (*at != job)
        at = &(*at)->hash_next;
    *at = job->hash_next;
    count--;
    spawn_timer_clear(&job->timer);
    free(job->held);
    free(job->body);
    if (job->end)
        free(job->end->text);
    free(job->end);
    free(job);
}

bool spawn_job_stops(int signo)
{
    return signo == SIGTERM || signo == SIGKILL || signo == SIGINT
           || signo == SIGQUIT;
}

unsigned spawn_job_count(void)
{
    return count;
}

bool spawn_job_walk(int64_t *at)
{
    int64_t now = spawn_mono_ms();

    if (count > MANY && *at && now - *at < WALK_AGAIN)
        return false;
    *at = now;
    return true;
}

spawn_job *spawn_job_next(const spawn_job *job)
{
    unsigned place = 0;

    if (job && job->hash_next)
        return job->hash_next;
    if (job)
        place = place_of(&job->id) + 1;
    for (; place < table_size; place++) {
        if (table[place])
            return table[place];
    }
    return NULL;
}
