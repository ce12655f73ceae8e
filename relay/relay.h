/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file relay.h
 * @brief What the files of the relay have of each other. docs/cluster.md.
 *
 * Runs in the relay only: one thread, one loop. It keeps nothing on a disk and
 * reads nothing of what it carries. It may wait for the engine while it
 * connects, or while a message is written, and for nothing else; when that
 * takes too long an alarm ends it, and the spawner starts another.
 *
 * Calls go down this list, and never up: main, link, places, flying, engine.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/spawn_proto.h"

#define RELAY_LINK_FD 3

/* ---- engine.c: the connection ---- */

/** Channels: a queue that has lost its leader has its channel wait, and only
 * this one. Those of the shared queues follow, from ENGINE_JOBS on. */
enum {
    ENGINE_PUBLISH = 1,
    ENGINE_NEWS = 2,
    ENGINE_JOBS = 3
};

/** What comes from there; set once. */
typedef struct {
    /** A message of the consumer of this channel. data is valid during the
     * call. */
    void (*came)(unsigned channel, uint64_t tag, const void *data,
                 size_t length);
    /** The engine has taken the publish of this number (and, all, those before
     * it), or has not (refused). */
    void (*confirmed)(uint64_t number, bool all, bool refused);
} engine_events;

void engine_begin(const engine_events *to);

/** Connect to one of the hosts, the next one at each call. Waits some seconds.
 * channels: how many. where: filled with "host:port". 0; -1: why says why. */
int engine_connect(const char *url, unsigned channels, char *where,
                   size_t where_room, char *why, size_t why_room);
/** Close it. */
void engine_close(void);
bool engine_is_open(void);
/** Its socket, or -1. */
int engine_fd(void);

/** Read what is there, and send a heartbeat when one is due. 0; -1: it is lost,
 * and why says why. */
int engine_read(char *why, size_t room);

/** Each of these: 0, or -1: the connection is lost. None waits for an answer.
 */
int engine_declare(const char *queue);
/** number: of this publish; the first one of a connection is 1. */
int engine_publish(const char *queue, const void *data, size_t length,
                   uint64_t *ret_number);
int engine_consume(unsigned channel, const char *queue, const char *consumer,
                   unsigned prefetch);
int engine_cancel(unsigned channel, const char *consumer);
int engine_ack(unsigned channel, uint64_t tag, bool again);

/* ---- flying.c: publishes that are not confirmed ---- */

/** What is told when one is. */
typedef void (*flying_carried)(const spawn_id *id, uint64_t state);

void flying_begin(flying_carried carried);
/** Publish it, now or when the engine takes messages again. */
void flying_add(const spawn_id *id, uint64_t state, const char *to,
                const void *data, size_t length);
/** The connection is lost: forget all. The broker sends again what counts. */
void flying_drop(void);
void flying_confirmed(uint64_t number, bool all, bool refused);
/** Publish those that were refused a while ago. False: one waits for its
 * confirm for too long. */
bool flying_look(int64_t now);
unsigned flying_count(void);

/* ---- places.c: what is consumed here ---- */

/** Of a new connection: our own queue of news, and the shared ones. */
void places_begin(const char *host);
void places_room(const char *queue, uint64_t room);
/** The broker has a delivery; again: it could not take it now. */
void places_kept(uint64_t delivery, bool again);
/** All messages of the broker are read: acknowledge, consume more or less. */
void places_settle(int64_t now);
/** A message of this channel: the number of its delivery for the broker, and
 * its queue; NULL: it is news. */
uint64_t places_came(unsigned channel, uint64_t tag, const char **ret_queue);
/** How many channels that takes. */
unsigned places_channels(void);
/** The shared queues. */
void places_queues(const spawn_attr *names);
/** The connection is lost. */
void places_drop(void);

/* ---- link.c: the link to the broker ---- */

/** Finish and send; waits for room, since the broker always reads. False: the
 * broker has gone. */
bool link_send(spawn_writer *w);
/** Read all that is there. False: the broker has gone. */
bool link_read(void (*message)(const spawn_message *m));

#endif
