/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cron_row.h
 * @brief The store's rows of recurring jobs, as cron.c has them.
 */
#ifndef SPAWN_BROKER_CALLER_CRON_ROW_H
#define SPAWN_BROKER_CALLER_CRON_ROW_H

#include "broker/job/changes.h"
#include "broker/caller/cron_entry.h"

/** ms after which what failed is tried again */
#define SPAWN_CRON_TRY_AGAIN 1000

/** Bytes for a time in the log. */
#define SPAWN_CRON_TIME_TEXT 32

/** A time (s) for the log, by the clocks of the entry, into
 * text[SPAWN_CRON_TIME_TEXT]. Returns text. */
const char *spawn_cron_time_text(const spawn_cron_entry *e, int64_t when,
                                 char *text);

/** Have the store note the row of this entry. False: it could not, which is in
 * the log, and the entry waits until it is tried again. */
bool spawn_cron_note(spawn_batch *batch, spawn_cron_entry *e);

/** The rows of entries that are new, of the configuration as it is; rows of
 * others are dropped. False: not all of them could be read. */
bool spawn_cron_rows_read(spawn_batch *batch);

#endif
