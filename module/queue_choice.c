/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of a job, by the rules of its request. Every way to submit that
 * knows a request asks here. Runs in httpd children, in any thread; must ask
 * httpd for nothing.
 */
#include "module/queue_choice.h"

#include "common/spawn_field.h"

bool spawn_is_among(const apr_array_header_t *queues, const char *queue)
{
    int i;

    for (i = 0; i < queues->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(queues, i, const char *), queue) == 0)
            return true;
    }
    return false;
}

const spawn_dir_queues *spawn_queues_keep(apr_pool_t *p,
                                          const spawn_dir_queues *of)
{
    spawn_dir_queues *ret = apr_pmemdup(p, of, sizeof(*ret));
    int i;

    ret->by_default = apr_pstrdup(p, of->by_default);
    ret->names = of->names ? apr_array_copy(p, of->names) : NULL;
    for (i = 0; ret->names && i < ret->names->nelts; i++)
        APR_ARRAY_IDX(ret->names, i, const char *) =
            apr_pstrdup(p, APR_ARRAY_IDX(ret->names, i, const char *));
    return ret;
}

const char *spawn_queues_choose(const spawn_dir_queues *queues, bool of_request,
                                const char *named, char *text, apr_size_t room)
{
    const char *queue = named                ? named
                        : queues->by_default ? queues->by_default
                                             : SPAWN_DEFAULT_QUEUE;
    apr_size_t used;
    int i;

    if (queues->access != SPAWN_QUEUES_NAMED
        || spawn_is_among(queues->names, queue))
        return queue;
    used = (apr_size_t)apr_snprintf(
        text, room, "queue '%.64s' may not be used %s (SpawnQueueAccess); %s",
        queue, of_request ? "by this request" : "outside of requests",
        queues->names->nelts ? "allowed: " : "none is allowed");
    for (i = 0; i < queues->names->nelts && used < room; i++)
        used += (apr_size_t)apr_snprintf(
            text + used, room - used, "%s%s", i ? ", " : "",
            APR_ARRAY_IDX(queues->names, i, const char *));
    return NULL;
}
