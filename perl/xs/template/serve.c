/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The template's life between two orders, and the job's until it is in Perl.
 * Runs in both. The template must run no Perl here.
 *
 * The job tells its process id before anything else: from then on the spawner
 * knows whom it reaps. The template tells it too: a library's handler of the
 * fork may end the job, or hang, before it can. Then come the steps that a
 * program takes, too (common/spawn_child.c); a step that fails is told by its
 * number.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_child.h"
#include "common/spawn_os.h"
#include "perl/xs/template/freeze.h"
#include "perl/xs/template/template.h"

static spawn_board *board;
static spawn_kept_fd bell = SPAWN_KEPT_NONE; /* the function may close it */

/* Where a failed step is reported. */
typedef struct {
    int link;
    spawn_id id;
} reporter;

spawn_board *spawn_template_board(void)
{
    return board;
}

static void failed(void *arg, spawn_step step, int error)
{
    const reporter *r = arg;

    (void)spawn_template_tell_set_up(r->link, &r->id, step, error);
    _exit(127);
}

/* Signals that are not meant for a template. */
static const int not_for_us[] = {SIGHUP, SIGINT, SIGPIPE};

static void set_not_for_us(void (*to)(int))
{
    size_t i;

    for (i = 0; i < sizeof(not_for_us) / sizeof(*not_for_us); i++)
        (void)signal(not_for_us[i], to);
}

/* While the template waits it runs no Perl, so no handler of Perl's can act.
 * Signals that are not meant for it do not end it; TERM does. */
static void template_signals(pTHX)
{
    (void)alarm(0);
    spawn_os_default_signals();
    PL_sig_pending = 0;
    Zero(PL_psig_pend, SIG_SIZE, int);
    set_not_for_us(SIG_IGN);
}

/* Index of the order's descriptor that has this role, or -1. */
static int kept(const spawn_message *order, spawn_keep_role role)
{
    const spawn_attr *keep = &order->attr[SPAWN_A_KEEP];
    uint32_t i;

    for (i = 0; spawn_has(order, SPAWN_A_KEEP) && i < spawn_u64v_count(keep);
         i += 2) {
        if (spawn_u64v_at(keep, i + 1) == role)
            return (int)spawn_u64v_at(keep, i);
    }
    return -1;
}

static spawn_board *map_board(const spawn_child *c)
{
    int index = kept(c->order, SPAWN_KEEP_BOARD);

    errno = EINVAL;
    return index < 0 ? NULL : spawn_board_map(c->fds[index]);
}

void spawn_template_ring(void)
{
    const uint64_t once = 1;
    int fd = spawn_fd_kept(&bell);

    if (fd >= 0)
        (void)!write(fd, &once, sizeof(once));
}

static void become_job(pTHX_ int link, const spawn_message *order,
                       const int *fds) __attribute__((noreturn));

static void become_job(pTHX_ int link, const spawn_message *order,
                       const int *fds)
{
    static const spawn_identity as_we_are = {.groups_count = -1};
    reporter r = {.link = link};
    spawn_child c = {.order = order,
                     .fds = fds,
                     .as = &as_we_are,
                     .keep = {link},
                     .keep_count = 1,
                     .failed = failed,
                     .arg = &r};
    int lifted[SPAWN_CHILD_FDS];
    int stay[2] = {link, -1};
    int index = kept(order, SPAWN_KEEP_BELL);

    spawn_attr_id(&order->attr[SPAWN_A_ID], &r.id);
    if (spawn_template_tell_forked(link, &r.id) < 0)
        _exit(127);          /* the spawner would not know of this job */
    set_not_for_us(SIG_DFL); /* all others stay as the template set them */
    board = map_board(&c);
    if (!board)
        failed(&r, SPAWN_STEP_FDS, errno);
    if (!spawn_has(order, SPAWN_A_FUNCTION)
        && !spawn_has(order, SPAWN_A_IS_WORKER))
        failed(&r, SPAWN_STEP_TEMPLATE, EINVAL);
    spawn_template_close_handles(aTHX);
    spawn_child_set_up(&c, lifted);
    if (index >= 0)
        stay[1] = lifted[index];
    spawn_child_close_others(&c, stay, index >= 0 ? 2 : 1);
    if (spawn_template_tell_set_up(link, &r.id, SPAWN_STEP_NONE, 0) < 0)
        _exit(127);
    (void)close(link);
    spawn_fd_keep(&bell, stay[1]);
    spawn_template_block_numbers();
    spawn_template_job(aTHX_ order);
}

