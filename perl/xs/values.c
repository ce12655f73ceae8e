/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a Perl value, and the values that are refused. Runs in callers.
 * Reading a value can run Perl code (tied, overloaded), and that code can throw
 * or let go of the value: nothing may be held that is not on the save stack,
 * and nothing used that is not held.
 */
#include <string.h>

#include "perl/xs/spawn_perl.h"

void spawn_perl_hold(pTHX_ SV *sv)
{
    (void)sv_2mortal(SvREFCNT_inc_simple_NN(sv));
}

void spawn_perl_hold_all(pTHX_ SV **args, SSize_t count)
{
    SSize_t i;

    for (i = 0; i < count; i++)
        spawn_perl_hold(aTHX_ args[i]);
}

const char *spawn_perl_bytes(pTHX_ SV *sv, STRLEN *ret_length, bool allow_nul,
                             const char *what)
{
    const char *text;
    STRLEN length;

    if (SvROK(sv) || SvMAGICAL(sv))
        spawn_perl_hold(aTHX_ sv);
    SvGETMAGIC(sv);
    if (!SvOK(sv))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID, "%s is undefined", what);
    if (SvROK(sv) && !SvAMAGIC(sv))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s is a reference (%s); wanted: text", what,
                          sv_reftype(SvRV(sv), 1));
    text = SvPV_nomg_const(sv, length);
    if (SvUTF8(sv)) {
        bool wide = true;
        U8 *bytes = bytes_from_utf8((const U8 *)text, &length, &wide);

        if (wide)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "%s has wide characters; programs take bytes: "
                              "encode it first, as with Encode::encode_utf8",
                              what);
        if ((const char *)bytes != text)
            SAVEFREEPV(bytes);
        text = (const char *)bytes;
    }
    if (!allow_nul && memchr(text, '\0', length))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s has a NUL byte inside, which no program could "
                          "take",
                          what);
    *ret_length = length;
    return text;
}

const char *spawn_perl_word(pTHX_ SV *sv, STRLEN *ret_length, const char *what)
{
    const char *text;

    TAINT_NOT;
    text = spawn_perl_bytes(aTHX_ sv, ret_length, false, what);
    if (!TAINT_get)
        return text;
    TAINT_NOT;
    if (!PL_unsafe && !TAINT_WARN_get)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "Insecure dependency in %s while running with -T "
                          "switch",
                          what);
    Perl_ck_warner_d(aTHX_ packWARN(WARN_TAINT),
                     "Insecure dependency in %s while running with -t switch",
                     what);
    return text;
}
