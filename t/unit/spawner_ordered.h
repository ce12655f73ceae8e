/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner has orders of its broker (spawner/orders.c), whom the test plays;
 * what they are to do is noted.
 */
#ifndef SPAWNER_ORDERED_H
#define SPAWNER_ORDERED_H

#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

static int signal_result;
static bool signal_ends; /* it was for who had gone, and this is his state */
static job_state signal_end;
static spawn_id launched, impossible;
static unsigned came_along;

void launch_job(const spawn_message *order, spawn_packet *packet)
{
    spawn_attr_id(&order->attr[SPAWN_A_ID], &launched);
    came_along = packet->fds_count;
    note("launch");
}

static bool is_refused;

spawn_step accounts_refuse(const spawn_id *id, const spawn_message *order,
                           int *ret_error)
{
    (void)id;
    (void)order;
    if (is_refused)
        *ret_error = EPERM;
    return is_refused ? SPAWN_STEP_UID : SPAWN_STEP_NONE;
}

static bool refuses; /* SpawnAllow does */

bool allowed_order(const spawn_id *id, const spawn_message *order)
{
    (void)id;
    (void)order;
    return !refuses;
}

void launch_refused(const spawn_id *id, const spawn_message *order,
                    spawn_step step, int error)
{
    (void)id;
    (void)order;
    note("refused %s %d", spawn_step_name(step), error);
}

int orphan_signal(const spawn_message *order, int signo)
{
    note("orphan %d of %d", signo,
         (int)spawn_attr_u64(&order->attr[SPAWN_A_PID]));
    return signal_result;
}

void launch_impossible(const spawn_id *id, int error)
{
    impossible = *id;
    note("impossible %d", error);
}

int job_signal(job *j, int signo)
{
    note("signal %d to %d", signo, (int)j->pid);
    if (signal_ends)
        j->state = (uint8_t)signal_end;
    return signal_result;
}

int template_kill(const job *template, int signo)
{
    (void)template;
    note("template_kill %d", signo);
    return 0;
}

int template_signal(job *j, int signo)
{
    (void)j;
    note("template_signal %d", signo);
    return 0;
}

static bool is_stopped;    /* a template of httpd's */
static int foreign_result; /* of a signal in its place */

bool foreign_is_stopped(const job *j)
{
    (void)j;
    return is_stopped;
}

int foreign_signal(job *j, int signo, bool whole)
{
    note("in_its_place %d to %d%s", signo, (int)j->pid, whole ? " whole" : "");
    return foreign_result;
}

void template_tell_left(const job *j)
{
    (void)j;
    note("tell_left");
}

void template_dismiss(job *template)
{
    note("dismiss %d", (int)template->pid);
}

void template_ended(job *template)
{
    note("template_ended %d", (int)template->pid);
}

void template_give_up(const job *j)
{
    note("give_up %d", (int)j->pid);
}

#include "spawner/table.c"
#include "spawner/template_note.c"
#include "spawner/template_word.c"
#include "spawner/orders.c"

static int broker = -1; /* its end */

static inline int start(void **state)
{
    int ends[2];

    (void)state;
    no_state();
    signal_result = foreign_result = 0;
    is_stopped = false;
    is_refused = false;
    make_pair(ends);
    spawner.link = ends[0];
    broker = ends[1];
    read_log();
    return table_init();
}

static inline int stop(void **state)
{
    (void)state;
    while (held_first())
        held_remove(&held_first()->id);
    spawn_close_fds(&spawner.link, 1);
    spawn_close_fds(&broker, 1);
    return 0;
}

static inline spawn_id id_of(uint8_t n)
{
    spawn_id id = {{n, 1}};

    return id;
}

static inline job *have(uint8_t n, job_state state, unsigned flags)
{
    spawn_id id = id_of(n);
    job *j = table_add(&id);

    j->state = (uint8_t)state;
    j->flags = (uint16_t)flags;
    j->pid = 100 + n;
    return j;
}

static inline bool is_there(uint8_t n)
{
    spawn_id id = id_of(n);

    return table_by_id(&id) != NULL;
}

static inline void begin_for(spawn_writer *w, uint16_t type, uint8_t n)
{
    spawn_id id = id_of(n);

    begin(w, type);
    spawn_put_id(w, SPAWN_A_ID, &id);
}

static inline void give(spawn_writer *w)
{
    send_on(broker, w, NULL, 0);
    assert_int_equal(orders_take_one(), 1);
}

static inline void order_for(uint16_t type, uint8_t n)
{
    spawn_writer w;

    begin_for(&w, type, n);
    give(&w);
}

#endif
