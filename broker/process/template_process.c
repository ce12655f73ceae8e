/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of templates, and their life. Runs in the broker. The broker
 * must only order: the spawner forks, signals and reaps.
 *
 * A process that ends is followed by another, at once the first time, then
 * after 1, 2, 4 and so on up to 60 s. A process that is to be replaced (a
 * restart of httpd, its age, its count of jobs) takes orders until its follower
 * is ready.
 *
 * Jobs that want the code of a new configuration wait until such a follower is
 * ready, or has failed: tried, in job/template.h.
 *
 * A process's id carries a mark of the rules and the release that it was
 * started by, so that a broker that comes anew knows which of them to
 * replace.
 */
#include "broker/process/template_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "common/spawn_proto.h"
#include "common/spawn_release.h"
#include "broker/base/alloc.h"
#include "broker/base/backoff.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/defaults.h"
#include "broker/job/end.h"
#include "broker/job/phase.h"
#include "broker/job/template.h"
#include "broker/process/keep.h"
#include "broker/process/link.h"
#include "broker/process/output.h"
#include "broker/process/template_code.h"
#include "broker/process/template_start.h"

#define PROCESSES_MAX   60    /* of our own, for they cost memory */
#define STUCK_AFTER     30000 /* ms without a word about an order */
#define GONE_WITHIN     10000 /* ms from dismissal to SIGKILL */
#define GONE_AT_STOP    2000
#define LOOK_AFTER_KILL 5000
#define LIVED_WELL      60000 /* ms; then a death is the first one again */
#define TRY_ROOM        50    /* ms, when the link took no more */
#define EARLY_MOST      3 /* ends of httpd's; then jobs fail, and do not wait */
#define MARK_AT         9 /* bytes of the id, random otherwise */

static unsigned ours; /* that the spawner forked, or shall */

static void consider(spawn_template *t);
static int back_off(spawn_template *t, unsigned failures);

/* ---- a process's end ---- */

static void free_when_done(spawn_template_process *process)
{
    spawn_template_process **at = &process->template->processes;

    if (!process->gone || process->flying)
        return;
    while (*at != process)
        at = &(*at)->next;
    *at = process->next;
    ours -= !process->foreign;
    spawn_timer_clear(&process->deadline);
    spawn_timer_clear(&process->age);
    spawn_timer_clear(&process->room);
    spawn_output_drop(process->streams);
    spawn_free_later(process);
}

/* It takes no more orders, and nobody waits for it. */
static void put_aside(spawn_template_process *process)
{
    spawn_template *t = process->template;

    if (t->current == process)
        t->current = NULL;
    if (t->coming == process)
        t->coming = NULL;
    process->state = SPAWN_TEMPLATE_PROCESS_LEAVING;
    spawn_timer_clear(&process->age);
    spawn_timer_clear(&process->room);
}

/* It has to tell of its orders in time. */
static void watch_orders(spawn_template_process *process)
{
    if (process->killed)
        return; /* its end is waited for */
    if (process->flying)
        spawn_timer_set(&process->deadline, spawn_mono_ms() + STUCK_AFTER);
    else
        spawn_timer_clear(&process->deadline);
}

static void dismiss(spawn_template_process *process)
{
    bool busy = process->state == SPAWN_TEMPLATE_PROCESS_STARTING;

    if (process->state == SPAWN_TEMPLATE_PROCESS_LEAVING)
        return;
    put_aside(process);
    spawn_link_send_id(SPAWN_M_DISMISS, &process->id, NULL, 0);
    if (process->foreign) {
        /* it is the parent of its jobs and stays for them */
        watch_orders(process);
        return;
    }
    /* one that preloads does not look at its link */
    if (busy)
        spawn_template_process_signal(process, SIGTERM);
    spawn_timer_set(&process->deadline, spawn_mono_ms() + GONE_WITHIN);
}

/* It was killed, and its end was not told. Do not wait for one that hangs in
 * the kernel. */
static void look_again(spawn_template_process *process)
{
    spawn_template *t = process->template;

    if (!spawn_os_hangs(process->pid)) {
        spawn_timer_set(&process->deadline, spawn_mono_ms() + LOOK_AFTER_KILL);
        return;
    }
    put_aside(process);
    spawn_output_finish(process->streams);
    spawn_link_send_id(SPAWN_M_FORGET, &process->id, NULL, 0);
    process->gone = true;
    free_when_done(process);
    if (!process->foreign && !t->current && !t->coming && !t->retry.place)
        (void)back_off(t, t->failures++);
}

