/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn and Apache2::Spawn::Job: the entry points from Perl. Each
 * takes its arguments from Perl's stack, opens a scope (which keeps errno for
 * the caller), and leaves the work to the C files beside this one. Runs in
 * callers, and in jobs. Loads into any perl: must need no symbol of httpd, APR
 * or mod_perl.
 */
#include "client/submitted.h"
#include "perl/xs/spawn_perl_api.h"

#include <dlfcn.h>

static const spawn_perl_api api = {spawn_perl_set_httpd,
                                   spawn_perl_httpd_endpoint,
                                   spawn_perl_submit, spawn_perl_want_later,
                                   spawn_perl_cleanup, spawn_perl_set_token,
                                   spawn_perl_set_current,
                                   spawn_perl_set_bind, spawn_perl_bound_over};

static void interpreter_ends(pTHX_ void *unused)
{
    PERL_UNUSED_ARG(unused);
    spawn_perl_codecs_end(aTHX);
    spawn_perl_end();
}

/* The id of a Job, given the object that a method was called on. */
static SV *id_text(pTHX_ SV *self)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    spawn_perl_id_of(aTHX_ self, &id);
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
    return spawn_perl_handle(aTHX_ endpoint, &id, false, NULL);
}

/* The new value that a method of another class of ours gives; NULL when that
 * class is not loaded. */
static SV *call_if_there(pTHX_ const char *function, SV *const *arguments,
                         int count)
{
    CV *cv = get_cv(function, 0);
    SV *ret;
    int i;
    dSP;

    if (!cv)
        return NULL;
    ENTER;
    SAVETMPS;
    PUSHSTACKi(PERLSI_MAGIC);
    PUSHMARK(SP);
    EXTEND(SP, count);
    for (i = 0; i < count; i++)
        PUSHs(arguments[i]);
    PUTBACK;
    (void)call_sv((SV *)cv, G_SCALAR);
    SPAGAIN;
    ret = newSVsv(TOPs);
    POPSTACK;
    FREETMPS;
    LEAVE;
    return ret;
}

static SV *new_id(pTHX)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;
    int rv = spawn_id_make(&id);

    if (rv < 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_SYSTEM,
                          "no random bytes for an id: errno %d", -rv);
    return newSVpv(spawn_id_format(&id, text), 0);
}

/* The job that this process is. */
static SV *own_job(pTHX)
{
    SV *name = sv_2mortal(newSVpvs("Apache2::Spawn::Current"));
    SV *own = call_if_there(aTHX_ "Apache2::Spawn::Current::job", &name, 1);

    if (own && SvOK(own))
        return own;
    SvREFCNT_dec(own);
    spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                      "job: this process is not a Perl job; elsewhere: "
                      "Apache2::Spawn->job($id)");
}

static const char *hook_option(unsigned i)
{
    return i == 0 ? "timeout" : NULL;
}

/* The option of after_fork. */
static void check_hook_option(pTHX_ SV *name, SV *value)
{
    const char *text = SvPV_nolen(name);

    if (strcmp(text, hook_option(0)) != 0)
        spawn_perl_unknown_option(aTHX_ text, hook_option);
    if (SvROK(value) || !looks_like_number(value) || !(SvNV(value) >= 0.001)
        || SvNV(value) > 86400)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "after_fork: timeout: wanted: seconds, from 0.001 to "
                          "86400");
}

static SV *taken(pTHX_ AV *values, SSize_t i)
{
    SV **value = av_fetch(values, i, 0);

    return value ? sv_2mortal(SvREFCNT_inc(*value)) : &PL_sv_undef;
}

/* Push what a function returned onto Perl's stack, in the caller's context. */
static SV **push_values(pTHX_ SV **sp, AV *values)
{
    SSize_t last = av_len(values), i;

    if (GIMME_V == G_SCALAR) {
        EXTEND(SP, 1);
        PUSHs(last < 0 ? &PL_sv_undef : taken(aTHX_ values, last));
    }
    else if (GIMME_V == G_ARRAY) {
        EXTEND(SP, last + 1);
        for (i = 0; i <= last; i++)
            PUSHs(taken(aTHX_ values, i));
    }
    return SP;
}

