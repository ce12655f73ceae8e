/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file durable_ask.h
 * @brief Durable jobs that wait in the store, and that the ledger does not
 * have: it is asked to take them. For run/durable.c.
 */
#ifndef SPAWN_BROKER_RUN_DURABLE_ASK_H
#define SPAWN_BROKER_RUN_DURABLE_ASK_H

#include "broker/base/ledger.h"
#include "broker/job/job.h"

/** A new number for what is sent of this job: an answer with another one, to
 * what was sent of its id before, is none of this job's. */
uint32_t spawn_durable_sending(spawn_job *job);

/** Send one that waits again, with its message. asked: for this list.
 * Bytes of the message; -ENODATA: what it is to run is not in the store, or no
 * message; -ENOENT: it is not durable; -EIO: the store cannot be read now. */
int64_t spawn_durable_send(spawn_job *job, bool asked);

/** It is asked in one of the next turns, and again until the ledger takes it.
 * not_sent: called when what it is to run is not there, time and again
 * (-ENODATA), or when it is not durable (-ENOENT): nobody could tell before. */
void spawn_durable_ask_for(spawn_job *job,
                           void (*not_sent)(spawn_job *job, int why));

/** An answer to a record that was sent for the list. job: NULL: it has gone, or
 * waits for the ledger no more. */
void spawn_durable_ask_answered(const spawn_ledger_record *r, spawn_job *job,
                                bool taken);

#endif
