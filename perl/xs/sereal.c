/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Perl values on their way to another process and back, as Sereal documents.
 * Runs in callers. One encoder and one decoder are made for each interpreter
 * and kept; no thread may use another one's.
 *
 * Sereal alone encodes. Only when it refuses are the values searched for the
 * one that cannot travel, to say where it is.
 */
#include <stdio.h>
#include <string.h>

#include "perl/xs/spawn_perl.h"

enum {
    ENCODER,
    OBJECT_ENCODER,
    DECODER,
    OBJECT_DECODER,
    CODECS
};

static const struct {
    const char *class_name;
    const char *option;
} codecs[CODECS] = {
    [ENCODER] = {"Sereal::Encoder", "croak_on_bless"},
    [OBJECT_ENCODER] = {"Sereal::Encoder", NULL},
    [DECODER] = {"Sereal::Decoder", "refuse_objects"},
    [OBJECT_DECODER] = {"Sereal::Decoder", NULL},
};

/* ---- one of each for an interpreter ---- */

#define MY_CXT_KEY SPAWN_PERL_CLASS "::_codecs"

typedef struct {
    SV *codec[CODECS];
} my_cxt_t;

START_MY_CXT

void spawn_perl_codecs_begin(pTHX)
{
    MY_CXT_INIT;
    memset(&MY_CXT, 0, sizeof(MY_CXT));
}

void spawn_perl_codecs_clone(pTHX)
{
#ifdef MULTIPLICITY
    MY_CXT_CLONE;
    memset(&MY_CXT, 0, sizeof(MY_CXT)); /* the parent's own */
#else
    PERL_UNUSED_CONTEXT;
#endif
}

void spawn_perl_codecs_end(pTHX)
{
    dMY_CXT;
    unsigned i;

    for (i = 0; i < CODECS; i++)
        SvREFCNT_dec(MY_CXT.codec[i]);
    memset(&MY_CXT, 0, sizeof(MY_CXT));
}

/*
 * A method's value, new; or NULL with *ret_threw, mortal. Leaves $@ and
 * $SIG{__DIE__} alone, and has a Perl stack of its own, since callers hold
 * pointers into theirs.
 */
static SV *call(pTHX_ SV *invocant, const char *method, SV *argument,
                SV **ret_threw)
{
    SV *value = NULL, *threw = NULL;
    dSP;

    ENTER;
    SAVETMPS;
    SAVESPTR(PL_diehook);
    PL_diehook = NULL;
    (void)save_scalar(PL_errgv);
    PUSHSTACKi(PERLSI_MAGIC);
    PUSHMARK(SP);
    EXTEND(SP, 2);
    PUSHs(invocant);
    PUSHs(argument);
    PUTBACK;
    (void)call_method(method, G_SCALAR | G_EVAL);
    SPAGAIN;
    if (SvTRUE(ERRSV))
        threw = newSVsv(ERRSV);
    else
        value = SvREFCNT_inc_simple_NN(TOPs);
    POPSTACK;
    FREETMPS;
    LEAVE;
    if (threw)
        *ret_threw = sv_2mortal(threw);
    return value;
}

static SV *codec(pTHX_ unsigned which, SV **ret_threw)
{
    dMY_CXT;

    if (!MY_CXT.codec[which]) {
        HV *options = newHV();
        SV *given = sv_2mortal(newRV_noinc((SV *)options));

        if (codecs[which].option)
            (void)hv_store(options, codecs[which].option,
                           (I32)strlen(codecs[which].option), newSViv(1), 0);
        MY_CXT.codec[which] =
            call(aTHX_ sv_2mortal(newSVpv(codecs[which].class_name, 0)), "new",
                 given, ret_threw);
    }
    return MY_CXT.codec[which];
}

static SV *convert(pTHX_ unsigned which, const char *method, SV *argument,
                   SV **ret_threw)
{
    SV *with = codec(aTHX_ which, ret_threw);

    return with ? call(aTHX_ with, method, argument, ret_threw) : NULL;
}

/* The text of another module's exception, without its place. */
static const char *first_sentence(pTHX_ SV *threw, int *ret_length)
{
    const char *text = SvPV_nolen_const(threw);
    const char *at = strstr(text, " at ");

    *ret_length = (int)(at ? (size_t)(at - text) : strcspn(text, "\n"));
    return text;
}

/* ---- what cannot travel, and where it is ---- */

/* The search goes no deeper: then Sereal's own text has to do. */
#define DEPTH_MAX 1000

