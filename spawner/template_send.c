/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to templates: orders for Perl jobs, unchanged, the dismissal, and
 * signals for jobs that only the template may signal. Runs in the spawner only.
 * Must wait for no template: a link may be full. The broker sends an order
 * again that found it so; the others wait here for room.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

/* ---- orders ---- */

int template_order(job *j, const spawn_id *template_id,
                   const spawn_packet *packet)
{
    job *template = table_by_id(template_id);
    const template_note *n;

    if (!template || !(template->flags & JOB_IS_TEMPLATE) || template->link < 0
        || template->state == JOB_ENDED)
        return -ESRCH;
    n = template_note_of(template);
    if (!n || n->dismissed)
        return -EPIPE;
    j->template = table_index(template);
    j->uid = n->uid;
    j->mono_us = spawn_mono_us();
    j->boot_ms = spawn_boot_ms();
    j->wall_ms = spawn_wall_ms();
    return spawn_packet_send(template->link, packet->data, packet->length,
                             packet->fds, packet->fds_count);
}

/* ---- dismissal, signals ---- */

static int send_dismissal(const job *template)
{
    uint8_t buffer[64];
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_DISMISS, 0);
    spawn_put_id(&w, SPAWN_A_ID, &template->id);
    rv = spawn_writer_finish(&w, 0);
    return rv ? rv
              : spawn_packet_send(template->link, w.data, w.length, NULL, 0);
}

static int send_signal(const job *template, const job *j, int signo)
{
    uint8_t buffer[128];
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_SIGNAL, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    if (j->flags & (JOB_KILL_LEFT | JOB_LEFT_WAIT))
        spawn_put_u64(&w, SPAWN_A_KILL_LEFT,
                      j->flags & JOB_KILL_LEFT ? SPAWN_LEFT_KILL
                                               : SPAWN_LEFT_WAIT);
    rv = spawn_writer_finish(&w, 0);
    return rv ? rv
              : spawn_packet_send(template->link, w.data, w.length, NULL, 0);
}

/* Signals for jobs of this template that wait for room. 0 or -EAGAIN. */
static int send_waiting_signals(const job *template)
{
    uint32_t i;

    for (i = 1; i < table_end(); i++) {
        job *j = table_at(i);

        if (j->state == JOB_FREE || j->template != table_index(template)
            || !j->pending_signal || j->pid == 0 || j->state == JOB_ENDED)
            continue;
        if (send_signal(template, j, j->pending_signal) == -EAGAIN)
            return -EAGAIN;
        j->pending_signal = 0;
    }
    return 0;
}

void template_tell_waiting(const job *template, template_note *n)
{
    bool wanted = n->dismissal_waits || n->signals_wait;
    int rv = 0;

    if (template->link < 0)
        return;
    if (n->dismissal_waits)
        rv = send_dismissal(template);
    if (rv != -EAGAIN)
        n->dismissal_waits = false; /* told, or it has gone */
    if (rv != -EAGAIN && n->signals_wait)
        n->signals_wait = send_waiting_signals(template) == -EAGAIN;
    if (n->dismissal_waits || n->signals_wait)
        (void)rewatch(template->link, ON_TEMPLATE | table_index(template),
                      EPOLLIN | EPOLLOUT);
    else if (wanted)
        (void)rewatch(template->link, ON_TEMPLATE | table_index(template),
                      EPOLLIN);
}

int template_signal(job *j, int signo)
{
    const job *template = j->template ? table_at(j->template) : NULL;
    template_note *n = template ? template_note_of(template) : NULL;
    int rv;

    if (!n || template->link < 0)
        return -ESRCH;
    j->flags |= JOB_SHOT;
    rv = send_signal(template, j, signo);
    if (rv != -EAGAIN)
        return rv;
    if (j->pending_signal != SIGKILL)
        j->pending_signal = (uint8_t)signo;
    n->signals_wait = true;
    template_tell_waiting(template, n);
    return 0;
}

void template_tell_left(const job *j)
{
    const job *template = j->template ? table_at(j->template) : NULL;

    /* a link that is full will not be read soon */
    if (template && template->link >= 0
        && (j->flags & (JOB_KILL_LEFT | JOB_LEFT_WAIT)))
        (void)send_signal(template, j, 0);
}

int template_kill(const job *template, int signo)
{
    const template_note *n = template_note_of(template);

    return n && n->pidfd >= 0 ? spawn_os_pidfd_signal(n->pidfd, signo) : -ESRCH;
}

void template_dismiss(job *template)
{
    template_note *n = template_note_of(template);

    if (!n || n->dismissed)
        return;
    n->dismissed = n->dismissal_waits = true;
    template_tell_waiting(template, n);
}

void template_give_up(const job *j)
{
    const job *template = j->template ? table_at(j->template) : NULL;
    uint8_t buffer[128];
    spawn_writer w;

    if (!template || template->link < 0)
        return;
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_FORGET, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    /* a template whose link is full waits for the job a little longer: no
     * harm */
    if (spawn_writer_finish(&w, 0) == 0)
        (void)spawn_packet_send(template->link, w.data, w.length, NULL, 0);
}

void templates_resume(void)
{
    template_note *n = NULL;

    while ((n = template_note_next(n))) {
        n->signals_wait = (table_at(n->index)->flags & JOB_FOREIGN) != 0;
        template_tell_waiting(table_at(n->index), n);
    }
}
