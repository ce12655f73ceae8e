/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn and Apache2::Spawn::Job: the entry points from Perl. Each
 * takes its arguments from Perl's stack, opens a scope (which keeps errno for the
 * caller), and leaves the work to the C files beside this one. Loads into any perl: no
 * symbol of httpd, APR or mod_perl is needed.
 */
#include "spawn_perl_api.h"

#include <dlfcn.h>

static const spawn_perl_api api = {spawn_perl_set_httpd,
                                   spawn_perl_httpd_endpoint,
                                   spawn_perl_submit};

static void interpreter_ends(pTHX_ void *unused)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_ARG(unused);
    spawn_perl_end();
}

/* A Job as an object's method is called with it; the id alone is cheap. */
static SV *id_text(pTHX_ SV *self)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    (void)spawn_perl_handle_of(aTHX_ self, &id);
    return newSVpv(spawn_id_format(&id, text), 0);
}

static SV *known_job(pTHX_ SV *invocant, SV *id_sv)
{
    int endpoint = spawn_perl_invocant(aTHX_ invocant);
    STRLEN length;
    const char *text = spawn_perl_bytes(aTHX_ id_sv, &length, false,
                                        "job: the id");
    spawn_id id;

    if (spawn_id_parse(text, &id) < 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "job: '%.64s' is not the id of a job; wanted: the "
                          "text that $job->id gives",
                          text);
    return spawn_perl_handle(aTHX_ endpoint, &id, NULL);
}

MODULE = Apache2::Spawn    PACKAGE = Apache2::Spawn

PROTOTYPES: DISABLE

BOOT:
    (void)hv_stores(PL_modglobal, SPAWN_PERL_API_KEY,
                    newSViv(PTR2IV(&api)));
    spawn_perl_begin();
    call_atexit(interpreter_ends, NULL);

void
CLONE(...)
  CODE:
    PERL_UNUSED_VAR(items);
    spawn_perl_begin();

SV *
_release()
  CODE:
    RETVAL = newSVpvs(SPAWN_RELEASE);
  OUTPUT:
    RETVAL

bool
_inside_httpd()
  CODE:
    RETVAL = dlsym(RTLD_DEFAULT, "modperl_xs_sv2request_rec") != NULL;
  OUTPUT:
    RETVAL

SV *
connect(class_name, path = &PL_sv_undef)
    SV *class_name
    SV *path
  CODE:
    spawn_perl_enter(aTHX);
    RETVAL = spawn_perl_connect(aTHX_ class_name, path);
    LEAVE;
  OUTPUT:
    RETVAL

SV *
spawn(self, ...)
    SV *self
  ALIAS:
    run = 1
  PREINIT:
    int endpoint;
  CODE:
    spawn_perl_enter(aTHX);
    endpoint = spawn_perl_invocant(aTHX_ self);
    RETVAL = spawn_perl_submit(aTHX_ endpoint, &ST(1), items - 1, NULL, 0,
                               ix == 1);
    LEAVE;
  OUTPUT:
    RETVAL

SV *
job(self, id = &PL_sv_undef)
    SV *self
    SV *id
  CODE:
    spawn_perl_enter(aTHX);
    RETVAL = known_job(aTHX_ self, id);
    LEAVE;
  OUTPUT:
    RETVAL

void
list(self, ...)
    SV *self
  PREINIT:
    int endpoint;
    AV *rows;
    SSize_t i;
  PPCODE:
    spawn_perl_enter(aTHX);
    rows = (AV *)sv_2mortal((SV *)newAV());
    endpoint = spawn_perl_invocant(aTHX_ self);
    spawn_perl_list(aTHX_ endpoint, &ST(1), items - 1, rows);
    LEAVE;
    if (GIMME_V == G_SCALAR)
        XSRETURN_IV(av_len(rows) + 1);
    EXTEND(SP, av_len(rows) + 1);
    for (i = 0; i <= av_len(rows); i++)
        PUSHs(sv_2mortal(SvREFCNT_inc(*av_fetch(rows, i, 0))));

MODULE = Apache2::Spawn    PACKAGE = Apache2::Spawn::Job

SV *
id(self, ...)
    SV *self
  CODE:
    RETVAL = id_text(aTHX_ self);
  OUTPUT:
    RETVAL

SV *
status(self)
    SV *self
  CODE:
    RETVAL = spawn_perl_status(aTHX_ self);
  OUTPUT:
    RETVAL

SV *
pid(self)
    SV *self
  PREINIT:
    SV *pid;
  CODE:
    pid = spawn_perl_pid(aTHX_ self);
    RETVAL = pid ? pid : &PL_sv_undef;
  OUTPUT:
    RETVAL

SV *
wait(self, seconds = NULL)
    SV *self
    SV *seconds
  PREINIT:
    SV *result;
  CODE:
    result = spawn_perl_wait(aTHX_ self, seconds);
    RETVAL = result ? result : &PL_sv_undef;
  OUTPUT:
    RETVAL

bool
kill(self, signal = NULL)
    SV *self
    SV *signal
  CODE:
    RETVAL = spawn_perl_kill(aTHX_ self, signal);
  OUTPUT:
    RETVAL

void
resubmit(self)
    SV *self
  PREINIT:
  PPCODE:
    spawn_perl_resubmit(aTHX_ self);
    XSRETURN(1);
