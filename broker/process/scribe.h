/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file scribe.h
 * @brief The broker's end of the scribe: starts it, sends it records, takes its
 * answers. Records are kept until they are answered, and sent again to the next
 * scribe when one dies.
 */
#ifndef SPAWN_BROKER_PROCESS_SCRIBE_H
#define SPAWN_BROKER_PROCESS_SCRIBE_H

#include <stddef.h>

#include "broker/base/ledger.h"

/** None may end the scribe, or send to it more than once for each call. */
typedef struct {
    /** The rows of the ledger, once in a broker's life. */
    void (*row)(const spawn_ledger_record *r, const void *message,
                const char *text);
    void (*rows_end)(bool other_boot);
    /** One that was sent is on the disk; or not: why. */
    void (*answered)(const spawn_ledger_record *r, const char *why);
    /** A damaged file was copied (why NULL), or one that the disk did not take.
     */
    void (*copied)(unsigned number, unsigned jobs, const char *why);
    /** Nothing can be written, or it can again: NULL. */
    void (*trouble)(const char *why);
} spawn_scribe_events;

/** Start it for this directory, if none runs. Failures are told as trouble, and
 * another try is made each second. */
void spawn_scribe_open(const char *directory, const spawn_scribe_events *to);

/** Does it run, or is it to? */
bool spawn_scribe_wanted(void);

/** Send a record; its number is set here. Both may be NULL. */
void spawn_scribe_send(const spawn_ledger_record *r, const void *message,
                       const char *text);

/** Bytes that are not answered. */
size_t spawn_scribe_backlog(void);
/** Is nothing to be written, or can nothing be? */
bool spawn_scribe_idle(void);

#endif
