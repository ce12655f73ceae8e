/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of forms: when it ends, and a proof (proof.h) of user, act, target and
 * that. Each child knows what another one has made, also after a restart. Runs
 * in httpd children, in the thread of the request.
 */
#include "module/status/token.h"

#include "module/proof.h"

#define LIFE_S 900

/* The purpose that is mixed with the secret: no other use of the secret begins
 * so. */
#define PURPOSE "mod_spawn status page, form 1"

static const char *token_until(request_rec *r, const char *act,
                               const char *target, apr_time_t until)
{
    char expiry[32], proof[SPAWN_PROOF_TEXT];
    const char *parts[] = {PURPOSE, r->user ? r->user : "", act, target,
                           expiry};

    (void)apr_snprintf(expiry, sizeof(expiry), "%" APR_UINT64_T_HEX_FMT,
                       (apr_uint64_t)until);
    if (!spawn_proof(parts, 5, proof))
        return NULL;
    return apr_pstrcat(r->pool, expiry, "-", proof, NULL);
}

const char *spawn_token_make(request_rec *r, const char *act,
                             const char *target)
{
    return token_until(r, act, target, apr_time_sec(apr_time_now()) + LIFE_S);
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
    return right && spawn_proof_same(right, token);
}
