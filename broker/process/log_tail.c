/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines that jobs have written to the error log. Runs in the broker.
 * Must stay as small as its header says, whatever jobs write, and must not take
 * longer for many lines than for few.
 */
#include "broker/process/log_tail.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "broker/base/alloc.h"

typedef struct {
    spawn_id job;
    uint64_t last; /* when it wrote, among all lines */
    size_t length;
    char text[SPAWN_LOG_TAIL_MAX];
} tail;

static tail *tails[SPAWN_LOG_TAIL_JOBS]; /* the first ones, the others NULL */
static unsigned newest;                  /* most lines follow one of the same */
static uint64_t lines;

static bool is_of(unsigned i, const spawn_id *job)
{
    return tails[i] && spawn_id_equal(&tails[i]->job, job);
}

/* -1: none */
static int find(const spawn_id *job)
{
    unsigned i;

    if (is_of(newest, job))
        return (int)newest;
    for (i = 0; i < SPAWN_LOG_TAIL_JOBS && tails[i]; i++) {
        if (is_of(i, job))
            return (int)i;
    }
    return -1;
}

/* The place of the job that has not written for the longest time, when none is
 * free. */
static unsigned begin(const spawn_id *job)
{
    unsigned i, oldest = 0;

    for (i = 0; i < SPAWN_LOG_TAIL_JOBS && tails[i]; i++) {
        if (tails[i]->last < tails[oldest]->last)
            oldest = i;
    }
    if (i == SPAWN_LOG_TAIL_JOBS)
        i = oldest;
    else
        tails[i] = spawn_alloc(sizeof(*tails[i]));
    tails[i]->job = *job;
    tails[i]->length = 0;
    return i;
}

/* Half of it goes at once, so that not every line moves the others. */
static void make_room(tail *t, size_t wanted)
{
    size_t most = sizeof(t->text) - wanted, from;
    const char *end;

    if (t->length <= most)
        return;
    from =
        t->length - (most < sizeof(t->text) / 2 ? most : sizeof(t->text) / 2);
    end = memchr(t->text + from, '\n', t->length - from);
    from = end ? (size_t)(end + 1 - t->text) : t->length;
    memmove(t->text, t->text + from, t->length - from);
    t->length -= from;
}

void spawn_log_tail_add(const spawn_id *job, const char *text, size_t length)
{
    int i = find(job);
    tail *t;

    newest = i < 0 ? begin(job) : (unsigned)i;
    t = tails[newest];
    if (length > sizeof(t->text) - 1)
        length = sizeof(t->text) - 1;
    make_room(t, length + 1);
    memcpy(t->text + t->length, text, length);
    t->length += length;
    t->text[t->length++] = '\n';
    t->last = ++lines;
}

const char *spawn_log_tail_get(const spawn_id *job, size_t *ret_length)
{
    int i = find(job);

    *ret_length = i < 0 ? 0 : tails[i]->length;
    return i < 0 ? NULL : tails[i]->text;
}
