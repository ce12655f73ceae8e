/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages and the end of templates: processes that run Perl and fork Perl
 * jobs, which the kernel gives to us as the subreaper. Runs in the spawner
 * only.
 *
 * A forked job itself tells its process id over the template's link before it
 * does anything else: so a template can be killed at any moment, and every
 * process that we reap is known, or is no job. Must believe nothing that comes
 * over the link: code of users writes it. template_send.c is the other
 * direction.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "common/spawn_tree.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

#define MESSAGES_PER_TURN 64
/* More packets than a link takes of those that are smaller than a message. */
#define STRAYS 1024

/* ---- what comes back ---- */

/* The job of an order that this template was given: it has not told its process
 * yet (pid 0), or has (any other pid). */
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

/* Under which name its faults are counted. */
static const char *about(const job *template)
{
    static char text[48];

    (void)snprintf(text, sizeof(text), "template process %d",
                   (int)template->pid);
    return text;
}

/* The kernel moves a process, and no one can be started there by its template.
 * Without its limits it must not go on. */
static void not_entered(job *j, pid_t pid, int rv)
{
    char text[SPAWN_ID_TEXT];

    spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0326) "job %s is killed: its process %d cannot be put "
                             "into its cgroup, without which its limits do not "
                             "hold: %s",
                  spawn_id_format(&j->id, text), (int)pid, strerror(-rv));
    (void)(j->flags & JOB_FOREIGN ? template_signal(j, SIGKILL)
                                  : job_signal(j, SIGKILL));
}

static void enter(job *j, pid_t pid)
{
    int rv = cgroup_enter(j, pid);

    if (rv < 0)
        not_entered(j, pid, rv);
}

static void is_process_of(job *j, const job *template, pid_t pid)
{
    int signo = j->pending_signal;

    j->mono_us = spawn_mono_us(); /* its time-out counts from here */
    j->boot_ms = spawn_boot_ms();
    j->wall_ms = spawn_wall_ms();
    if (template->flags & JOB_FOREIGN) {
        j->flags |= JOB_FOREIGN; /* its template reaps it: see exited */
        j->pid = pid;
    }
    else {
        table_set_pid(j, pid);
        enter(j, pid);
    }
    j->pending_signal = 0;
    if (j->flags & JOB_PID_WANTED)
        table_tell(j, JOB_TELL_PID);
    if (signo)
        (void)(j->flags & JOB_FOREIGN ? template_signal(j, signo)
                                      : job_signal(j, signo));
}

static void not_its_job(const job *template, pid_t pid)
{
    spawn_log_few(about(template), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0316) "template process %d told of a process %d that "
                             "is not its job",
                  (int)template->pid, (int)pid);
}

/* A process tells that it is this job. Its template may have been faster. */
static bool tells_of_itself(job *j, const job *template, pid_t pid,
                            const spawn_packet *p)
{
    int rv;

    if (j && j->pid == pid) {
        j->flags &= (uint16_t)~JOB_SPARE;
        return true;
    }
    rv = (template->flags & JOB_FOREIGN)
                 && !(p->has_sender && p->sender.pid == pid)
             ? -EPERM
             : template_may_have(template, pid, p);
    if (!j || j->pid != 0 || rv < 0) {
        not_its_job(template, pid);
        return false;
    }
    is_process_of(j, template, pid);
    return true;
}

static void forked(const job *template, const spawn_message *m,
                   const spawn_packet *p)
{
    (void)tells_of_itself(job_of(template, m), template,
                          (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]), p);
}

/* Its account is not shown. When it ends before it tells of itself, the kernel
 * tells it with the end. */
static void claim(const job *template, const job *j, pid_t pid, bool spare)
{
    template_note *n = template_note_of(template);

    n->claims[n->claims_count++ % SPAWN_SPARES_MAX] =
        (template_claim){.job = j->id, .pid = pid, .spare = spare};
}

