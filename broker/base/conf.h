/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file conf.h
 * @brief The settings that the httpd parent sent with CONFIGURE, as data. Rules
 * of queues and of templates are in broker/job/.
 *
 * Written by broker/configure.c alone.
 */
#ifndef SPAWN_BROKER_BASE_CONF_H
#define SPAWN_BROKER_BASE_CONF_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/spawn_proto.h"

typedef struct {
    spawn_id spawner_life;
    uint8_t secret[SPAWN_SECRET_SIZE];
    bool has_secret;
    char *store_path;
    char *socket_path; /* where callers come */
    char *job_home;
    char *job_user;
    char *job_group; /* name of job_gid; NULL: it has none */
    uid_t job_uid;
    gid_t job_gid;
    bool any_account;      /* each request may have another account */
    int64_t configured_at; /* mono ms: the moment of this configuration, for
                            * what is ours; 0: httpd does not say it */
    int64_t made_at; /* mono ms: httpd made it then, for what is httpd's */
    uint64_t history_jobs;
    int64_t history_ms;    /* 0: any age */
    uint64_t history_size; /* bytes */
    bool kill_at_stop;
    char *relay_url; /* of the engine; NULL: there is no relay */
    char *host;      /* our name for other hosts; NULL: the same */
} spawn_config;

extern spawn_config spawn_conf;

/** Are processes of this account let in without the secret: root's, those of
 * httpd's User, and of the broker's own account? */
bool spawn_conf_is_trusted(uid_t uid);

/** May an httpd child have this account? Secret and post socket alone are no
 * proof: what other modules fork has them too. */
bool spawn_conf_is_httpds(uid_t uid);

#endif
