/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones by the files of the C library. Runs in the httpd parent, which
 * only looks whether a zone is there, and in the broker, which has one thread.
 * Must leave the zone of the process as it was.
 *
 * The C library keeps each value of TZ that was ever set, once: the names that
 * are set are those of the configuration. It takes a name that it does not know
 * for UTC, so names are checked first.
 */
#include "common/spawn_zone.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ZONES "/usr/share/zoneinfo"

static bool entered;
static char *own; /* TZ of the process meanwhile; NULL: it has none */

static bool name_ok(const char *zone)
{
    const char *p;

    if (!isalpha((unsigned char)*zone) || strlen(zone) > SPAWN_ZONE_MAX)
        return false;
    for (p = zone; *p; p++) {
        if (!isalnum((unsigned char)*p) && !strchr("_+-/", *p))
            return false;
        if (*p == '/' && (p[1] == '/' || !p[1]))
            return false;
    }
    return true;
}

static bool is_zone_file(const char *zone)
{
    char path[sizeof(ZONES) + 1 + SPAWN_ZONE_MAX], magic[4];
    bool is;
    int fd;

    (void)snprintf(path, sizeof(path), ZONES "/%s", zone);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    is = read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic)
         && memcmp(magic, "TZif", 4) == 0;
    (void)close(fd);
    return is;
}

int spawn_zone_check(const char *zone, char *why, size_t room)
{
    char *p;

    if (name_ok(zone) && (strcmp(zone, "UTC") == 0 || is_zone_file(zone)))
        return 0;
    (void)snprintf(why, room,
                   "'%.64s' is not a time zone of this machine; allowed: a "
                   "file below " ZONES ", as in Europe/Berlin, or UTC",
                   zone);
    for (p = why; room && *p; p++) {
        if (!isprint((unsigned char)*p))
            *p = '?';
    }
    return -EINVAL;
}

void spawn_zone_enter(const char *zone)
{
    const char *tz = getenv("TZ");
    char text[SPAWN_ZONE_MAX + 2];

    if (!*zone) {
        tzset(); /* localtime_r does not look at TZ */
        return;
    }
    own = tz ? strdup(tz) : NULL;
    (void)snprintf(text, sizeof(text), ":%s", zone);
    entered = (own || !tz) && setenv("TZ", text, 1) == 0;
    tzset();
}

void spawn_zone_leave(void)
{
    if (entered)
        (void)(own ? setenv("TZ", own, 1) : unsetenv("TZ"));
    entered = false;
    free(own);
    own = NULL;
    tzset();
}