static job *claimed_by(const template_note *n, const template_claim *c)
{
    job *j = table_by_id(&c->job);

    if (!j || j->template != n->index || j->state != JOB_STARTING
        || j->pid != 0)
        return NULL;
    if (c->spare)
        j->flags |= JOB_SPARE;
    is_process_of(j, table_at(n->index), c->pid);
    return j;
}

job *template_claimed(pid_t pid, uid_t uid)
{
    template_note *n = NULL;
    unsigned i;
    job *j;

    while ((n = template_note_next(n))) {
        if (n->uid != uid)
            continue;
        i = SPAWN_SPARES_MAX;
        while (i--) {
            j = n->claims[i].pid == pid ? claimed_by(n, &n->claims[i]) : NULL;
            if (j)
                return j;
        }
    }
    return NULL;
}

/* The template tells what it has forked, in case the job does not: a library's
 * handler of the fork may hang in it, or have ended it. Or it tells which spare
 * has the order: until that one tells of itself, its end means that nothing has
 * run. */
static void launched(const job *template, const spawn_message *m,
                     const spawn_packet *p)
{
    job *j = job_of(template, m);
    pid_t pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);
    bool spare = spawn_has(m, SPAWN_A_SPARE);
    char text[SPAWN_ID_TEXT];
    int rv;

    if (!j || j->pid != 0)
        return;
    rv = template_may_have(template, pid, p);
    if (rv == 0) {
        if (spare)
            j->flags |= JOB_SPARE;
        is_process_of(j, template, pid);
    }
    else if (rv == -EPERM)
        not_its_job(template, pid);
    else
        claim(template, j, pid, spare); /* the job itself tells soon */
    if (rv != -ECHILD)
        return;
    if (spare) {
        job_failed(j, SPAWN_STEP_TEMPLATE, EAGAIN);
        return;
    }
    spawn_log_few(about(template), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0331) "the process %d that template process %d forked "
                             "for job %s ended before it could tell of itself",
                  (int)pid, (int)template->pid, spawn_id_format(&j->id, text));
    job_failed(j, SPAWN_STEP_FORK, ECHILD);
}

/* A child of httpd's template has ended, and the template has reaped it. */
static void exited(const job *template, const spawn_message *m)
{
    spawn_id id;
    job *j;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    j = table_by_id(&id);
    if (!j || !(j->flags & JOB_FOREIGN) || j->state == JOB_ENDED
        || j->template != table_index(template))
        return;
    job_told(j, (int)spawn_attr_u64(&m->attr[SPAWN_A_WAIT_STATUS]),
             &m->attr[SPAWN_A_RUSAGE]);
}

/* A child of httpd's template: it was told by code that is not trusted which
 * process that is. But the kernel tells which process speaks, and it has the
 * job's mark. */
static void enter_foreign(job *j, const spawn_packet *p)
{
    bool is_it =
        j->cgroup && p->has_sender && p->sender.pid == j->pid
        && spawn_tree_has_mark(j->pid, spawn_tree_mark(&j->id, j->attempt));

    if (is_it)
        enter(j, j->pid);
    else if (j->cgroup && j->limited)
        not_entered(j, j->pid, -EPERM);
}

/* Processes that its function forks are to have its limits: it waits for this,
 * see perl/xs/template/become.c. */
static void lets_begin(const job *j)
{
    if (j->limited && j->in_cgroup)
        (void)kill(j->pid, SIGCONT);
}

