/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of messages that somebody could cause at will. Runs in any process.
 * Must not allocate or block; callers let one thread at a time in.
 */
#include <stdio.h>
#include <string.h>

#include "common/spawn_few.h"

static spawn_few_entry *entry_of(spawn_few *few, const char *about)
{
    spawn_few_entry *unused = NULL;
    unsigned i;

    for (i = 0; i < SPAWN_FEW_KEYS; i++) {
        spawn_few_entry *e = &few->entries[i];

        if (e->since && strncmp(e->about, about, sizeof(e->about) - 1) == 0)
            return e;
        if (!e->since && !unused)
            unused = e;
    }
    if (!unused) {
        unused = &few->entries[SPAWN_FEW_KEYS];
        about = "others";
    }
    (void)snprintf(unused->about, sizeof(unused->about), "%s", about);
    return unused;
}

bool spawn_few_may(spawn_few *few, const char *about, unsigned long most,
                   int64_t now)
{
    spawn_few_entry *e = entry_of(few, about);

    if (!e->since)
        e->since = now;
    if (e->said >= most) {
        e->left_out++;
        return false;
    }
    e->said++;
    return true;
}

bool spawn_few_over(spawn_few *few, int64_t now, spawn_few_entry *ret)
{
    unsigned i;

    for (i = 0; i <= SPAWN_FEW_KEYS; i++) {
        spawn_few_entry *e = &few->entries[i];

        if (!e->since || now - SPAWN_FEW_MS < e->since)
            continue;
        *ret = *e;
        memset(e, 0, sizeof(*e));
        if (ret->left_out)
            return true;
    }
    return false;
}

int64_t spawn_few_next(const spawn_few *few)
{
    int64_t next = 0;
    unsigned i;

    for (i = 0; i <= SPAWN_FEW_KEYS; i++) {
        const spawn_few_entry *e = &few->entries[i];

        if (e->since && e->left_out
            && (!next || e->since + SPAWN_FEW_MS < next))
            next = e->since + SPAWN_FEW_MS;
    }
    return next;
}
