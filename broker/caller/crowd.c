/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections each account has that only SpawnAccess lets in. It may
 * have a part of the broker's descriptors, so that others find some whatever it
 * does: httpd's children, root, and other accounts. Runs in the broker.
 */
#include "broker/caller/crowd.h"

#include <stddef.h>
#include <sys/resource.h>

#include "broker/base/array.h"

#define PART  8      /* of the descriptors */
#define OTHER 100000 /* connections, when there is no limit of descriptors */

typedef struct {
    uid_t uid;
    unsigned count; /* 0: of nobody */
} crowd;

static crowd *crowds;
static size_t crowds_used, crowds_room;

static unsigned most(void)
{
    struct rlimit files;

    return getrlimit(RLIMIT_NOFILE, &files) == 0
                   && files.rlim_cur / PART < OTHER
               ? (unsigned)(files.rlim_cur / PART)
               : OTHER;
}

/* One of nobody when it has none yet; NULL: there is none of nobody. */
static crowd *find(uid_t uid)
{
    crowd *empty = NULL;
    size_t i;

    for (i = 0; i < crowds_used; i++) {
        if (crowds[i].count && crowds[i].uid == uid)
            return &crowds[i];
        if (!crowds[i].count)
            empty = &crowds[i];
    }
    return empty;
}

bool spawn_crowd_join(uid_t uid)
{
    crowd *c = find(uid);

    if (!c) {
        crowds = spawn_array_grow(crowds, crowds_used, &crowds_room,
                                  sizeof(*crowds));
        c = &crowds[crowds_used++];
        c->count = 0;
    }
    if (c->count >= most())
        return false;
    c->uid = uid;
    c->count++;
    return true;
}

void spawn_crowd_leave(uid_t uid)
{
    crowd *c = find(uid);

    if (c && c->count)
        c->count--;
}
