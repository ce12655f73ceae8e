/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options whose value is a hash: variables, the context, limits. Runs in
 * callers. Must hold what it reads from a hash: to read a value can run Perl
 * code that takes it away (options.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perl/xs/spawn_perl.h"
#include "common/spawn_field.h"

HV *spawn_perl_hash_of(pTHX_ SV *value, const char *name, const char *wanted)
{
    SvGETMAGIC(value);
    if (SvROK(value) && SvAMAGIC(value))
        value = amagic_deref_call(value, to_hv_amg);
    if (!SvROK(value) || SvTYPE(SvRV(value)) != SVt_PVHV)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s: wanted: a reference to a hash, %s", name,
                          wanted);
    spawn_perl_hold(aTHX_ SvRV(value));
    return (HV *)SvRV(value);
}

static void add_pair(pTHX_ spawn_perl_job *job, size_t mark, const char *name,
                     size_t name_length, const char *value, size_t value_length)
{
    size_t length = name_length + 1 + value_length;

    if (length > job->scratch_room) {
        char *room = realloc(job->scratch, length);

        if (!room)
            spawn_perl_no_memory(aTHX);
        job->scratch = room;
        job->scratch_room = length;
    }
    memcpy(job->scratch, name, name_length);
    job->scratch[name_length] = '=';
    memcpy(job->scratch + name_length + 1, value, value_length);
    spawn_add_text(&job->w, mark, job->scratch, length);
}

/* Variables that perlsec names: programs are found by them. */
static bool is_delicate(const char *name)
{
    static const char *const names[] = {"PATH", "IFS", "CDPATH", "ENV",
                                        "BASH_ENV"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* An undefined value takes a variable away; in other hashes its pair is left
 * out. */
static void put_pairs(pTHX_ spawn_perl_job *job, const spawn_field *field,
                      HV *hv, size_t mark)
{
    HE *he;

    (void)hv_iterinit(hv);
    while ((he = hv_iternext(hv)) != NULL) {
        const char *name, *value;
        STRLEN name_length, value_length;
        SV *sv = hv_iterval(hv, he);
        char what[160];

        spawn_perl_hold(aTHX_ sv);
        (void)snprintf(what, sizeof(what), "a name in %s", field->name);
        name =
            spawn_perl_bytes(aTHX_ hv_iterkeysv(he), &name_length, false, what);
        if (name_length == 0 || memchr(name, '=', name_length))
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "%s: '%.100s' is not a name: it must not be "
                              "empty and have no '=' inside",
                              field->name, name);
        SvGETMAGIC(sv);
        if (!SvOK(sv)) {
            if (field->attr == SPAWN_A_ENV)
                spawn_add_text(&job->w, mark, name, name_length);
            continue;
        }
        (void)snprintf(what, sizeof(what), "%s: the value of '%.100s'",
                       field->name, name);
        value = field->attr == SPAWN_A_ENV && is_delicate(name)
                    ? spawn_perl_word(aTHX_ sv, &value_length, what)
                    : spawn_perl_bytes(aTHX_ sv, &value_length, false, what);
        add_pair(aTHX_ job, mark, name, name_length, value, value_length);
    }
}

static bool overridden(pTHX_ HV *given, const char *name)
{
    return given && hv_exists(given, name, (I32)strlen(name));
}

/* The request's context, then what the caller added to it or overrode. */
void spawn_perl_put_context(pTHX_ spawn_perl_job *job, HV *given,
                            const spawn_perl_pair *filled, unsigned count)
{
    size_t mark = spawn_open_strv(&job->w, SPAWN_A_CONTEXT);
    unsigned i;

    for (i = 0; i < count; i++) {
        if (!overridden(aTHX_ given, filled[i].name))
            add_pair(aTHX_ job, mark, filled[i].name, strlen(filled[i].name),
                     filled[i].value, strlen(filled[i].value));
    }
    if (given)
        put_pairs(aTHX_ job, spawn_field_find("context"), given, mark);
    spawn_close(&job->w, mark);
}

void spawn_perl_put_map(pTHX_ spawn_perl_job *job, const spawn_field *field,
                        SV *value, const spawn_perl_pair *filled,
                        unsigned count)
{
    HV *hv = spawn_perl_hash_of(aTHX_ value, field->name, "{ name => value }");
    size_t mark;

    if (field->attr == SPAWN_A_CONTEXT) {
        spawn_perl_put_context(aTHX_ job, hv, filled, count);
        return;
    }
    mark = spawn_open_strv(&job->w, field->attr);
    put_pairs(aTHX_ job, field, hv, mark);
    spawn_close(&job->w, mark);
}

#define X_LIMIT_NAME(n, RLIM, name) name,
#define LIMIT_COUNT                                                            \
    (sizeof((const char *const[]){SPAWN_LIMIT_LIST(X_LIMIT_NAME)})             \
     / sizeof(const char *))

void spawn_perl_put_limits(pTHX_ spawn_perl_job *job, HV *hv)
{
    uint64_t pairs[2 * LIMIT_COUNT];
    uint64_t ignored;
    uint32_t used = 0;
    HE *he;

    (void)hv_iterinit(hv);
    while ((he = hv_iternext(hv)) != NULL) {
        const char *name, *value;
        STRLEN length;
        char what[96];

        name = spawn_perl_bytes(aTHX_ hv_iterkeysv(he), &length, false,
                                "a name in limits");
        if (spawn_parse_limit(name, "unlimited", &ignored, &ignored) < 0
            || used + 2 > sizeof(pairs) / sizeof(pairs[0]))
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "limits: there is no limit '%.64s'; wanted: cpu, "
                              "memory, files, processes, core, filesize, "
                              "tree-memory, tree-cpu, tree-processes, "
                              "tree-weight",
                              name);
        (void)snprintf(what, sizeof(what), "limits: the value of '%s'", name);
        value =
            spawn_perl_bytes(aTHX_ hv_iterval(hv, he), &length, false, what);
        if (spawn_parse_limit(name, value, &pairs[used], &pairs[used + 1]) < 0)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "limits: %s: '%.100s' is not allowed; wanted: a "
                              "whole number (K, M or G may follow%s), or "
                              "unlimited",
                              name, value,
                              strcmp(name, "tree-weight") == 0 ? "; 1 to 10000"
                                                               : "");
        used += 2;
    }
    spawn_put_u64v(&job->w, SPAWN_A_LIMITS, pairs, used);
}
