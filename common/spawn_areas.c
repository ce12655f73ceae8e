/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads /proc/PID/smaps with a buffer on the stack. Runs in templates, their
 * workers and spawnctl. Must allocate nothing. An area is a line "from-to
 * rights offset device inode name" and lines "Name: value" below it.
 */
#include "common/spawn_areas.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512 /* only a path can be longer */

typedef struct {
    spawn_area_fn fn;
    void *arg;
    spawn_area area;
    bool begun; /* area is one */
    bool enough;
    char line[LINE_MAX_BYTES];
    size_t length;
} reading;

static void give(reading *r)
{
    if (r->begun && !r->enough)
        r->enough = !r->fn(&r->area, r->arg);
}

static const char *after_words(const char *p, int words)
{
    for (; words > 0; words--) {
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }
    return p;
}

static void begin(reading *r)
{
    char *end;
    spawn_area *a = &r->area;

    give(r);
    memset(a, 0, sizeof(*a));
    a->from = strtoull(r->line, &end, 16);
    a->to = strtoull(end + 1, &end, 16);
    if (*end == ' ')
        (void)snprintf(a->rights, sizeof(a->rights), "%s", end + 1);
    (void)snprintf(a->name, sizeof(a->name), "%.*s", (int)sizeof(a->name) - 1,
                   after_words(r->line, 5));
    r->begun = true;
}

static uint64_t kilobytes(const char *value)
{
    return strtoull(value, NULL, 10) * 1024;
}

static void take_value(spawn_area *a, const char *name, const char *value)
{
    if (strcmp(name, "Rss") == 0)
        a->resident = kilobytes(value);
    else if (strcmp(name, "Pss") == 0)
        a->proportional = kilobytes(value);
    else if (strcmp(name, "Private_Clean") == 0
             || strcmp(name, "Private_Dirty") == 0)
        a->alone += kilobytes(value);
    else if (strcmp(name, "Anonymous") == 0)
        a->anonymous = kilobytes(value);
    else if (strcmp(name, "ProtectionKey") == 0)
        a->has_key = *value != '0';
    else if (strcmp(name, "VmFlags") == 0)
        (void)snprintf(a->flags, sizeof(a->flags), "%s", value);
}

static bool is_head(const char *line)
{
    size_t digits = strspn(line, "0123456789abcdef");

    return digits && line[digits] == '-';
}

static void take_line(reading *r)
{
    char *colon, *value;

    r->line[r->length] = '\0';
    r->length = 0;
    if (is_head(r->line)) {
        begin(r);
        return;
    }
    colon = strchr(r->line, ':');
    if (!colon || !r->begun)
        return;
    *colon = '\0';
    value = colon + 1;
    take_value(&r->area, r->line, value + strspn(value, " "));
}

static void take_bytes(reading *r, const char *bytes, size_t length)
{
    size_t i;

    for (i = 0; i < length && !r->enough; i++) {
        if (bytes[i] == '\n')
            take_line(r);
        else if (r->length < sizeof(r->line) - 1)
            r->line[r->length++] = bytes[i];
    }
}

int spawn_areas(pid_t pid, spawn_area_fn fn, void *arg)
{
    char path[40] = "/proc/self/smaps", bytes[4096];
    reading r = {.fn = fn, .arg = arg};
    ssize_t n;
    int fd;

    if (pid)
        (void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        take_bytes(&r, bytes, (size_t)n);
    n = n < 0 ? -errno : 0;
    (void)close(fd);
    if (n == 0)
        give(&r);
    return (int)n;
}

bool spawn_area_has(const spawn_area *area, const char *flag)
{
    const char *p;

    for (p = area->flags; *p; p = after_words(p, 1)) {
        if (strncmp(p, flag, 2) == 0)
            return true;
    }
    return false;
}

bool spawn_area_frozen(const spawn_area *area)
{
    static const char name[] = "/memfd:" SPAWN_FROZEN_NAME;

    return strncmp(area->name, name, sizeof(name) - 1) == 0
           && strchr(" ", area->name[sizeof(name) - 1]);
}
