/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which jobs a request has submitted, as a note of the request. A request that
 * is redirected inside httpd is several for httpd, each with notes of its own,
 * and one for its client: all of these have the note, since the access log may
 * look at the first or at the last one.
 *
 * Runs in httpd children, in the thread that works on the request. Must not
 * grow with the number of jobs.
 */
#include "module/request_jobs.h"

#include <string.h>

#include "apr_pools.h"
#include "apr_strings.h"
#include "apr_tables.h"

#include "module/context.h"

#define KEY "mod_spawn: jobs of a request"

typedef struct {
    spawn_id listed[SPAWN_NOTED_MAX];
    unsigned count; /* of all */
    char *more;     /* the place of "+N" */
    char text[SPAWN_NOTED_MAX * SPAWN_ID_TEXT + 16];
} noted;

static noted *noted_of(request_rec *first)
{
    void *found = NULL;

    (void)apr_pool_userdata_get(&found, KEY, first->pool);
    return found;
}

/* One that was sent again is the same job. */
static bool is_listed(const noted *n, const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < n->count && i < SPAWN_NOTED_MAX; i++) {
        if (memcmp(&n->listed[i], id, sizeof(*id)) == 0)
            return true;
    }
    return false;
}

static void add(noted *n, const spawn_id *id)
{
    char text[SPAWN_ID_TEXT];

    if (n->count < SPAWN_NOTED_MAX) {
        n->listed[n->count++] = *id;
        n->more +=
            apr_snprintf(n->more, SPAWN_ID_TEXT + 1, "%s%s",
                         n->count > 1 ? "," : "", spawn_id_format(id, text));
        return;
    }
    n->count++;
    (void)apr_snprintf(n->more, 16, ",+%u", n->count - SPAWN_NOTED_MAX);
}

static void tell_all(request_rec *first, const noted *n)
{
    request_rec *r;

    for (r = first; r; r = r->next)
        apr_table_setn(r->notes, SPAWN_NOTE, n->text);
}

void spawn_request_job(request_rec *r, const void *id)
{
    request_rec *first = spawn_first_request(r);
    noted *n = noted_of(first);

    if (!n) {
        n = apr_pcalloc(first->pool, sizeof(*n));
        n->more = n->text;
        (void)apr_pool_userdata_setn(n, KEY, NULL, first->pool);
    }
    if (is_listed(n, id))
        return;
    add(n, id);
    tell_all(first, n);
}

int spawn_request_jobs_log(request_rec *r)
{
    request_rec *first = spawn_first_request(r);
    const noted *n = noted_of(first);

    if (n)
        tell_all(first, n);
    return DECLINED;
}