/* Nothing was heard for too long: of an order, or of its end. */
static void overdue(spawn_timer *timer)
{
    spawn_template_process *process =
        SPAWN_OWNER(timer, spawn_template_process, deadline);

    if (process->killed) {
        look_again(process);
        return;
    }
    process->killed = true;
    spawn_timer_set(&process->deadline, spawn_mono_ms() + LOOK_AFTER_KILL);
    spawn_log_few(
        spawn_log_about("template", process->template->name), SPAWN_LOG_FEW,
        SPAWN_LOG_WARN,
        MSNO(0603) "template %s (pid %d) does not %s and is sent SIGKILL; "
                   "its jobs go on",
        process->template->name, (int)process->pid,
        process->state == SPAWN_TEMPLATE_PROCESS_LEAVING && !process->foreign
            ? "end"
            : "answer");
    spawn_template_process_signal(process, SIGKILL);
}

/* ---- starting ---- */

static void too_old(spawn_timer *timer)
{
    spawn_template_process *process =
        SPAWN_OWNER(timer, spawn_template_process, age);

    process->template->renew = true;
    consider(process->template);
}

static void has_room(spawn_timer *timer)
{
    SPAWN_OWNER(timer, spawn_template_process, room)->full = false;
}

static spawn_template_process *make(spawn_template *t, bool foreign)
{
    spawn_template_process *process = spawn_alloc(sizeof(*process));

    process->template = t;
    process->deadline.fire = overdue;
    process->age.fire = too_old;
    process->room.fire = has_room;
    process->mono_started = spawn_mono_ms();
    process->foreign = foreign;
    process->next = t->processes;
    t->processes = process;
    ours += !foreign;
    return process;
}

static void retry_now(spawn_timer *timer)
{
    consider(SPAWN_OWNER(timer, spawn_template, retry));
}

static int back_off(spawn_template *t, unsigned failures)
{
    int seconds = spawn_backoff_s(failures);

    t->retry.fire = retry_now;
    spawn_timer_set(&t->retry, spawn_mono_ms() + seconds * 1000);
    return seconds;
}

/* It could not be made ready. level: of the line in the log. */
static void failed(const spawn_template_process *process, const char *text,
                   int level)
{
    spawn_template *t = process->template;
    char then[80] = "httpd forks another one";

    spawn_template_decided(process);
    if (t->early == 0
        || t->early >= EARLY_MOST) { /* else the next one may do */
        free(t->failure);
        t->failure = spawn_strdup(text);
    }
    if (t->kind == SPAWN_TEMPLATE_EXEC)
        (void)snprintf(then, sizeof(then), "another try follows in %d s",
                       back_off(t, ++t->failures));
    spawn_log_few(
        spawn_log_about("template", t->name), SPAWN_LOG_FEW, level,
        MSNO(0601) "template %s cannot be loaded; %s%s: %s", t->name, then,
        t->current ? ", until then jobs are forked from the old one" : "",
        text);
}

/* Of its rules, and of the variables that it has from outside of the queues. */
static uint16_t mark_of(const spawn_template *t)
{
    const spawn_attr *env = spawn_defaults_env(NULL);
    uint64_t sum = t->mark;
    uint32_t i;

    if (!env)
        return t->mark;
    for (i = 0; i < env->length; i++)
        sum = (sum ^ env->data[i]) * 0x100000001b3ull; /* FNV-1a */
    return (uint16_t)(sum ^ sum >> 16 ^ sum >> 32 ^ sum >> 48);
}

static void start(spawn_template *t)
{
    spawn_template_process *process = make(t, false);
    uint16_t mark = mark_of(t);
    char text[200];
    int rv = spawn_id_make(&process->id);

    if (rv == 0) {
        process->id.bytes[MARK_AT] = (uint8_t)(mark >> 8);
        process->id.bytes[MARK_AT + 1] = (uint8_t)mark;
        rv = spawn_template_process_launch(process);
    }
    if (rv == 0) {
        t->coming = process;
        return;
    }
    put_aside(process);
    (void)snprintf(text, sizeof(text), "its start could not be ordered: %s",
                   strerror(-rv));
    failed(process, text, SPAWN_LOG_ERR);
    process->gone = true;
    free_when_done(process);
}

