/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue_choice.h
 * @brief SpawnDefaultQueue and SpawnQueueAccess as data, and the queue that a
 * job has by them.
 */
#ifndef SPAWN_QUEUE_CHOICE_H
#define SPAWN_QUEUE_CHOICE_H

#include "module/module.h"

/** Which queues requests may use: all when nothing is said. */
typedef enum {
    SPAWN_QUEUES_UNSET = 0,
    SPAWN_QUEUES_ALL,
    SPAWN_QUEUES_NAMED
} spawn_queues_access;

/** Of a directory: queue_access.c */
typedef struct {
    const char *by_default; /* NULL: not set */
    spawn_queues_access access;
    apr_array_header_t *names; /* of const char *: those that are NAMED */
    bool narrows; /* a .htaccess says it: only what is allowed outside, too */
} spawn_dir_queues;

/** Is this queue among the names? */
bool spawn_is_among(const apr_array_header_t *queues, const char *queue);

/** A copy in a pool, which may outlive the request. */
const spawn_dir_queues *spawn_queues_keep(apr_pool_t *p,
                                          const spawn_dir_queues *of);

/**
 * The queue of a job.
 * @param named that it names; NULL: none.
 * @return it; NULL: it may not be used, and text says why.
 */
const char *spawn_queues_choose(const spawn_dir_queues *queues, bool of_request,
                                const char *named, char *text, apr_size_t room);

#endif
