/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from an httpd child to the broker. The parent's own descriptors were
 * closed at the fork (forks.c).
 *
 * Runs in httpd children, once, before requests are served (in `httpd -X` the
 * parent is its own child and keeps everything). Must hand out no number that
 * is another file's by now.
 */
#include "module/endpoint.h"

#include "common/spawn_fd.h"
#include "module/config.h"
#include "module/retained.h"
#include "module/spool.h"

static spawn_child_endpoint endpoint;
static spawn_kept_fd post = SPAWN_KEPT_NONE;
static bool have_endpoint;

static int spool(const uint8_t *id, const void *message, size_t length)
{
    spawn_id job;

    memcpy(job.bytes, id, sizeof(job.bytes));
    return spawn_spool_write(&job, message, length);
}

void spawn_endpoint_reset(void)
{
    have_endpoint = false;
}

void spawn_endpoint_child_init(apr_pool_t *p, server_rec *s)
{
    const spawn_retained *r = spawn_retained_get();

    (void)p;
    (void)s;
    if (!r->have_sockets)
        return;
    endpoint.socket_path = r->socket_path;
    endpoint.secret = r->secret;
    endpoint.post_fd = r->post_tx;
    endpoint.spool = spool;
    spawn_fd_keep(&post, r->post_tx);
    have_endpoint = true;
}

/* A handler that daemonizes closes our descriptors too; a file that has one of
 * the numbers then must not get our messages. */
const spawn_child_endpoint *spawn_child_endpoint_get(void)
{
    if (have_endpoint && spawn_fd_kept(&post) < 0)
        __atomic_store_n(&endpoint.post_fd, -1, __ATOMIC_RELAXED);
    return have_endpoint ? &endpoint : NULL;
}

uint32_t spawn_submit_timeout_ms(server_rec *s)
{
    return spawn_config_submit_timeout_ms(s);
}
