/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is consumed here. Runs in the relay. A shared queue is consumed while
 * this host has free places, with a prefetch that cannot bring more jobs than
 * these: a delivery is acknowledged when the broker has stored it, long before
 * its job has ended, and each acknowledgement lets another one come. So when
 * places become fewer than the prefetch, the consumer is cancelled before the
 * delivery is acknowledged, and another one begins with a smaller prefetch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "relay/relay.h"

#define NEWS_PREFETCH 200
#define PREFETCH_MAX  200
#define PAUSE_MS      1000 /* after the broker could not take a job */
#define NEWS          "news"
/* The number of a delivery: connection, channel, and the engine's own. */
#define CHANNEL_BITS 12
#define TAG_BITS     36

typedef struct {
    char name[SPAWN_NAME_MAX + 1];
    char consumer[SPAWN_NAME_MAX + 32]; /* "": none */
    uint64_t room;
    unsigned prefetch;
    int64_t not_before; /* mono ms */
} place;

typedef struct {
    unsigned channel;
    uint64_t tag;
    bool again;
} kept;

static place *places;
static unsigned places_count;
static uint64_t epoch = 1; /* of the connection */
static unsigned consumers; /* that there were, for their names */
static kept *done;
static size_t done_used, done_room;

static void *grown(void *p, size_t size)
{
    p = realloc(p, size);
    if (!p)
        abort(); /* killing it loses nothing */
    return p;
}

void places_queues(const spawn_attr *names)
{
    uint32_t count = spawn_strv_count(names);
    const char *name = NULL;

    places = grown(places, (count + 1) * sizeof(*places));
    for (places_count = 0; places_count < count; places_count++) {
        place *p = &places[places_count];

        name = spawn_strv_next(names, name);
        memset(p, 0, sizeof(*p));
        (void)snprintf(p->name, sizeof(p->name), "%s", name);
    }
}

static place *place_of(const char *queue)
{
    unsigned i;

    for (i = 0; i < places_count; i++) {
        if (strcmp(places[i].name, queue) == 0)
            return &places[i];
    }
    return NULL;
}

void places_begin(const char *host)
{
    char queue[SPAWN_ENGINE_QUEUE_MAX + 1];
    unsigned i;

    epoch = (epoch + 1) & 0xffff;
    (void)snprintf(queue, sizeof(queue), "spawn.o.%s", host);
    if (engine_declare(queue) == 0)
        (void)engine_consume(ENGINE_NEWS, queue, NEWS, NEWS_PREFETCH);
    for (i = 0; i < places_count; i++) {
        (void)snprintf(queue, sizeof(queue), "spawn.q.%s", places[i].name);
        (void)engine_declare(queue);
    }
}

void places_drop(void)
{
    unsigned i;

    for (i = 0; i < places_count; i++) {
        places[i].consumer[0] = '\0';
        places[i].room = 0;
        places[i].not_before = 0;
    }
    done_used = 0;
}

void places_room(const char *queue, uint64_t room)
{
    place *p = place_of(queue);

    if (p)
        p->room = room;
}

void places_kept(uint64_t delivery, bool again)
{
    if (delivery >> (CHANNEL_BITS + TAG_BITS) != epoch)
        return; /* of a connection that is lost */
    if (done_used == done_room) {
        done_room = done_room ? done_room * 2 : 64;
        done = grown(done, done_room * sizeof(*done));
    }
    done[done_used].channel =
        (unsigned)(delivery >> TAG_BITS) & ((1u << CHANNEL_BITS) - 1);
    done[done_used].tag = delivery & ((UINT64_C(1) << TAG_BITS) - 1);
    done[done_used++].again = again;
}

/* ---- more or less ---- */

static unsigned channel_of(const place *p)
{
    return ENGINE_JOBS + (unsigned)(p - places);
}

static void stop(place *p)
{
    if (p->consumer[0])
        (void)engine_cancel(channel_of(p), p->consumer);
    p->consumer[0] = '\0';
}

static void begin(place *p)
{
    char queue[SPAWN_ENGINE_QUEUE_MAX + 1];
    uint64_t half = p->room / 2;

    p->prefetch = half < 1              ? 1
                  : half > PREFETCH_MAX ? PREFETCH_MAX
                                        : (unsigned)half;
    (void)snprintf(queue, sizeof(queue), "spawn.q.%s", p->name);
    (void)snprintf(p->consumer, sizeof(p->consumer), "%u.%s", ++consumers,
                   p->name);
    if (engine_consume(channel_of(p), queue, p->consumer, p->prefetch) < 0)
        p->consumer[0] = '\0';
}

static bool is_too_much(const place *p, int64_t now)
{
    return p->consumer[0] && (p->prefetch > p->room || p->not_before > now);
}

static bool is_too_little(const place *p)
{
    return p->consumer[0] && p->prefetch < PREFETCH_MAX
           && p->prefetch * 4 <= p->room;
}

void places_settle(int64_t now)
{
    bool again = false;
    unsigned i;
    size_t k;

    if (!engine_is_open()) {
        done_used = 0;
        return;
    }
    for (k = 0; k < done_used; k++)
        again = again || done[k].again;
    for (i = 0; i < places_count; i++) {
        if (again)
            places[i].not_before = now + PAUSE_MS;
        if (is_too_much(&places[i], now) || is_too_little(&places[i]))
            stop(&places[i]);
    }
    for (k = 0; k < done_used; k++)
        (void)engine_ack(done[k].channel, done[k].tag, done[k].again);
    done_used = 0;
    for (i = 0; i < places_count; i++) {
        place *p = &places[i];

        if (!p->consumer[0] && p->room > 0 && p->not_before <= now)
            begin(p);
    }
}

uint64_t places_came(unsigned channel, uint64_t tag, const char **ret_queue)
{
    unsigned i = channel - ENGINE_JOBS;

    *ret_queue =
        channel >= ENGINE_JOBS && i < places_count ? places[i].name : NULL;
    return (epoch << CHANNEL_BITS | channel) << TAG_BITS | tag;
}

unsigned places_channels(void)
{
    return ENGINE_JOBS + places_count;
}
