/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs: the scribe (docs/durable.md) and what it has on the disk, and
 * a machine that loses its power.
 */
#ifndef SIMULATION_DURABLE_H
#define SIMULATION_DURABLE_H

#include "broker/base/ledger.h"
#include "t/simulation/world.h"

/* ---- the ledger: what is on the disk (ledger.c) ---- */

void ledger_empty(void);
bool ledger_is_there(void);
void ledger_make(void);
/* data: the record's message, then its text. */
void ledger_write(const spawn_ledger_record *r, const uint8_t *data);
/* It is told that this is not there. */
void ledger_did_not_take(const spawn_ledger_record *r);
bool ledger_of_other_boot(void);
/* Rows in their order, at most to this count. NULL: it was forgotten. */
unsigned ledger_rows(void);
const spawn_ledger_record *ledger_row(unsigned at, const uint8_t **ret_data);

bool ledger_has(const job *j);
/* That this attempt starts. */
bool ledger_has_order(const job *j, unsigned attempt);
/* Ordered, whichever attempt it is. */
bool ledger_has_later_order(const job *j);
bool ledger_has_end(const job *j);
/* It was there, whatever became of it; or was it removed as an old end? */
bool ledger_had(const job *j);
bool ledger_trimmed(const job *j);
/* All is quiet: each end that was told is there. */
void ledger_check(void);

/* ---- the scribe: a process (scribe.c) ---- */

typedef enum {
    DISK_GOOD,
    DISK_FAILS,
    DISK_TAKES_SOME /* it is full */
} ledger_health;

extern bool with_durable; /* this run has durable jobs */
extern ledger_health ledger_disk;
extern bool ledger_calm; /* no disk of it has failed, and no scribe died */

void scribe_reset(bool some);
/* Its steps before the broker's next turn. */
void scribe_goes_on(void);
void scribe_dies(void);
/* It writes what has come, and ends. */
void scribe_loses_broker(void);
/* Does it write, or is there none, as nobody wants one? */
bool scribe_is_well(void);
/* A scribe that has lost its broker has written all. */
void scribe_finishes(void);
/* The power goes: some of what was on its way is on the disk. */
void scribe_loses_power(void);

/* ---- the machine (power.c) ---- */

extern bool with_power_cuts;

/* All processes are gone, and the disk is as it was some time before. */
void power_fails(void);
/* Has this broker not read yet what the ledger has, as this turn began? */
extern bool ledger_unread;
extern unsigned ledger_unread_in; /* the last turn in which that was so */

#endif
