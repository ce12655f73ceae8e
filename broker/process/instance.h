/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file instance.h
 * @brief The processes of templates: which takes orders, when another one is
 * started.
 */
#ifndef SPAWN_BROKER_PROCESS_INSTANCE_H
#define SPAWN_BROKER_PROCESS_INSTANCE_H

#include "broker/job/template.h"

/** New rules are complete: processes of templates that are not configured any
 * more leave; all others are started anew when the next GO comes, unless this
 * broker has just started. */
void spawn_templates_end(void);

/* ---- orders ---- */

/** One more order is on its way to the instance that takes them. */
spawn_instance *spawn_template_order(spawn_template *t);
/** The same for an order of a broker before us. */
void spawn_instance_ordered(spawn_instance *instance);
/** Its answer to one order has come: a job was forked, or not. */
void spawn_instance_settled(spawn_instance *instance, bool forked);
/** Its link took no more, or nobody was at its other end. */
void spawn_instance_full(spawn_instance *instance);
void spawn_instance_lost(spawn_instance *instance);

/** Is this process a child of an instance that httpd forked, which alone was
 * told to signal it? */
bool spawn_instance_has_child(const spawn_template *t, pid_t pid);
/** It does not do its work: end it. */
void spawn_instance_deaf(spawn_instance *instance);

/* ---- what the spawner tells ---- */

/** An instance of this id, or NULL. */
spawn_instance *spawn_instance_find(const spawn_id *id);
/** RUNNING of a template, when the broker is new. Takes its descriptors. */
void spawn_instance_adopt(const spawn_id *id, const spawn_message *m,
                          spawn_packet *p);
void spawn_instance_said(const spawn_id *id, const spawn_message *m);
void spawn_instance_started(spawn_instance *instance, const spawn_message *m);
void spawn_instance_exited(spawn_instance *instance, const spawn_message *m);

/* ---- the broker's life ---- */

/** Start what has to be started. When GO has come. */
void spawn_templates_go(void);
/** No job starts any more: end the instances that preload. */
void spawn_templates_rest(void);
/** Tell all to go. Returns how many of the spawner's own are still there. */
unsigned spawn_templates_leave(void);

#endif
