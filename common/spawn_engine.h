/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_engine.h
 * @brief The address of the engine that connects hosts, as SpawnRelay has it.
 *
 * Runs in the httpd parent, which checks it, and in the relay, which uses it.
 * Allocates nothing.
 */
#ifndef SPAWN_ENGINE_H
#define SPAWN_ENGINE_H

#include <stdbool.h>

#include "common/spawn_proto.h"

#define SPAWN_ENGINE_HOSTS 16

typedef struct {
    char user[128], password[256], vhost[256];
    unsigned hosts_count;
    struct {
        char name[256];
        int port;
    } hosts[SPAWN_ENGINE_HOSTS];
} spawn_engine;

/**
 * Take apart "amqp://user:password@host:port,host:port/vhost". Without user and
 * password: guest; without a port: 5672; without a vhost: "/". "%2f" and the
 * like stand for the characters that have a meaning.
 * @return NULL, or what is wrong, for people; it never contains the password.
 */
const char *spawn_engine_parse(const char *url, spawn_engine *ret);

/** Can a host have this name: letters, digits, '-', '_' and '.'? */
bool spawn_engine_host_ok(const char *name);

#endif
