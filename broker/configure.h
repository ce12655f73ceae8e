/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file configure.h
 * @brief What the httpd parent told by CONFIGURE. Queue rules are in queue.h.
 */
#ifndef SPAWN_BROKER_CONFIGURE_H
#define SPAWN_BROKER_CONFIGURE_H

#include <sys/types.h>

#include "common/spawn_packet.h"

typedef struct {
    spawn_id instance; /* of the spawner's life */
    uint8_t secret[SPAWN_SECRET_SIZE];
    bool has_secret;
    char *store_path;
    char *socket_path; /* where callers come */
    char *job_home;
    char *job_user;
    char *job_group; /* name of job_gid; NULL: it has none */
    uid_t job_uid;
    gid_t job_gid;
    bool any_account; /* httpd's children change theirs with each request */
    uint64_t history_jobs;
    int64_t history_ms;    /* 0: any age */
    uint64_t history_size; /* bytes */
    bool kill_at_stop;
} spawn_config;

extern spawn_config spawn_conf;

/** Take a CONFIGURE message; its descriptors that are used are taken out of
 * the packet. Never fails: a rule that makes no sense is left out with a
 * line in the log. */
void spawn_config_apply(const spawn_message *m, spawn_packet *p);

/** Take a PLACES message: places that were removed are there again. */
void spawn_config_places(const spawn_message *m, spawn_packet *p);

/** May an httpd child have this account? Secret and post socket alone are no
 * proof: forks of other modules have them too. */
bool spawn_config_httpds(uid_t uid);

#endif
