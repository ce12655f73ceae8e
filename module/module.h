/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file module.h
 * @brief The header that every file of the httpd module includes: httpd's
 * headers, the module's own symbol (for its configuration and its LogLevel),
 * the numbers of log messages.
 *
 * Runs in httpd: the parent and its children.
 */
#ifndef SPAWN_MODULE_H
#define SPAWN_MODULE_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "apr_lib.h"
#include "apr_portable.h"
#include "apr_strings.h"

#include "common/spawn_log.h"

/* The one symbol that httpd looks up; all others are hidden. */
extern module AP_MODULE_DECLARE_DATA spawn_module
    __attribute__((visibility("default")));
APLOG_USE_MODULE(spawn);

/** Programs that are installed beside mod_spawn.so, in this directory. */
#define SPAWN_PROGRAM_DIR "mod_spawn"

/** How long the pair may take to answer at a start or a restart. */
#define SPAWN_READY_MS 10000

#endif
