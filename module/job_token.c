/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of jobs: when it ends, and a proof (proof.h) of the job's id and that.
 * Nothing is kept of them, so they cost nothing, any child knows them, and
 * nobody can take one back. Runs in httpd children, in any thread. Must not ask
 * whether there is such a job.
 */
#include "module/job_token.h"

#include <string.h>

#include "module/proof.h"

#define LIFE_S 3600

/* The purpose that is mixed with the secret: no other use of the secret begins
 * so. */
#define PURPOSE "mod_spawn job, token 1"

/* Seconds of Unix time in so many digits, so that all tokens have one length.
 */
#define EXPIRY_TEXT 9
#define EXPIRY_MAX  0xffffffffu

_Static_assert(SPAWN_JOB_TOKEN_SIZE == EXPIRY_TEXT + SPAWN_PROOF_TEXT,
               "the NUL of the first is the hyphen");

static bool token_until(const spawn_id *id, apr_int64_t until, char *ret)
{
    char id_text[SPAWN_ID_TEXT], expiry[EXPIRY_TEXT];
    const char *parts[] = {PURPOSE, spawn_id_format(id, id_text), expiry};

    (void)apr_snprintf(expiry, sizeof(expiry), "%08x", (unsigned)until);
    (void)apr_snprintf(ret, SPAWN_JOB_TOKEN_SIZE, "%s-", expiry);
    return spawn_proof(parts, 3, ret + EXPIRY_TEXT);
}

apr_status_t spawn_job_token(const char *id, apr_interval_time_t life,
                             char *text)
{
    apr_int64_t seconds = life > 0 ? apr_time_sec(life - 1) + 1 : LIFE_S;
    apr_int64_t until = apr_time_sec(apr_time_now()) + seconds;
    spawn_id job;

    if (!id || spawn_id_parse(id, &job) || life > SPAWN_JOB_TOKEN_LIFE_MAX
        || until > EXPIRY_MAX)
        return APR_EINVAL;
    return token_until(&job, until, text) ? APR_SUCCESS : APR_EINIT;
}

/* The first digits of the text that came, whatever it is. */
static apr_int64_t expiry_of(const char *token)
{
    char digits[EXPIRY_TEXT];

    apr_cpystrn(digits, token, sizeof(digits));
    return apr_strtoi64(digits, NULL, 16);
}

bool spawn_job_token_good(const spawn_id *id, const char *token)
{
    apr_int64_t until = expiry_of(token);
    bool in_time = until > apr_time_sec(apr_time_now());
    char right[SPAWN_JOB_TOKEN_SIZE];

    if (until < 0 || until > EXPIRY_MAX)
        until = 0;
    return token_until(id, until, right) & spawn_proof_same(right, token)
           & in_time;
}
