/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a process be a job of the template that says so? Code of users writes to
 * a template's link, so nothing is believed that the kernel does not confirm.
 * Runs in the spawner only. Must never take a process for a job that the
 * template itself could not signal.
 */
#include <errno.h>
#include <sys/wait.h>

#include "common/spawn_process.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

/* Is it a child of ours, and nobody else's job? */
static bool is_free_child(pid_t pid)
{
    siginfo_t info;

    return pid > 1 && pid != spawner.broker_pid && !table_by_pid(pid)
           && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* May this process be a job of the template: a free child of ours that the
 * template could signal itself? All orphans of jobs are our children, also
 * those of set-uid programs, and we may signal all. The kernel tells the
 * account of a process that tells of itself. 0, or -ECHILD, -EPERM, or -EACCES:
 * its account is not shown. */
static int may_be(pid_t pid, const job *template, const spawn_packet *p)
{
    const template_note *n = template_note_of(template);
    uid_t uid;
    int rv = 0;

    if (!n || !is_free_child(pid))
        return -ECHILD;
    if (p->has_sender && p->sender.pid == pid)
        uid = p->sender.uid;
    else
        rv = spawn_os_real_uid(pid, &uid);
    return rv < 0 ? -EACCES : uid == n->uid ? 0 : -EPERM;
}

/* Does it have this account? httpd may have forked it for another one than that
 * of our configuration, when we go on with the one of before. */
static bool has_account(const job *template, template_note *n, uid_t uid)
{
    uid_t its;

    if (uid == n->uid)
        return true;
    if (n->pidfd < 0 || spawn_os_real_uid(template->pid, &its) < 0 || its != uid
        || !spawn_os_pidfd_there(n->pidfd))
        return false;
    n->uid = its;
    return true;
}

/* The same of a template of httpd's. Its jobs are its own children. Its words
 * about them may become an order to signal one (orphan.c), for which we have
 * root's right. So the kernel has to confirm it: that a process speaks of
 * itself, or which account it has. A process whose account we cannot see is one
 * that we cannot signal. */
static int may_be_foreign(pid_t pid, const job *template, const spawn_packet *p)
{
    template_note *n = template_note_of(template);
    uid_t uid;

    if (!n || pid <= 1)
        return -EPERM;
    if (p->has_sender && p->sender.pid == pid)
        return has_account(template, n, p->sender.uid) ? 0 : -EPERM;
    return spawn_os_real_uid(pid, &uid) < 0 || has_account(template, n, uid)
               ? 0
               : -EPERM;
}

int template_may_have(const job *template, pid_t pid, const spawn_packet *p)
{
    return template->flags & JOB_FOREIGN ? may_be_foreign(pid, template, p)
                                         : may_be(pid, template, p);
}
