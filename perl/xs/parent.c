/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that another job submits belongs to the same request: its context has
 * the request's id and the id of that job. Runs in callers other than httpd;
 * a request of httpd's says itself what belongs to it.
 */
#include <string.h>

#include "common/spawn_name.h"
#include "perl/xs/spawn_perl.h"

static void add(pTHX_ spawn_perl_asked *asked, const char *name, SV *value)
{
    if (!value)
        return;
    SvGETMAGIC(value);
    if (SvROK(value) || !SvOK(value) || !spawn_request_id_ok(SvPV_nolen(value)))
        return;
    asked->pairs[asked->count].name = name;
    asked->pairs[asked->count++].value =
        SvPVX(sv_2mortal(newSVpv(SvPV_nolen(value), 0)));
}

/* A Perl job knows its order. */
static bool add_of_function(pTHX_ spawn_perl_asked *asked)
{
    CV *cv = get_cv("Apache2::Spawn::Current::_parent", 0);
    dSP;
    SV *found;

    if (!cv)
        return false;
    PUSHSTACKi(PERLSI_MAGIC);
    PUSHMARK(SP);
    (void)call_sv((SV *)cv, G_SCALAR | G_NOARGS);
    SPAGAIN;
    found = POPs;
    PUTBACK;
    if (SvROK(found)) {
        AV *both = (AV *)SvRV(found);
        SV **request = av_fetch(both, 0, 0), **id = av_fetch(both, 1, 0);

        add(aTHX_ asked, "request_id", request ? *request : NULL);
        add(aTHX_ asked, "job", id ? *id : NULL);
    }
    else {
        found = NULL;
    }
    POPSTACK;
    return found != NULL;
}

/* A program has it in its environment. */
static void add_of_program(pTHX_ spawn_perl_asked *asked)
{
    HV *env = get_hv("ENV", 0);
    SV **request = env ? hv_fetchs(env, "SPAWN_REQUEST_ID", 0) : NULL;
    SV **id = env ? hv_fetchs(env, "SPAWN_JOB_ID", 0) : NULL;

    add(aTHX_ asked, "request_id", request ? *request : NULL);
    add(aTHX_ asked, "job", id ? *id : NULL);
}

void spawn_perl_asked_by_job(pTHX_ spawn_perl_asked *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (!spawn_perl_in_httpd() && !add_of_function(aTHX_ ret))
        add_of_program(aTHX_ ret);
}
