/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file few.h
 * @brief Few log lines of what visitors can cause: in httpd's processes, whose
 * threads may all want to say the same.
 */
#ifndef SPAWN_MODULE_FEW_H
#define SPAWN_MODULE_FEW_H

#include "module/module.h"
#include "common/spawn_few.h"

/**
 * True when this process may write the line; else it is left out and counted.
 * The count of the minute before is written first (MS0202), at the same level.
 * Any thread.
 * @param few a static one for each kind of message.
 * @param number of the message: "MS0211".
 * @param about the account or queue that causes it, for the count.
 */
bool spawn_few_lines(spawn_few *few, server_rec *s, int level,
                     const char *number, const char *about);

#endif
