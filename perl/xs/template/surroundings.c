/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The surroundings of a job as Perl sees them: %ENV, $0, $^T, the standard
 * handles. Runs in the forked job only, before its Perl code, and in its
 * template, which prepares it. In C since each value that is made costs pages
 * that are copied: most of %ENV is right already, and what is not finds room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "perl/xs/template/template.h"

/* Room for what is likely. */
#define VARIABLES  32
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

/* As Perl code does: the C environment, or what httpd has in its place, gets it
 * by the magic of %ENV. */
static void set(pTHX_ HV *env, const char *name, size_t length,
                const char *value)
{
    SV **sv = hv_fetch(env, name, (I32)length, 1);

    if (!sv)
        return;
    sv_setpv(*sv, value);
    SvUTF8_off(*sv);
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

/* A name as a string of its own, to be freed. */
static char *name_of(pTHX_ const char *entry)
{
    return savepvn(entry, (I32)name_length(entry));
}

static bool is_in_c(const char *entry)
{
    char **at;

    for (at = environ; at && *at; at++) {
        if (strcmp(*at, entry) == 0)
            return true;
    }
    return false;
}

/* The environment of the job's programs. It differs from %ENV where a library
 * has set a variable in C, or code has put another hash in the place of %ENV.
 */
static void set_c_environment(pTHX_ const spawn_attr *a)
{
    const char *entry = NULL;
    size_t at = 0;
    uint32_t i;
    char *name;

    while (environ && environ[at]) {
        size_t length = name_length(environ[at]);

        if (length == 0 || wanted(a, environ[at], length)) {
            at++;
            continue;
        }
        name = name_of(aTHX_ environ[at]);
        if (unsetenv(name) < 0)
            at++;
        Safefree(name);
    }
    for (i = 0; i < spawn_strv_count(a); i++) {
        entry = spawn_strv_next(a, entry);
        if (name_length(entry) == 0 || is_in_c(entry))
            continue;
        name = name_of(aTHX_ entry);
        (void)setenv(name, entry + strlen(name) + 1, 1);
        Safefree(name);
    }
}

static void set_all(pTHX_ const spawn_attr *a)
{
    HV *env = GvHVn(PL_envgv);
    const char *entry = NULL;
    uint32_t i;

    take_away_others(aTHX_ env, a);
    for (i = 0; i < spawn_strv_count(a); i++) {
        size_t length;

        entry = spawn_strv_next(a, entry);
        length = name_length(entry);
        if (length > 0 && !is_set(aTHX_ env, entry, length, entry + length + 1))
            set(aTHX_ env, entry, length, entry + length + 1);
    }
    set_c_environment(aTHX_ a);
}

/* ---- what the template prepared: only what differs is written ---- */

typedef struct {
    char *entry;   /* NAME=VALUE, where the C environment has it */
    size_t length; /* of the name */
    size_t room;   /* of the entry */
    SV *sv;        /* its value in %ENV */
} variable;

static variable prepared[VARIABLES];
static size_t prepared_count; /* 0: it cannot be done so */

static const variable *prepared_as(const char *entry, size_t length)
{
    size_t i;

    for (i = 0; i < prepared_count; i++) {
        if (prepared[i].length == length
            && memcmp(prepared[i].entry, entry, length) == 0)
            return &prepared[i];
    }
    return NULL;
}

/* The variables that the entries set, in their order. false: it cannot be
 * done. */
static bool find(const spawn_attr *a, const variable **ret)
{
    const char *entry = NULL;
    uint32_t i;

    if (prepared_count == 0 || spawn_strv_count(a) != prepared_count)
        return false;
    for (i = 0; i < prepared_count; i++) {
        entry = spawn_strv_next(a, entry);
        ret[i] = prepared_as(entry, name_length(entry));
        if (!ret[i] || strlen(entry) >= ret[i]->room)
            return false;
    }
    return true;
}

/* Each of them is there, and no other. false: nothing was done. */
static bool set_differing(pTHX_ const spawn_attr *a)
{
    const variable *is[VARIABLES];
    const char *entry = NULL;
    size_t i;

    if (!find(a, is))
        return false;
    for (i = 0; i < prepared_count; i++) {
        entry = spawn_strv_next(a, entry);
        if (strcmp(entry, is[i]->entry) == 0)
            continue;
        (void)strcpy(is[i]->entry, entry);
        sv_setpv(is[i]->sv, entry + is[i]->length + 1);
    }
    return true;
}

static void set_environment(pTHX_ const spawn_message *order)
{
    const spawn_attr *a = &order->attr[SPAWN_A_ENV];

    if (!set_differing(aTHX_ a))
        set_all(aTHX_ a);
}

/* A variable that each job has, with room for its value. */
static void make_room(pTHX_ const char *variable, const char *value)
{
    SV **sv = hv_fetch(GvHVn(PL_envgv), variable, (I32)strlen(variable), 1);
    char *entry = malloc(VALUE_ROOM);

    if (!sv || !entry) {
        free(entry);
        return;
    }
    sv_setpv(*sv, value);
    (void)SvGROW(*sv, VALUE_ROOM);
    (void)snprintf(entry, VALUE_ROOM, "%s=%s", variable, value);
    if (putenv(entry) != 0)
        free(entry);
}

static size_t room_of(const char *entry)
{
    static const char *const have_room[] = {
        "SPAWN_JOB_ID=", "SPAWN_QUEUE=", "SPAWN_SOCKET="};
    size_t i;

    for (i = 0; i < C_ARRAY_LENGTH(have_room); i++) {
        if (strncmp(entry, have_room[i], strlen(have_room[i])) == 0)
            return VALUE_ROOM;
    }
    return strlen(entry) + 1;
}

/* %ENV and the C environment as they are, when they are the same, and nothing
 * but to write is to be done for a new value. */
static void note_prepared(pTHX)
{
    HV *env = GvHVn(PL_envgv);
    size_t i;

    prepared_count = 0;
    if (TAINTING_get || mg_find((SV *)env, PERL_MAGIC_tied))
        return;
    for (i = 0; environ && environ[i]; i++) {
        variable *v = &prepared[i];
        SV **sv;

        if (i == VARIABLES)
            return;
        v->entry = environ[i];
        v->length = name_length(environ[i]);
        v->room = room_of(environ[i]);
        if (v->length == 0
            || !is_set(aTHX_ env, v->entry, v->length,
                       v->entry + v->length + 1))
            return;
        sv = hv_fetch(env, v->entry, (I32)v->length, 0);
        if (SvROK(*sv) || SvREADONLY(*sv) || !SvPOK(*sv))
            return;
        v->sv = *sv;
    }
    if (HvUSEDKEYS(env) == i)
        prepared_count = i;
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

void spawn_template_prepare_surroundings(pTHX)
{
    name = SvREFCNT_inc_simple(get_sv("0", 0));
    out = (GV *)SvREFCNT_inc_simple(
        (SV *)gv_fetchpvs("STDOUT", GV_NOTQUAL, SVt_PVIO));
    if (name)
        (void)SvGROW(name, NAME_ROOM);
    make_room(aTHX_ "SPAWN_JOB_ID", "");
    make_room(aTHX_ "SPAWN_QUEUE", "default");
    make_room(aTHX_ "SPAWN_SOCKET", "");
    note_prepared(aTHX);
}

/* An id's value has the length of any other. */
void spawn_template_put_environment(spawn_writer *w)
{
    static const char id[] = "SPAWN_JOB_ID=";
    size_t mark = spawn_open_strv(w, SPAWN_A_ENV), i;
    char text[sizeof(id) + SPAWN_ID_TEXT];
    const spawn_id none = {{0}};

    for (i = 0; environ && environ[i]; i++) {
        const char *entry = environ[i];

        if (strncmp(entry, id, sizeof(id) - 1) == 0) {
            (void)strcpy(text, id);
            (void)spawn_id_format(&none, text + sizeof(id) - 1);
            entry = text;
        }
        spawn_add_text(w, mark, entry, strlen(entry));
    }
    spawn_close(w, mark);
}

/* Not by the vdso where that can be: its page is a fault more. */
static time_t now(void)
{
    struct timespec t;

    if (sizeof(long) == 8
        && syscall(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &t) == 0)
        return t.tv_sec;
    return time(NULL);
}

void spawn_template_surroundings(pTHX_ const spawn_message *order)
{
    set_environment(aTHX_ order);
    set_name(aTHX_ order);
    PL_basetime = now();
    set_handles(aTHX);
}
