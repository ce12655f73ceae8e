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

static uint32_t templates[TEMPLATES_MAX]; /* indices, 0: free */

/* Texts of PRELOADED that no broker has yet. */
typedef struct said_text {
    struct said_text *next;
    uint32_t index;
    char text[];
} said_text;

static said_text *texts;

/* ---- texts ---- */

const char *template_text(const job *template)
{
    const said_text *t;

    for (t = texts; t; t = t->next) {
        if (t->index == table_index(template))
            return t->text;
    }
    return "";
}

void template_forget_text(const job *template)
{
    said_text **link = &texts;

    while (*link) {
        said_text *t = *link;

        if (t->index == table_index(template)) {
            *link = t->next;
            free(t);
            return;
        }
        link = &t->next;
    }
}

static void keep_text(const job *template, const char *text)
{
    said_text *t = malloc(sizeof(*t) + strlen(text) + 1);

    if (!t)
        return;
    template_forget_text(template);
    t->index = table_index(template);
    (void)strcpy(t->text, text);
    t->next = texts;
    texts = t;
}

/* ---- orders ---- */

void template_note(const job *template)
{
    int i;

    for (i = 0; i < TEMPLATES_MAX; i++) {
        if (templates[i] == 0 || templates[i] == table_index(template)) {
            templates[i] = table_index(template);
            return;
        }
    }
}

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

static void forked(const job *template, const spawn_message *m)
{
    job *j = job_of(template, m);
    pid_t pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);

    if (!j || j->pid != 0 || !may_be(pid)) {
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0316) "template process %d told of a process %d that "
                             "is not its job",
                  (int)template->pid, (int)pid);
        return;
    }
    j->boot_ms = spawn_boot_ms();
    table_set_pid(j, pid);
    if (j->pending_signal)
        (void)reap_signal(j, j->pending_signal);
}

static void set_up(const job *template, const spawn_message *m)
{
    job *j = job_of(template, m);

    if (!j || j->pid == 0)
        return;
    if (spawn_has(m, SPAWN_A_STEP)) {
        j->step = (uint8_t)spawn_attr_u64(&m->attr[SPAWN_A_STEP]);
        j->error = (int32_t)spawn_u64_or(m, SPAWN_A_ERRNO, 0);
        return; /* EXITED follows when it is reaped */
    }
    table_set_state(j, JOB_RUNNING);
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
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0317) "template process %d sent what is not "
                             "understood: %s",
                  (int)template->pid, why.text);
    spawn_packet_close(&packet);
    return 1;
}

void template_input(job *template)
{
    int i;

    for (i = 0; i < MESSAGES_PER_TURN; i++) {
        int rv = take(template);

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
        if (templates[i])
            drain(table_at(templates[i]));
    }
}

void template_ended(job *template)
{
    uint32_t i;

    drain(template);
    for (i = 0; i < TEMPLATES_MAX; i++) {
        if (templates[i] == table_index(template))
            templates[i] = 0;
    }
    if (template->link >= 0)
        (void)close(template->link);
    template->link = -1;
    for (i = 1; i < table_end(); i++) {
        job *j = table_at(i);

        if (j->state != JOB_FREE && j->template == table_index(template)) {
            j->template = 0;
            if (j->state == JOB_STARTING && j->pid == 0)
                launch_failed(j, SPAWN_STEP_TEMPLATE, ESRCH);
        }
    }
}

void template_dismiss(job *template)
{
    /* It reads the end of its orders, and leaves. Jobs that were ordered are
     * forked first: orders are read in order. */
    if (template->link >= 0)
        (void)shutdown(template->link, SHUT_WR);
}