/* The one place that decides whether another process is started. */
static void consider(spawn_template *t)
{
    if (!spawn_phase_launching() || !spawn_template_configured(t)
        || t->kind != SPAWN_TEMPLATE_EXEC || t->coming || t->retry.place
        || (t->current && !t->renew))
        return;
    if (ours >= PROCESSES_MAX)
        (void)back_off(t, 1); /* many leave just now */
    else
        start(t);
}

void spawn_templates_end(void)
{
    bool first = !spawn_phase.recovered;
    spawn_template *t;
    spawn_template_process *i;

    for (t = spawn_template_next(NULL); t; t = spawn_template_next(t)) {
        if (!t->fresh) {
            free(t->rules);
            t->rules = NULL;
            for (i = t->processes; i; i = i->next)
                dismiss(i);
        }
        if (first) { /* a second time, while the store was waited for */
            t->renew |= t->current && spawn_template_process_is_old(t->current);
            if (t->coming && spawn_template_process_is_old(t->coming))
                dismiss(t->coming);
            spawn_template_wait_for_go(t);
            continue;
        }
        spawn_template_doubt_no_more(t);
        spawn_template_wait_for_go(t);
        t->renew = t->current != NULL;
        t->failures = t->early = 0;
        spawn_timer_clear(&t->retry);
        if (t->coming) /* with rules that are old now */
            dismiss(t->coming);
    }
}

void spawn_templates_go(void)
{
    spawn_template *t;

    for (t = spawn_template_next(NULL); t; t = spawn_template_next(t)) {
        consider(t);
        spawn_template_doubt(t);
    }
}

void spawn_templates_rest(void)
{
    spawn_template *t;

    for (t = spawn_template_next(NULL); t; t = spawn_template_next(t)) {
        spawn_timer_clear(&t->retry);
        if (t->coming)
            dismiss(t->coming);
    }
}

unsigned spawn_templates_leave(void)
{
    unsigned left = 0;
    spawn_template *t;
    spawn_template_process *i;

    for (t = spawn_template_next(NULL); t; t = spawn_template_next(t)) {
        for (i = t->processes; i; i = i->next) {
            int64_t soon = spawn_mono_ms() + GONE_AT_STOP;

            dismiss(i);
            left += !i->foreign;
            if (i->deadline.place && i->deadline.at > soon)
                spawn_timer_set(&i->deadline, soon);
        }
    }
    return left;
}

/* ---- one that does not do its work ---- */

bool spawn_template_process_has_child(const spawn_template *t, pid_t pid)
{
    const spawn_template_process *i = t->processes;
    pid_t parent;

    if (pid <= 0 || spawn_os_parent(pid, &parent) < 0)
        return false;
    while (i && !(i->foreign && i->pid == parent))
        i = i->next;
    return i != NULL;
}

void spawn_template_process_deaf(spawn_template_process *process)
{
    if (!process->killed)
        overdue(&process->deadline);
}

/* ---- orders ---- */

spawn_template_process *spawn_template_order(spawn_template *t)
{
    spawn_template_process_ordered(t->current);
    return t->current;
}

void spawn_template_process_ordered(spawn_template_process *process)
{
    if (process->flying++ == 0
        && process->state == SPAWN_TEMPLATE_PROCESS_READY)
        spawn_timer_set(&process->deadline, spawn_mono_ms() + STUCK_AFTER);
}

void spawn_template_process_settled(spawn_template_process *process,
                                    bool forked)
{
    spawn_template *t = process->template;

    process->flying--;
    process->full = false;
    if (process->state == SPAWN_TEMPLATE_PROCESS_READY
        || (process->foreign && !process->gone))
        watch_orders(process);
    if (forked) {
        t->forked++;
        process->jobs++;
        /* Workers end with it and would be forked from the next one: they must
         * not be the reason for its end. */
        if (t->max_jobs && process->jobs - process->workers >= t->max_jobs
            && t->current == process) {
            t->renew = true;
            consider(t);
        }
    }
    free_when_done(process);
}

