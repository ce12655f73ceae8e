/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file inbox.h
 * @brief The inbox: jobs that were taken and are not in the store yet, because
 * they were posted, or accepted before their commit.
 *
 * A memfd that outlives the broker, in slots. A message is received straight
 * into a slot; the slot is full while its first 16 bytes are not all zero, and
 * they are zeroed only when the store has the job. So a broker can be killed at
 * any point: its successor finds the message here or in the socket.
 */
#ifndef SPAWN_BROKER_CALLER_INBOX_H
#define SPAWN_BROKER_CALLER_INBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/spawn_packet.h"
#include "broker/job/job.h"

/** The descriptors of CONFIGURE; a second descriptor of a kind is closed: they
 * never change in a broker's life. */
void spawn_inbox_receive_on(int fd);
void spawn_inbox_keep_in(int fd);

/**
 * A message lies in a slot: take it into the batch, or free the slot.
 * @param fds how many descriptors came with it, which posts never have.
 * @param from NULL: there is no sender, a broker before us accepted it.
 * @param left a broker before us has taken it, as far as others know.
 */
typedef void (*spawn_inbox_take_fn)(spawn_batch *batch, unsigned slot,
                                    const void *data, size_t length,
                                    unsigned fds, const spawn_sender *from,
                                    bool left);

/** Take in what a killed broker left, then receive. After the recovery. */
void spawn_inbox_open(spawn_inbox_take_fn to, spawn_batch *batch);

/** Receive what there is. Returns how many messages. */
int spawn_inbox_receive(void);

/**
 * Keep a SUBMIT that came whole in one packet, without descriptors.
 * @return its slot, or 0: there is no room, or no inbox.
 */
unsigned spawn_inbox_put(const void *message, size_t length);

/** The store has it: slots are counted from 1. */
void spawn_inbox_free(unsigned slot);

/** The store did not take it: try again soon. */
void spawn_inbox_retry(unsigned slot);
/** Is there a job that the store did not take yet? It is in no other place. */
bool spawn_inbox_waits(void);

/** Give up the jobs in the inbox and in the post socket, each with a line in
 * the log. Returns how many. */
unsigned spawn_inbox_give_up(void);

#endif
