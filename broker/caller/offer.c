/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers are lent. Runs in the broker. Must lend none to a caller that has not
 * proved to be a child of httpd: a process that has a worker's socket can have
 * any function called there.
 */
#include "broker/caller/offer.h"

#include <sys/socket.h>

#include "common/spawn_os.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/process/worker.h"
#include "broker/run/lease.h"

#define CALLS_MIN 3   /* in a row */
#define APART_MAX 100 /* ms between them */

void spawn_offer_called(spawn_peer *peer)
{
    int64_t now = spawn_mono_ms();

    if (!peer->direct)
        return;
    peer->calls = now - peer->called_at <= APART_MAX ? peer->calls + 1 : 1;
    peer->called_at = now;
}

static int send_lease(const spawn_peer *peer, const spawn_job *job, int fd)
{
    uint8_t room[256];
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LEASE, 0);
    spawn_put_id(&w, SPAWN_A_ID, &job->perl->worker->id);
    spawn_put_str(&w, SPAWN_A_QUEUE, job->queue->name);
    rv = spawn_writer_finish(&w, 1);
    return rv < 0 ? rv
                  : spawn_packet_send(peer->watch.fd, w.data, w.length, &fd, 1);
}

int spawn_offer(spawn_peer *peer, const spawn_job *job)
{
    int ends[2];

    if (!peer->direct || peer->calls < CALLS_MIN || peer->out || job->waiters
        || job->unsent || job->state != SPAWN_STATE_DONE
        || !spawn_peer_open(peer) || !spawn_lease_may(job))
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends)
        < 0)
        return -1;
    (void)spawn_os_pass_descriptors(ends[0], false);
    if (send_lease(peer, job, ends[1]) < 0)
        spawn_close_fds(&ends[0], 1);
    spawn_close_fds(&ends[1], 1);
    peer->calls = 0;
    return ends[0];
}

void spawn_offer_taken(spawn_peer *peer, const spawn_job *job, int direct)
{
    if (direct < 0)
        return;
    /* an answer that waits here would be lost with us */
    if (!spawn_peer_open(peer) || peer->out)
        spawn_close_fds(&direct, 1);
    else
        spawn_lease_begin(job->perl->worker, peer->pid, peer->uid, direct);
}
