/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates, seen from the spawner: processes of ours that run Perl and fork
 * Perl jobs, which become our own children too (CLONE_PARENT). Runs in the
 * spawner only.
 *
 * An order for a Perl job is handed on as it came. The forked job itself tells
 * its process id over the template's link before it does anything else: so a
 * template can be killed at any moment, and every process that we reap is known
 * or no job. What comes over the link is written by code of the users: hostile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../common/spawn_log.h"
#include "../common/spawn_os.h"
#include "spawner.h"

#define TEMPLATES_MAX     64
#define MESSAGES_PER_TURN 64

/* What is known of a template beside its entry in the table. */
typedef struct {
    uint32_t index; /* in the table; 0: free */
    char name[SPAWN_NAME_MAX + 1];
    char *text; /* of PRELOADED; heap */
} template_note_t;

static template_note_t notes[TEMPLATES_MAX];

static template_note_t *note_of(const job *template)
{
    int i;

    for (i = 0; i < TEMPLATES_MAX; i++) {
        if (notes[i].index == table_index(template))
            return &notes[i];
    }
    return NULL;
}

void template_note(const job *template)
{
    int i;

    for (i = 0; i < TEMPLATES_MAX && !note_of(template); i++) {
        if (notes[i].index == 0) {
            notes[i].index = table_index(template);
            notes[i].name[0] = '\0';
        }
    }
}

void template_forget(const job *template)
{
    template_note_t *n = note_of(template);

    if (n) {
        free(n->text);
        n->text = NULL;
        n->index = 0;
    }
}

void template_name(const job *template, const char *name)
{
    template_note_t *n = note_of(template);

    if (n)
        (void)snprintf(n->name, sizeof(n->name), "%s", name);
}

void template_put_name(spawn_writer *w, const job *template)
{
    const template_note_t *n = note_of(template);

    if (n && n->name[0])
        spawn_put_str(w, SPAWN_A_TEMPLATE, n->name);
}

void template_put_text(spawn_writer *w, const job *template)
{
    const template_note_t *n = note_of(template);

    if (n && n->text)
        spawn_put_str(w, SPAWN_A_TEXT, n->text);
}

static void keep_text(const job *template, const char *text)
{
    template_note_t *n = note_of(template);

    if (n) {
        free(n->text);
        n->text = strdup(text);
    }
}

/* ---- orders ---- */

int template_order(job *j, const spawn_id *template_id,
                   const spawn_packet *packet)
{
    job *template = table_by_id(template_id);

    if (!template || !(template->flags & JOB_IS_TEMPLATE) || template->link < 0
        || template->state == JOB_ENDED)
        return -ESRCH;
    j->template = table_index(template);
    j->mono_us = spawn_mono_us();
    j->boot_ms = spawn_boot_ms();
    j->wall_ms = spawn_wall_ms();
    return spawn_packet_send(template->link, packet->data, packet->length,
                             packet->fds, packet->fds_count);
}

/* ---- what comes back ---- */

/* The job of an order that this template was given and that has not told its
 * process yet (pid 0) or has (any other). */
static job *job_of(const job *template, const spawn_message *m)
{
    spawn_id id;
    job *j;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    j = table_by_id(&id);
    if (!j || j->template != table_index(template) || j->state != JOB_STARTING)
        return NULL;
    return j;
}

/* Is it a child of ours, and nobody else's job? */
static bool may_be(pid_t pid)
{
    siginfo_t info;

    return pid > 1 && pid != spawner.broker_pid && !table_by_pid(pid)
           && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Whom its faults are counted for. */
static const char *about(const job *template)
{
    static char text[48];

    (void)snprintf(text, sizeof(text), "template process %d",
                   (int)template->pid);
    return text;
}

static void forked(const job *template, const spawn_message *m)
{
    job *j = job_of(template, m);
    pid_t pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);
    bool foreign = template->flags & JOB_FOREIGN;

    if (!j || j->pid != 0 || (!foreign && !may_be(pid))) {
        spawn_log_few(
            about(template), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
            MSNO(0316) "template process %d told of a process %d that "
                       "is not its job",
            (int)template->pid, (int)pid);
        return;
    }
    j->mono_us = spawn_mono_us(); /* its limits count from here */
    j->boot_ms = spawn_boot_ms();
    j->wall_ms = spawn_wall_ms();
    if (foreign) {
        j->flags |= JOB_FOREIGN; /* its template reaps it: see exited */
        j->pid = pid;
    }
    else {
        table_set_pid(j, pid);
    }
    if (j->flags & JOB_PID_WANTED)
        table_tell(j, JOB_TELL_PID);
    if (j->pending_signal)
        (void)reap_signal(j, j->pending_signal);
}

