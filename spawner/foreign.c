/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates of httpd's that do not do their work: somebody has stopped one, or
 * it hangs. Their jobs are their children, and are signalled in their place. As
 * long as a template does not reap them their numbers are theirs; but it may go
 * on at any moment. One that does not get ready is killed: the broker does not
 * know it before. Runs in the spawner only.
 *
 * What process a job is was told by code that is not trusted. Must signal only
 * a child of that template, and what belongs to it; by pidfd, never by number.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

/* It was forked from an httpd that had loaded all. Memory of many GB takes it a
 * while to settle, and it uses CPU time then. */
#define LOOK_EACH   5000   /* ms */
#define STANDS      60000  /* ms without CPU time */
#define NEVER_READY 600000 /* ms, whatever it does */

/* ---- signals for jobs ---- */

/* Of a template that is there: the number is its own. */
static const job *template_of(const job *j)
{
    const job *template = j->template ? table_at(j->template) : NULL;
    const template_note *n = template ? template_note_of(template) : NULL;

    return n && n->pidfd >= 0 && spawn_os_pidfd_there(n->pidfd) ? template
                                                                : NULL;
}

static bool is_stopped(const job *template)
{
    int64_t cpu;
    char state;

    return spawn_os_state(template->pid, &state, &cpu) == 0
           && (state == 'T' || state == 't');
}

bool foreign_is_stopped(const job *j)
{
    const job *template = template_of(j);

    return template && j->pid > 1 && is_stopped(template);
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

/* ---- templates that do not get ready ---- */

static bool is_awaited(const job *template)
{
    return (template->flags & JOB_FOREIGN) && template->state != JOB_ENDED
           && template->said == SAID_NOTHING;
}

static void look_at(const job *template, template_note *n, int64_t now)
{
    int64_t cpu = n->cpu_ms;
    char state;

    (void)spawn_os_state(template->pid, &state, &cpu);
    if (n->looked_at == 0 || cpu != n->cpu_ms)
        n->moved_at = now;
    n->cpu_ms = cpu;
    n->looked_at = now;
}

static void not_ready(job *template, int64_t after_ms)
{
    char text[120];

    (void)snprintf(text, sizeof(text),
                   "its process (pid %d) is not ready after %d s%s, and is "
                   "sent SIGKILL",
                   (int)template->pid, (int)(after_ms / 1000),
                   is_stopped(template) ? ": somebody has stopped it" : "");
    template->said = SAID_FAILED;
    template_note_text(template, text);
    table_tell(template, JOB_TELL_SAID);
    (void)template_kill(template, SIGKILL);
}

int foreign_timers(int64_t now)
{
    template_note *n = NULL;
    int wait = -1;

    while ((n = template_note_next(n))) {
        job *template = table_at(n->index);
        int64_t age = now - template->mono_us / 1000, left;

        if (!is_awaited(template))
            continue;
        if (n->looked_at == 0 || now - n->looked_at >= LOOK_EACH)
            look_at(template, n, now);
        left = n->looked_at + LOOK_EACH - now;
        if (now - n->moved_at >= STANDS || age >= NEVER_READY)
            not_ready(template, age);
        else if (wait < 0 || left < wait)
            wait = (int)left;
    }
    return wait;
}
