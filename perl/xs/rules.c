/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that a job brings for its order among others: the list of jobs that
 * it comes after, and all of them in a Result. Runs in callers.
 */
#include <string.h>

#include "common/spawn_rule.h"

#include "perl/xs/spawn_perl.h"

static SV *ids_of(pTHX_ const spawn_attr *a)
{
    AV *ids = newAV();
    char text[SPAWN_ID_TEXT];
    spawn_id id;
    size_t i;

    for (i = 0; i + SPAWN_ID_SIZE <= a->length; i += SPAWN_ID_SIZE) {
        memcpy(id.bytes, a->data + i, SPAWN_ID_SIZE);
        av_push(ids, newSVpvn(spawn_id_format(&id, text), SPAWN_ID_TEXT - 1));
    }
    return newRV_noinc((SV *)ids);
}

void spawn_perl_put_rules(pTHX_ HV *hv, const spawn_message *m)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    if (spawn_has(m, SPAWN_A_PRIORITY))
        (void)hv_stores(
            hv, "priority",
            newSViv((IV)spawn_attr_i64(&m->attr[SPAWN_A_PRIORITY])));
    if (spawn_has(m, SPAWN_A_UNIQUE))
        (void)hv_stores(hv, "unique",
                        newSVpv(spawn_attr_str(&m->attr[SPAWN_A_UNIQUE]), 0));
    if (spawn_has(m, SPAWN_A_AFTER))
        (void)hv_stores(hv, "after", ids_of(aTHX_ & m->attr[SPAWN_A_AFTER]));
    if (spawn_has(m, SPAWN_A_ON_FAILURE))
        (void)hv_stores(
            hv, "on_failure",
            newSVpv(spawn_attr_str(&m->attr[SPAWN_A_ON_FAILURE]), 0));
    if (spawn_has(m, SPAWN_A_FAILURE_OF)) {
        spawn_attr_id(&m->attr[SPAWN_A_FAILURE_OF], &id);
        (void)hv_stores(hv, "failure_of",
                        newSVpv(spawn_id_format(&id, text), 0));
    }
}

static void id_of(pTHX_ const char *option, SV *value, spawn_id *ret)
{
    STRLEN length;
    const char *text;

    spawn_perl_hold(aTHX_ value);
    SvGETMAGIC(value);
    if (SvROK(value) && sv_derived_from(value, SPAWN_PERL_JOB)) {
        spawn_perl_id_of(aTHX_ value, ret);
        return;
    }
    text = spawn_perl_bytes(aTHX_ value, &length, false, option);
    if (spawn_id_parse(text, ret) < 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s: '%.100s' is not the id of a job; wanted: a job, "
                          "an id, or [ ... ] with these",
                          option, text);
}

void spawn_perl_put_ids(pTHX_ spawn_perl_job *job, const spawn_field *field,
                        SV *value)
{
    spawn_id ids[SPAWN_AFTER_MAX];
    SSize_t count = 1, i;
    AV *list = NULL;

    SvGETMAGIC(value);
    if (SvROK(value) && SvTYPE(SvRV(value)) == SVt_PVAV
        && !sv_isobject(value)) {
        list = (AV *)SvRV(value);
        spawn_perl_hold(aTHX_(SV *) list);
        count = av_len(list) + 1;
    }
    if (count > SPAWN_AFTER_MAX)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s: %ld jobs, and at most %d are allowed",
                          field->name, (long)count, SPAWN_AFTER_MAX);
    for (i = 0; list && i < count; i++) {
        SV **element = av_fetch(list, i, 0);

        id_of(aTHX_ field->name, element ? *element : &PL_sv_undef, &ids[i]);
    }
    if (!list)
        id_of(aTHX_ field->name, value, &ids[0]);
    if (count > 0)
        spawn_put_bytes(&job->w, field->attr, ids,
                        (size_t)count * SPAWN_ID_SIZE);
}
