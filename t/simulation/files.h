/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, directories and inotify of the simulated kernel (kernel.h).
 */
#ifndef SIMULATION_FILES_H
#define SIMULATION_FILES_H

#include <stdint.h>
#include <sys/stat.h>

#include "t/simulation/kernel.h"

/* ---- files (files.c) ---- */

/* A file or directory, whatever it is called. */
typedef struct node node;

/* NULL: there is none, or the path is none of the world. */
node *file_at(const char *path);
/* The file that a descriptor has open; NULL: no such file. */
node *file_open(thing *t);
void file_stat(const node *n, struct stat *ret);
/* False: there is none. */
bool file_truncate(const char *path, size_t size);
/* Where a socket is. */
void file_make_socket(const char *path);
/* Names in a directory. */
unsigned file_list(const node *dir, unsigned room, const char **ret);

/* ---- inotify (notify.c) ---- */

/* This happened in a directory. */
void notify_tell(const node *dir, uint32_t what);
/* It is removed. */
void notify_gone(const node *dir);
/* Nothing is watched, and nothing has happened. */
void notify_forget(void);
/* A process has ended that may have read a directory. */
void directories_close(void);

#endif