/* A child of httpd's template has ended and been reaped there. */
static void exited(const job *template, const spawn_message *m)
{
    spawn_id id;
    job *j;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    j = table_by_id(&id);
    if (!j || !(j->flags & JOB_FOREIGN) || j->state == JOB_ENDED
        || j->template != table_index(template))
        return;
    reap_told(j, (int)spawn_attr_u64(&m->attr[SPAWN_A_WAIT_STATUS]),
              &m->attr[SPAWN_A_RUSAGE]);
}

int template_signal(const job *j, int signo)
{
    const job *template = j->template ? table_at(j->template) : NULL;
    uint8_t buffer[128];
    spawn_writer w;
    int rv;

    if (!template || template->link < 0)
        return -ESRCH;
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
    /* one whose link is full waits for the job a little longer: no harm */
    if (spawn_writer_finish(&w, 0) == 0)
        (void)spawn_packet_send(template->link, w.data, w.length, NULL, 0);
}

static void set_up(const job *template, const spawn_message *m)
{
    job *j = job_of(template, m);

    if (!j)
        return;
    if (j->pid == 0) {
        /* its template could not fork */
        if (spawn_has(m, SPAWN_A_STEP))
            launch_failed(j, (spawn_step)spawn_attr_u64(&m->attr[SPAWN_A_STEP]),
                          (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0));
        return;
    }
    if (spawn_has(m, SPAWN_A_STEP)) {
        j->step = (uint8_t)spawn_attr_u64(&m->attr[SPAWN_A_STEP]);
        j->error = (int32_t)spawn_u64_or(m, SPAWN_A_ERRNO, 0);
        return; /* EXITED follows when it is reaped */
    }
    j->state = JOB_RUNNING;
    if (!(j->flags & JOB_GIVEN_UP))
        table_tell(j, JOB_TELL_STARTED);
}

static void preloaded(job *template, const spawn_message *m)
{
    bool ok = spawn_attr_u64(&m->attr[SPAWN_A_CODE]) == SPAWN_E_OK;

    if (template->said != SAID_NOTHING)
        return;
    template->said = ok ? SAID_READY : SAID_FAILED;
    keep_text(template, spawn_str_or(m, SPAWN_A_TEXT, ""));
    table_tell(template, JOB_TELL_SAID);
}

static void dispatch(job *template, const spawn_message *m)
{
    switch (m->header.type) {
    case SPAWN_M_PRELOADED:
        preloaded(template, m);
        break;
    case SPAWN_M_FORKED:
        forked(template, m);
        break;
    case SPAWN_M_SET_UP:
        set_up(template, m);
        break;
    case SPAWN_M_CHILD_EXITED:
        exited(template, m);
        break;
    default:
        break;
    }
}

/* One message. 1: taken, 0: none there, negative: none ever more. */
static int take(job *template)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    static spawn_message message;
    spawn_packet packet;
    spawn_failure why;
    int rv;

    do {
        rv = spawn_packet_receive(template->link, buffer, sizeof(buffer),
                                  &packet);
    } while (rv == -ECONNRESET);
    if (rv == -EAGAIN)
        return 0;
    if (rv <= 0)
        return -EPIPE;
    if (spawn_message_parse(packet.data, packet.length, SPAWN_FROM_TEMPLATE,
                            packet.fds_count, &message, &why)
        == 0)
        dispatch(template, &message);
    else
        spawn_log_few(about(template), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                      MSNO(0317) "template process %d sent what is not "
                                 "understood: %s",
                      (int)template->pid, why.text);
    spawn_packet_close(&packet);
    return 1;
}

