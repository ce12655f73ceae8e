/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taint in depth. Runs in callers and in jobs. Read-only values are Perl's own
 * (undef, true, false) and must stay as they are.
 */
#include "perl/xs/taint.h"

static void taint(pTHX_ SV *sv, PTR_TBL_t *seen)
{
    SV *target;
    SSize_t i;
    HE *he;

    if (!SvROK(sv)) {
        if (!SvREADONLY(sv))
            SvTAINTED_on(sv);
        return;
    }
    target = SvRV(sv);
    if (ptr_table_fetch(seen, target))
        return;
    ptr_table_store(seen, target, target);
    switch (SvTYPE(target)) {
    case SVt_PVAV:
        for (i = 0; i <= av_len((AV *)target); i++) {
            SV **element = av_fetch((AV *)target, i, 0);

            if (element)
                taint(aTHX_ * element, seen);
        }
        break;
    case SVt_PVHV:
        (void)hv_iterinit((HV *)target);
        while ((he = hv_iternext((HV *)target)) != NULL)
            taint(aTHX_ HeVAL(he), seen);
        break;
    case SVt_REGEXP:
    case SVt_PVCV:
    case SVt_PVGV:
    case SVt_PVIO:
    case SVt_PVFM:
        break;
    default:
        taint(aTHX_ target, seen);
        break;
    }
}

void spawn_perl_taint(pTHX_ SV *sv)
{
    PTR_TBL_t *seen;

    if (!TAINTING_get)
        return;
    seen = ptr_table_new();
    taint(aTHX_ sv, seen);
    ptr_table_free(seen);
}
