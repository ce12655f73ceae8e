/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch orders: begin a process, with a start pipe that tells how its set-up
 * went, or without one (clone.c). Runs in the spawner only; child.c runs in the
 * child. Must always leave an entry in the table, at worst one that failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_raw.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

/* Keep the descriptors that the next broker needs to go on reading from the
 * job. */
static void keep_descriptors(job *j, const spawn_message *order, int *fds)
{
    const spawn_attr *a = &order->attr[SPAWN_A_KEEP];
    uint32_t i;

    for (i = 0; spawn_has(order, SPAWN_A_KEEP) && i < spawn_u64v_count(a);
         i += 2) {
        uint64_t index = spawn_u64v_at(a, i);
        uint64_t place = spawn_u64v_at(a, i + 1) - 1; /* roles begin at 1 */

        if (place >= SPAWN_KEEP_MAX || j->keep[place] >= 0)
            continue;
        j->keep[place] = fds[index];
        fds[index] = -1;
    }
}

/* Somebody waits for the start. */
static bool is_awaited(const spawn_message *order)
{
    return order->header.seq != 0;
}

/* Make the start pipe. -1 with errno. */
static int make_pipe(child_order *child, int *ends)
{
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    child->report = ends[1];
    return 0;
}

/* The quick way, where nobody waits without a start pipe; or else by fork. -1
 * with errno. */
static pid_t begin_process(job *j, child_order *child, const spawn_packet *p,
                           int *ends)
{
    bool watched = is_awaited(child->order);
    pid_t pid;

    if (watched && make_pipe(child, ends) < 0)
        return -1;
    pid = clone_job(j, child, p, watched);
    if (pid != 0)
        return pid;
    if (!watched && make_pipe(child, ends) < 0)
        return -1;
    if (j->limited && pipe2(child->gate, O_CLOEXEC) < 0)
        return -1;
    pid = clone_fork(child);
    if (pid == 0)
        child_run(child);
    return pid;
}

/* It has a process, which may wait to be put into its cgroup. */
static void enter_cgroup(job *j, child_order *child)
{
    int32_t error = 0;

    j->in_cgroup = *child->joined;
    if (!j->in_cgroup)
        error = -cgroup_enter(j, j->pid);
    if (child->gate[1] >= 0) /* it is empty, and its other end is ours, too */
        (void)spawn_raw_write(child->gate[1], &error, sizeof(error));
    spawn_close_fds(child->gate, 2);
}

/* A link to it, and its note. -1 with errno. */
static int have_template(const job *j, const spawn_message *order,
                         const spawn_identity *as, int *ends)
{
    template_note *note;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    note = template_note_make(j, spawn_str_or(order, SPAWN_A_TEMPLATE, ""));
    if (!note)
        return -1; /* errno is ENOMEM */
    template_note_account(note, as);
    return 0;
}

/* Ours of its start pipe and of a template's link; the others are its own. */
static void hold_ends(job *j, int *ends)
{
    j->start_pipe = ends[0];
    spawn_close_fds(&ends[1], 1);
    j->link = ends[2];
    if (j->link >= 0) {
        (void)close(ends[3]);
        (void)spawn_os_pass_descriptors(j->link, false);
        (void)spawn_os_pass_credentials(j->link);
        template_watch(j);
    }
}

static int begin_job(job *j, const spawn_message *order, const spawn_packet *p,
                     int cgroup)
{
    bool joined = false;
    child_order child = {
        .order = order,
        .fds = p->fds,
        .as = accounts_of(order),
        .file_limit = {spawner.file_limit[0], spawner.file_limit[1]},
        .bounding_set = spawner.less_bounding ? &spawner.bounding_set : NULL,
        .allow = allowed_list(order),
        .cgroup = cgroup,
        .joined = &joined,
        .gate = {-1, -1}};
    int ends[4] = {-1, -1, -1, -1}; /* of the start pipe, of the link */
    pid_t pid;
    int rv = 0;

    if (j->flags & JOB_IS_TEMPLATE) {
        if (have_template(j, order, child.as, &ends[2]) < 0)
            goto failed;
    }
    else if (geteuid() != 0 && spawn_has(order, SPAWN_A_NICE)) {
        j->nice = (int8_t)spawn_attr_i64(&order->attr[SPAWN_A_NICE]);
    }
    child.link = ends[3];
    j->uid = child.as->uid;
    j->mono_us = spawn_mono_us();
    j->boot_ms = spawn_boot_ms();
    j->wall_ms = spawn_wall_ms();
    pid = begin_process(j, &child, p, ends);
    if (pid < 0)
        goto failed;
    hold_ends(j, ends);
    table_set_pid(j, pid);
    enter_cgroup(j, &child);
    if (j->start_pipe >= 0)
        rv = watch(j->start_pipe, ON_START | table_index(j), EPOLLIN);
    if (rv < 0)
        spawner_end(1, strerror(-rv)); /* out of memory for epoll itself */
    return 0;
failed:
    rv = -errno;
    spawn_close_fds(ends, sizeof(ends) / sizeof(ends[0]));
    spawn_close_fds(child.gate, 2);
    return rv;
}