static void foreign_gone(job *template)
{
    template->ended_ms = spawn_wall_ms();
    template->state = JOB_ENDED;
    template_ended(template);
    table_tell(template, JOB_TELL_EXITED);
}

void template_input(job *template)
{
    int i;

    for (i = 0; i < MESSAGES_PER_TURN; i++) {
        int rv = take(template);

        if (rv < 0 && (template->flags & JOB_FOREIGN)) {
            foreign_gone(template);
            return;
        }
        /* Its end follows as SIGCHLD; do not spin until then. */
        if (rv < 0)
            (void)epoll_ctl(spawner.epoll, EPOLL_CTL_DEL, template->link, NULL);
        if (rv <= 0)
            return;
    }
}

static void drain(job *template)
{
    while (template->link >= 0 && take(template) > 0)
        continue;
}

void templates_drain(void)
{
    int i;

    for (i = 0; i < TEMPLATES_MAX; i++) {
        if (notes[i].index)
            drain(table_at(notes[i].index));
    }
}

/* Its parent has gone with httpd's template: only the broker can follow it now,
 * by pidfd. */
static void orphaned(job *j)
{
    j->state = JOB_ENDED;
    table_tell(j, JOB_TELL_ORPHAN);
}

/* It will find nobody to tell that it is set up, and end: it never runs, and
 * can be ordered again. */
static void never_set_up(job *j)
{
    j->step = SPAWN_STEP_TEMPLATE;
    j->error = ESRCH;
}

void template_ended(job *template)
{
    uint32_t i;

    /* From here on nothing can be told: what was is taken in, and a job that
     * has more to tell learns that it cannot. */
    if (template->link >= 0)
        (void)shutdown(template->link, SHUT_RD);
    drain(template);
    unwatch_passed(&template->link);
    for (i = 1; i < table_end(); i++) {
        job *j = table_at(i);

        if (j->state != JOB_FREE && j->template == table_index(template)) {
            j->template = 0;
            if (j->state == JOB_STARTING && j->pid == 0)
                launch_failed(j, SPAWN_STEP_TEMPLATE, ESRCH);
            else if (j->state == JOB_STARTING && !(j->flags & JOB_FOREIGN)
                     && !j->step)
                never_set_up(j);
            else if ((j->flags & JOB_FOREIGN) && j->state != JOB_ENDED)
                orphaned(j);
        }
    }
}

void template_foreign(const spawn_message *m, int link)
{
    spawn_id id;
    job *j;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    j = table_by_id(&id) ? NULL : table_add(&id);
    if (!j) {
        spawn_close_fds(&link, 1);
        return;
    }
    j->flags |= JOB_IS_TEMPLATE | JOB_FOREIGN;
    j->pid = (pid_t)spawn_u64_or(m, SPAWN_A_PID, 0);
    j->link = link;
    j->mono_us = spawn_mono_us();
    j->boot_ms = spawn_boot_ms();
    j->wall_ms = spawn_wall_ms();
    j->state = JOB_RUNNING;
    template_note(j);
    template_name(j, spawn_attr_str(&m->attr[SPAWN_A_TEMPLATE]));
    if (link >= 0) {
        (void)spawn_os_pass_descriptors(link, false);
        (void)watch(link, ON_TEMPLATE | table_index(j), EPOLLIN);
        return;
    }
    j->said = SAID_ABSENT;
    keep_text(j, spawn_str_or(m, SPAWN_A_TEXT, "it is not there"));
    j->state = JOB_ENDED;
    table_tell(j, JOB_TELL_SAID | JOB_TELL_EXITED);
}

void template_dismiss(job *template)
{
    /* It reads the end of its orders, and leaves. Jobs that were ordered are
     * forked first: orders are read in order. */
    if (template->link >= 0)
        (void)shutdown(template->link, SHUT_WR);
}
