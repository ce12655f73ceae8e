/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's orders, and how each is obeyed. Runs in the spawner only. Orders
 * are checked as a stranger's would be, and must never decide which account a
 * job has: httpd's configuration does.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/spawn_log.h"
#include "common/spawn_packet.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

#define ORDERS_PER_TURN 64

static uint8_t input[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];

/* A signal that ends a job ends all that it has started; other signals are for
 * its group. */
static bool is_for_the_tree(int signo, uint64_t left)
{
    return left != SPAWN_LEFT_ALONE || signo == SIGTERM || signo == SIGKILL;
}

/* A template that is stopped obeys when it goes on. Then it must not signal
 * what has had the signal. */
static int deliver_foreign(job *j, int signo, uint64_t left)
{
    if (j->flags & JOB_IS_TEMPLATE)
        return template_kill(j, signo);
    if (!foreign_is_stopped(j))
        return template_signal(j, signo);
    template_tell_left(j); /* before it can reap the job */
    if (foreign_signal(j, signo, is_for_the_tree(signo, left)) < 0)
        return template_signal(j, signo);
    return 0;
}

static void send_signal(job *j, int signo, uint64_t left)
{
    char text[SPAWN_ID_TEXT];
    int rv;

    if (j->state == JOB_ENDED)
        return; /* the broker knows it, or will */
    rv = j->flags & JOB_FOREIGN ? deliver_foreign(j, signo, left)
                                : job_signal(j, signo);
    if (rv < 0 && j->state != JOB_ENDED && j->state != JOB_FREE)
        spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                      MSNO(0330) "signal %d does not reach %s %s (pid %d): %s",
                      signo, j->flags & JOB_IS_TEMPLATE ? "template" : "job",
                      spawn_id_format(&j->id, text), (int)j->pid,
                      strerror(-rv));
}

/* It has ended meanwhile, and the broker knows it, or will; or it is an orphan
 * that the broker may not signal itself. */
static void signal_orphan(const spawn_id *id, const spawn_message *m)
{
    char text[SPAWN_ID_TEXT];
    int rv = 0;

    if (spawn_has(m, SPAWN_A_PID))
        rv = orphan_signal(m, (int)spawn_attr_u64(&m->attr[SPAWN_A_SIGNO]));
    if (rv < 0 && rv != -ESRCH)
        spawn_log_few("the broker", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                      MSNO(0372) "the broker's signal %d for process %d, said "
                                 "to be job %s, is refused: %s",
                      (int)spawn_attr_u64(&m->attr[SPAWN_A_SIGNO]),
                      (int)spawn_attr_u64(&m->attr[SPAWN_A_PID]),
                      spawn_id_format(id, text), strerror(-rv));
}

/* Its template was told to do it, and does not. */
static bool is_in_its_place(const job *j, const spawn_message *m)
{
    return spawn_has(m, SPAWN_A_PID) && j->pid > 0
           && (j->flags & (JOB_FOREIGN | JOB_IS_TEMPLATE)) == JOB_FOREIGN;
}

static void signal_job(const spawn_id *id, const spawn_message *m,
                       spawn_packet *p)
{
    const uint64_t left = spawn_u64_or(m, SPAWN_A_KILL_LEFT, SPAWN_LEFT_ALONE);
    const int signo = (int)spawn_attr_u64(&m->attr[SPAWN_A_SIGNO]);
    job *j = table_by_id(id);

    (void)p;
    if (!j || (j->state == JOB_ENDED && spawn_has(m, SPAWN_A_PID))) {
        signal_orphan(id, m);
        return;
    }
    if (is_in_its_place(j, m)) {
        tree_signal(j, signo); /* its cgroup */
        (void)foreign_signal(j, signo, true);
        return;
    }
    switch (left) {
    case SPAWN_LEFT_KILL:
        j->flags |= JOB_KILL_LEFT;
        break;
    case SPAWN_LEFT_WAIT:
        j->flags |= JOB_LEFT_WAIT;
        break;
    default:
        break;
    }
    if (j->state == JOB_STARTING && j->pid == 0) {
        if (j->pending_signal != SIGKILL)
            j->pending_signal = (uint8_t)signo;
        return;
    }
    if (is_for_the_tree(signo, left) && j->state != JOB_ENDED)
        tree_signal(j, signo);
    send_signal(j, signo, left);
}