/* Fork it here, or have its template fork it. */
static int start_job(job *j, const spawn_message *order, spawn_packet *p,
                     int cgroup)
{
    spawn_id template_id;

    if (!spawn_has(order, SPAWN_A_TEMPLATE_ID)) {
        if (!spawn_has(order, SPAWN_A_ARGV))
            return -EBADMSG;
        return begin_job(j, order, p, cgroup);
    }
    spawn_attr_id(&order->attr[SPAWN_A_TEMPLATE_ID], &template_id);
    return template_order(j, &template_id, p);
}

/* Without an entry nothing can be told: the job stays `starting` until the next
 * broker finds that it was never forked. */
static void no_room(job *j, const spawn_id *id)
{
    char text[SPAWN_ID_TEXT];

    spawn_log_few(
        "all jobs", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
        MSNO(0303) "job %s cannot start: %d jobs are alive or not yet "
                   "recorded",
        spawn_id_format(id, text), TABLE_JOBS);
    if (j)
        job_failed(j, SPAWN_STEP_FORK, EAGAIN);
}

void launch_job(const spawn_message *order, spawn_packet *p)
{
    bool forked = spawn_has(order, SPAWN_A_TEMPLATE_ID);
    spawn_step step;
    spawn_id id;
    job *j;
    int cgroup, rv;

    spawn_attr_id(&order->attr[SPAWN_A_ID], &id);
    if (table_by_id(&id)) /* A broker that comes anew orders again what the */
        return;           /* last one had ordered: once is enough. */
    j = table_add(&id);
    if (j)
        j->attempt = (uint8_t)spawn_u64_or(order, SPAWN_A_ATTEMPT, 0);
    if (!j || (table_crowded() && !spawn_has(order, SPAWN_A_IS_TEMPLATE))) {
        no_room(j, &id);
        return;
    }
    if (spawn_u64_or(order, SPAWN_A_LEFTOVERS, SPAWN_LEFTOVERS_KEEP)
        == SPAWN_LEFTOVERS_KILL)
        j->flags |= JOB_KILL_LEFT;
    if (spawn_has(order, SPAWN_A_IS_TEMPLATE))
        j->flags |= JOB_IS_TEMPLATE;
    if (spawn_has(order, SPAWN_A_IS_WORKER))
        j->flags |= JOB_IS_WORKER;
    step = forked ? SPAWN_STEP_TEMPLATE : SPAWN_STEP_FORK;
    rv = cgroup_make(j, order, &cgroup);
    if (rv < 0)
        step = SPAWN_STEP_CGROUP;
    else
        rv = start_job(j, order, p, cgroup);
    spawn_close_fds(&cgroup, 1);
    if (rv < 0)
        job_failed(j, step, -rv);
    else
        held_remove(&id);
    keep_descriptors(j, order, p->fds);
    spawn_close_quick(p->fds, p->fds_count);
}

void launch_refused(const spawn_id *id, const spawn_message *order,
                    spawn_step step, int error)
{
    job *j = table_by_id(id) ? NULL : table_add(id);

    if (!j)
        return;
    j->attempt = (uint8_t)spawn_u64_or(order, SPAWN_A_ATTEMPT, 0);
    if (spawn_has(order, SPAWN_A_IS_TEMPLATE))
        j->flags |= JOB_IS_TEMPLATE;
    if (spawn_has(order, SPAWN_A_IS_WORKER))
        j->flags |= JOB_IS_WORKER;
    job_failed(j, step, error);
}

void launch_impossible(const spawn_id *id, int error)
{
    job *j = table_by_id(id) ? NULL : table_add(id);

    if (j)
        job_failed(j, SPAWN_STEP_FDS, error);
}
