/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of forms: HMAC-SHA1 (RFC 2104) over user, act, target and expiry. The
 * key is the secret that all children of an httpd inherit, so that each of them
 * knows what another one has made, also after a restart. Runs in httpd
 * children, in the thread of the request. Must compare in a time that does not
 * tell how much was right.
 */
#include "module/status/token.h"

#include <string.h>

#include "apr_sha1.h"

#include "common/spawn_proto.h"
#include "module/endpoint.h"

#define LIFE_S 900
#define BLOCK  64 /* bytes, of SHA-1 */

/* What the key is used for, beside what it is for: no other use begins so. */
#define PURPOSE "mod_spawn status page, form 1"

static void digest(const uint8_t *pad, const void *data, size_t length,
                   uint8_t *ret)
{
    apr_sha1_ctx_t context;

    apr_sha1_init(&context);
    apr_sha1_update_binary(&context, pad, BLOCK);
    apr_sha1_update_binary(&context, data, (unsigned)length);
    apr_sha1_final(ret, &context);
}

static void hmac(const uint8_t *key, size_t key_length, const void *data,
                 size_t length, uint8_t *ret)
{
    uint8_t inner[BLOCK], outer[BLOCK], first[APR_SHA1_DIGESTSIZE];
    size_t i;

    for (i = 0; i < BLOCK; i++) {
        uint8_t byte = i < key_length ? key[i] : 0;

        inner[i] = byte ^ 0x36;
        outer[i] = byte ^ 0x5c;
    }
    digest(inner, data, length, first);
    digest(outer, first, sizeof(first), ret);
}

/* Parts end with a NUL, which none of them has: what is one part cannot be
 * taken for two. */
static const char *token_until(request_rec *r, const char *act,
                               const char *target, apr_time_t until)
{
    const spawn_child_endpoint *own = spawn_child_endpoint_get();
    char expiry[32], hex[2 * APR_SHA1_DIGESTSIZE + 1];
    const char *parts[5] = {PURPOSE, r->user ? r->user : "", act, target,
                            expiry};
    uint8_t mac[APR_SHA1_DIGESTSIZE];
    size_t length = 0, i;
    char *text, *end;

    if (!own)
        return NULL;
    (void)apr_snprintf(expiry, sizeof(expiry), "%" APR_UINT64_T_HEX_FMT,
                       (apr_uint64_t)until);
    for (i = 0; i < 5; i++)
        length += strlen(parts[i]) + 1;
    end = text = apr_palloc(r->pool, length);
    for (i = 0; i < 5; i++)
        end = strcpy(end, parts[i]) + strlen(parts[i]) + 1;
    hmac(own->secret, SPAWN_SECRET_SIZE, text, length, mac);
    for (i = 0; i < sizeof(mac); i++)
        (void)apr_snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    return apr_pstrcat(r->pool, expiry, "-", hex, NULL);
}

const char *spawn_token_make(request_rec *r, const char *act,
                             const char *target)
{
    return token_until(r, act, target, apr_time_sec(apr_time_now()) + LIFE_S);
}

static bool same(const char *a, const char *b)
{
    size_t length = strlen(a), i;
    volatile unsigned char differs = 0;

    if (strlen(b) != length)
        return false; /* the length of a token is no secret */
    for (i = 0; i < length; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}

bool spawn_token_good(request_rec *r, const char *act, const char *target,
                      const char *token)
{
    apr_int64_t until = apr_strtoi64(token, NULL, 16);
    apr_time_t now = apr_time_sec(apr_time_now());
    const char *right;

    if (until <= now || until > now + LIFE_S)
        return false;
    right = token_until(r, act, target, until);
    return right && same(right, token);
}
