/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file backoff.h
 * @brief How long to wait before another try.
 */
#ifndef SPAWN_BROKER_BASE_BACKOFF_H
#define SPAWN_BROKER_BASE_BACKOFF_H

/** Seconds to wait after so many failures in a row: 0 without one, 1 after the
 * first, then twice as long each time, at most 60. */
int spawn_backoff_s(unsigned failures);

#endif