/* One that takes no more orders may be freed with this turn: it must have no
 * timer. */
void spawn_template_process_full(spawn_template_process *process)
{
    if (process->state != SPAWN_TEMPLATE_PROCESS_READY)
        return;
    process->full = true;
    spawn_timer_set(&process->room, spawn_mono_ms() + TRY_ROOM);
}

/* ---- ready, failed, ended ---- */

static void ready(spawn_template_process *process)
{
    spawn_template *t = process->template;
    spawn_template_process *old = t->current;

    process->state = SPAWN_TEMPLATE_PROCESS_READY;
    process->ready_at = spawn_mono_ms();
    if (t->coming == process)
        t->coming = NULL;
    t->current = process;
    spawn_template_decided(process);
    t->renew = false;
    t->early = 0;
    free(t->failure);
    t->failure = NULL;
    if (old && old != process)
        dismiss(old);
    if (t->max_age)
        spawn_timer_set(&process->age, process->mono_started + t->max_age);
}

/* The failure with its memory: the second line of its text. Told when it is
 * another one than it was told last, by whichever of its processes. */
static void tell_memory(const spawn_template_process *process,
                        const spawn_message *m)
{
    const char *text = strchr(spawn_str_or(m, SPAWN_A_TEXT, ""), '\n');
    spawn_template *t = process->template;
    bool told = text && t->memory && strcmp(text, t->memory) == 0;

    if (told)
        return;
    free(t->memory);
    t->memory = text ? spawn_strdup(text) : NULL;
    if (text)
        spawn_log_few(spawn_log_about("template", t->name), SPAWN_LOG_FEW,
                      SPAWN_LOG_WARN,
                      MSNO(0691) "template %s (pid %d) serves with its memory "
                                 "not as SpawnTemplateMemory says: %s",
                      t->name, (int)process->pid, text + 1);
}

void spawn_template_process_said(const spawn_id *id, const spawn_message *m)
{
    spawn_template_process *process = spawn_template_process_find(id);
    spawn_template *t;

    if (!process && spawn_has(m, SPAWN_A_TEMPLATE)) {
        t = spawn_template_get(spawn_attr_str(&m->attr[SPAWN_A_TEMPLATE]));
        process = make(t, true);
        process->id = *id;
        process->pid = (pid_t)spawn_u64_or(m, SPAWN_A_PID, 0);
        process->mono_started = (int64_t)spawn_u64_or(
            m, SPAWN_A_MONO_STARTED, (uint64_t)process->mono_started);
    }
    if (!process || process->state != SPAWN_TEMPLATE_PROCESS_STARTING)
        return;
    t = process->template;
    if (!spawn_template_configured(t)
        || spawn_template_process_is_late(process)) {
        dismiss(process);
    }
    else if (spawn_attr_u64(&m->attr[SPAWN_A_CODE]) == SPAWN_E_OK) {
        ready(process);
        spawn_log_few(spawn_log_about("template", t->name), SPAWN_LOG_FEW,
                      SPAWN_LOG_INFO,
                      MSNO(0604) "template %s is ready (pid %d), after %d ms",
                      t->name, (int)process->pid,
                      (int)(process->ready_at - process->mono_started));
        tell_memory(process, m);
    }
    else {
        unsigned code = (unsigned)spawn_attr_u64(&m->attr[SPAWN_A_CODE]);

        dismiss(process);
        t->early = code == SPAWN_E_NOT_RUNNING ? t->early + 1 : 0;
        /* an httpd without Perl has none: only its callers want to know */
        failed(process, spawn_str_or(m, SPAWN_A_TEXT, "no reason was told"),
               code == SPAWN_E_UNREACHABLE ? SPAWN_LOG_DEBUG : SPAWN_LOG_ERR);
    }
}

void spawn_template_process_started(spawn_template_process *process,
                                    const spawn_message *m)
{
    process->pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);
}

/* It took orders and has stopped without being told to. */
static void follow(const spawn_template_process *process)
{
    spawn_template *t = process->template;

    if (spawn_mono_ms() - process->ready_at > LIVED_WELL)
        t->failures = 0;
    if (!t->current && !t->coming && !t->retry.place)
        (void)back_off(t, t->failures++);
}

