/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that wait for their log. Runs in spawner and broker. Must never wait,
 * and never let one log hold up the lines of another.
 */
#include <errno.h>
#include <string.h>

#include "common/spawn_backlog.h"

#define ROOM        262144
#define PATIENCE_MS 10000
#define LOGS_MAX    (SPAWN_VHOST_LOGS_MAX + 2)

typedef struct {
    spawn_sink sink;
    int64_t since;
    int level;
    size_t length;
    size_t from;
} entry;

static char room[ROOM];
static size_t used;
static bool shrinks;

static size_t size_of(size_t length)
{
    return (sizeof(entry) + length + 7) & ~(size_t)7;
}

static void get(size_t at, entry *ret)
{
    memcpy(ret, room + at, sizeof(*ret));
}

static bool same(const spawn_sink *a, const spawn_sink *b)
{
    return a->fd == b->fd; /* there is one system's log, whatever the tag */
}

bool spawn_backlog_put(const spawn_sink *sink, int level, const char *line,
                       size_t length, size_t from, int64_t now)
{
    const entry e = {*sink, now, level, length, from};

    if (used + size_of(length) > sizeof(room))
        return false;
    memcpy(room + used, &e, sizeof(e));
    memcpy(room + used + sizeof(e), line, length);
    used += size_of(length);
    return true;
}

bool spawn_backlog_has(const spawn_sink *sink)
{
    size_t at;
    entry e;

    for (at = 0; at < used; at += size_of(e.length)) {
        get(at, &e);
        if (same(&e.sink, sink))
            return true;
    }
    return false;
}

bool spawn_backlog_crowded(void)
{
    return used > ROOM / 4;
}

int spawn_backlog_retry_ms(void)
{
    return shrinks ? 2 : 20;
}

bool spawn_backlog_waits(void)
{
    return used > 0;
}

static bool among(const spawn_sink *logs, unsigned count,
                  const spawn_sink *sink)
{
    while (count-- > 0) {
        if (same(&logs[count], sink))
            return true;
    }
    return false;
}

void spawn_backlog_flush(int64_t now,
                         void (*lost)(const char *line, size_t length))
{
    spawn_sink full[LOGS_MAX];
    unsigned full_count = 0;
    size_t at = 0, kept = 0;

    while (at < used) {
        const char *line = room + at + sizeof(entry);
        int rv = -EAGAIN;
        size_t size;
        entry e;

        get(at, &e);
        size = size_of(e.length);
        if (!among(full, full_count, &e.sink)) {
            rv = spawn_sink_write(&e.sink, e.level, line, e.length, e.from);
            if (rv == -EAGAIN && full_count < LOGS_MAX)
                full[full_count++] = e.sink;
        }
        if (rv == -EAGAIN && now - PATIENCE_MS < e.since) {
            memmove(room + kept, room + at, size);
            kept += size;
        }
        else if (rv < 0) {
            lost(line, e.length);
        }
        at += size;
    }
    shrinks = kept < used;
    used = kept;
}