static void flush(pTHX)
{
    (void)fflush(NULL);
    PERL_FLUSHALL_FOR_CHILD;
}

/* Fork the job of an order. 1; or a negative errno: the link cannot be used, or
 * nobody knows what was forked. */
static int fork_job(pTHX_ int link, const spawn_message *order, const int *fds,
                    bool own)
{
    bool kill_left = spawn_u64_or(order, SPAWN_A_LEFTOVERS, 0) != 0;
    spawn_id id;
    pid_t pid;
    int rv;

    spawn_attr_id(&order->attr[SPAWN_A_ID], &id);
    flush(aTHX);
    pid = spawn_template_fork(!own);
    if (pid == 0)
        become_job(aTHX_ link, order, fds);
    if (pid == -EOWNERDEAD)
        return pid;
    if (pid < 0)
        rv = spawn_template_tell_set_up(link, &id, SPAWN_STEP_FORK, -pid);
    else
        rv = spawn_template_tell_launched(link, &id, pid);
    if (pid > 0 && own && spawn_template_child_add(&id, pid, kill_left) < 0)
        (void)kill(pid, SIGKILL); /* its end could not be told */
    return rv < 0 ? rv : 1;
}

/* One message. 1 taken, 0 the link ended, negative: it cannot be used. */
static int take(pTHX_ int link, bool own, bool *dismissed)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    static spawn_message order;
    spawn_packet packet;
    spawn_failure why;
    int rv;

    rv = spawn_packet_receive(link, buffer, sizeof(buffer), &packet);
    if (rv == -EAGAIN)
        return 1;
    if (rv <= 0)
        return rv == -ECONNRESET ? 0 : rv;
    rv = spawn_message_parse(packet.data, packet.length,
                             SPAWN_FROM_BROKER_TO_SPAWNER, packet.fds_count,
                             &order, &why);
    if (rv < 0)
        goto cleanup;
    rv = 1;
    if (order.header.type == SPAWN_M_LAUNCH)
        rv = fork_job(aTHX_ link, &order, packet.fds, own);
    else if (order.header.type == SPAWN_M_DISMISS)
        *dismissed = true;
    else if (order.header.type == SPAWN_M_SIGNAL && own)
        spawn_template_child_signal(link, &order);
    else if (order.header.type == SPAWN_M_FORGET && own)
        spawn_template_child_forget(&order);
    else
        rv = -EBADMSG;
cleanup:
    spawn_packet_close(&packet);
    return rv;
}

void spawn_template_get_ready(pTHX_ int link)
{
    template_signals(aTHX);
    spawn_template_note_handles(aTHX_ link);
}

int spawn_template_ready(int link, unsigned how, const char *weight)
{
    char text[SPAWN_TEMPLATE_TEXT], why[400];
    int n;

    spawn_template_settle_memory(how, why, sizeof(why));
    n = snprintf(text, sizeof(text), "%s%s%s", weight, *why ? "\n" : "", why);
    if (n < 0 || (size_t)n >= sizeof(text))
        n = (int)sizeof(text) - 1;
    return spawn_template_tell_preloaded(link, SPAWN_E_OK, text, (size_t)n);
}

int spawn_template_serve(pTHX_ int link, bool own)
{
    struct pollfd wait_for[2] = {{.fd = link, .events = POLLIN},
                                 {.fd = -1, .events = POLLIN}};
    bool dismissed = false;
    unsigned jobs = 0;
    int rv = 1;

    if (own) {
        wait_for[1].fd = spawn_template_parent_begin();
        if (wait_for[1].fd < 0)
            return wait_for[1].fd;
    }
    else {
        spawn_template_fork_begin();
    }
    for (;;) {
        if (poll(wait_for, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (rv > 0 && wait_for[0].revents)
            rv = take(aTHX_ link, own, &dismissed);
        if (rv <= 0)
            wait_for[0].fd = -1; /* no more orders; the jobs may still run */
        if (own)
            jobs = spawn_template_children_reap(link);
        if ((dismissed || rv <= 0) && jobs == 0)
            return rv < 0 ? rv : 0;
    }
}
