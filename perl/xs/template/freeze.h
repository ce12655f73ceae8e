/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file freeze.h
 * @brief The memory of a template that is ready, arranged such that a fork
 * costs little.
 *
 * Runs in a template, which has one thread, before it serves; docs/
 * frozen-templates.md is about it. Knows nothing of Perl.
 */
#ifndef SPAWN_TEMPLATE_FREEZE_H
#define SPAWN_TEMPLATE_FREEZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/spawn_proto.h"

/**
 * Freeze this process's memory, or make it huge pages. A failure leaves memory
 * as it is.
 *
 * @param how SPAWN_MEMORY_
 * @param why the part that could not be done, and why; else "".
 */
void spawn_template_settle_memory(unsigned how, char *why, size_t room);

/** Bytes of this process's memory that are frozen; the same in a process that
 * was forked from it. */
uint64_t spawn_template_frozen(void);

/** Has this process more than so many bytes resident? Memory that it shares
 * with its template counts. */
bool spawn_template_is_bigger(uint64_t bytes);

#endif
