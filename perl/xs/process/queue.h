/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue.h
 * @brief An object of Apache2::Spawn::Process and its outbox.
 *
 * Runs in callers, in any thread with an interpreter. A function that cannot
 * do what is asked in the short way says so and has changed nothing: Perl then
 * checks the values one by one and knows what is wrong.
 */
#ifndef SPAWN_PROCESS_QUEUE_H
#define SPAWN_PROCESS_QUEUE_H

#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include "perl/xs/process/outbox.h"

/** Give a new object its outbox, which goes when the object does. */
spawn_outbox *spawn_process_begin(pTHX_ SV *self);

/** The outbox; dies when self is no such object. */
spawn_outbox *spawn_process_outbox(pTHX_ SV *self);

/** The outbox when more can be sent, else NULL. */
spawn_outbox *spawn_process_open(pTHX_ SV *self);

/** Add a message of strings. place: the first is where the caller stands. more:
 * it may go into the last message. */
bool spawn_process_texts(pTHX_ spawn_outbox *o, char letter, SV **args,
                         SSize_t count, bool place, bool more);

/** Where the caller stands, as Process::Failure says it: the file, and the
 * line; NULL: Perl has to look. */
const char *spawn_process_place(pTHX_ long *ret_line);

/** Add a message with one name alone. */
bool spawn_process_name(pTHX_ spawn_outbox *o, char letter, SV *name);

/** Are these names of modules, as they are written mostly? */
bool spawn_process_modules(pTHX_ SV **args, SSize_t count);

/** Add duplicates of handles of Perl's, whose output is written before. */
bool spawn_process_handles(pTHX_ spawn_outbox *o, char letter, SV **args,
                           SSize_t count);

/** A new handle for a socket that is ours; NULL, and the socket is closed. */
SV *spawn_process_socket(pTHX_ int fd);

#endif
