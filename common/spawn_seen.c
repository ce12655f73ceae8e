/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number that tells what a caller has seen of a job. Runs in the broker and
 * in callers. Must need nothing but its arguments: a caller compares what two
 * processes have made.
 */
#include "common/spawn_seen.h"

#include <string.h>

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
    const uint8_t *p = data;

    while (length-- > 0)
        hash = (hash ^ *p++) * 0x100000001b3ull; /* FNV-1a */
    return hash;
}

/* All 64 bits, the lowest first. */
static uint64_t mix_number(uint64_t hash, uint64_t number)
{
    uint8_t bytes[8];
    int i;

    for (i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    return mix(hash, bytes, sizeof(bytes));
}

uint64_t spawn_seen(unsigned state, uint64_t attempt,
                    const char *const *progress)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    unsigned i;

    hash = mix_number(hash, state);
    hash = mix_number(hash, attempt ? attempt : 1);
    for (i = 0; progress && i < 3; i++)
        hash = mix(hash, progress[i], strlen(progress[i]) + 1);
    return hash;
}

uint64_t spawn_seen_of(const spawn_message *job)
{
    const spawn_attr *a = &job->attr[SPAWN_A_PROGRESS];
    const char *progress[3];
    bool said = spawn_has(job, SPAWN_A_PROGRESS) && spawn_strv_count(a) == 3;

    if (said) {
        progress[0] = spawn_strv_next(a, NULL);
        progress[1] = spawn_strv_next(a, progress[0]);
        progress[2] = spawn_strv_next(a, progress[1]);
    }
    return spawn_seen((unsigned)spawn_u64_or(job, SPAWN_A_STATE, 0),
                      spawn_u64_or(job, SPAWN_A_ATTEMPT, 1),
                      said ? progress : NULL);
}
