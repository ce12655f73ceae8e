/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd's parent forks more than the children that serve requests: mod_wsgi,
 * mod_cgid and mod_fcgid fork daemons of their own, which exec nothing (so that
 * close-on-exec does not help) and often have another account. None of them is
 * to hold a descriptor of ours: with the control link, the listening socket or
 * the post socket it could pose as httpd, as the broker, as a handler, or just
 * shut them down.
 *
 * A fork handler of the C library closes them before the fork returns, in
 * whatever is forked by fork(). What the children that serve requests need (the
 * sending end of the post socket, the spool, the secret) stays only in what is
 * forked when the MPM has begun. A daemon that another module forks anew after
 * that cannot be told from them: there the account decides, in the broker.
 *
 * The handler only closes and wipes: nothing may be allocated or locked there.
 * The C library forgets it when the module is unloaded (each restart does).
 */
#include "module/forks.h"

#include <pthread.h>
#include <unistd.h>

#include "module/spool.h"

static spawn_retained *retained;
static bool registered;
static bool by_parent; /* the fork that is going on is the parent's own */
static bool serving;   /* and it may be of a child that serves requests */
static bool preparing; /* other modules' hooks run before the MPM's children */

static void drop(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void before(void)
{
    by_parent = spawn_in_parent(retained);
    serving =
        ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_RUN_MPM && !preparing;
}

static void in_child(void)
{
    spawn_retained *r = retained;

    if (!by_parent)
        return; /* what a handler forks may use what its process has */
    drop(&r->link);
    drop(&r->listen_fd);
    drop(&r->post_rx);
    drop(&r->inbox);
    if (serving)
        return;
    drop(&r->post_tx);
    spawn_spool_drop();
    explicit_bzero(r->secret, sizeof(r->secret));
    r->have_sockets = false;
}

apr_status_t spawn_forks_watch(spawn_retained *r)
{
    int rv = 0;

    retained = r;
    if (!registered)
        rv = pthread_atfork(before, NULL, in_child);
    registered = rv == 0;
    return rv;
}

/* mod_wsgi forks its daemons in this hook. The MPMs leave it out at a graceful
 * restart. */
int spawn_forks_before_mpm(apr_pool_t *p, ap_scoreboard_e type)
{
    (void)p;
    (void)type;
    preparing = true;
    return OK;
}

int spawn_forks_before_children(apr_pool_t *p, ap_scoreboard_e type)
{
    (void)p;
    (void)type;
    preparing = false;
    return OK;
}
