/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of Httpd.xs: mod_perl's push_handlers, set_handlers and get_handlers are made
 * to refuse SpawnCleanupHandler, which is no phase of mod_perl's; by themselves
 * they ignore an unknown name silently. Runs in httpd's processes, at each call
 * of these: compares one name, and must go on in mod_perl's own function.
 */

#define PHASE "SpawnCleanupHandler"

/* The same in all interpreters. */
static XSUBADDR_t own_push_r, own_set_r, own_get_r;
static XSUBADDR_t own_push_s, own_set_s, own_get_s;

/* mod_perl also takes names that begin with Perl. */
static void refuse_phase(pTHX_ CV *cv, SV *sv)
{
    const char *name, *rest;
    STRLEN length;

    if (!SvPOK(sv))
        return;
    name = rest = SvPV_nomg_const(sv, length);
    if (length == sizeof("Perl" PHASE) - 1 && strnEQ(name, "Perl", 4))
        rest += sizeof("Perl") - 1;
    if (strNE(rest, PHASE))
        return;
    Perl_croak(aTHX_
               "%s: %s is no handler of mod_perl's: in a request use "
               "$r->spawn_cleanup('My::Module::function', [ arguments ]), in "
               "httpd.conf the directive " PHASE,
               GvNAME(CvGV(cv)), name);
}

#define PHASES_OF(which)                                                       \
    static void phases_##which(pTHX_ CV *cv)                                   \
    {                                                                          \
        dXSARGS;                                                               \
                                                                               \
        if (items > 1)                                                         \
            refuse_phase(aTHX_ cv, ST(1));                                     \
        PUSHMARK(MARK);                                                        \
        own_##which(aTHX_ cv);                                                 \
    }

PHASES_OF(push_r)
PHASES_OF(set_r)
PHASES_OF(get_r)
PHASES_OF(push_s)
PHASES_OF(set_s)
PHASES_OF(get_s)

static void stand_before(pTHX_ const char *name, XSUBADDR_t ours,
                         XSUBADDR_t *own)
{
    CV *cv = get_cv(name, 0);

    if (!cv || !CvISXSUB(cv) || CvXSUB(cv) == ours)
        return;
    *own = CvXSUB(cv);
    CvXSUB(cv) = ours;
}

/* Call when mod_perl's modules with these functions are loaded. */
static void refuse_phases(pTHX)
{
    stand_before(aTHX_ "Apache2::RequestRec::push_handlers", phases_push_r,
                 &own_push_r);
    stand_before(aTHX_ "Apache2::RequestRec::set_handlers", phases_set_r,
                 &own_set_r);
    stand_before(aTHX_ "Apache2::RequestRec::get_handlers", phases_get_r,
                 &own_get_r);
    stand_before(aTHX_ "Apache2::ServerRec::push_handlers", phases_push_s,
                 &own_push_s);
    stand_before(aTHX_ "Apache2::ServerRec::set_handlers", phases_set_s,
                 &own_set_s);
    stand_before(aTHX_ "Apache2::ServerRec::get_handlers", phases_get_s,
                 &own_get_s);
}
