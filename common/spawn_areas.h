/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_areas.h
 * @brief The areas of a process's memory one by one, as /proc/PID/smaps shows
 * them.
 *
 * Runs in templates, their workers and spawnctl. Allocates nothing and changes
 * nothing.
 */
#ifndef SPAWN_AREAS_H
#define SPAWN_AREAS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** The name of the memfd with the memory of a template. */
#define SPAWN_FROZEN_NAME "spawn-template"

/** An area. Sizes in bytes. */
typedef struct {
    uint64_t from, to;
    char rights[5];  /* "rw-p" */
    char name[64];   /* its beginning: a path, "[heap]", or "" */
    char flags[256]; /* VmFlags: two letters each, a space after each */
    uint64_t resident, proportional, alone;
    uint64_t anonymous; /* pages of its own, and not of a file */
    bool has_key;       /* a protection key */
} spawn_area;

/** @return false: no more. */
typedef bool (*spawn_area_fn)(const spawn_area *area, void *arg);

/** All areas of a process (0: of this one), from below. 0 or a negative
 * errno. */
int spawn_areas(pid_t pid, spawn_area_fn fn, void *arg);

/** Two letters of VmFlags. */
bool spawn_area_has(const spawn_area *area, const char *flag);

/** It shows a template's memory, frozen. */
bool spawn_area_frozen(const spawn_area *area);

#endif
