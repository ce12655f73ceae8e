/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file durable.h
 * @brief Durable jobs: what has to be on the disk before something happens to
 * one. docs/durable.md says what is promised, and how.
 */
#ifndef SPAWN_BROKER_RUN_DURABLE_H
#define SPAWN_BROKER_RUN_DURABLE_H

#include "broker/base/ledger.h"
#include "broker/job/job.h"
#include "broker/store/store.h"

/** A row of the ledger, as a broker finds it at its start. */
typedef struct {
    spawn_ledger_record record;
    uint8_t *message; /* a SUBMIT, record.length bytes; heap */
    char *text;       /* of the end; heap */
    size_t number;    /* in the order of their submits */
    bool used;
} spawn_durable_row;

/** Events of the ledger, for broker/turn.c and broker/life.c. */
typedef struct {
    /** A new one is on the disk, or one that was revived. */
    void (*accepted)(spawn_job *job);
    /** Or it cannot be. */
    void (*refused)(spawn_job *job, const spawn_failure *why);
    /** Or it cannot be, and is on the disk perhaps: it is to be dropped. */
    void (*refused_later)(spawn_job *job, const spawn_failure *why);
    /** It was dropped, or has ended, and that is on the disk. */
    void (*forgotten)(void *of, const spawn_id *id);
    /** That it starts could not be written. */
    void (*held_back)(spawn_job *job);
    /** spawn_durable_begin would say true now. */
    void (*begun)(void *of);
    /** A row that came after that. 0, or -1: again in a moment. */
    int (*late)(void *of, spawn_durable_row *row);
    /** Those were all. */
    void (*late_end)(void *of);
    /** The store has what the ledger said: what was left undecided of a job can
     * be decided now. */
    void (*decided)(void *of);
} spawn_durable_events;

void spawn_durable_open(const spawn_durable_events *to, void *of);

/**
 * Read the ledger of this directory, if there is one.
 * @return true: its rows are there, or it cannot be read now, or there is
 * none. False: `begun` is called in a moment.
 */
bool spawn_durable_begin(const char *directory);

/** The row of an id, marked as used; or NULL. */
const spawn_durable_row *spawn_durable_row_of(const spawn_id *id);
/** Rows that were not used, one after another; NULL: no more. */
spawn_durable_row *spawn_durable_next_row(void);
/** Were they from before the machine's start? */
bool spawn_durable_other_boot(void);
/** Is there a ledger that is not read? Then only a job's order tells whether it
 * is durable. */
bool spawn_durable_unread(void);
/** Is there one that is read? */
bool spawn_durable_read(void);
/** While jobs are recovered: is this one durable, and not in the ledger, which
 * was read or is lost? */
bool spawn_durable_lacks(const spawn_job *job);
/** Is there none, and was one there before? */
bool spawn_durable_lost(const spawn_store *store);
/** The rows are not needed any more. some_lost: there are durable jobs that had
 * been in a ledger which is lost: there is another one from now on. */
void spawn_durable_recovered(bool some_lost);

/** The jobs that were found are stored: the ledger is of this boot now. */
void spawn_durable_stored(spawn_store *store);

/** May a durable job be taken now? 0, or -1 and why not. */
int spawn_durable_check(spawn_failure *why);

/** A new one: write it. The message is its SUBMIT. */
void spawn_durable_put(spawn_job *job, const void *message, size_t length);
/** One that had ended waits again, and in no lane until that is on the disk:
 * accepted or refused is called. */
void spawn_durable_revive(spawn_job *job);
/** The same of one that no caller waits for: in one of the next turns, and
 * again until the ledger takes it. */
void spawn_durable_ask(spawn_job *job);
/** It cannot start now, nor another one: ledger or store take nothing. */
bool spawn_durable_in_trouble(const spawn_job *job);
/** Was the ledger not read since the machine's start, so that it alone may know
 * that this job has begun, or has ended? Nothing is decided of it until then.
 */
bool spawn_durable_undecided(const spawn_job *job);
/** Forget ends that the store has forgotten. */
void spawn_durable_trim(spawn_store *store, uint64_t size);

/** Is all written that can be? */
bool spawn_durable_idle(void);

#endif
