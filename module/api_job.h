/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file api_job.h
 * @brief A job that another module describes, from the inside.
 *
 * Runs in httpd children, in the thread that has the job.
 */
#ifndef SPAWN_API_JOB_H
#define SPAWN_API_JOB_H

#include <stdbool.h>

#include "common/spawn_field.h"
#include "module/api.h"
#include "module/queue_choice.h"

#define SPAWN_X_COUNT(ATTR, name, FORM, dflt, what) +1
#define SPAWN_API_FIELDS                            (0 SPAWN_FIELD_LIST(SPAWN_X_COUNT))

/** One of env or context. */
typedef struct {
    const char *name;
    const char *text; /* name=value; NULL: taken out */
} spawn_api_pair;

struct spawn_job {
    apr_pool_t *pool;
    server_rec *server;             /* NULL: the main one */
    const spawn_dir_queues *queues; /* of its request, or server */
    bool of_request;
    const char *queue; /* that it names; NULL: none */
    spawn_id id;
    char id_text[SPAWN_ID_TEXT];
    request_rec *r;      /* that wants it, while it is there; or NULL */
    bool id_is_new;      /* nobody has it yet */
    spawn_failure fault; /* the first one; code OK: none */
    /* Options, by their places in SPAWN_FIELD_LIST, as attributes; length 0:
     * not set. */
    struct {
        const void *data;
        size_t length;
    } options[SPAWN_API_FIELDS];
    /* of const char *; NULL: not set */
    const apr_array_header_t *argv, *args;
    const char *function;
    /* of spawn_api_pair; request: what is known of the request */
    apr_array_header_t *env, *context, *request;
    apr_array_header_t *limits; /* of uint64_t: limit and value in turn */
    const void *data;           /* NULL: none */
    size_t data_length;
    struct {
        int target, fd;
    } fds[SPAWN_JOB_FDS_MAX];
    unsigned fds_count;
};

#endif