MODULE = Apache2::Spawn    PACKAGE = Apache2::Spawn

PROTOTYPES: DISABLE

BOOT:
    (void)hv_stores(PL_modglobal, SPAWN_PERL_API_KEY,
                    newSViv(PTR2IV(&api)));
    spawn_perl_begin();
    spawn_perl_codecs_begin(aTHX);
    call_atexit(interpreter_ends, NULL);

void
CLONE(...)
  CODE:
    PERL_UNUSED_VAR(items);
    spawn_perl_begin();
    spawn_perl_codecs_clone(aTHX);

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
connect(class_name, path = &PL_sv_undef, ...)
    SV *class_name
    SV *path
  CODE:
    spawn_perl_enter(aTHX);
    RETVAL = spawn_perl_connect(aTHX_ class_name, path, &ST(2),
                                items > 2 ? items - 2 : 0);
    LEAVE;
  OUTPUT:
    RETVAL

SV *
spawn(self, ...)
    SV *self
  ALIAS:
    run = SPAWN_PERL_RUN
    spawn_call = SPAWN_PERL_SPAWN_CALL
  PREINIT:
    int endpoint;
  CODE:
    spawn_perl_enter(aTHX);
    endpoint = spawn_perl_invocant(aTHX_ self);
    RETVAL = spawn_perl_submit(aTHX_ endpoint, &ST(1), items - 1, NULL,
                               (spawn_perl_verb)ix,
                               spawn_perl_want_later(GIMME_V));
    LEAVE;
  OUTPUT:
    RETVAL

SV *
_spawn_later(self, ...)
    SV *self
  ALIAS:
    _spawn_call_later = SPAWN_PERL_SPAWN_CALL
  PREINIT:
    int endpoint;
  CODE:
    spawn_perl_enter(aTHX);
    endpoint = spawn_perl_invocant(aTHX_ self);
    RETVAL = spawn_perl_submit_later(aTHX_ endpoint, &ST(1), items - 1,
                                     (spawn_perl_verb)ix,
                                     spawn_perl_want_later(G_VOID));
    LEAVE;
  OUTPUT:
    RETVAL

void
call(self, ...)
    SV *self
  PREINIT:
    AV *values;
    int endpoint;
  PPCODE:
    spawn_perl_enter(aTHX);
    endpoint = spawn_perl_invocant(aTHX_ self);
    values = (AV *)SvRV(sv_2mortal(spawn_perl_submit(
        aTHX_ endpoint, &ST(1), items - 1, NULL, SPAWN_PERL_CALL,
        spawn_perl_want_now(GIMME_V))));
    LEAVE;
    SPAGAIN; /* code of Perl's has run meanwhile */
    SP = push_values(aTHX_ SP - items, values);

SV *
cleanup(self, ...)
    SV *self
  CODE:
    spawn_perl_enter(aTHX);
    RETVAL = spawn_perl_cleanup_current(aTHX_ self, &ST(1), items - 1);
    LEAVE;
  OUTPUT:
    RETVAL

SV *
job(self, id = NULL)
    SV *self
    SV *id
  CODE:
    spawn_perl_enter(aTHX);
    RETVAL = id ? known_job(aTHX_ self, id) : own_job(aTHX);
    LEAVE;
  OUTPUT:
    RETVAL

SV *
new_id(self)
    SV *self
  CODE:
    PERL_UNUSED_VAR(self);
    spawn_perl_enter(aTHX);
    RETVAL = new_id(aTHX);
    LEAVE;
  OUTPUT:
    RETVAL

