/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HMAC-SHA1 (RFC 2104). The key is the secret that all children of an httpd
 * inherit. Runs in httpd children, in any thread. Must compare in a time that
 * does not tell how much was right.
 */
#include "module/proof.h"

#include <string.h>

#include "apr_sha1.h"

#include "common/spawn_proto.h"
#include "module/endpoint.h"

#define BLOCK 64 /* bytes, of SHA-1 */

_Static_assert(SPAWN_PROOF_TEXT == 2 * APR_SHA1_DIGESTSIZE + 1, "two a byte");
_Static_assert(SPAWN_SECRET_SIZE <= BLOCK, "else it is hashed first");

/* A key as it is mixed into a block. */
static void begin(apr_sha1_ctx_t *context, const uint8_t *key, uint8_t with)
{
    uint8_t block[BLOCK];
    size_t i;

    for (i = 0; i < BLOCK; i++)
        block[i] = (i < SPAWN_SECRET_SIZE ? key[i] : 0) ^ with;
    apr_sha1_init(context);
    apr_sha1_update_binary(context, block, BLOCK);
}

/* Parts end with a NUL, which none of them has: what is one part cannot be
 * taken for two. */
static void hmac(const uint8_t *key, const char *const *parts, unsigned count,
                 uint8_t *ret)
{
    uint8_t first[APR_SHA1_DIGESTSIZE];
    apr_sha1_ctx_t context;
    unsigned i;

    begin(&context, key, 0x36);
    for (i = 0; i < count; i++)
        apr_sha1_update_binary(&context, (const unsigned char *)parts[i],
                               (unsigned)strlen(parts[i]) + 1);
    apr_sha1_final(first, &context);
    begin(&context, key, 0x5c);
    apr_sha1_update_binary(&context, first, sizeof(first));
    apr_sha1_final(ret, &context);
}

bool spawn_proof(const char *const *parts, unsigned count, char *ret)
{
    const spawn_child_endpoint *own = spawn_child_endpoint_get();
    uint8_t mac[APR_SHA1_DIGESTSIZE];
    size_t i;

    if (!own)
        return false;
    hmac(own->secret, parts, count, mac);
    for (i = 0; i < sizeof(mac); i++)
        (void)apr_snprintf(ret + 2 * i, 3, "%02x", mac[i]);
    return true;
}

/* The length of a proof is no secret. */
bool spawn_proof_same(const char *proof, const char *came)
{
    volatile unsigned char differs = 0;
    size_t length = strlen(proof), i;

    if (strlen(came) != length)
        return false;
    for (i = 0; i < length; i++)
        differs |= (unsigned char)(proof[i] ^ came[i]);
    return differs == 0;
}