/* The path to a value, from the outermost array inwards. */
typedef struct place {
    const struct place *outer; /* NULL: an argument */
    char kind;                 /* '[' '{' '$' */
    SSize_t index;
    SV *key;
} place;

typedef struct {
    PTR_TBL_t *seen;
    bool objects; /* may travel */
    unsigned depth;
    SV *where;
    char what[200];
} walker;

static void put_key(pTHX_ SV *to, SV *key)
{
    STRLEN length;
    const char *text = SvPV_const(key, length);
    const char *p = text;
    SV *shown;

    while (p < text + length && isWORDCHAR_A(*p))
        p++;
    if (length > 0 && length <= 40 && p == text + length) {
        sv_catpvf(to, "{%s}", text);
        return;
    }
    shown = sv_newmortal();
    (void)pv_pretty(shown, text, length, 40, NULL, NULL,
                    PERL_PV_PRETTY_DUMP
                        | (SvUTF8(key) ? PERL_PV_ESCAPE_UNI : 0));
    sv_catpvf(to, "{%" SVf "}", SVfARG(shown));
}

static void put_place(pTHX_ SV *to, const place *at)
{
    if (!at->outer) {
        sv_catpvf(to, "argument %ld", (long)at->index + 1);
        return;
    }
    put_place(aTHX_ to, at->outer);
    if (!at->outer->outer)
        sv_catpvs(to, ": ->");
    else if (at->kind == '$' || at->outer->kind == '$')
        sv_catpvs(to, "->");
    if (at->kind == '[')
        sv_catpvf(to, "[%ld]", (long)at->index);
    else if (at->kind == '{')
        put_key(aTHX_ to, at->key);
    else
        sv_catpvs(to, "$*");
}

static bool found(pTHX_ walker *w, const place *at, const char *fmt, ...)
    __attribute__((format(printf, pTHX_3, pTHX_4)));

static bool found(pTHX_ walker *w, const place *at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(w->what, sizeof(w->what), fmt, ap);
    va_end(ap);
    w->where = sv_2mortal(newSVpvs(""));
    put_place(aTHX_ w->where, at);
    return true;
}

static bool is_handle(pTHX_ walker *w, const place *at, SV *sv)
{
    PERL_UNUSED_CONTEXT;
    if (SvTYPE(sv) == SVt_PVIO || (isGV_with_GP(sv) && GvIO((GV *)sv)))
        return found(aTHX_ w, at,
                     "is a handle; handles travel by fds: fds => { 3 => "
                     "$handle }");
    return found(aTHX_ w, at, "is a glob; pass the data that it names");
}

static bool is_pattern(pTHX_ walker *w, const place *at, SV *sv)
{
    if (RX_EXTFLAGS((REGEXP *)sv) & RXf_EVAL_SEEN)
        return found(aTHX_ w, at,
                     "is a pattern with code inside; pass the data that it "
                     "needs");
    if (w->objects)
        return false;
    return found(aTHX_ w, at,
                 "is a compiled pattern; pass its text, or objects => 1");
}

static bool look(pTHX_ walker *w, SV *sv, const place *at);

static bool look_inside(pTHX_ walker *w, SV *target, const place *at)
{
    place next = {at, '[', 0, NULL};
    HE *he;

    switch (SvTYPE(target)) {
    case SVt_PVAV:
        for (; next.index <= av_len((AV *)target); next.index++) {
            SV **element = av_fetch((AV *)target, next.index, 0);

            if (element && look(aTHX_ w, *element, &next))
                return true;
        }
        return false;
    case SVt_PVHV:
        next.kind = '{';
        (void)hv_iterinit((HV *)target);
        while ((he = hv_iternext((HV *)target)) != NULL) {
            next.key = hv_iterkeysv(he);
            if (look(aTHX_ w, hv_iterval((HV *)target, he), &next))
                return true;
        }
        return false;
    case SVt_PVFM:
        return found(aTHX_ w, at, "is a format; pass text");
    default:
        next.kind = '$';
        return look(aTHX_ w, target, &next);
    }
}

