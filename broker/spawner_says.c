/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the spawner, and which file obeys each of them. Runs in the
 * broker, on checked messages. Decides only by what a message is about.
 */
#include "broker/spawner_says.h"

#include <string.h>

#include "common/spawn_log.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/job/phase.h"
#include "broker/job/state.h"
#include "broker/job/template.h"
#include "broker/process/deaf.h"
#include "broker/process/link.h"
#include "broker/process/template_process.h"
#include "broker/process/worker.h"
#include "broker/store/launches.h"
#include "broker/store/store.h"
#include "broker/run/end.h"
#include "broker/run/pool.h"
#include "broker/run/started.h"
#include "broker/caller/inbox.h"
#include "broker/relay/says.h"
#include "broker/configure.h"
#include "broker/life.h"
#include "broker/recover_told.h"

static void configure(spawn_broker *broker, const spawn_id *id,
                      const spawn_message *m, spawn_packet *p)
{
    (void)id;
    spawn_config_apply(m, p);
    spawn_life_configured(broker);
}

static void places(spawn_broker *broker, const spawn_id *id,
                   const spawn_message *m, spawn_packet *p)
{
    (void)id;
    spawn_config_places(m, p);
    if (!spawn_phase.recovered)
        spawn_life_configured(broker); /* the store was not there before */
}

static void running(spawn_broker *broker, const spawn_id *id,
                    const spawn_message *m, spawn_packet *p)
{
    (void)broker;
    if (spawn_has(m, SPAWN_A_IS_TEMPLATE)) {
        spawn_template_process_adopt(id, m, p);
        spawn_deaf_watch();
    }
    else if (spawn_has(m, SPAWN_A_IS_WORKER))
        spawn_pool_adopt(id, m, p);
    else
        spawn_recover_running(id, m, p);
}

static void template_said(spawn_broker *broker, const spawn_id *id,
                          const spawn_message *m, spawn_packet *p)
{
    (void)broker;
    (void)p;
    spawn_template_process_said(id, m);
    spawn_deaf_watch();
}

static void held(spawn_broker *broker, const spawn_id *id,
                 const spawn_message *m, spawn_packet *p)
{
    (void)broker;
    (void)m;
    spawn_recover_held(id, p);
}

static void table_end(spawn_broker *broker, const spawn_id *id,
                      const spawn_message *m, spawn_packet *p)
{
    (void)id;
    (void)m;
    (void)p;
    spawn_life_table_end(broker);
}

/* Nobody knows it; but the ledger, which could not be read yet, may. */
static bool may_be_found(const spawn_broker *broker, const spawn_id *id)
{
    spawn_known known;

    return spawn_told_waits()
           && spawn_store_find(broker->store, id, &known) == 0;
}

/* The same of its call, which ends with it, and is no job yet. */
static bool call_may_be_found(const spawn_worker *w)
{
    return w->unknown && spawn_told_waits();
}

static void started(spawn_broker *broker, const spawn_id *id,
                    const spawn_message *m, spawn_packet *p)
{
    spawn_started(id, m);
    if (!spawn_phase.recovered
        || (!spawn_job_find(id) && may_be_found(broker, id)))
        spawn_recover_told(id, m, p);
}

/* A process of a template, a worker, or what has been forgotten. */
static void no_job_exited(spawn_broker *broker, const spawn_id *id,
                          const spawn_message *m, spawn_packet *p)
{
    spawn_template_process *process = spawn_template_process_find(id);
    spawn_worker *worker = spawn_worker_find(id);
    char text[SPAWN_ID_TEXT];
    spawn_known known;

    if (process) {
        spawn_template_process_exited(process, m);
        return;
    }
    if (!spawn_phase.recovered || (worker && call_may_be_found(worker))) {
        spawn_recover_told(id, m, p);
        return;
    }
    if (worker) {
        spawn_worker_exited(worker, m);
        return;
    }
    if (may_be_found(broker, id)) {
        spawn_recover_told(id, m, p);
        return;
    }
    if (spawn_store_find(broker->store, id, &known) != 1)
        spawn_log_few(
            "all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
            MSNO(0522) "job %s has ended, and the store does not know "
                       "it",
            spawn_id_format(id, text));
    spawn_link_send_id(SPAWN_M_FORGET, id, NULL, 0);
}

