/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file link.h
 * @brief The link to the relay: its messages in, ours out.
 */
#ifndef SPAWN_BROKER_RELAY_LINK_H
#define SPAWN_BROKER_RELAY_LINK_H

#include "common/spawn_packet.h"

typedef struct {
    /** A message that passed the checks. */
    void (*message)(const spawn_message *m);
    /** The relay has gone. */
    void (*gone)(void);
} spawn_relay_events;

/** Take over the link of a relay that was just started, in the place of the one
 * that there was. 0 or a negative errno. */
int spawn_relay_open(int fd, const spawn_relay_events *to);

/** Is there one? */
bool spawn_relay_is_open(void);

/**
 * Finish the message and send it, in the order of the calls; queued until the
 * link takes it. Without a link it is dropped: what must not be lost is sent
 * again to the next one.
 */
void spawn_relay_send(spawn_writer *w);

#endif
