/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pair.h
 * @brief The httpd parent's talk with the pair: start one, adopt one that
 * lingers, give it the configuration, hear that it is ready.
 *
 * Runs in the httpd parent. All log what goes wrong.
 */
#ifndef SPAWN_PAIR_H
#define SPAWN_PAIR_H

#include "module/account.h"
#include "module/retained.h"

/** What of one reading of the configuration the talk needs; lives in pconf. */
typedef struct {
    apr_pool_t *p;
    server_rec *s;
    const spawn_server_config *conf;
    const spawn_account *account;
    spawn_retained *r;
} spawn_pass;

/* ---- configure.c ---- */

typedef struct {
    bool first; /* this spawner has none of the descriptors yet */
    bool new_listen;
    int lock, control; /* with first */
    int spawner_bin, broker_bin;
} spawn_configure_with;

/** Send CONFIGURE. */
apr_status_t spawn_configure_send(const spawn_pass *pass,
                                  const spawn_configure_with *with);

/** Send one of the messages that carry nothing (GO, CLEARED); who has gone is
 * seen elsewhere, so there is no result. */
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
spawn_answer_kind spawn_answer_read(const spawn_pass *pass, uint32_t seq,
                                    int64_t deadline_ms, const char **ret_text);

/** Forget the link: the spawner has gone. */
void spawn_link_close(spawn_retained *r);

/* ---- pair.c ---- */

/** First start of this parent: start a pair or adopt one, until it is ready. */
apr_status_t spawn_pair_begin(const spawn_pass *pass);

/** A restart: give the pair the new configuration, or start a new spawner on
 * the sockets when there is none. Failures are logged, and httpd goes on. */
void spawn_pair_again(const spawn_pass *pass);

/** Start a spawner on the sockets of r (or adopt the one that has the store and
 * no httpd), in the MPM's loop: does not wait for READY, sends GO right behind
 * CONFIGURE. */
apr_status_t spawn_pair_respawn(const spawn_pass *pass);

/** httpd ends. When no spawner is there, one is started that stores what waits
 * in the sockets and the inbox, which would end with httpd. */
void spawn_pair_at_end(const spawn_pass *pass);

/** The callers' socket under its name: a new one when the file has gone or is
 * to have other rights, or when the path is another than before. Logs. */
apr_status_t spawn_listen_anew(const spawn_pass *pass, const char *path,
                               bool *ret_new);

/* ---- adopt.c ---- */

/**
 * Does the pair that has the store belong to an httpd that lives? Only asks.
 * @return APR_EBUSY when it is known that it does (logged), else APR_SUCCESS.
 */
apr_status_t spawn_adopt_look(apr_pool_t *p, server_rec *s,
                              const char *store_path, int store_fd);

/**
 * Try to adopt the pair that has the store.
 * @return APR_SUCCESS with r's sockets, secret and link taken over; APR_EAGAIN
 * it is about to go or to come: try again (not logged); another error that has
 * been logged.
 */
apr_status_t spawn_adopt(const spawn_pass *pass, int store_fd,
                         int64_t deadline_ms);

#endif
