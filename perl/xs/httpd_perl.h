/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file httpd_perl.h
 * @brief Which server's Perl is this? A virtual host with `PerlOptions +Parent`
 * has one of its own. Part of Httpd.xs.
 *
 * Runs in the httpd parent, while Apache2::Spawn is loaded. mod_perl's headers
 * do not compile without warnings, and are not ours to correct.
 */
#ifndef SPAWN_HTTPD_PERL_H
#define SPAWN_HTTPD_PERL_H

#pragma GCC system_header

/* mod_perl's own functions must not be inline for us */
#pragma push_macro("APR_INLINE")
#undef APR_INLINE
#define APR_INLINE
#include "mod_perl.h"
#pragma pop_macro("APR_INLINE")

/* The server that has this Perl as its own; NULL: none is known (yet), as while
 * the main server's is made. */
static server_rec *server_of_perl(PerlInterpreter *perl)
{
#ifdef USE_ITHREADS
    server_rec *s;

    for (s = modperl_global_get_server_rec(); s; s = s->next) {
        const modperl_config_srv_t *c = modperl_config_srv_get(s);

        if (c && c->mip && c->mip->parent && c->mip->parent->perl == perl)
            return s;
    }
#else
    (void)perl;
#endif
    return NULL;
}

#endif
