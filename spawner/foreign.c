/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates of httpd's that do not do their work: somebody has stopped one, or
 * it hangs. Their jobs are their children, and are signalled in their place. As
 * long as a template does not reap them their numbers are theirs; but it may go
 * on at any moment. Runs in the spawner only.
 *
 * Code that is not trusted said which process a job is. Must signal only a
 * child of that template, and what belongs to it; by pidfd, never by number.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

/* ---- signals for jobs ---- */

/* Of a template that is there: the number is its own. */
static const job *template_of(const job *j)
{
    const job *template = j->template ? table_at(j->template) : NULL;
    const template_note *n = template ? template_note_of(template) : NULL;

    return n && n->pidfd >= 0 && spawn_os_pidfd_there(n->pidfd) ? template
                                                                : NULL;
}

bool foreign_is_stopped(const job *j)
{
    const job *template = template_of(j);

    return template && j->pid > 1 && spawn_os_stopped(template->pid);
}

int foreign_signal(job *j, int signo, bool whole)
{
    const job *template = template_of(j);
    int leader = template && j->pid > 1 ? spawn_os_pidfd(j->pid) : -ESRCH;
    int rv = -ESRCH;
    pid_t parent;

    if (leader < 0)
        return leader;
    /* The look is at what the pidfd names, if that is there after it; and so is
     * the template. */
    if (spawn_os_parent(j->pid, &parent) == 0 && parent == template->pid
        && spawn_os_pidfd_there(leader) && template_of(j)) {
        j->flags |= JOB_SHOT;
        if (whole)
            tree_signal_below(j, parent, leader, signo);
        rv = spawn_os_pidfd_signal(leader, signo);
    }
    (void)close(leader);
    return rv;
}
