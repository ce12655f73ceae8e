/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of jobs for another module, row by row. Runs in httpd children, in any
 * thread. Must keep no row: a history may have more than a child has memory.
 */
#include "module/api.h"

#include <string.h>

#include "module/api_client.h"
#include "module/api_info.h"

#define LIST_ROOM 512

#define INVALID(f, ...)                                                        \
    spawn_failure_set(f, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0, __VA_ARGS__)

typedef struct {
    apr_pool_t *p; /* of one row */
    spawn_job_info *info;
    spawn_job_row *row;
    void *of;
} listing;

static bool tell(void *arg, const spawn_message *job)
{
    listing *l = arg;
    spawn_id id;

    apr_pool_clear(l->p);
    spawn_attr_id(&job->attr[SPAWN_A_ID], &id);
    spawn_api_tell(l->info, l->p, &id, job);
    return l->row(l->of, l->info) != 0;
}

/* 0, or -1 with f. */
static int put_filter(spawn_writer *w, const spawn_job_filter *which,
                      spawn_failure *f)
{
    if (which->state < SPAWN_JOB_UNKNOWN || which->state > SPAWN_JOB_DELAYED) {
        INVALID(f, "which.state: there is no state %d", which->state);
        return -1;
    }
    if (which->queue)
        spawn_put_str(w, SPAWN_A_QUEUE, which->queue);
    if (which->dead || which->state)
        spawn_put_u64(w, SPAWN_A_STATES,
                      which->dead ? SPAWN_STATES_DEAD : 1ull << which->state);
    if (which->rows)
        spawn_put_u64(w, SPAWN_A_ROWS, which->rows);
    return 0;
}

static void list(server_rec *s, const spawn_job_filter *which, listing *l,
                 spawn_failure *f)
{
    spawn_client *client;
    uint8_t room[LIST_ROOM];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LIST, 0);
    if (put_filter(&w, which, f))
        return;
    if (spawn_writer_finish(&w, 0) < 0)
        INVALID(f, "which.queue: the name of the queue is too long");
    else if ((client = spawn_api_client(s, f)))
        (void)spawn_client_list(client, &w, tell, l, f);
}

apr_status_t spawn_job_list(server_rec *s, apr_pool_t *p,
                            const spawn_job_filter *which, spawn_job_info *info,
                            spawn_job_row *row, void *of,
                            spawn_job_failure *why)
{
    spawn_job_filter known = {.size = sizeof(known)};
    listing l = {.info = info, .row = row, .of = of};
    spawn_failure f;

    if (!spawn_api_sized(info, why))
        return APR_EINVAL;
    memset(&f, 0, sizeof(f));
    if (!p || !info || !row) {
        INVALID(&f, "%s is NULL: a list needs one",
                !p      ? "the pool"
                : !info ? "info"
                        : "row");
    }
    else if (which && !spawn_api_filter(which, &known)) {
        INVALID(&f,
                "which.size is %lu, which is no size of a spawn_job_filter: "
                "set it before each call",
                (unsigned long)which->size);
    }
    else {
        (void)apr_pool_create(&l.p, p);
        list(s, &known, &l, &f);
        apr_pool_destroy(l.p);
    }
    return spawn_api_fail(why, &f);
}
