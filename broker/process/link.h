/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file link.h
 * @brief The link to the spawner: its messages in, our orders out.
 */
#ifndef SPAWN_BROKER_PROCESS_LINK_H
#define SPAWN_BROKER_PROCESS_LINK_H

#include "common/spawn_packet.h"

#define SPAWN_LINK_FD 3

/** Messages that come over the link, for broker/spawner_says.c. */
typedef struct {
    /** A message that passed the checks. Descriptors that are taken are -1 in
     * the packet afterwards. */
    void (*message)(void *of, const spawn_message *m, spawn_packet *p);
    /** Its end: the spawner has gone. */
    void (*gone)(void *of);
} spawn_link_events;

/** Watch the link. of: passed to the functions. 0 or a negative errno. */
int spawn_link_open(const spawn_link_events *to, void *of);

/**
 * Finish the message and send it with its descriptors, in the order of the
 * calls; queued until the link takes it. The descriptors stay the caller's.
 * @return 0; a negative errno when the message cannot be made or (with
 * descriptors) be queued: it was not sent then.
 */
int spawn_link_send(spawn_writer *w, const int *fds, unsigned count);

/** The same with callers' descriptors among them, whose duplicates must not be
 * closed here either. */
int spawn_link_send_passed(spawn_writer *w, const int *fds, unsigned count);

/** Signal a process of the spawner's by its id. left: SPAWN_LEFT_, what becomes
 * of the others of its group; 0: nothing is said of them. */
void spawn_link_signal(const spawn_id *id, int signo, unsigned left);
/** Signal a process that the spawner does not have, and whose account is not
 * ours; or the child of a template of httpd's, in the template's place. */
void spawn_link_signal_process(const spawn_id *id, int signo, pid_t pid,
                               int64_t boot_started);
/** Have the spawner keep callers' descriptors for the next broker. */
void spawn_link_hold(const spawn_id *id, const int *fds, unsigned count);

/** A message that has only an id. */
void spawn_link_send_id(unsigned type, const spawn_id *id, const int *fds,
                        unsigned count);

/** Do orders wait to be sent? */
bool spawn_link_waiting(void);
/** The spawner has gone: the id of each message of this type that it was not
 * sent. Of what was sent nobody knows whether it was read. */
void spawn_link_unsent(unsigned type, void (*each)(const spawn_id *id));

/** Send FORGET for it when the present turn, or the next one that can be
 * stored, is in the store. */
void spawn_link_forget(const spawn_id *id);
/** That is so now: send them, in as few messages as it takes. */
void spawn_link_forget_all(void);

#endif