static void set_up(const job *template, const spawn_message *m,
                   const spawn_packet *p)
{
    job *j = job_of(template, m);

    if (!j)
        return;
    if (spawn_has(m, SPAWN_A_PID)
        && !tells_of_itself(j, template,
                            (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]), p))
        return;
    if (j->pid == 0) {
        /* its template could not fork */
        if (spawn_has(m, SPAWN_A_STEP))
            job_failed(j, (spawn_step)spawn_attr_u64(&m->attr[SPAWN_A_STEP]),
                       (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0));
        return;
    }
    if (spawn_has(m, SPAWN_A_STEP)) {
        j->step = (uint8_t)spawn_attr_u64(&m->attr[SPAWN_A_STEP]);
        j->error = (int32_t)spawn_u64_or(m, SPAWN_A_ERRNO, 0);
        return; /* EXITED follows when it is reaped */
    }
    if (j->flags & JOB_FOREIGN)
        enter_foreign(j, p);
    lets_begin(j);
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
    template_note_text(template, spawn_str_or(m, SPAWN_A_TEXT, ""));
    table_tell(template, JOB_TELL_SAID);
}

static void dispatch(job *template, const spawn_message *m,
                     const spawn_packet *p)
{
    switch (m->header.type) {
    case SPAWN_M_PRELOADED:
        preloaded(template, m);
        break;
    case SPAWN_M_FORKED:
        forked(template, m, p);
        break;
    case SPAWN_M_LAUNCHED:
        launched(template, m, p);
        break;
    case SPAWN_M_SET_UP:
        set_up(template, m, p);
        break;
    case SPAWN_M_CHILD_EXITED:
        exited(template, m);
        break;
    default:
        break;
    }
}

static void not_understood(const job *template, const char *what)
{
    spawn_log_few(about(template), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0317) "template process %d sent what is not "
                             "understood: %s",
                  (int)template->pid, what);
}

/* A packet was taken that breaks the rules, or that there was no memory for. */
static bool is_passed_over(int error)
{
    return error == -EBADMSG || error == -EMSGSIZE || error == -EMFILE
           || error == -ENOMEM;
}

/* One message. 1: taken; 0: none is there; negative: none will come any more.
 * Bytes that are no message are passed over: there may be news of jobs behind
 * them. */
static int take(job *template)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    static spawn_message message;
    spawn_packet packet;
    spawn_failure why;
    int rv;

    rv = spawn_packet_receive(template->link, buffer, sizeof(buffer), &packet);
    if (rv == -EAGAIN)
        return 0;
    if (is_passed_over(rv)) {
        not_understood(template, strerror(-rv));
        return 1;
    }
    if (rv <= 0)
        return -EPIPE;
    if (spawn_message_parse(packet.data, packet.length, SPAWN_FROM_TEMPLATE,
                            packet.fds_count, &message, &why)
        == 0)
        dispatch(template, &message, &packet);
    else
        not_understood(template, why.text);
    spawn_packet_close(&packet);
    return 1;
}

void template_gone(job *template)
{
    template_note *n = template_note_of(template);

    template->ended_ms = spawn_wall_ms();
    template->state = JOB_ENDED;
    template_ended(template);
    if (template->said == SAID_NOTHING) { /* the broker does not know it yet */
        template->said = SAID_ENDED;
        template_note_text(template, "its process ended before it was ready");
        table_tell(template, JOB_TELL_SAID);
    }
    if (n)
        n->last_word = template->said == SAID_FAILED;
    table_tell(template, JOB_TELL_EXITED);
}

void template_may_be_gone(job *template)
{
    const template_note *n = template_note_of(template);
    struct pollfd its = {n ? n->pidfd : -1, POLLIN, 0};

    if (template->state != JOB_FREE && template->link >= 0
        && poll(&its, 1, 0) == 1)
        template_gone(template);
}

void template_input(job *template)
{
    template_note *n = template_note_of(template);
    int i;

    if (n && (n->dismissal_waits || n->signals_wait))
        template_tell_waiting(template, n);
    for (i = 0; i < MESSAGES_PER_TURN; i++) {
        int rv = take(template);

        if (rv < 0 && (template->flags & JOB_FOREIGN)) {
            template_gone(template);
            return;
        }
        /* SIGCHLD will follow; do not spin until then. */
        if (rv < 0)
            (void)epoll_ctl(spawner.epoll, EPOLL_CTL_DEL, template->link, NULL);
        if (rv <= 0)
            return;
    }
}

