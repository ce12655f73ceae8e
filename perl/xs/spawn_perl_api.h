/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_perl_api.h
 * @brief Functions of Apache2::Spawn (which any perl can load) for
 * Apache2::Spawn::Httpd (which only mod_perl can load). Runs in httpd.
 *
 * Two shared libraries that perl loads do not see each other's symbols, so the
 * first puts a pointer to this table into PL_modglobal under
 * SPAWN_PERL_API_KEY.
 */
#ifndef SPAWN_PERL_API_H
#define SPAWN_PERL_API_H

#include "perl/xs/spawn_perl.h"
#include "common/spawn_release.h"

#define SPAWN_PERL_API_KEY "Apache2::Spawn/" SPAWN_RELEASE

typedef struct {
    void (*set_httpd)(spawn_perl_httpd_fn fn, spawn_perl_choose_fn choose);
    int (*httpd_endpoint)(pTHX_ void *server);
    SV *(*submit)(pTHX_ int endpoint, SV **args, SSize_t count,
                  const spawn_perl_asked *asked, spawn_perl_verb verb,
                  unsigned want);
    unsigned (*want_later)(U8 gimme);
    SV *(*cleanup)(pTHX_ int endpoint, SV **args, SSize_t count,
                   spawn_perl_later_fn later, void *request);
    void (*set_token)(spawn_perl_token_fn fn);
    void (*set_current)(spawn_perl_current_fn fn, spawn_perl_later_fn later);
    void (*set_bind)(spawn_perl_bind_fn fn);
    int (*bound_over)(spawn_perl_bound *bound, char *id, spawn_failure *why);
} spawn_perl_api;

#endif
