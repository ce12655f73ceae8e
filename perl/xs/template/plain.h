/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file plain.h
 * @brief The part of a worker that needs no perl: calls that come past the
 * broker, while it lends this worker (docs/leases.md), and the worker's
 * functions for them.
 *
 * Runs in templates and in what they fork. template.h has the rest.
 */
#ifndef SPAWN_TEMPLATE_PLAIN_H
#define SPAWN_TEMPLATE_PLAIN_H

#include "common/spawn_board.h"
#include "common/spawn_packet.h"
#include "common/spawn_proto.h"

/* ---- direct.c: calls that come past the broker, while it lends us ---- */

/** LEND has come: take the caller's socket out of it. */
void spawn_direct_begins(spawn_packet *lend, const spawn_message *m);
/** Is there a lease? */
bool spawn_direct_lent(void);
/** Its socket; -1: there is none, or a call has closed it. */
int spawn_direct_fd(void);
/** 1: a call, with *ret set, which lies in the packet, and the slate says that
 * it runs; -EAGAIN; another negative errno: the lease is over. */
int spawn_direct_receive(spawn_packet *packet, spawn_message *ret);
/** The call m has ended, and its result is on the board. last: this worker
 * leaves. */
void spawn_direct_ended(int link, const spawn_message *m,
                        const uint64_t *its_usage, bool last);
/** TAKE_BACK has come: the broker wants this worker back. 0 or a negative
 * errno. */
int spawn_direct_take_back(int link, const spawn_message *m);
/** Must the lease end now? */
bool spawn_direct_is_over(void);
/** End it: what has been sent is not taken. */
void spawn_direct_leave(void);
/** The same, and tell the broker. 0 or a negative errno. */
int spawn_direct_give_back(int link, bool last);

/* ---- link.c, board.c ---- */

/** Finish a message and send it, waiting while there is no room. 0 or a
 * negative errno. */
int spawn_template_tell(int link, spawn_writer *w);
/** The board of the job that we are; NULL in a template. */
spawn_board *spawn_template_board(void);

#endif
