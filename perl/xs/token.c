/* SPDX-License-Identifier: Apache-2.0 */
/*
 * $job->token: what a visitor of the application shows when he asks for his
 * job. Runs in callers; only a child of httpd can make one. Must not ask the
 * broker.
 */
#include "common/spawn_field.h"
#include "perl/xs/spawn_perl.h"

#define LIFE_MIN 1000ull /* ms */
#define LIFE_MAX (366ull * 86400 * 1000)
#define LIFE     3600000ull

static spawn_perl_token_fn httpd_token;

void spawn_perl_set_token(spawn_perl_token_fn fn)
{
    __atomic_store_n(&httpd_token, fn, __ATOMIC_RELEASE);
}

static uint64_t life_option(pTHX_ SV **options, SSize_t count)
{
    uint64_t ms = LIFE;
    const char *text;
    STRLEN length;
    SSize_t i;

    if (count % 2 != 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "token: an option has no value");
    for (i = 0; i < count; i += 2) {
        text = spawn_perl_bytes(aTHX_ options[i], &length, false,
                                "the name of an option");
        if (strcmp(text, "life") != 0)
            spawn_perl_refuse(aTHX_ SPAWN_E_UNKNOWN_OPTION,
                              "token: there is no option '%.64s'; it has "
                              "'life'",
                              text);
        text = spawn_perl_bytes(aTHX_ options[i + 1], &length, false, "life");
        if (spawn_parse_duration(text, &ms) < 0 || ms < LIFE_MIN
            || ms > LIFE_MAX)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "life: '%.100s' is not allowed; wanted: a time "
                              "from 1s to 366d",
                              text);
    }
    return ms;
}

SV *spawn_perl_token(pTHX_ SV *self, SV **options, SSize_t count)
{
    spawn_perl_token_fn fn = __atomic_load_n(&httpd_token, __ATOMIC_ACQUIRE);
    char id_text[SPAWN_ID_TEXT], text[SPAWN_PERL_TOKEN_TEXT];
    uint64_t life_ms;
    spawn_id id;
    int endpoint;

    spawn_perl_hold(aTHX_ self);
    spawn_perl_hold_all(aTHX_ options, count);
    life_ms = life_option(aTHX_ options, count);
    spawn_perl_id_of(aTHX_ self, &id);
    if (!fn)
        spawn_perl_refuse(aTHX_ SPAWN_E_UNREACHABLE,
                          "token: this process is no child of httpd: make it "
                          "in a handler, and hand it on");
    endpoint = spawn_perl_handle_of(aTHX_ self, &id);
    if (!spawn_perl_is_httpds(endpoint))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "token: the job is another broker's: this httpd "
                          "can tell nobody of it");
    if (fn(spawn_id_format(&id, id_text), life_ms, text))
        spawn_perl_refuse(aTHX_ SPAWN_E_UNREACHABLE,
                          "token: one can be made only in httpd's children: in "
                          "a handler, not while httpd starts");
    return newSVpv(text, 0);
}