void spawn_template_process_lost(spawn_template_process *process)
{
    if (process->state != SPAWN_TEMPLATE_PROCESS_READY)
        return;
    dismiss(process);
    process->lost = true;
    follow(process);
}

static void died(const spawn_template_process *process, const char *how)
{
    spawn_log_few(
        spawn_log_about("template", process->template->name), SPAWN_LOG_FEW,
        SPAWN_LOG_ERR,
        MSNO(0602) "template %s (pid %d) has gone: %s; its jobs go on, "
                   "and another "
                   "one is started",
        process->template->name, (int)process->pid, how);
    follow(process);
}

void spawn_template_process_exited(spawn_template_process *process,
                                   const spawn_message *m)
{
    spawn_template *t = process->template;
    spawn_template_process_state state = process->state;
    char how[160];

    spawn_end_describe(m, true, how, sizeof(how));
    put_aside(process);
    spawn_output_finish(process->streams);
    spawn_link_send_id(SPAWN_M_FORGET, &process->id, NULL, 0);
    if (state == SPAWN_TEMPLATE_PROCESS_STARTING && process->foreign)
        spawn_template_decided(
            process); /* httpd forks another: no job fails for that */
    else if (state == SPAWN_TEMPLATE_PROCESS_STARTING)
        failed(process, how, SPAWN_LOG_ERR);
    else if (!process->foreign
             && (state == SPAWN_TEMPLATE_PROCESS_READY || process->lost))
        died(process, how);
    process->gone = true;
    free_when_done(process);
    consider(t);
}

/* ---- found by a broker that is new ---- */

spawn_template_process *spawn_template_process_find(const spawn_id *id)
{
    spawn_template *t;
    spawn_template_process *i;

    for (t = spawn_template_next(NULL); t; t = spawn_template_next(t)) {
        for (i = t->processes; i; i = i->next) {
            if (spawn_id_equal(&i->id, id))
                return i;
        }
    }
    return NULL;
}

static void adopt_streams(spawn_template_process *process,
                          const spawn_message *m, spawn_packet *p)
{
    static const spawn_keep_role roles[] = {SPAWN_KEEP_OUT_PIPE,
                                            SPAWN_KEEP_ERR_PIPE};
    char who[SPAWN_NAME_MAX + 16];
    int which;

    (void)snprintf(who, sizeof(who), "template %s", process->template->name);
    for (which = 0; which < 2; which++) {
        int fd = spawn_keep_take(m, p->fds, roles[which]);

        if (fd >= 0)
            spawn_output_adopt(process->streams, who, which, fd, -1, 0);
    }
}

static uint16_t mark_in(const spawn_id *id)
{
    return (uint16_t)(id->bytes[MARK_AT] << 8 | id->bytes[MARK_AT + 1]);
}

void spawn_template_process_adopt(const spawn_id *id, const spawn_message *m,
                                  spawn_packet *p)
{
    const char *name = spawn_str_or(m, SPAWN_A_TEMPLATE, "?");
    spawn_template *t = spawn_template_get(name);
    /* the configuration may have it no more, or as another kind */
    spawn_template_process *process =
        make(t, spawn_u64_or(m, SPAWN_A_TEMPLATE_KIND, (uint64_t)t->kind)
                    == SPAWN_TEMPLATE_PARENT);
    bool is_ready = spawn_attr_u64(&m->attr[SPAWN_A_IS_TEMPLATE]) == 2;
    bool current;

    process->id = *id;
    process->pid = (pid_t)spawn_u64_or(m, SPAWN_A_PID, 0);
    process->mono_started = (int64_t)spawn_u64_or(
        m, SPAWN_A_MONO_STARTED, (uint64_t)process->mono_started);
    if (is_ready) /* it reads what is sent to it */
        process->state = SPAWN_TEMPLATE_PROCESS_READY;
    adopt_streams(process, m, p);
    current = !spawn_template_process_is_old(process)
              && (process->foreign || mark_in(id) == mark_of(t));
    if (!spawn_template_configured(t) || spawn_template_process_is_late(process)
        || (!is_ready && (!current || t->coming))) {
        dismiss(process);
    }
    else if (is_ready) {
        ready(process);
        t->renew = !current;
        t->doubted = process->foreign && !current;
    }
    else {
        t->coming = process;
    }
}
