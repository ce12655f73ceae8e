/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of shared queues, as data. Must send nothing.
 */
#include "broker/job/share.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/base/alloc.h"

spawn_shares_state spawn_shares;

spawn_share *spawn_share_make(spawn_job *job, unsigned role, const char *host)
{
    spawn_share *share = spawn_alloc(sizeof(*share));

    share->role = (uint8_t)role;
    (void)snprintf(share->host, sizeof(share->host), "%s", host);
    job->share = share;
    return share;
}

void spawn_share_on_way(spawn_job *job, bool is)
{
    if (job->share->on_way == is)
        return;
    job->share->on_way = is;
    if (is)
        spawn_shares.on_way++;
    else
        spawn_shares.on_way--;
}

void spawn_share_drop(spawn_job *job)
{
    if (!job->share)
        return;
    spawn_share_on_way(job, false);
    free(job->share);
    job->share = NULL;
}
