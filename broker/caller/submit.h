/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file submit.h
 * @brief A job comes: from a caller, as a post, from the spool, or from the
 * broker itself.
 */
#ifndef SPAWN_BROKER_CALLER_SUBMIT_H
#define SPAWN_BROKER_CALLER_SUBMIT_H

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

/** A SUBMIT that lies in the spool under this id, written by uid. */
spawn_spool_result spawn_submit_spooled(spawn_batch *batch, const spawn_id *id,
                                        const void *data, size_t length,
                                        uid_t uid, spawn_spool_waits *ret_waits,
                                        spawn_failure *why);

/** A refusal that may be none a moment later: the same job is to be tried
 * again. */
bool spawn_refusal_passes(const spawn_failure *why);

#define SPAWN_OWN_TAKEN    0
#define SPAWN_OWN_KNOWN    1 /* its id is */
#define SPAWN_OWN_RECORDED 2 /* refused, and in the history as that */
#define SPAWN_OWN_REFUSED  (-1)

/** A SUBMIT that the broker makes itself. Nobody waits for an answer. record:
 * a refusal that will not pass is to be in the history. why: of a refusal. */
int spawn_submit_own(spawn_batch *batch, const void *data, size_t length,
                     bool record, spawn_failure *why);
/** The same of a job that another host sent: data has its SUBMIT. A queue that
 * is full takes it, too. */
int spawn_submit_shared(spawn_batch *batch, const void *data, size_t length,
                        const char *origin, spawn_failure *why);

#endif
