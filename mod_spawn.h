/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_spawn.h
 * @brief What mod_spawn offers to other modules of the same httpd.
 *
 * Get a function with APR_RETRIEVE_OPTIONAL_FN in an httpd child; a NULL
 * pointer means that mod_spawn is not loaded. All run in httpd children, in
 * any thread, and never fork.
 */
#ifndef MOD_SPAWN_H
#define MOD_SPAWN_H

#include <stddef.h>
#include <stdint.h>

#include "apr_optional.h"
#include "apr_tables.h"
#include "httpd.h"

/** What an httpd child inherits to reach the broker. Lives as long as the
 * child; the path, the secret and the descriptor never change under one
 * parent, but that a descriptor that a handler has closed is -1. */
typedef struct {
    const char *socket_path;
    const uint8_t *secret; /* 32 bytes */
    int post_fd;
    /** Keep a SUBMIT message of that id (16 bytes) as a file until the broker
     * takes it in. Waits for the disk only. 0, or a negative errno. */
    int (*spool)(const uint8_t *id, const void *message, size_t length);
} spawn_child_endpoint;

/**
 * @return the endpoint, or NULL before child_init and when mod_spawn did not
 * start.
 */
APR_DECLARE_OPTIONAL_FN(const spawn_child_endpoint *, spawn_child_endpoint_get,
                        (void));

/** SpawnSubmitTimeout of a virtual host, in milliseconds. */
APR_DECLARE_OPTIONAL_FN(uint32_t, spawn_submit_timeout_ms, (server_rec * s));

/** Of which requests a job for after the answer is wanted. */
typedef enum {
    SPAWN_CLEANUP_ALWAYS = 0,
    SPAWN_CLEANUP_SUCCESS = 1, /* a status below 400, and not aborted */
    SPAWN_CLEANUP_ERROR = 2,   /* a status of 400 or more */
    SPAWN_CLEANUP_ABORTED = 3  /* the client went before it had all */
} spawn_cleanup_when;

/**
 * Post a job when the client of a request has the whole answer: when it is
 * handed to the kernel (HTTP/1) or to the session (HTTP/2). Of a subrequest or
 * a request that was redirected inside httpd, it is the client's own request
 * that counts. CONTEXT is completed then: request_id, vhost, user, client,
 * uri, method, status, bytes_sent, aborted.
 *
 * @param message a finished and checked SUBMIT message without descriptors;
 * copied. REPLY is ignored: the job is posted.
 * @return APR_SUCCESS; APR_ENOSPC too big; APR_EINVAL not such a message, or
 * more than 8 kB of context.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_cleanup_register,
                        (request_rec * r, const void *message,
                         apr_size_t length, spawn_cleanup_when when));

/** The SpawnCleanupHandlers of a request, of const char *; NULL: none. */
APR_DECLARE_OPTIONAL_FN(const apr_array_header_t *, spawn_cleanup_handlers,
                        (request_rec * r));

#endif
