/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates that do not get ready: somebody has stopped one, or what it loads
 * hangs. Jobs wait for it, so it has a limit. It is killed then, and the broker
 * is told why, as of one that failed; the next one comes after the pause that
 * there is for these. Runs in the spawner only, for the broker does not know a
 * template of httpd's before it is ready.
 *
 * Must not kill one that still works. One that loads may also wait, for a
 * database that is being repaired or for a lock, and only the long limit, or
 * that somebody has stopped it, says that it is in vain.
 */
#include <signal.h>
#include <stdio.h>

#include "common/spawn_process.h"
#include "common/spawn_tree.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

/* Memory of many GB takes one that httpd has forked a while to settle, and
 * modules take one that loads them a while; both use CPU time then. */
#define LOOK_EACH   5000   /* ms */
#define STANDS      60000  /* ms without CPU time */
#define NEVER_READY 600000 /* ms, whatever it does */

static bool is_awaited(const job *template)
{
    return template->state != JOB_ENDED && template->said == SAID_NOTHING
           && template->pid > 1 && !(template->flags & JOB_GIVEN_UP);
}

static void look_at(const job *template, template_note *n, int64_t now)
{
    int64_t cpu = spawn_tree_cpu_ms(template->pid);

    if (n->looked_at == 0 || cpu < 0 || cpu != n->cpu_ms)
        n->moved_at = now; /* or it cannot be seen */
    n->cpu_ms = cpu;
    n->looked_at = now;
}

/* Advice for the log; a template of httpd's loads nothing. */
static const char *advice(const job *template, bool waits)
{
    if (template->flags & JOB_FOREIGN)
        return "";
    return waits ? "; it has used no CPU time for a minute: what it loads "
                   "must not wait for long"
                 : "; have it load less, or in less time";
}

static void not_ready(job *template, const template_note *n, int64_t now)
{
    const int64_t age = now - template->mono_us / 1000;
    const bool stopped = spawn_os_stopped(template->pid);
    char text[240];

    (void)snprintf(text, sizeof(text),
                   "its process (pid %d) is not ready after %d s%s, and is "
                   "sent SIGKILL%s",
                   (int)template->pid, (int)(age / 1000),
                   stopped ? ": somebody has stopped it" : "",
                   stopped ? ""
                           : advice(template, now - n->moved_at >= STANDS));
    template->said = SAID_FAILED;
    template_note_text(template, text);
    table_tell(template, JOB_TELL_SAID);
    (void)(template->flags & JOB_FOREIGN ? template_kill(template, SIGKILL)
                                         : job_signal(template, SIGKILL));
}

/* One of httpd's loads nothing. */
static bool stands(const job *template, const template_note *n, int64_t now)
{
    return now - n->moved_at >= STANDS
           && (template->flags & JOB_FOREIGN
               || spawn_os_stopped(template->pid));
}

int preload_timers(int64_t now)
{
    template_note *n = NULL;
    int wait = -1;

    while ((n = template_note_next(n))) {
        job *template = table_at(n->index);
        int64_t left;

        if (!is_awaited(template))
            continue;
        if (n->looked_at == 0 || now - n->looked_at >= LOOK_EACH)
            look_at(template, n, now);
        left = n->looked_at + LOOK_EACH - now;
        if (stands(template, n, now)
            || now - template->mono_us / 1000 >= NEVER_READY)
            not_ready(template, n, now);
        else if (wait < 0 || left < wait)
            wait = (int)left;
    }
    return wait;
}
