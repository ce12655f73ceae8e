/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The template's life: it waits for orders, and forks a job for each, or has a
 * spare take it. Runs in the template, which must run no Perl here once it is
 * ready.
 *
 * A forked job tells its process id (become.c). The template tells it, too: a
 * library's handler of the fork may end the job, or hang, before it can.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "common/spawn_os.h"
#include "perl/xs/template/freeze.h"
#include "perl/xs/template/hot.h"
#include "perl/xs/template/template.h"

#define LEAVE_AFTER 10000 /* ms, as the broker gives them */

/* While the template waits it runs no Perl, so no handler of Perl's can act.
 * Signals that are not meant for it do not end it; TERM does. */
static void template_signals(pTHX)
{
    (void)alarm(0);
    spawn_os_default_signals();
    PL_sig_pending = 0;
    Zero(PL_psig_pend, SIG_SIZE, int);
    spawn_template_not_for_us(SIG_IGN);
}

/* In the template: a child of ours has this order now. */
static void have_child(const spawn_message *order, const spawn_id *id,
                       pid_t pid)
{
    bool kill_left = spawn_u64_or(order, SPAWN_A_LEFTOVERS, 0) != 0;
    unsigned attempt = (unsigned)spawn_u64_or(order, SPAWN_A_ATTEMPT, 0);

    spawn_template_child_add(id, attempt, pid, kill_left,
                             spawn_has(order, SPAWN_A_IS_WORKER));
}

/* Fork the job of an order. 1; or a negative errno: the link cannot be used, or
 * nobody knows what was forked. */
static int fork_job(pTHX_ int link, const spawn_message *order, const int *fds,
                    bool own)
{
    spawn_id id;
    pid_t pid;
    int rv;

    spawn_attr_id(&order->attr[SPAWN_A_ID], &id);
    spawn_template_flush(aTHX);
    pid = spawn_template_fork(!own);
    if (pid == 0) {
        (void)spawn_hot_copy();
        spawn_spares_leave();
        spawn_template_become(aTHX_ link, order, fds, -1);
    }
    if (pid == -EOWNERDEAD)
        return pid;
    if (pid < 0)
        rv = spawn_template_tell_set_up(link, &id, 0, SPAWN_STEP_FORK, -pid);
    else
        rv = spawn_template_tell_launched(link, &id, pid, false);
    if (pid > 0 && own)
        have_child(order, &id, pid);
    return rv < 0 ? rv : 1;
}

/* The same by a spare, or else by fork. */
static int start_job(pTHX_ int link, const spawn_message *order,
                     const spawn_packet *packet, bool own)
{
    spawn_id id;
    pid_t pid;
    int rv;

    spawn_attr_id(&order->attr[SPAWN_A_ID], &id);
    rv = own ? spawn_template_child_room() : 0;
    if (rv < 0) {
        rv = spawn_template_tell_set_up(link, &id, 0, SPAWN_STEP_FORK, -rv);
        return rv < 0 ? rv : 1;
    }
    pid = spawn_spares_give(link, order, packet);
    spawn_spares_called();
    if (pid == 0)
        return fork_job(aTHX_ link, order, packet->fds, own);
    if (!own)
        return 1; /* it tells of itself */
    have_child(order, &id, pid);
    rv = spawn_template_tell_launched(link, &id, pid, true);
    return rv < 0 ? rv : 1;
}

static uint8_t input[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];

/* A packet was taken for which there was no room: a descriptor, or memory. 1,
 * or negative: it may have been an order, and nobody knows whose. */
static int cut_order(int link, int error)
{
    static spawn_message order;
    spawn_wire_header head;
    spawn_id id;
    int rv;

    if (spawn_wire_read_header(input, sizeof(input), &head) < 0)
        return -error;
    if (head.type != SPAWN_M_LAUNCH)
        return 1; /* it comes again, or is a signal, which may get lost */
    if ((head.flags & SPAWN_WIRE_BODY_IN_FD) || head.body > SPAWN_INLINE_MAX
        || spawn_body_parse(input + SPAWN_WIRE_HEADER, head.body, head.type,
                            head.fds, &order, NULL)
               < 0)
        return -error;
    spawn_attr_id(&order.attr[SPAWN_A_ID], &id);
    rv = spawn_template_tell_set_up(link, &id, 0, SPAWN_STEP_FDS, error);
    return rv < 0 ? rv : 1;
}

/* A message that is not understood. Another template takes the place of one
 * that leaves, whose jobs are not its children. One whose children they are has
 * to go on: it may be a newer spawner's. */
static int not_understood(bool own, int error)
{
    return own ? 1 : error;
}

