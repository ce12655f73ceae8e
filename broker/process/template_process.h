/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template_process.h
 * @brief The processes of templates: which takes orders, when another one is
 * started.
 */
#ifndef SPAWN_BROKER_PROCESS_TEMPLATE_PROCESS_H
#define SPAWN_BROKER_PROCESS_TEMPLATE_PROCESS_H

#include "broker/job/template.h"

/** New rules are complete: processes of templates that are not configured any
 * more leave; all others are started anew when the next GO comes, unless this
 * broker has just started. */
void spawn_templates_end(void);

/* ---- orders ---- */

/** One more order is on its way to the process that takes them. */
spawn_template_process *spawn_template_order(spawn_template *t);
/** The same for an order of a broker before us. */
void spawn_template_process_ordered(spawn_template_process *process);
/** Its answer to one order has come: a job was forked, or not. */
void spawn_template_process_settled(spawn_template_process *process,
                                    bool forked);
/** Its link took no more, or nobody was at its other end. */
void spawn_template_process_full(spawn_template_process *process);
void spawn_template_process_lost(spawn_template_process *process);

/** Is this process a child of one that httpd forked, which alone was
 * told to signal it? */
bool spawn_template_process_has_child(const spawn_template *t, pid_t pid);
/** It does not do its work: end it. */
void spawn_template_process_deaf(spawn_template_process *process);

/* ---- what the spawner tells ---- */

/** The one of this id, or NULL. */
spawn_template_process *spawn_template_process_find(const spawn_id *id);
/** RUNNING of a template, when the broker is new. Takes its descriptors. */
void spawn_template_process_adopt(const spawn_id *id, const spawn_message *m,
                                  spawn_packet *p);
void spawn_template_process_said(const spawn_id *id, const spawn_message *m);
void spawn_template_process_started(spawn_template_process *process,
                                    const spawn_message *m);
void spawn_template_process_exited(spawn_template_process *process,
                                   const spawn_message *m);

/* ---- the broker's life ---- */

/** Start what has to be started. When GO has come. */
void spawn_templates_go(void);
/** No job starts any more: end those that preload. */
void spawn_templates_rest(void);
/** Tell all to go. Returns how many of the spawner's own are still there. */
unsigned spawn_templates_leave(void);

#endif
