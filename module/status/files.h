/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file files.h
 * @brief The style sheet, the script and the icon of the status page: plain
 * files beside this one, which the Makefile puts into the module.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_FILES_H
#define SPAWN_STATUS_FILES_H

#include "module/status/page.h"

/** A mark of its contents, for its address and its ETag. */
const char *spawn_file_version(const char *name);

/** Write the file into the page, with its headers. @return OK, a status of
 * HTTP (304), or HTTP_NOT_FOUND when there is no such file. */
int spawn_file_put(spawn_page *page, const char *name);

#endif