void
after_fork(self, code = &PL_sv_undef, ...)
    SV *self
    SV *code
  PREINIT:
    int count = items > 1 ? (int)items - 1 : 0;
    int i;
  PPCODE:
    PERL_UNUSED_VAR(self);
    spawn_perl_enter(aTHX);
    SvGETMAGIC(code);
    if (!SvROK(code) || SvTYPE(SvRV(code)) != SVt_PVCV)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "after_fork: wanted: a code reference, which each "
                          "Perl job runs at its start");
    if (count % 2 == 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "after_fork: an option has no value");
    for (i = 2; i < items; i += 2)
        check_hook_option(aTHX_ ST(i), ST(i + 1));
    SvREFCNT_dec(call_if_there(aTHX_ "Apache2::Spawn::Template::after_fork",
                               &ST(1), count));
    LEAVE;
    XSRETURN_EMPTY;

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

MODULE = Apache2::Spawn    PACKAGE = Apache2::Spawn::Instead

bool
_has_broker()
  CODE:
    RETVAL = spawn_perl_has_broker(aTHX);
  OUTPUT:
    RETVAL

# What Perl does before it starts a program
void
_flush_all()
  CODE:
    (void)PerlIO_flush(NULL);

void
_child_status(status)
    int status
  CODE:
    spawn_perl_child_status(aTHX_ status);

SV *
_started(job)
    SV *job
  CODE:
    RETVAL = spawn_perl_started(aTHX_ job);
  OUTPUT:
    RETVAL

bool
_program_handle(glob, job, writing)
    SV *glob
    SV *job
    bool writing
  CODE:
    RETVAL = spawn_perl_program_handle(aTHX_ glob, job, writing);
  OUTPUT:
    RETVAL

MODULE = Apache2::Spawn    PACKAGE = Apache2::Spawn::Process::Submitted

# True when it is accepted; throws when it is not.
bool
look(self, wait)
    SV *self
    bool wait
  CODE:
    RETVAL = spawn_perl_submitted_look(aTHX_ self, wait);
  OUTPUT:
    RETVAL

int
fd(self)
    SV *self
  CODE:
    RETVAL = spawn_perl_submitted_fd(self);
  OUTPUT:
    RETVAL

NV
left(self)
    SV *self
  CODE:
    RETVAL = spawn_perl_submitted_left(self);
  OUTPUT:
    RETVAL

void
known(self)
    SV *self
  CODE:
    spawn_perl_submitted_known(self);

void
DESTROY(self)
    SV *self
  CODE:
    spawn_perl_submitted_end(aTHX_ self);

void
look_at_all(...)
  PREINIT:
    sigset_t before;
  CODE:
    PERL_UNUSED_VAR(items);
    spawn_perl_signals_off(&before);
    spawn_submitted_look_at_all();
    spawn_perl_signals_on(&before);

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

bool
stop(self)
    SV *self
  CODE:
    RETVAL = spawn_perl_stop(aTHX_ self);
  OUTPUT:
    RETVAL

bool
retry(self)
    SV *self
  CODE:
    RETVAL = spawn_perl_retry(aTHX_ self);
  OUTPUT:
    RETVAL

bool
start_now(self)
    SV *self
  CODE:
    RETVAL = spawn_perl_start_now(aTHX_ self);
  OUTPUT:
    RETVAL

SV *
token(self, ...)
    SV *self
  CODE:
    spawn_perl_enter(aTHX);
    RETVAL = spawn_perl_token(aTHX_ self, &ST(1), items - 1);
    LEAVE;
  OUTPUT:
    RETVAL

SV *
progress(self)
    SV *self
  PREINIT:
    SV *progress;
  CODE:
    progress = spawn_perl_job_progress(aTHX_ self);
    RETVAL = progress ? progress : &PL_sv_undef;
  OUTPUT:
    RETVAL

void
result(self, seconds = NULL, ...)
    SV *self
    SV *seconds
  PREINIT:
    AV *values;
  PPCODE:
    spawn_perl_enter(aTHX);
    values = spawn_perl_job_result(aTHX_ self, seconds, &ST(2),
                                   items > 2 ? items - 2 : 0);
    LEAVE;
    SPAGAIN; /* code of Perl's has run meanwhile */
    SP = push_values(aTHX_ SP - items, values);

void
resubmit(self)
    SV *self
  PREINIT:
  PPCODE:
    spawn_perl_resubmit(aTHX_ self);
    XSRETURN(1);