/* A template of httpd's that hangs: httpd reaps it. */
static void give_up_foreign(job *template)
{
    template_ended(template);
    template->state = JOB_ENDED;
    template_forget(template);
    table_remove(template);
}

/* It hangs in the kernel, and nothing ends it. It is nobody's job from now on,
 * and is reaped when it ends all the same. */
static void give_up(job *j)
{
    if ((j->flags & JOB_IS_TEMPLATE) && (j->flags & JOB_FOREIGN)) {
        give_up_foreign(j);
        return;
    }
    j->flags |= JOB_GIVEN_UP;
    j->flags &= (uint16_t) ~(JOB_TELL_STARTED | JOB_TELL_PID);
    unwatch(&j->start_pipe);
    table_close_kept(j);
    if (j->flags & JOB_IS_TEMPLATE)
        template_ended(j);
    if (j->flags & JOB_FOREIGN)
        template_give_up(j);
}

static void forget(const spawn_id *id)
{
    job *j = table_by_id(id);

    if (j && j->state == JOB_ENDED) {
        if (template_word_kept(j))
            return;
        template_forget(j);
        table_remove(j);
    }
    else if (j && j->pid > 0) {
        give_up(j);
    }
}

static void tell_pid(const spawn_id *id, const spawn_message *m,
                     spawn_packet *p)
{
    job *j = table_by_id(id);

    (void)m;
    (void)p;
    if (!j || j->state != JOB_STARTING)
        return; /* more has been told, or will be */
    j->flags |= JOB_PID_WANTED;
    if (j->pid > 0)
        table_tell(j, JOB_TELL_PID);
}

static void order_forget(const spawn_id *unused, const spawn_message *m,
                         spawn_packet *p)
{
    const spawn_attr *ids = &m->attr[SPAWN_A_IDS];
    spawn_id id;
    size_t at;

    (void)unused;
    (void)p;
    if (spawn_has(m, SPAWN_A_ID)) {
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
        forget(&id);
    }
    for (at = 0; spawn_has(m, SPAWN_A_IDS) && at + SPAWN_ID_SIZE <= ids->length;
         at += SPAWN_ID_SIZE) {
        memcpy(id.bytes, ids->data + at, SPAWN_ID_SIZE);
        forget(&id);
    }
}

static void ready_or_not(const spawn_id *id, const spawn_message *m,
                         spawn_packet *p)
{
    bool ok = spawn_attr_u64(&m->attr[SPAWN_A_CODE]) == SPAWN_E_OK;

    (void)id;
    (void)p;
    spawner.broker_ready = ok;
    spawner.broker_refused = !ok;
    if (!ok && spawner.lingering && !spawner.gone_on && table_jobs() == 0)
        spawner_end(0, "");
    control_tell_ready(ok, spawn_str_or(m, SPAWN_A_TEXT, ""));
}

static void launch(const spawn_id *id, const spawn_message *m, spawn_packet *p)
{
    int error = 0;
    spawn_step refused = accounts_refuse(id, m, &error);

    tell_step_over(id);
    if (!refused && !allowed_order(id, m)) {
        refused = SPAWN_STEP_ALLOW;
        error = EPERM;
    }
    if (refused)
        launch_refused(id, m, refused, error);
    else
        launch_job(m, p);
}

static void dismiss(const spawn_id *id, const spawn_message *m, spawn_packet *p)
{
    job *j = table_by_id(id);

    (void)m;
    (void)p;
    if (j && (j->flags & JOB_IS_TEMPLATE))
        template_dismiss(j);
}

/* Handles that it has of the same job are replaced. */
static void hold(const spawn_id *id, const spawn_message *m, spawn_packet *p)
{
    tell_step_over(id);
    held_remove(id);
    held_add(id, (unsigned)spawn_u64_or(m, SPAWN_A_BOXED, 0), p->fds,
             p->fds_count);
    p->fds_count = 0;
}

