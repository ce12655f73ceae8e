/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishes that the engine has not confirmed. Runs in the relay. A refused one
 * is published again after a pause: after the death of a queue's leader the
 * engine refuses all for some seconds. One of which nothing is heard for long
 * says that the connection is dead.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "relay/relay.h"

#define PAUSE_MS   500
#define TIMEOUT_MS 10000

typedef struct flying flying;
struct flying {
    flying *next;
    uint64_t number; /* 0: it is to be published */
    int64_t at;      /* mono ms: published, or to be then */
    spawn_id id;
    uint64_t state;
    char to[SPAWN_ENGINE_QUEUE_MAX + 1];
    size_t length;
    uint8_t data[];
};

static flying *first, **last = &first;
static unsigned count;
static flying_carried tell;

void flying_begin(flying_carried carried)
{
    tell = carried;
}

unsigned flying_count(void)
{
    return count;
}

static void append(flying *f)
{
    f->next = NULL;
    *last = f;
    last = &f->next;
}

static void publish(flying *f, int64_t now)
{
    f->number = 0;
    f->at = now;
    if (engine_declare(f->to) == 0)
        (void)engine_publish(f->to, f->data, f->length, &f->number);
}

void flying_add(const spawn_id *id, uint64_t state, const char *to,
                const void *data, size_t length)
{
    flying *f = malloc(sizeof(*f) + length);

    if (!f)
        abort(); /* the next relay gets it again */
    f->id = *id;
    f->state = state;
    (void)strncpy(f->to, to, sizeof(f->to) - 1);
    f->to[sizeof(f->to) - 1] = '\0';
    f->length = length;
    memcpy(f->data, data, length);
    append(f);
    count++;
    publish(f, spawn_mono_ms());
}

void flying_drop(void)
{
    while (first) {
        flying *f = first;

        first = f->next;
        free(f);
    }
    last = &first;
    count = 0;
}

/* Out of the list, at this place. */
static flying *take(flying **at)
{
    flying *f = *at;

    *at = f->next;
    if (last == &f->next)
        last = at;
    return f;
}

void flying_confirmed(uint64_t number, bool all, bool refused)
{
    flying **at = &first;
    int64_t now = spawn_mono_ms();

    while (*at) {
        flying *f = *at;

        if (!f->number || (all ? f->number > number : f->number != number)) {
            at = &f->next;
            continue;
        }
        if (refused) {
            f->number = 0;
            f->at = now + PAUSE_MS;
            at = &f->next;
            continue;
        }
        f = take(at);
        count--;
        tell(&f->id, f->state);
        free(f);
    }
}

bool flying_look(int64_t now)
{
    flying *f;

    for (f = first; f; f = f->next) {
        if (!f->number && f->at <= now)
            publish(f, now);
        else if (f->number && now - f->at > TIMEOUT_MS)
            return false;
    }
    return true;
}
