/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_backlog.h
 * @brief Lines that a log did not take at once: the system's log takes some ten
 * at a time, a pipe as many as have room.
 *
 * Spawner and broker, one thread each. A fixed piece of memory; allocates
 * nothing, never blocks.
 */
#ifndef SPAWN_BACKLOG_H
#define SPAWN_BACKLOG_H

#include <stdint.h>

#include "common/spawn_sink.h"

/** Retry after so many ms: soon while it shrinks. */
int spawn_backlog_retry_ms(void);

/** A line for later, as for spawn_sink_write. false: there is no room. */
bool spawn_backlog_put(const spawn_sink *sink, int level, const char *line,
                       size_t length, size_t from, int64_t now);

/** Does a line wait for this log? Then the next one must wait behind it. */
bool spawn_backlog_has(const spawn_sink *sink);

/** Is a quarter of it used? Writers that can wait should. */
bool spawn_backlog_crowded(void);

/** Does any line wait? */
bool spawn_backlog_waits(void);

/**
 * Try all lines. Those that a log refuses, or that have waited too long, go to
 * lost.
 * @param now INT64_MAX: nothing waits any longer.
 */
void spawn_backlog_flush(int64_t now,
                         void (*lost)(const char *line, size_t length));

#endif
