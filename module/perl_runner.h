/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file perl_runner.h
 * @brief Between the module and Apache2::Spawn::Httpd, which is loaded into the
 * same httpd: the function that runs Perl in templates that are forked from the
 * httpd parent, the context of a request, and the way to the broker.
 *
 * Not for other modules, and not installed. Optional functions, as those of
 * mod_spawn.h; called in httpd children, but the first two, which are for the
 * parent while it starts.
 */
#ifndef SPAWN_PERL_RUNNER_H
#define SPAWN_PERL_RUNNER_H

#include <stdbool.h>

#include "apr_optional.h"
#include "httpd.h"

#include "mod_spawn.h"

/**
 * Runs Perl in a template that was forked from the httpd parent: takes orders
 * over the link until it ends, forks jobs. memory: SPAWN_MEMORY_. spares: most
 * clones that it keeps ready. Called in the forked process; when it returns the
 * process ends.
 */
typedef void (*spawn_template_runner_fn)(void *interpreter, const char *name,
                                         int link, unsigned memory,
                                         unsigned spares);

/**
 * Set the function that runs Perl in templates. In the httpd parent, while it
 * starts; holds until the configuration is cleared.
 */
APR_DECLARE_OPTIONAL_FN(void, spawn_template_runner_set,
                        (spawn_template_runner_fn fn, void *interpreter));

/**
 * A virtual host has a Perl of its own (PerlOptions +Parent), and
 * Apache2::Spawn is loaded there: no template is forked from it. As above.
 */
APR_DECLARE_OPTIONAL_FN(void, spawn_own_perl_note, (server_rec * s));

/** A word for a job about its request. */
typedef struct {
    const char *name, *value;
} spawn_context_pair;

#define SPAWN_CONTEXT_PAIRS 6

/**
 * The context of a job that a request wants. In httpd children.
 * @param pairs room for SPAWN_CONTEXT_PAIRS; the values live as long as the
 * request.
 * @return how many there are.
 */
APR_DECLARE_OPTIONAL_FN(unsigned, spawn_request_context,
                        (request_rec * r, spawn_context_pair *pairs));

/**
 * A request has submitted a job, or registered one for after the answer: the
 * access log can have its id. In httpd children, in the thread of the request.
 * @param id of the job, 16 bytes.
 */
APR_DECLARE_OPTIONAL_FN(void, spawn_request_job,
                        (request_rec * r, const void *id));

/**
 * A request has ended, and a job that was to end with it may not: that is
 * logged. In httpd children, any thread.
 * @param id of the job, text.
 * @param why the broker was not told.
 */
APR_DECLARE_OPTIONAL_FN(void, spawn_bound_untold,
                        (server_rec * s, const char *id, const char *why));

/* ---- the way to the broker: it speaks the protocol itself ---- */

/** The way of an httpd child to the broker. Lives as long as the child; the
 * path, the secret and the descriptor never change under one parent, but that a
 * descriptor that a handler has closed is -1. */
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

/**
 * The queue of a job: by SpawnDefaultQueue when it names none; and does
 * SpawnQueueAccess allow it?
 *
 * @param r the request that the job is of; NULL: what stands in a server's own
 * context counts.
 * @param s that server; NULL: the main one.
 * @param named the queue that the job names; NULL: none.
 * @return its queue, which lives as long as R, or the configuration; NULL: it
 * may not be used, and text says why.
 */
APR_DECLARE_OPTIONAL_FN(const char *, spawn_queue_choose,
                        (request_rec * r, server_rec *s, const char *named,
                         char *text, apr_size_t room));

/**
 * Would the queue of a job refuse that it sets this variable, because it has a
 * list (SpawnAllow)?
 *
 * @param r, named as above; a queue that may not be used refuses none here.
 * @param variable NAME=value.
 */
APR_DECLARE_OPTIONAL_FN(bool, spawn_queue_refuses,
                        (request_rec * r, const char *named,
                         const char *variable));

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
 * more than 8 kB of context; APR_EACCES: R may not use its queue.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_cleanup_register,
                        (request_rec * r, const void *message,
                         apr_size_t length, spawn_cleanup_when when));

/** The SpawnCleanupHandlers of a request, of const char *; NULL: none. */
APR_DECLARE_OPTIONAL_FN(const apr_array_header_t *, spawn_cleanup_handlers,
                        (request_rec * r));

#endif
