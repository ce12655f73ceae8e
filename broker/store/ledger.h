/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ledger.h
 * @brief The database of durable jobs, as the scribe writes it. Every commit is
 * on the disk when it returns.
 */
#ifndef SPAWN_BROKER_STORE_LEDGER_H
#define SPAWN_BROKER_STORE_LEDGER_H

#include "broker/base/ledger.h"
#include "broker/store/ledger_file.h"

/** A closed one of this directory. */
void spawn_ledger_init(spawn_ledger *l, const char *directory);

/** Open it, or make a new one. Waits for the scribe before this one. A ledger
 * that was left unfinished, or is damaged, is copied first. 0 or -1: why. */
int spawn_ledger_open(spawn_ledger *l);

/** After an error of the disk: go on with a copy, in a file that was never
 * there. 0; -1: why, and spawn_ledger_open tries it again. */
int spawn_ledger_renew(spawn_ledger *l);

void spawn_ledger_close(spawn_ledger *l);

/** A transaction, 0 or -1: why. After a -1 only rollback may follow. Of a PUT
 * that is not written, since its id is there, write says a
 * spawn_ledger_known. */
int spawn_ledger_begin(spawn_ledger *l);
int spawn_ledger_write(spawn_ledger *l, const spawn_ledger_record *r,
                       const void *message, const char *text,
                       size_t text_length);
int spawn_ledger_commit(spawn_ledger *l);
void spawn_ledger_rollback(spawn_ledger *l);
/** Instead of write: something that nobody reads. 0 or -1 */
int spawn_ledger_probe(spawn_ledger *l);

/** Was it last written before the machine's start? */
bool spawn_ledger_other_boot(spawn_ledger *l);

/** Call row for the open jobs, and those that have ended if that is wanted, in
 * the order of their submits. 0 or -1. */
int spawn_ledger_rows(spawn_ledger *l, bool ended,
                      void (*row)(void *of, const spawn_ledger_record *r,
                                  const void *message, const char *text),
                      void *of);

#endif
