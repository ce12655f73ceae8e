/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file submit.h
 * @brief Taking in a job, from a caller or from the inbox.
 */
#ifndef SPAWN_BROKER_CALLER_SUBMIT_H
#define SPAWN_BROKER_CALLER_SUBMIT_H

#include "broker/base/ledger.h"
#include "broker/caller/connection.h"
#include "broker/caller/inbox.h"
#include "broker/caller/spool.h"

/** A caller's SUBMIT. Takes the descriptors out of the packet when the job is
 * taken. The answer comes at the end of the turn. */
void spawn_submit(spawn_peer *peer, const spawn_message *m, spawn_packet *p);

/** A POST that lies in a slot of the inbox (counted from 1), with the sender
 * that the kernel told (NULL: a broker accepted it, and kept it there). The
 * slot is freed when the store has the job or its refusal. left: found there
 * by a broker that is new. */
void spawn_submit_post(spawn_batch *batch, unsigned slot, const void *data,
                       size_t length, unsigned fds, const spawn_sender *from,
                       bool left);

/**
 * A slot of the inbox whose job was launched by a broker before this one.
 * @param ret the job, without a state; NULL: the slot was freed, since the
 * store has the job, or a worker has it, or it is none.
 * @return 0, or -1: the store failed, or there is no memory.
 */
int spawn_submit_found(spawn_batch *batch, unsigned slot, const void *data,
                       size_t length, const spawn_inbox_note *note,
                       spawn_job **ret);

/** A SUBMIT that lies in the spool under this id, written by uid. */
spawn_spool_result spawn_submit_spooled(spawn_batch *batch, const spawn_id *id,
                                        const void *data, size_t length,
                                        uid_t uid, spawn_failure *why);

#define SPAWN_OWN_TAKEN    0
#define SPAWN_OWN_KNOWN    1 /* its id is */
#define SPAWN_OWN_RECORDED 2 /* refused, and in the history as that */
#define SPAWN_OWN_REFUSED  (-1)

/** A SUBMIT that the broker makes itself. Nobody waits for an answer. record:
 * a refusal that will not pass is to be in the history. why: of a refusal. */
int spawn_submit_own(spawn_batch *batch, const void *data, size_t length,
                     bool record, spawn_failure *why);

/**
 * A durable job that the store does not have, as the ledger has it. It is in no
 * state.
 * @return NULL: it cannot be read.
 */
spawn_job *spawn_submit_ledgered(spawn_batch *batch,
                                 const spawn_ledger_record *row,
                                 const void *message);

#endif
