/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Perl sees around a job: %ENV, $0, $^T, the standard handles. Runs in the
 * forked job only, before its Perl code. In C since each value that is made
 * costs pages that are copied: most of %ENV is right already.
 */
#include <stdlib.h>
#include <time.h>

#include "perl/xs/template/template.h"

/* Room for so many without malloc. */
#define VARIABLES 64

/* Room for what is likely. */
#define NAME_ROOM  200
#define VALUE_ROOM 128

extern char **environ;

static SV *name; /* $0 */
static GV *out;  /* STDOUT */

/* The variable that an entry NAME=VALUE sets. 0: it sets none. */
static size_t name_length(const char *entry)
{
    const char *end = strchr(entry, '=');

    return end ? (size_t)(end - entry) : 0;
}

static bool is_set(pTHX_ HV *env, const char *name, size_t length,
                   const char *value)
{
    SV **known = hv_fetch(env, name, (I32)length, 0);
    STRLEN bytes;
    const char *text;

    if (!known || !SvPOK(*known) || SvUTF8(*known))
        return false;
    text = SvPV_nomg_const(*known, bytes);
    return bytes == strlen(value) && memcmp(text, value, bytes) == 0;
}

/* A tied %ENV does as its class likes. */
static bool is_tied(pTHX_ HV *env)
{
    return SvRMAGICAL((SV *)env) && mg_find((SV *)env, PERL_MAGIC_tied);
}

/* Only what stands in %ENV: the C environment is the job's already. Where Perl
 * minds taint, magic says what is tainted. */
static void set(pTHX_ HV *env, const char *name, size_t length,
                const char *value)
{
    SV **sv = hv_fetch(env, name, (I32)length, 1);

    if (!sv)
        return;
    sv_setpv(*sv, value);
    SvUTF8_off(*sv);
    if (is_tied(aTHX_ env) || TAINTING_get)
        SvSETMAGIC(*sv);
}

/* The entry of a variable, or NULL. */
static const char *wanted(const spawn_attr *a, const char *name, size_t length)
{
    const char *entry = NULL;
    uint32_t i;

    for (i = 0; i < spawn_strv_count(a); i++) {
        entry = spawn_strv_next(a, entry);
        if (name_length(entry) == length && memcmp(entry, name, length) == 0)
            return entry;
    }
    return NULL;
}

/* Are all names that %ENV has wanted? Looks only: an iterator would be made, and
 * a job would copy its page. */
static bool has_others(pTHX_ HV *env, const spawn_attr *a)
{
    HE **slots = HvARRAY(env);
    HE *he;
    STRLEN i;

    for (i = 0; slots && i <= HvMAX(env); i++) {
        for (he = slots[i]; he; he = HeNEXT(he)) {
            if (HeKUTF8(he) || !wanted(a, HeKEY(he), (size_t)HeKLEN(he)))
                return true;
        }
    }
    return false;
}

static void take_away_others(pTHX_ HV *env, const spawn_attr *a)
{
    AV *others = newAV();
    char *name;
    I32 length;
    SV *name_sv;

    (void)hv_iterinit(env);
    while (hv_iternextsv(env, &name, &length)) {
        if (length < 0 || !wanted(a, name, (size_t)length))
            av_push(others, newSVpvn_flags(
                                name, (STRLEN)(length < 0 ? -length : length),
                                length < 0 ? SVf_UTF8 : 0));
    }
    while (av_count(others) > 0) {
        name_sv = av_pop(others);
        (void)hv_delete_ent(env, name_sv, G_DISCARD, 0);
        SvREFCNT_dec(name_sv);
    }
    SvREFCNT_dec((SV *)others);
}

/* What the job's programs get: the order's own entries, where they lie, so that
 * nothing is made. It may differ from what %ENV was, where a library has set a
 * variable in C, or code has put another hash in the place of %ENV. */
static void set_c_environment(const spawn_attr *a)
{
    static char *room[VARIABLES + 1];
    uint32_t count = spawn_strv_count(a), i, used = 0;
    char **entries = room;
    const char *entry = NULL;

    if (count > VARIABLES)
        entries = calloc((size_t)count + 1, sizeof(*entries));
    if (!entries)
        return;
    for (i = 0; i < count; i++) {
        entry = spawn_strv_next(a, entry);
        if (name_length(entry) > 0)
            entries[used++] = (char *)(uintptr_t)entry;
    }
    environ = entries;
}

/* ---- what %ENV is in the template, in one place ---- */

typedef struct {
    const char *entry; /* NAME=VALUE */
    size_t length;     /* of the name */
    SV *sv;
} variable;

static variable noted[VARIABLES];
static size_t noted_count; /* 0: nothing is known */

static void note_environment(pTHX)
{
    HV *env = GvHVn(PL_envgv);
    char *key;
    I32 length;
    SV *sv;

    noted_count = 0;
    if (is_tied(aTHX_ env) || TAINTING_get || HvUSEDKEYS(env) > VARIABLES)
        return;
    (void)hv_iterinit(env);
    while ((sv = hv_iternextsv(env, &key, &length))) {
        variable *v = &noted[noted_count++];

        if (length <= 0 || !SvPOK(sv) || SvUTF8(sv)) {
            noted_count = 0;
            return;
        }
        v->entry = savesvpv(
            sv_2mortal(newSVpvf("%.*s=%s", (int)length, key, SvPVX(sv))));
        v->length = (size_t)length;
        v->sv = sv;
    }
}

