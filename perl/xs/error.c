/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures as Apache2::Spawn::Error objects, thrown. Runs in callers.
 *
 * The methods of the Perl classes must all be XS: then perl's present statement
 * (PL_curcop) is the caller's own, and no stack walk is needed to say where.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "perl/xs/spawn_perl.h"

void spawn_perl_throw_error(pTHX_ const spawn_failure *why, SV *message,
                            SV *handle, SV *exception)
{
    HV *hv = newHV();
    const char *file = CopFILE(PL_curcop);
    SV *error;

    TAINT_NOT;
    (void)hv_stores(hv, "code", newSVpv(spawn_error_name(why->code), 0));
    (void)hv_stores(hv, "step", newSVpv(spawn_step_name(why->step), 0));
    (void)hv_stores(hv, "errno", newSViv(why->error));
    (void)hv_stores(hv, "message", message);
    (void)hv_stores(hv, "file", newSVpv(file ? file : "-", 0));
    (void)hv_stores(hv, "line", newSVuv(CopLINE(PL_curcop)));
    if (handle)
        (void)hv_stores(hv, "job", handle);
    if (exception)
        (void)hv_stores(hv, "exception", exception);
    error = sv_2mortal(newRV_noinc((SV *)hv));
    sv_bless(error, gv_stashpvs(SPAWN_PERL_ERROR, GV_ADD));
    croak_sv(error);
}

void spawn_perl_throw(pTHX_ const spawn_failure *why, SV *handle)
{
    const char *text = *why->text ? why->text : spawn_error_text(why->code);

    spawn_perl_throw_error(aTHX_ why, newSVpv(text, 0), handle, NULL);
}

void spawn_perl_refuse(pTHX_ spawn_error code, const char *fmt, ...)
{
    spawn_failure why;
    va_list ap;

    why.code = code;
    why.step = SPAWN_STEP_OPTIONS;
    why.error = 0;
    va_start(ap, fmt);
    (void)vsnprintf(why.text, sizeof(why.text), fmt, ap);
    va_end(ap);
    spawn_perl_throw(aTHX_ & why, NULL);
}

void spawn_perl_no_memory(pTHX)
{
    spawn_failure why;

    spawn_failure_set(&why, SPAWN_E_SYSTEM, SPAWN_STEP_OPTIONS, ENOMEM,
                      "no memory for the job");
    spawn_perl_throw(aTHX_ & why, NULL);
}

#define WORD_MAX 31

/* How many letters have to be added, removed or changed. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t length = strlen(b);
    size_t i, j;

    if (strlen(a) > WORD_MAX || length > WORD_MAX)
        return WORD_MAX;
    for (j = 0; j <= length; j++)
        row[j] = (unsigned)j;
    for (i = 0; a[i]; i++) {
        unsigned corner = row[0];

        row[0] = (unsigned)i + 1;
        for (j = 1; j <= length; j++) {
            unsigned best = corner + (a[i] != b[j - 1]);

            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[length];
}

void spawn_perl_unknown_option(pTHX_ const char *name,
                               const char *(*next)(unsigned i))
{
    const char *nearest = NULL;
    const char *known;
    unsigned best = 3;
    unsigned i;

    for (i = 0; (known = next(i)) != NULL; i++) {
        unsigned d = distance(name, known);

        if (d < best && d < strlen(known)) {
            best = d;
            nearest = known;
        }
    }
    if (nearest)
        spawn_perl_refuse(aTHX_ SPAWN_E_UNKNOWN_OPTION,
                          "there is no option '%.64s'; did you mean '%s'?",
                          name, nearest);
    spawn_perl_refuse(aTHX_ SPAWN_E_UNKNOWN_OPTION,
                      "there is no option '%.64s'; perldoc Apache2::Spawn "
                      "lists them",
                      name);
}
