/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file outbox.h
 * @brief The outbox of a process that is set up: messages, and the handles that
 * ride on them (Apache2::Spawn::Process::Wire has their form).
 *
 * Runs in callers. Knows nothing of Perl. Must not block, and closes no
 * descriptor but those that it owns.
 */
#ifndef SPAWN_PROCESS_OUTBOX_H
#define SPAWN_PROCESS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** The letter and the length of the body. */
#define SPAWN_OUTBOX_HEAD 5
#define SPAWN_OUTBOX_MOST 0xFFFFFFFFu

typedef struct {
    size_t at; /* of the byte that it rides on */
    int fd;
    bool owned; /* close it when it is sent */
} spawn_outbox_rider;

typedef struct {
    char *data;
    size_t length;
    size_t room;
    size_t sent;    /* of data */
    size_t texts;   /* where the last message begins, if it may take more... */
    size_t handles; /* ...strings, or handles; SPAWN_OUTBOX_NONE */
    spawn_outbox_rider *riders;
    size_t riders_count;
    size_t riders_room;
    size_t riders_sent;
    int other;    /* end of the socket, while nobody else has it; -1 */
    pid_t pid;    /* the process that may give it to another one */
    bool begun;   /* something has been sent ever */
    bool watched; /* an event loop sends what is here */
    bool closed;  /* nothing more can be sent */
} spawn_outbox;

#define SPAWN_OUTBOX_NONE ((size_t)-1)

void spawn_outbox_init(spawn_outbox *o);

/** Lets go of what is not sent. */
void spawn_outbox_clear(spawn_outbox *o);

/** Is anything left to be sent? */
bool spawn_outbox_pending(const spawn_outbox *o);

/**
 * Add a message.
 *
 * @param length of its body, at most SPAWN_OUTBOX_MOST.
 * @return where the body is to be written, at once; NULL: no memory.
 */
char *spawn_outbox_message(spawn_outbox *o, char letter, size_t length);

/** The same for strings of one kind, which go into the last message when that
 * is of this kind and not too long. */
char *spawn_outbox_texts(spawn_outbox *o, char letter, size_t length);

/** Add a handle, in the last message when that is one of handles. Returns 0 or
 * a negative errno, and then the descriptor is not taken over. */
int spawn_outbox_handle(spawn_outbox *o, char letter, int fd, bool owned);

/** A handle that rides on the body of the message that begins at a place. As
 * spawn_outbox_handle. */
int spawn_outbox_ride(spawn_outbox *o, size_t message, int fd, bool owned);

/** Send what the socket takes. Returns 0 when nothing is left, -EAGAIN, or
 * another negative errno. */
int spawn_outbox_send(spawn_outbox *o, int sock);

#endif
