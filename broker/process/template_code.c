/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose code the processes of a template have, and how long jobs wait for that
 * of a new configuration. Runs in the broker. No job may wait for it for ever:
 * news of a process may never come.
 */
#include "broker/process/template_code.h"

#include "common/spawn_os.h"
#include "broker/base/conf.h"
#include "broker/base/timer.h"
#include "broker/job/template.h"

#define NEWS_WITHIN 15000  /* ms from GO; httpd looks each 10 s */
#define CODE_WITHIN 30000  /* ms from GO */
#define GO_WITHIN   120000 /* ms from CONFIGURE: httpd reads its code then */

/* The moment of the code that it has. One of httpd's that began since httpd
 * made the configuration has its code, also where we were late to read that. */
static int64_t code_of(const spawn_template_process *process)
{
    bool of_it = process->foreign && spawn_conf.made_at
                 && process->mono_started >= spawn_conf.made_at;

    return of_it && process->mono_started < spawn_conf.configured_at
               ? spawn_conf.configured_at
               : process->mono_started;
}

bool spawn_template_process_is_old(const spawn_template_process *process)
{
    return code_of(process) < spawn_conf.configured_at;
}

bool spawn_template_process_is_late(const spawn_template_process *process)
{
    const spawn_template *t = process->template;

    return t->current && t->current->mono_started > process->mono_started;
}

void spawn_template_doubt_no_more(spawn_template *t)
{
    t->doubted = false;
}

void spawn_template_decided(const spawn_template_process *process)
{
    spawn_template *t = process->template;

    if (code_of(process) > t->tried)
        t->tried = code_of(process);
    if (!spawn_template_process_is_old(process))
        spawn_template_doubt_no_more(t);
}

static void no_news(spawn_timer *timer)
{
    SPAWN_OWNER(timer, spawn_template, doubt)->tried = spawn_conf.configured_at;
}

static void have_patience(spawn_template *t, int ms)
{
    if (spawn_template_tried(t, spawn_conf.configured_at))
        return;
    t->doubt.fire = no_news;
    spawn_timer_set(&t->doubt, spawn_mono_ms() + ms);
}

void spawn_template_wait_for_go(spawn_template *t)
{
    have_patience(t, GO_WITHIN);
}

void spawn_template_doubt(spawn_template *t)
{
    bool in_doubt = t->doubted && !t->coming;

    if (in_doubt)
        t->tried = t->current ? t->current->mono_started : 0;
    have_patience(t, in_doubt ? NEWS_WITHIN : CODE_WITHIN);
}
