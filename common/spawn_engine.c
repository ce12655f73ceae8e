/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address of the engine. Must not tell its password in a text.
 */
#include "common/spawn_engine.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME       "amqp://"
#define DEFAULT_PORT 5672

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The text up to end, its %xx decoded. False: too long, or a %xx that is none,
 * or a NUL. */
static bool decode(const char *at, const char *end, char *ret, size_t room)
{
    size_t used = 0;

    for (; at < end; at++) {
        char c = *at;

        if (c == '%') {
            if (end - at < 3 || digit(at[1]) < 0 || digit(at[2]) < 0)
                return false;
            c = (char)(digit(at[1]) << 4 | digit(at[2]));
            at += 2;
        }
        if (c == '\0' || used + 1 >= room)
            return false;
        ret[used++] = c;
    }
    ret[used] = '\0';
    return true;
}

static const char *take_login(const char *at, const char *end,
                              spawn_engine *ret)
{
    const char *colon = memchr(at, ':', (size_t)(end - at));

    if (!colon)
        return "there is a user without a password: user:password@";
    if (!decode(at, colon, ret->user, sizeof(ret->user))
        || !decode(colon + 1, end, ret->password, sizeof(ret->password)))
        return "user or password is too long, or has a '%' without two hex "
               "digits";
    return NULL;
}

static const char *take_host(const char *at, const char *end, spawn_engine *ret)
{
    const char *colon = memchr(at, ':', (size_t)(end - at));
    char port[8];
    char *rest;
    long n = DEFAULT_PORT;

    if (ret->hosts_count == SPAWN_ENGINE_HOSTS)
        return "there are more than 16 hosts";
    if (colon) {
        if (!decode(colon + 1, end, port, sizeof(port)) || !*port)
            return "a host's port is not a number from 1 to 65535";
        n = strtol(port, &rest, 10);
        if (*rest || n < 1 || n > 65535)
            return "a host's port is not a number from 1 to 65535";
    }
    if (!decode(at, colon ? colon : end, ret->hosts[ret->hosts_count].name,
                sizeof(ret->hosts[0].name))
        || !spawn_engine_host_ok(ret->hosts[ret->hosts_count].name))
        return "a host's name is empty, or has other characters than letters, "
               "digits, '-', '_' and '.'";
    ret->hosts[ret->hosts_count++].port = (int)n;
    return NULL;
}

const char *spawn_engine_parse(const char *url, spawn_engine *ret)
{
    const char *at, *end, *login, *slash, *why = NULL;

    memset(ret, 0, sizeof(*ret));
    (void)strcpy(ret->user, "guest");
    (void)strcpy(ret->password, "guest");
    (void)strcpy(ret->vhost, "/");
    if (strncmp(url, "amqps://", strlen("amqps://")) == 0)
        return "amqps is not possible yet; amqp:// is";
    if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
        return "it does not begin with amqp://";
    if (strlen(url) > SPAWN_RELAY_URL_MAX)
        return "it is too long";
    at = url + strlen(SCHEME);
    slash = strchr(at, '/');
    end = slash ? slash : at + strlen(at);
    login = memchr(at, '@', (size_t)(end - at));
    if (login) {
        why = take_login(at, login, ret);
        at = login + 1;
    }
    while (!why) {
        const char *comma = memchr(at, ',', (size_t)(end - at));

        why = take_host(at, comma ? comma : end, ret);
        if (!comma)
            break;
        at = comma + 1;
    }
    if (!why && slash && slash[1]
        && !decode(slash + 1, slash + strlen(slash), ret->vhost,
                   sizeof(ret->vhost)))
        why = "the vhost is too long, or has a '%' without two hex digits";
    return why;
}

bool spawn_engine_host_ok(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length <= SPAWN_HOST_MAX
           && strspn(name, "abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
                  == length;
}
