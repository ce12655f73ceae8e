/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd's parent forks more than the children that serve requests: mod_wsgi,
 * mod_cgid and mod_fcgid fork daemons of their own, which exec nothing (so that
 * close-on-exec does not help) and often have another account. None of them may
 * hold a descriptor of ours: with the control link, the listening socket or the
 * post socket it could pose as httpd, as the broker or as a handler, or just
 * shut them down.
 *
 * A fork handler of the C library closes them before the fork returns, in every
 * process that fork() makes. Children that serve requests need the sending end
 * of the post socket, the spool and the secret: these stay only in processes
 * that are forked after the MPM has begun. A daemon that another module forks
 * anew after that cannot be told from such a child: there the broker decides by
 * the account.
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
static bool by_parent; /* the process that forks is httpd's parent */
static bool serving;   /* and it may fork a child that serves requests */
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
        return; /* a process that a handler forks may use what the child has */
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
