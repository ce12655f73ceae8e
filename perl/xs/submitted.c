/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn::Process::Submitted: a job that was sent, and whose answer is
 * taken later. Runs in callers. A refusal must be thrown, or warned of: an
 * object that goes before anybody has asked waits for the answer.
 *
 * The object has a Job in it, and what the client has as magic. A clone in
 * another interpreter has none: the answer is this one's.
 */
#include "client/submitted.h"
#include "perl/xs/spawn_perl.h"

typedef struct {
    spawn_submitted *sent; /* NULL: it is answered */
    int endpoint;
    spawn_id id;
} submitted;

static int lose(pTHX_ SV *sv, MAGIC *mg)
{
    submitted *s = (submitted *)(void *)mg->mg_ptr;

    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(sv);
    if (!s)
        return 0;
    spawn_submitted_free(s->sent);
    Safefree(s);
    return 0;
}

static int copy(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(param);
    mg->mg_ptr = NULL;
    return 0;
}

static const MGVTBL vtbl = {NULL, NULL, NULL, NULL, lose, NULL, copy, NULL};

static submitted *submitted_of(SV *self)
{
    MAGIC *mg = SvROK(self) && SvTYPE(SvRV(self)) >= SVt_PVMG
                    ? mg_findext(SvRV(self), PERL_MAGIC_ext, &vtbl)
                    : NULL;

    return mg ? (submitted *)(void *)mg->mg_ptr : NULL;
}

SV *spawn_perl_submitted(pTHX_ int endpoint, const spawn_id *id,
                         spawn_submitted *sent)
{
    SV *inner = newSV(0), *ret = newRV_noinc(inner);
    submitted *s;
    MAGIC *mg;

    Newxz(s, 1, submitted);
    *s = (submitted){.sent = sent, .endpoint = endpoint, .id = *id};
    mg = sv_magicext(inner, NULL, PERL_MAGIC_ext, &vtbl, (const char *)s, 0);
    mg->mg_flags |= MGf_DUP;
    sv_bless(ret, gv_stashpvs("Apache2::Spawn::Process::Submitted", GV_ADD));
    return ret;
}

/* 1, 0, -1: as spawn_submitted_look. */
static int look(submitted *s, bool wait, spawn_failure *why)
{
    sigset_t before;
    int rv;

    spawn_perl_signals_off(&before);
    rv = spawn_submitted_look(s->sent, wait, why);
    spawn_perl_signals_on(&before);
    return rv;
}

static void answered(submitted *s)
{
    sigset_t before;

    spawn_perl_signals_off(&before);
    spawn_submitted_free(s->sent);
    spawn_perl_signals_on(&before);
    s->sent = NULL;
}

bool spawn_perl_submitted_look(pTHX_ SV *self, bool wait)
{
    submitted *s = submitted_of(self);
    spawn_failure why;
    int rv;

    if (!s || !s->sent)
        return true;
    rv = look(s, wait, &why);
    if (rv == 0)
        return false;
    answered(s);
    if (rv > 0)
        return true;
    spawn_perl_throw(aTHX_ & why,
                     spawn_perl_handle(aTHX_ s->endpoint, &s->id, false, NULL));
}

int spawn_perl_submitted_fd(SV *self)
{
    submitted *s = submitted_of(self);

    return s && s->sent ? spawn_submitted_fd(s->sent) : -1;
}

double spawn_perl_submitted_left(SV *self)
{
    submitted *s = submitted_of(self);

    return s && s->sent ? (double)spawn_submitted_left(s->sent) / 1000 : 0;
}

void spawn_perl_submitted_known(SV *self)
{
    submitted *s = submitted_of(self);

    if (s && s->sent)
        answered(s);
}

void spawn_perl_submitted_end(pTHX_ SV *self)
{
    submitted *s = submitted_of(self);
    char id[SPAWN_ID_TEXT];
    spawn_failure why;
    int rv;

    if (!s || !s->sent)
        return;
    rv = look(s, true, &why);
    answered(s);
    if (rv < 0)
        warn("Apache2::Spawn::Process: job %s was refused, and nobody asked: "
             "%s: %s\n",
             spawn_id_format(&s->id, id), spawn_error_name(why.code), why.text);
}