/* Read what is there now, and not what comes meanwhile: code of users writes
 * there, as fast as it likes. */
static void drain(job *template)
{
    int bytes = 0, most;

    (void)ioctl(template->link, FIONREAD, &bytes); /* without a link: 0 */
    for (most = bytes > 0 ? bytes / SPAWN_WIRE_HEADER + STRAYS : 0; most > 0;
         most--) {
        if (take(template) <= 0)
            return;
    }
}

void templates_drain(void)
{
    const template_note *n = NULL;

    while ((n = template_note_next(n))) {
        job *template = table_at(n->index);

        if (!(template->flags
              & JOB_FOREIGN)) /* its jobs are not our children */
            drain(template);
    }
}

/* The job will find nobody to tell that it is set up, and end: it never runs,
 * and can be ordered again. */
static void never_set_up(job *j)
{
    j->step = SPAWN_STEP_TEMPLATE;
    j->error = ESRCH;
}

/* Its parent, httpd's template, has gone: only the broker can follow it now, by
 * pidfd. */
static void orphaned(job *j)
{
    j->state = JOB_ENDED;
    cgroup_leave(j);
    if (j->flags & JOB_GIVEN_UP) /* the broker forgot it long ago */
        table_remove(j);
    else
        table_tell(j, JOB_TELL_ORPHAN);
}

static void lose_template(job *j)
{
    j->template = 0;
    if (j->state == JOB_STARTING && j->pid == 0) {
        job_failed(j, SPAWN_STEP_TEMPLATE, ESRCH);
        return;
    }
    if (j->state == JOB_STARTING && !j->step)
        never_set_up(j);
    if ((j->flags & JOB_FOREIGN) && j->state != JOB_ENDED)
        orphaned(j);
}

void template_ended(job *template)
{
    const template_note *n = template_note_of(template);
    uint32_t i;

    if (n) /* nothing happens for -1 */
        (void)epoll_ctl(spawner.epoll, EPOLL_CTL_DEL, n->pidfd, NULL);
    /* From here on nothing can be told: read what was told before; a job that
     * has more to tell learns that it cannot. */
    (void)shutdown(template->link, SHUT_RD); /* of one that there is */
    drain(template);
    unwatch_passed(&template->link);
    for (i = 1; i < table_end(); i++) {
        job *j = table_at(i);

        if (j->state != JOB_FREE && j->template == table_index(template))
            lose_template(j);
    }
}

void template_foreign(const spawn_message *m, spawn_packet *p)
{
    const char *name = spawn_attr_str(&m->attr[SPAWN_A_TEMPLATE]);
    template_note *n;
    spawn_id id;
    job *j;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    j = table_by_id(&id) ? NULL : table_add(&id);
    if (!j)
        return; /* its link is closed with the packet, which ends it */
    template_words_drop(name);
    n = template_note_make(j, name);
    j->flags |= JOB_IS_TEMPLATE | JOB_FOREIGN;
    j->pid = (pid_t)spawn_u64_or(m, SPAWN_A_PID, 0);
    j->mono_us = spawn_mono_us();
    j->boot_ms = spawn_boot_ms();
    j->wall_ms = spawn_wall_ms();
    if (p->fds_count > 0 && n) {
        j->state = JOB_RUNNING;
        j->link = p->fds[0];
        n->pidfd = p->fds_count > 1 ? p->fds[1] : -1;
        p->fds_count = 0;
        (void)spawn_os_pass_descriptors(j->link, false);
        (void)spawn_os_pass_credentials(j->link); /* tells an empty packet
                                                   * from its end */
        template_watch(j);
        return;
    }
    j->said = SAID_ABSENT;
    if (n)
        n->last_word = true;
    template_note_text(j, spawn_str_or(m, SPAWN_A_TEXT, "it is not there"));
    j->state = JOB_ENDED;
    table_tell(j, JOB_TELL_SAID | JOB_TELL_EXITED);
}
