/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs in memory: the table by id, and an order's bytes. Runs in the broker.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_packet.h"
#include "broker/base/alloc.h"
#include "broker/job/job.h"
#include "broker/process/orphan.h"
#include "broker/process/output.h"
#include "broker/base/passed.h"
#include "broker/process/perl.h"
#include "broker/job/queue.h"

static spawn_job **table;
static unsigned table_size; /* a power of two */
static unsigned count;

/* The end of an id is random. */
static unsigned place_of(const spawn_id *id)
{
    unsigned h;

    memcpy(&h, id->bytes + SPAWN_ID_SIZE - sizeof(h), sizeof(h));
    return h & (table_size - 1);
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

spawn_job *spawn_job_new(const spawn_id *id)
{
    spawn_job *job = spawn_alloc(sizeof(*job));
    unsigned place;

    if (count >= table_size)
        grow();
    job->id = *id;
    job->leader = -1;
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
    spawn_output_drop(job->streams);
    spawn_perl_drop(job);
    spawn_orphan_drop(job);
    if (job->leader >= 0)
        (void)close(job->leader);
    if (job->held)
        spawn_passed_close(job->held->fds, job->held->count, job->caller_uid);
    free(job->held);
    free(job->body);
    if (job->end)
        free(job->end->text);
    free(job->end);
    if (job->queue)
        spawn_queue_leave(job);
    free(job);
}

unsigned spawn_job_count(void)
{
    return count;
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

spawn_body *spawn_body_room(size_t length, size_t input_length,
                            size_t args_length)
{
    spawn_body *body =
        malloc(sizeof(*body) + length + input_length + args_length);

    if (!body)
        return NULL;
    body->length = length;
    body->input_length = input_length;
    body->args_length = args_length;
    body->input = input_length ? body->data + length : NULL;
    body->args = args_length ? body->data + length + input_length : NULL;
    return body;
}

/* What is small, or looked at while the job waits. */
static bool stays(const spawn_attr *a)
{
    return a->id != SPAWN_A_STDIN_DATA && a->id != SPAWN_A_ARGS;
}

spawn_body *spawn_body_new(const void *attrs, size_t length)
{
    spawn_attr a, input = {0}, args = {0};
    spawn_reader r;
    spawn_body *body;
    size_t kept = 0;
    const uint8_t *at = attrs;

    spawn_reader_init(&r, attrs, length);
    while (spawn_reader_next(&r, &a) == 1) {
        if (a.id == SPAWN_A_STDIN_DATA)
            input = a;
        if (a.id == SPAWN_A_ARGS)
            args = a;
        if (stays(&a))
            kept += (size_t)(r.at - at);
        at = r.at;
    }
    body = spawn_body_room(kept, input.length, args.length);
    if (!body)
        return NULL;
    spawn_reader_init(&r, attrs, length);
    for (kept = 0, at = attrs; spawn_reader_next(&r, &a) == 1; at = r.at) {
        if (!stays(&a))
            continue;
        memcpy(body->data + kept, at, (size_t)(r.at - at));
        kept += (size_t)(r.at - at);
    }
    if (input.length)
        memcpy(body->input, input.data, input.length);
    if (args.length)
        memcpy(body->args, args.data, args.length);
    return body;
}

static uint64_t mix(uint64_t hash, const uint8_t *p, size_t length)
{
    while (length-- > 0)
        hash = (hash ^ *p++) * 0x100000001b3ull; /* FNV-1a */
    return hash;
}

uint64_t spawn_body_digest(const void *attrs, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    spawn_reader r;
    spawn_attr a;

    spawn_reader_init(&r, attrs, length);
    while (spawn_reader_next(&r, &a) == 1) {
        if (a.id == SPAWN_A_REPLY)
            continue;
        hash = mix(hash, a.data - SPAWN_WIRE_ATTR_HEADER,
                   SPAWN_WIRE_ATTR_HEADER + (size_t)a.length);
    }
    return hash;
}
