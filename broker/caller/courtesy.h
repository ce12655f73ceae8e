/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file courtesy.h
 * @brief Callers on the broker's CPU go on first.
 */
#ifndef SPAWN_BROKER_CALLER_COURTESY_H
#define SPAWN_BROKER_CALLER_COURTESY_H

#include <stdint.h>

#include "broker/job/queue.h"

/** Somebody was answered in this turn. */
void spawn_courtesy_answered(void);
/** So was a SUBMIT with this sequence number, whose job is still to be made,
 * and to be started from this queue. */
void spawn_courtesy_accepted(uint32_t seq, const spawn_queue *q);

/** After the other answers of a turn, before its rest. */
void spawn_courtesy_to_caller(void);

/** At the end of a turn: its last answers are no reason to let others go first
 * in the next one, where somebody waits. */
void spawn_courtesy_turn_over(void);

/** Before posts are taken in from this socket. */
void spawn_courtesy_to_sender(int fd);

#endif