static const variable *noted_as(const char *name, size_t length)
{
    size_t i;

    for (i = 0; i < noted_count; i++) {
        if (noted[i].length == length
            && memcmp(noted[i].entry, name, length) == 0)
            return &noted[i];
    }
    return NULL;
}

/* Set those that differ, without a look at the others. false: %ENV has one that
 * the job must not have, or may have. */
static bool set_differing(pTHX_ const spawn_attr *a)
{
    const variable *is[VARIABLES];
    uint32_t count = spawn_strv_count(a), known = 0, i;
    const char *entry = NULL;

    if (count > VARIABLES || noted_count == 0)
        return false;
    for (i = 0; i < count; i++) {
        entry = spawn_strv_next(a, entry);
        is[i] = noted_as(entry, name_length(entry));
        if (is[i])
            known++;
        else if (name_length(entry) > 0)
            return false;
    }
    if (known != noted_count)
        return false;
    entry = NULL;
    for (i = 0; i < count; i++) {
        entry = spawn_strv_next(a, entry);
        if (is[i] && strcmp(entry, is[i]->entry) != 0)
            sv_setpv(is[i]->sv, entry + is[i]->length + 1);
    }
    return true;
}

static void set_environment(pTHX_ const spawn_message *order)
{
    const spawn_attr *a = &order->attr[SPAWN_A_ENV];
    HV *env = GvHVn(PL_envgv);
    const char *entry = NULL;
    uint32_t i;

    set_c_environment(a);
    if (set_differing(aTHX_ a))
        return;
    if (is_tied(aTHX_ env) || has_others(aTHX_ env, a))
        take_away_others(aTHX_ env, a);
    for (i = 0; i < spawn_strv_count(a); i++) {
        size_t length;

        entry = spawn_strv_next(a, entry);
        length = name_length(entry);
        if (length > 0 && !is_set(aTHX_ env, entry, length, entry + length + 1))
            set(aTHX_ env, entry, length, entry + length + 1);
    }
}

static void set_name(pTHX_ const spawn_message *order)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    if (!name || !spawn_has(order, SPAWN_A_FUNCTION))
        return;
    spawn_attr_id(&order->attr[SPAWN_A_ID], &id);
    sv_setpvs(name, "spawn ");
    sv_catpv(name, spawn_attr_str(&order->attr[SPAWN_A_FUNCTION]));
    sv_catpvs(name, " ");
    sv_catpv(name, spawn_id_format(&id, text));
    SvSETMAGIC(name);
}

/* Does a handle go to this descriptor, or where its object decides? */
static bool goes_to(pTHX_ GV *gv, int fd)
{
    IO *io = gv ? GvIO(gv) : NULL;

    if (!io)
        return false;
    if (SvRMAGICAL((SV *)io) && mg_find((SV *)io, PERL_MAGIC_tiedscalar))
        return true;
    return IoIFP(io) && PerlIO_fileno(IoIFP(io)) == fd;
}

static void set_handles(pTHX)
{
    if (goes_to(aTHX_ PL_stdingv, 0) && goes_to(aTHX_ out, 1)
        && goes_to(aTHX_ PL_stderrgv, 2))
        return;
    {
        dSP;

        PUSHMARK(SP);
        PUTBACK;
        (void)call_pv(SPAWN_TEMPLATE_HANDLES,
                      G_VOID | G_DISCARD | G_NOARGS | G_EVAL);
    }
}

/* Room for a value that each job has, and the variable. */
static void make_room(pTHX_ const char *variable, const char *value, STRLEN most)
{
    SV **sv = hv_fetch(GvHVn(PL_envgv), variable, (I32)strlen(variable), 1);

    if (!sv || is_tied(aTHX_ GvHVn(PL_envgv)))
        return;
    sv_setpv(*sv, value);
    (void)SvGROW(*sv, most);
}

void spawn_template_prepare_surroundings(pTHX)
{
    name = SvREFCNT_inc_simple(get_sv("0", 0));
    out = (GV *)SvREFCNT_inc_simple(
        (SV *)gv_fetchpvs("STDOUT", GV_NOTQUAL, SVt_PVIO));
    if (name)
        (void)SvGROW(name, NAME_ROOM);
    make_room(aTHX_ "SPAWN_JOB_ID", "", SPAWN_ID_TEXT);
    make_room(aTHX_ "SPAWN_QUEUE", "default", VALUE_ROOM);
    make_room(aTHX_ "SPAWN_SOCKET", "", VALUE_ROOM);
    note_environment(aTHX);
}

void spawn_template_surroundings(pTHX_ const spawn_message *order)
{
    set_environment(aTHX_ order);
    set_name(aTHX_ order);
    PL_basetime = time(NULL);
    set_handles(aTHX);
}