/* True when this value or one inside it cannot travel. */
static bool look(pTHX_ walker *w, SV *sv, const place *at)
{
    SV *target;
    bool bad;

    SvGETMAGIC(sv);
    if (isGV_with_GP(sv))
        return is_handle(aTHX_ w, at, sv);
    if (!SvROK(sv))
        return false;
    target = SvRV(sv);
    if (ptr_table_fetch(w->seen, target) || w->depth >= DEPTH_MAX)
        return false;
    ptr_table_store(w->seen, target, target);
    if (SvTYPE(target) == SVt_PVCV)
        return found(aTHX_ w, at,
                     "is a code reference; pass its name, or the data that it "
                     "needs");
    if (isGV_with_GP(target) || SvTYPE(target) == SVt_PVIO)
        return is_handle(aTHX_ w, at, target);
    if (SvTYPE(target) == SVt_REGEXP)
        return is_pattern(aTHX_ w, at, target);
    if (SvOBJECT(target) && !w->objects)
        return found(aTHX_ w, at,
                     "is an object of class %.80s; pass objects => 1, or its "
                     "data",
                     HvNAME(SvSTASH(target)));
    spawn_perl_hold(aTHX_ target);
    w->depth++;
    bad = look_inside(aTHX_ w, target, at);
    w->depth--;
    return bad;
}

static void seen_free(pTHX_ void *seen)
{
    PERL_UNUSED_CONTEXT;
    ptr_table_free(seen);
}

/* Returns when all values can travel. */
static void refuse_what_cannot_travel(pTHX_ AV *args, bool objects)
{
    walker w = {ptr_table_new(), objects, 0, NULL, ""};
    place at = {NULL, '[', 0, NULL};

    SAVEDESTRUCTOR_X(seen_free, w.seen);
    for (; at.index <= av_len(args); at.index++) {
        SV **element = av_fetch(args, at.index, 0);

        if (element && look(aTHX_ & w, *element, &at))
            spawn_perl_refuse(aTHX_ SPAWN_E_NOT_SENDABLE, "%.160s %s",
                              SvPV_nolen_const(w.where), w.what);
    }
}

/* ---- both ways ---- */

/* Sereal sends patterns as text, also with code in them, which the job could
 * not compile. */
static bool may_have_code(const char *bytes, size_t length)
{
    return memmem(bytes, length, "(?{", 3) || memmem(bytes, length, "(??{", 4);
}

void spawn_perl_put_args(pTHX_ spawn_perl_job *job, AV *args)
{
    SV *threw = NULL;
    SV *document = convert(aTHX_ job->objects ? OBJECT_ENCODER : ENCODER,
                           "encode", sv_2mortal(newRV_inc((SV *)args)), &threw);
    const char *bytes, *text;
    STRLEN length;
    int shown;

    if (!document) {
        refuse_what_cannot_travel(aTHX_ args, job->objects);
        text = first_sentence(aTHX_ threw, &shown);
        spawn_perl_refuse(aTHX_ SPAWN_E_NOT_SENDABLE,
                          "the arguments cannot be encoded: %.*s", shown, text);
    }
    (void)sv_2mortal(document);
    bytes = SvPV_const(document, length);
    if (job->objects && may_have_code(bytes, length))
        refuse_what_cannot_travel(aTHX_ args, true);
    if (length > SPAWN_ARGS_MAX)
        spawn_perl_refuse(aTHX_ SPAWN_E_TOO_BIG,
                          "the arguments have %lu bytes when encoded; at most "
                          "%u bytes (%u MB) go with a call: pass big data as a "
                          "file, or a handle by fds",
                          (unsigned long)length, SPAWN_ARGS_MAX,
                          SPAWN_ARGS_MAX >> 20);
    spawn_put_bytes(&job->w, SPAWN_A_ARGS, bytes, length);
}

SV *spawn_perl_decode(pTHX_ const spawn_attr *a, bool objects, SV *job)
{
    SV *document = sv_2mortal(newSVpvn((const char *)a->data, a->length));
    SV *threw = NULL;
    SV *value = convert(aTHX_ objects ? OBJECT_DECODER : DECODER, "decode",
                        document, &threw);
    spawn_failure why;
    const char *text;
    int shown;

    if (value) {
        spawn_perl_taint(aTHX_ value);
        return sv_2mortal(value);
    }
    text = first_sentence(aTHX_ threw, &shown);
    if (!objects && strstr(text, "refuse_objects"))
        spawn_failure_set(&why, SPAWN_E_NOT_SENDABLE, SPAWN_STEP_RECEIVE, 0,
                          "the result has objects in it, which are taken with "
                          "objects => 1 only");
    else
        spawn_failure_set(&why, SPAWN_E_PROTOCOL, SPAWN_STEP_RECEIVE, 0,
                          "the result cannot be read: %.*s", shown, text);
    spawn_perl_throw(aTHX_ & why, newSVsv(job));
}