static void exited(spawn_broker *broker, const spawn_id *id,
                   const spawn_message *m, spawn_packet *p)
{
    spawn_job *job;

    spawn_started_with_end(id, m);
    job = spawn_phase.recovered ? spawn_job_find(id) : NULL;
    if (!job)
        no_job_exited(broker, id, m, p);
    else if (job->state != SPAWN_STATE_DONE && job->state != SPAWN_STATE_QUEUED)
        spawn_end_exited(job, m);
    /* else told twice; the FORGET is on its way */
}

static void orphaned(spawn_broker *broker, const spawn_id *id,
                     const spawn_message *m, spawn_packet *p)
{
    spawn_worker *worker = spawn_worker_find(id);
    spawn_job *job = spawn_job_find(id);

    if (!spawn_phase.recovered || (worker && call_may_be_found(worker)))
        spawn_recover_told(id, m, p);
    else if (worker)
        spawn_worker_orphaned(worker, m);
    else if (job)
        spawn_end_orphaned(job, m);
    else if (may_be_found(broker, id))
        spawn_recover_told(id, m, p);
    else
        spawn_link_send_id(SPAWN_M_FORGET, id, NULL, 0);
}

static void go(spawn_broker *broker, const spawn_id *id, const spawn_message *m,
               spawn_packet *p)
{
    (void)broker;
    (void)id;
    (void)m;
    (void)p;
    spawn_life_go();
}

static void linger(spawn_broker *broker, const spawn_id *id,
                   const spawn_message *m, spawn_packet *p)
{
    (void)id;
    (void)m;
    (void)p;
    spawn_life_linger(broker);
}

static void quit(spawn_broker *broker, const spawn_id *id,
                 const spawn_message *m, spawn_packet *p)
{
    (void)id;
    (void)m;
    (void)p;
    spawn_life_quit(broker);
}

/* It has started a relay, whose link this is. */
static void relay(spawn_broker *broker, const spawn_id *id,
                  const spawn_message *m, spawn_packet *p)
{
    (void)id;
    (void)m;
    if (p->fds_count == 0)
        return;
    spawn_relay_begin(&broker->batch, p->fds[0]);
    p->fds[0] = -1;
}

/* The spawner kills a broker that does not answer (spawner/watchdog.c). */
static void alive(spawn_broker *broker, const spawn_id *id,
                  const spawn_message *m, spawn_packet *p)
{
    uint8_t room[SPAWN_WIRE_HEADER];
    spawn_writer w;

    (void)broker;
    (void)id;
    (void)m;
    (void)p;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_ALIVE, 0);
    (void)spawn_link_send(&w, NULL, 0);
}

static const struct {
    uint16_t type;
    void (*obey)(spawn_broker *broker, const spawn_id *id,
                 const spawn_message *m, spawn_packet *p);
} messages[] = {
    {SPAWN_M_CONFIGURE, configure}, {SPAWN_M_PLACES, places},
    {SPAWN_M_RUNNING, running},     {SPAWN_M_TEMPLATE_SAID, template_said},
    {SPAWN_M_HELD, held},           {SPAWN_M_TABLE_END, table_end},
    {SPAWN_M_STARTED, started},     {SPAWN_M_EXITED, exited},
    {SPAWN_M_ORPHANED, orphaned},   {SPAWN_M_GO, go},
    {SPAWN_M_LINGER, linger},       {SPAWN_M_QUIT, quit},
    {SPAWN_M_ALIVE, alive},         {SPAWN_M_RELAY, relay},
};

static void message(void *of, const spawn_message *m, spawn_packet *p)
{
    spawn_broker *broker = of;
    spawn_id id;
    size_t i;

    memset(&id, 0, sizeof(id));
    if (spawn_has(m, SPAWN_A_ID))
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        if (messages[i].type == m->header.type)
            messages[i].obey(broker, &id, m, p);
    }
}

/* Its spawner has gone and was never sent its order: the next one is. */
static void not_sent(const spawn_id *id)
{
    spawn_job *job = spawn_job_find(id);

    if (!job || job->state != SPAWN_STATE_STARTING || job->terminated)
        return;
    spawn_inbox_waits_again(job);
    spawn_launches_undo(job);
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_job_changed(job);
}

static void gone(void *of)
{
    spawn_link_unsent(SPAWN_M_LAUNCH, not_sent);
    spawn_life_spawner_gone(of);
}

const spawn_link_events spawn_spawner_says = {message, gone};
