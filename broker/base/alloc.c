/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for small objects, or the broker's end. Runs in the broker. Must not
 * be used for a size that a caller chose.
 */
#include "broker/base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_log.h"

static void *checked(void *p)
{
    if (!p) {
        spawn_log(SPAWN_LOG_CRIT,
                  MSNO(0500) "out of memory; the broker is started again");
        _exit(1);
    }
    return p;
}

void *spawn_alloc(size_t size)
{
    return checked(calloc(1, size));
}

void *spawn_realloc(void *old, size_t size)
{
    return checked(realloc(old, size));
}

char *spawn_strdup(const char *text)
{
    return checked(strdup(text));
}