static void release(const spawn_id *id, const spawn_message *m, spawn_packet *p)
{
    (void)m;
    (void)p;
    tell_step_over(id);
    held_remove(id);
}

static void alive(const spawn_id *id, const spawn_message *m, spawn_packet *p)
{
    (void)id;
    (void)m;
    (void)p; /* that it came is what counts */
}

static void bye(const spawn_id *id, const spawn_message *m, spawn_packet *p)
{
    (void)id;
    (void)m;
    (void)p;
    spawner.broker_said_bye = true;
}

static const struct {
    uint16_t type;
    void (*obey)(const spawn_id *id, const spawn_message *m, spawn_packet *p);
} orders[] = {
    {SPAWN_M_LAUNCH, launch},     {SPAWN_M_DISMISS, dismiss},
    {SPAWN_M_SIGNAL, signal_job}, {SPAWN_M_FORGET, order_forget},
    {SPAWN_M_TELL_PID, tell_pid}, {SPAWN_M_HOLD, hold},
    {SPAWN_M_RELEASE, release},   {SPAWN_M_BROKER_READY, ready_or_not},
    {SPAWN_M_BYE, bye},           {SPAWN_M_ALIVE, alive},
};

static void obey(const spawn_message *m, spawn_packet *p)
{
    spawn_id id = {{0}};
    size_t i;

    if (spawn_has(m, SPAWN_A_ID))
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (orders[i].type == m->header.type) {
            orders[i].obey(&id, m, p);
            return;
        }
    }
}

/* Those that come behind it can be read. */
static bool was_taken_out(int error)
{
    return error == -EMFILE || error == -EBADMSG || error == -EMSGSIZE;
}

/* There was no room for the descriptors of an order; its bytes are in input.
 * Its job must not be left unstarted and untold. */
static int cut_order(int error)
{
    static spawn_message message;
    spawn_wire_header head;
    spawn_id id;

    if (error == -EMFILE
        && spawn_wire_read_header(input, sizeof(input), &head) == 0
        && head.type == SPAWN_M_LAUNCH && !(head.flags & SPAWN_WIRE_BODY_IN_FD)
        && head.body <= SPAWN_INLINE_MAX
        && spawn_body_parse(input + SPAWN_WIRE_HEADER, head.body, head.type,
                            head.fds, &message, NULL)
               == 0) {
        spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
        launch_impossible(&id, EMFILE);
        return 1;
    }
    spawn_log_few("the broker", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0307) "an order of the broker could not be received: %s",
                  strerror(-error));
    /* Nobody knows what it was. The next broker orders again the jobs that the
     * store has and the table has not. */
    (void)shutdown(spawner.link, SHUT_RDWR);
    return was_taken_out(error);
}

int orders_take_one(void)
{
    static spawn_message message;
    spawn_failure why;
    spawn_packet packet;
    int rv;

    rv = spawn_packet_receive(spawner.link, input, sizeof(input), &packet);
    if (rv == -EAGAIN)
        return 0;
    if (rv == 0)
        return -EPIPE;
    watchdog_heard();
    if (rv != 1)
        return cut_order(rv);
    if (spawn_message_parse(packet.data, packet.length,
                            SPAWN_FROM_BROKER_TO_SPAWNER, packet.fds_count,
                            &message, &why)
        == 0)
        obey(&message, &packet);
    else
        spawn_log_few(
            "the broker", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
            MSNO(0308) "an order of the broker was not understood: %s",
            why.text);
    spawn_packet_close(&packet);
    return 1;
}

void orders_input(void)
{
    int i;

    for (i = 0; i < ORDERS_PER_TURN && spawner.link >= 0; i++) {
        int rv = orders_take_one();

        /* SIGCHLD will follow; do not spin until then. */
        if (rv < 0)
            (void)epoll_ctl(spawner.epoll, EPOLL_CTL_DEL, spawner.link, NULL);
        if (rv <= 0)
            return;
    }
}