/* One message. 1 taken, 0 the link ended, negative: it cannot be used. */
static int take(pTHX_ int link, bool own, bool *dismissed)
{
    static spawn_message order;
    spawn_packet packet;
    spawn_failure why;
    int rv;

    memset(input, 0, SPAWN_WIRE_HEADER);
    rv = spawn_packet_receive(link, input, sizeof(input), &packet);
    if (rv == -EAGAIN)
        return 1;
    if (rv == -EBADMSG || rv == -EMSGSIZE)
        return not_understood(own, rv);
    if (rv == -EMFILE || rv == -ENOMEM)
        return cut_order(link, -rv);
    if (rv <= 0)
        return rv == -ECONNRESET ? 0 : rv;
    rv = spawn_message_parse(packet.data, packet.length,
                             SPAWN_FROM_BROKER_TO_SPAWNER, packet.fds_count,
                             &order, &why);
    if (rv < 0) {
        rv = not_understood(own, rv);
        goto cleanup;
    }
    rv = 1;
    if (order.header.type == SPAWN_M_LAUNCH)
        rv = start_job(aTHX_ link, &order, &packet, own);
    else if (order.header.type == SPAWN_M_DISMISS)
        *dismissed = true;
    else if (order.header.type == SPAWN_M_SIGNAL && own)
        spawn_template_child_signal(link, &order);
    else if (order.header.type == SPAWN_M_FORGET && own)
        spawn_template_child_forget(&order);
    else
        rv = not_understood(own, -EBADMSG);
cleanup:
    spawn_packet_close(&packet);
    return rv;
}

void spawn_template_get_ready(pTHX_ int link)
{
    template_signals(aTHX);
    spawn_template_note_handles(aTHX_ link);
}

int spawn_template_ready(pTHX_ int link, bool own, unsigned how,
                         const char *weight)
{
    char text[SPAWN_TEMPLATE_TEXT], why[400];
    int n;

    if (!own)
        spawn_template_fork_begin();
    spawn_template_settle_memory(how, why, sizeof(why));
    /* Pages that are touched now have page tables, which forks copy; else each
     * job would find these pages in the file, one fault after the other. */
    if (spawn_template_frozen()) {
        spawn_template_warm_up(aTHX);
        spawn_template_probe(own);
    }
    n = snprintf(text, sizeof(text), "%s%s%s", weight, *why ? "\n" : "", why);
    if (n < 0 || (size_t)n >= sizeof(text))
        n = (int)sizeof(text) - 1;
    return spawn_template_tell_preloaded(link, SPAWN_E_OK, text, (size_t)n);
}

/* The spawner has gone, and only workers are left. Those without a call leave
 * at once, unless somebody has stopped them, or an END block hangs: then they
 * end with us (worker.c), and calls that run go on without us. */
static bool may_leave_workers(int64_t gone_at)
{
    return gone_at && spawn_mono_ms() - gone_at >= LEAVE_AFTER
           && spawn_template_children_stay();
}

/* Both in ms, -1: for ever. */
static int wait_for_what(int64_t gone_at)
{
    int64_t left = gone_at + LEAVE_AFTER - spawn_mono_ms();
    int ms = spawn_spares_wait();

    if (!gone_at || left <= 0 || (ms >= 0 && ms < left))
        return ms;
    return (int)left;
}

int spawn_template_serve(pTHX_ int link, bool own, unsigned spares)
{
    struct pollfd wait_for[2 + SPAWN_SPARES_MAX] = {
        {.fd = link, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    bool dismissed = false;
    unsigned jobs = 0, waiting;
    int64_t gone_at = 0; /* mono ms, when the link had ended */
    int rv = 1, failed;

    if (own) {
        wait_for[1].fd = spawn_template_parent_begin();
        if (wait_for[1].fd < 0)
            return wait_for[1].fd;
    }
    spawn_spares_begin(spares, own);
    spawn_hot_tidy();
    for (;;) {
        waiting = spawn_spares_watch(&wait_for[2]);
        if (poll(wait_for, 2 + waiting, wait_for_what(gone_at)) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        spawn_spares_look(&wait_for[2], waiting);
        if (rv > 0 && wait_for[0].revents)
            rv = take(aTHX_ link, own, &dismissed);
        else if ((failed = spawn_spares_keep(aTHX)) < 0)
            rv = failed;
        if (rv > 0 && (failed = spawn_spares_settle(link)) < 0)
            rv = failed;
        if (rv <= 0 && !gone_at) {
            /* no more orders, which the spawner learns; the jobs may still run,
             * and their ends are told */
            wait_for[0].fd = -1;
            (void)shutdown(link, SHUT_RD);
            gone_at = spawn_mono_ms();
        }
        if (rv <= 0 || dismissed)
            spawn_spares_end(link);
        if (own)
            jobs = spawn_template_children_reap(link);
        if ((dismissed || rv <= 0) && (jobs == 0 || may_leave_workers(gone_at)))
            return rv < 0 ? rv : 0;
    }
}
