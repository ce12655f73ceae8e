/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file link.h
 * @brief The link to the spawner: its messages in, our orders out.
 */
#ifndef SPAWN_BROKER_PROCESS_LINK_H
#define SPAWN_BROKER_PROCESS_LINK_H

#include "common/spawn_packet.h"

#define SPAWN_LINK_FD 3

/** Watch the link. 0 or a negative errno. */
int spawn_link_open(void);

/**
 * Finish the message and send it with its descriptors, in the order of the
 * calls; kept until the link takes it. The descriptors stay the caller's.
 * @return 0; a negative errno when the message cannot be made or (with
 * descriptors) be kept: it was not sent then.
 */
int spawn_link_send(spawn_writer *w, const int *fds, unsigned count);

/** The same with callers' descriptors among them, whose duplicates must not be
 * closed here either. */
int spawn_link_send_passed(spawn_writer *w, const int *fds, unsigned count);

/** Have the spawner keep callers' descriptors for the next broker. */
void spawn_link_hold(const spawn_id *id, const int *fds, unsigned count);

/** A message that has only an id. */
void spawn_link_send_id(unsigned type, const spawn_id *id, const int *fds,
                        unsigned count);

/** STARTED has come, of a job, a template or a worker. */
void spawn_link_started(const spawn_id *id, const spawn_message *m);

/** Are orders waiting to be sent. */
bool spawn_link_waiting(void);

/** FORGET it when the present turn, or the next one that can be stored, is in
 * the store. */
void spawn_link_forget(const spawn_id *id);
/** That is so now: in as few messages as it takes. */
void spawn_link_forget_all(void);

#endif
