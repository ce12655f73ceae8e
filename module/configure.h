/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file configure.h
 * @brief Messages of the httpd parent to the spawner over the control link, and
 * the answers.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_CONFIGURE_H
#define SPAWN_CONFIGURE_H

#include "module/setup.h"
#include "module/retained.h"

typedef struct {
    bool first; /* this spawner has none of the descriptors yet */
    bool new_listen;
    int lock, control; /* with first */
    int spawner_bin, broker_bin;
    int relay_bin; /* -1: no relay is wanted */
} spawn_configure_with;

/** Send CONFIGURE. */
apr_status_t spawn_configure_send(const spawn_setup *setup,
                                  const spawn_configure_with *with);

/** Send one of the messages that carry nothing (GO, CLEARED). No result: other
 * code notices when the spawner has gone. */
void spawn_tell(const spawn_retained *r, unsigned type);

typedef enum {
    SPAWN_ANSWER_NONE,      /* nothing there (in time) */
    SPAWN_ANSWER_READY,     /* r->ready is set */
    SPAWN_ANSWER_NOT_READY, /* the reason is in text */
    SPAWN_ANSWER_GONE,      /* end of file, or it broke the rules of the wire */
} spawn_answer_kind;

/**
 * Read the next answer from the control link, waiting until deadline_ms
 * (monotonic; 0: do not wait). Does not log.
 * @param seq only an answer to this CONFIGURE; 0: any.
 */
spawn_answer_kind spawn_answer_read(const spawn_setup *setup, uint32_t seq,
                                    int64_t deadline_ms, const char **ret_text);

/** Forget the link: the spawner has gone. */
void spawn_link_close(spawn_retained *r);

/** Was anything read from the spawner since this was asked last? */
bool spawn_answer_heard(void);

#endif
