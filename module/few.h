/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file few.h
 * @brief Few lines of what visitors can cause: in httpd's processes, whose
 * threads may all want to say the same.
 */
#ifndef SPAWN_MODULE_FEW_H
#define SPAWN_MODULE_FEW_H

#include "module/module.h"
#include "common/spawn_few.h"

/**
 * May it be said by this process, or is it left out and counted? The count of
 * the minute before is written first (MS0202), in the words of the same level.
 * Any thread.
 * @param few a static one for each kind of message.
 * @param number of the message: "MS0211".
 * @param about who or what causes it, for the count.
 */
bool spawn_few_lines(spawn_few *few, server_rec *s, int level,
                     const char *number, const char *about);

#endif
