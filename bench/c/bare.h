/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bare.h
 * @brief What the bare message and its peer agree on, and the clock.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdint.h>
#include <time.h>

#define BARE_SIZE   512 /* bytes of a message */
#define BARE_ANSWER 16  /* bytes of its answer */
#define BARE_ASK    'a' /* first byte of a message that wants an answer */

static inline int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
