/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time that a hook of after_fork has. One that hangs (a database that does
 * not answer) would hold its job, or the worker that calls wait for, until
 * somebody wonders. Perl's own alarm does not end a hook that hangs in a C
 * library, and belongs to the hook.
 *
 * Runs in jobs and workers only, before the first call. The handler may come in
 * the midst of anything: it uses what was made before, and ends the process.
 */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "perl/xs/template/template.h"

#define TIME_SIGNAL SIGRTMAX /* of no use to others; alarm is the hook's */
#define TEXT_MAX    1024

static struct {
    pid_t pid; /* not what the hook forks */
    int link;  /* of a worker to the broker; -1: it is a job */
    const char *document;
    size_t document_length;
    char text[TEXT_MAX]; /* with a newline */
    size_t text_length;
    timer_t timer;
    bool runs;
    struct sigaction before;
} hook;

static void is_over(int signo)
{
    (void)signo;
    if (!hook.runs || getpid() != hook.pid)
        return;
    if (hook.link >= 0)
        (void)spawn_template_tell_ready(hook.link, SPAWN_E_START_FAILED,
                                        hook.text, hook.text_length - 1);
    else
        (void)spawn_template_put_bytes(SPAWN_RESULT_DIED, hook.document,
                                       hook.document_length);
    (void)!write(STDERR_FILENO, hook.text, hook.text_length);
    _exit(255);
}

void spawn_template_hook_begins(pTHX_ double seconds, SV *document, SV *text,
                                int link)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = TIME_SIGNAL};
    struct itimerspec time = {.it_value.tv_sec = (time_t)seconds};
    struct sigaction on_time = {.sa_handler = is_over, .sa_flags = SA_RESTART};
    sigset_t its;
    STRLEN length;
    const char *bytes = SvPV(text, length);

    if (length > TEXT_MAX - 1)
        length = TEXT_MAX - 1;
    memcpy(hook.text, bytes, length);
    hook.text[length] = '\n';
    hook.text_length = length + 1;
    hook.document = SvPV(document, length);
    hook.document_length = length;
    hook.link = link;
    hook.pid = getpid();
    time.it_value.tv_nsec =
        (long)((seconds - (double)time.it_value.tv_sec) * 1e9);
    (void)sigemptyset(&its);
    (void)sigaddset(&its, TIME_SIGNAL);
    if (timer_create(CLOCK_MONOTONIC, &event, &hook.timer) < 0)
        return; /* no time-out, then */
    (void)sigaction(TIME_SIGNAL, &on_time, &hook.before);
    (void)sigprocmask(SIG_UNBLOCK, &its, NULL);
    hook.runs = true;
    (void)timer_settime(hook.timer, 0, &time, NULL);
}

/* In the process that it began in, or in one that the hook has forked, which
 * has no timer. */
void spawn_template_hook_ended(void)
{
    if (!hook.runs)
        return;
    hook.runs = false;
    if (getpid() == hook.pid)
        (void)timer_delete(hook.timer);
    (void)sigaction(TIME_SIGNAL, &hook.before, NULL);
}
