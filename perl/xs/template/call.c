/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of a function: finds it, reads its arguments, calls it, and puts
 * what it returned or died of on the board. Runs in a job or worker, and in a
 * template while it rehearses, without a board then.
 *
 * In C since Perl code that does this touches some fifty pages, which a job has
 * to copy. An uncommon case (a module to load, a function that is not defined,
 * values that cannot travel, an exception) is left to Template::Run and
 * Template::Value, which say what is wrong with it.
 *
 * Must never run a call twice, nor put a result in a process that the function
 * has forked.
 */
#include <string.h>
#include <unistd.h>

#include "perl/xs/template/template.h"

#define RUN   "Apache2::Spawn::Template::Run::"
#define VALUE "Apache2::Spawn::Template::Value::"

enum {
    DATA = 0,
    OBJECTS = 1
}; /* values that may travel */

/* Kept for all calls: to find them again would touch pages. NULL:
 * Template::Value does it. */
static struct {
    CV *decode, *encode;
    SV *decoder[2], *encoder[2];
} codec;
static CV *inside; /* spawn_template_call_inside */
static AV *hooks;  /* of after_fork */

/* The call that runs. */
static struct {
    const spawn_message *order;
    bool first;    /* of a process: the hooks of after_fork run before */
    bool returned; /* to its end, without an exception */
    AV *values;
} call;

/* ---- what is kept ---- */

/* A codec of Template::Value's, which it keeps, too. */
static SV *kept(pTHX_ const char *function, int travels)
{
    SV *ret;
    dSP;

    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    mXPUSHi(travels);
    PUTBACK;
    (void)call_pv(function, G_SCALAR);
    SPAGAIN;
    ret = newSVsv(POPs);
    PUTBACK;
    FREETMPS;
    LEAVE;
    return ret;
}

void spawn_template_prepare_calls(pTHX)
{
    int travels;

    for (travels = DATA; travels <= OBJECTS; travels++) {
        codec.decoder[travels] = kept(aTHX_ VALUE "decoder", travels);
        codec.encoder[travels] = kept(aTHX_ VALUE "encoder", travels);
    }
    codec.decode = get_cv("Sereal::Decoder::decode", 0);
    codec.encode = get_cv("Sereal::Encoder::encode", 0);
    SvREFCNT_inc_simple_void(codec.decode);
    SvREFCNT_inc_simple_void(codec.encode);
    inside = get_cv(RUN "_call", GV_ADD);
    hooks = get_av(RUN "hooks", GV_ADD);
    SvREFCNT_inc_simple_void_NN((SV *)inside);
    SvREFCNT_inc_simple_void_NN((SV *)hooks);
}

/* ---- Perl functions with one or two arguments and one value, which lives
 * until the next FREETMPS; flags: G_EVAL, or the exception goes on ---- */

static SV *ask(pTHX_ SV *function, SV *one, SV *two, I32 flags)
{
    SV *ret;
    dSP;

    PUSHMARK(SP);
    EXTEND(SP, 2);
    PUSHs(one);
    if (two)
        PUSHs(two);
    PUTBACK;
    (void)call_sv(function, G_SCALAR | flags);
    SPAGAIN;
    ret = POPs;
    PUTBACK;
    return ret;
}

static SV *ask_perl(pTHX_ const char *function, SV *one, SV *two, I32 flags)
{
    return ask(aTHX_(SV *) get_cv(function, GV_ADD), one, two, flags);
}

/* ---- the function and its arguments ---- */

static const char *text(const spawn_message *order, unsigned attr)
{
    return spawn_str_or(order, attr, NULL);
}

static SV *text_sv(pTHX_ const char *text)
{
    return text ? sv_2mortal(newSVpv(text, 0)) : &PL_sv_undef;
}

/* Defined, and named with its package. */
static CV *there(pTHX_ const char *name)
{
    CV *cv = strstr(name, "::") ? get_cv(name, 0) : NULL;

    return cv && (CvROOT(cv) || CvXSUB(cv)) ? cv : NULL;
}

/* A module that is there already; false also of a name that is none: to load it
 * takes Perl, which touches pages. */
static bool is_loaded(pTHX_ const char *module)
{
    char file[256];
    size_t length = 0;
    SV **value;

    if (!isIDFIRST_A(*module))
        return false;
    while (*module && length + sizeof("/x.pm") < sizeof(file)) {
        bool part = module[0] == ':' && module[1] == ':';

        module += part ? 2 : 0;
        if (!isWORDCHAR_A(*module))
            return false;
        if (part)
            file[length++] = '/';
        file[length++] = *module++;
    }
    memcpy(file + length, ".pm", sizeof(".pm"));
    length += sizeof(".pm") - 1;
    value = *module ? NULL : hv_fetch(GvHVn(PL_incgv), file, (I32)length, 0);
    return value && SvOK(*value);
}

/* It may replace itself while it runs. */
static SV *function(pTHX)
{
    const char *name = text(call.order, SPAWN_A_FUNCTION);
    const char *load = text(call.order, SPAWN_A_LOAD);
    CV *cv =
        !name || (load && !is_loaded(aTHX_ load)) ? NULL : there(aTHX_ name);

    if (cv)
        return sv_2mortal(SvREFCNT_inc_simple_NN((SV *)cv));
    return ask_perl(aTHX_ RUN "_function", text_sv(aTHX_ name),
                    text_sv(aTHX_ load), 0);
}

static int travels(void)
{
    return spawn_u64_or(call.order, SPAWN_A_WANT, 0) & SPAWN_WANT_OBJECTS
               ? OBJECTS
               : DATA;
}

static bool is_array(const SV *sv)
{
    return sv && SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVAV
           && !SvOBJECT(SvRV(sv));
}

/* A value whose bytes are the order's. */
static SV *bytes_of(pTHX_ const spawn_attr *a)
{
    SV *sv = sv_2mortal(newSV_type(SVt_PV));

    SvPV_set(sv, (char *)(uintptr_t)a->data);
    SvCUR_set(sv, a->length);
    SvLEN_set(sv, 0);
    SvPOK_only(sv);
    SvREADONLY_on(sv);
    return sv;
}

/* An array. */
static SV *arguments(pTHX)
{
    const spawn_attr *a = &call.order->attr[SPAWN_A_ARGS];
    SV *list = NULL;

    if (!spawn_has(call.order, SPAWN_A_ARGS))
        return sv_2mortal(newRV_noinc((SV *)newAV()));
    if (codec.decode)
        list = ask(aTHX_(SV *) codec.decode, codec.decoder[travels()],
                   bytes_of(aTHX_ a), G_EVAL);
    if (!is_array(list)) /* it says why */
        return ask_perl(aTHX_ VALUE "arguments",
                        sv_2mortal(newSVpvn((const char *)a->data, a->length)),
                        sv_2mortal(newSViv(travels())), 0);
    if (TAINTING_get) /* they come from another process */
        (void)ask_perl(aTHX_ VALUE "_taint", list, NULL, 0);
    return list;
}

/* ---- the call ---- */

static I32 context(void)
{
    uint64_t want = spawn_u64_or(call.order, SPAWN_A_WANT, 0)
                    & (SPAWN_WANT_LIST | SPAWN_WANT_SCALAR);

    return want == SPAWN_WANT_LIST     ? G_ARRAY
           : want == SPAWN_WANT_SCALAR ? G_SCALAR
                                       : G_VOID;
}

/* Copies of what lies on Perl's stack from here on. To copy may run Perl code
 * (a tied value), which may move the stack. */
static void take_values(pTHX_ SSize_t first)
{
    SSize_t i;

    for (i = first; i <= PL_stack_sp - PL_stack_base; i++)
        av_push(call.values, newSVsv(PL_stack_base[i]));
}

static void call_with(pTHX_ SV *code, AV *list)
{
    SSize_t count = (SSize_t)av_count(list), i, first;
    dSP;

    first = SP - PL_stack_base + 1;
    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    EXTEND(SP, count);
    for (i = 0; i < count; i++)
        PUSHs(*av_fetch(list, i, 1));
    PUTBACK;
    (void)call_sv(code, context());
    if (context() != G_VOID)
        take_values(aTHX_ first);
    PL_stack_sp = PL_stack_base + first - 1;
    FREETMPS;
    LEAVE;
}

static void run_hooks(pTHX)
{
    dSP;

    PUSHMARK(SP);
    (void)call_pv(RUN "_run_hooks", G_VOID | G_DISCARD);
}

void spawn_template_call_inside(pTHX)
{
    SV *code, *list;

    if (call.first && av_count(hooks) > 0)
        run_hooks(aTHX);
    code = function(aTHX);
    list = arguments(aTHX);
    call_with(aTHX_ code, (AV *)SvRV(list));
    PERL_ASYNC_CHECK(); /* a signal at its end is the call's */
    call.returned = true;
}

/* ---- what became of it ---- */

/* Sereal sends patterns as text, and the caller could not compile code in
 * one. */
static bool may_have_code(const char *data, size_t length)
{
    const char *at = data, *end = data + length;

    while (end - at >= 3 && (at = memchr(at, '(', (size_t)(end - at)))) {
        size_t rest = (size_t)(end - at);

        if ((rest >= 3 && memcmp(at, "(?{", 3) == 0)
            || (rest >= 4 && memcmp(at, "(?\?{", 4) == 0))
            return true;
        at++;
    }
    return false;
}

static bool can_be_sent(pTHX_ SV *document)
{
    STRLEN length;
    const char *data;

    if (!document || !SvPOK(document))
        return false;
    data = SvPV_nomg(document, length);
    return length <= SPAWN_RESULT_MAX
           && (travels() == DATA || !may_have_code(data, length));
}

/* The document of the values; NULL: they cannot travel, and $@ says why. */
static SV *document(pTHX)
{
    SV *values = sv_2mortal(newRV_inc((SV *)call.values));
    SV *ret = NULL;

    if (codec.encode)
        ret = ask(aTHX_(SV *) codec.encode, codec.encoder[travels()], values,
                  G_EVAL);
    if (!can_be_sent(aTHX_ ret))
        ret = ask_perl(aTHX_ VALUE "document", values,
                       sv_2mortal(newSViv(travels())), G_EVAL);
    return SvOK(ret) ? ret : NULL;
}

/* Its exception is in $@. Returns the exit code. */
static int died(pTHX_ const char *how)
{
    (void)ask_perl(aTHX_ how, sv_2mortal(newSVsv(ERRSV)), NULL, 0);
    return 255;
}

static int ended(pTHX)
{
    SV *values;

    if (!call.returned)
        return died(aTHX_ RUN "_died");
    values = document(aTHX);
    if (!values)
        return died(aTHX_ RUN "_died");
    (void)spawn_template_put_result(aTHX_ SPAWN_RESULT_RETURNED, values);
    return 0;
}

/* A process that the function forked, and let run into its end. */
static int copy_ended(pTHX)
{
    return call.returned ? 0 : died(aTHX_ RUN "_print_error");
}

/* call_inside, and what it dies of in $@. */
static void try_to(pTHX)
{
    dSP;

    PUSHMARK(SP);
    (void)call_sv((SV *)inside, G_VOID | G_DISCARD | G_EVAL);
}

int spawn_template_call(pTHX_ const spawn_message *order, bool first)
{
    const pid_t own = getpid();
    int code;

    ENTER;
    SAVETMPS;
    spawn_template_order_begins(order);
    call.order = order;
    call.first = first;
    call.returned = false;
    call.values = (AV *)sv_2mortal((SV *)newAV());
    try_to(aTHX);
    code = getpid() == own ? ended(aTHX) : copy_ended(aTHX);
    FREETMPS;
    LEAVE;
    return code;
}

/* ---- in the template ---- */

static SV *some_args; /* a document */

static void rehearse(pTHX_ const char *function, int travels)
{
    uint8_t buffer[1024];
    spawn_message order;
    spawn_writer w;
    STRLEN length;
    const char *data = SvPV(some_args, length);
    const spawn_id id = {{0}};

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_CALL, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, function);
    spawn_put_u64(&w, SPAWN_A_WANT,
                  SPAWN_WANT_LIST
                      | (travels == OBJECTS ? SPAWN_WANT_OBJECTS : 0));
    spawn_put_bytes(&w, SPAWN_A_ARGS, data, length);
    if (spawn_writer_finish(&w, 0) < 0
        || spawn_message_parse(w.data, w.length, SPAWN_FROM_BROKER_TO_SPAWNER,
                               0, &order, NULL)
               < 0)
        return;
    (void)spawn_template_call(aTHX_ & order, false);
    spawn_template_order_ends(aTHX);
}

void spawn_template_rehearse(pTHX_ SV *args, int travels)
{
    if (!some_args)
        some_args = newSVsv(args);
    rehearse(aTHX_ RUN "_nothing", travels);
}

void spawn_template_put_nothing(pTHX_ spawn_writer *w)
{
    STRLEN length;
    const char *data = SvPV(some_args, length);

    spawn_template_put_environment(w);
    spawn_put_str(w, SPAWN_A_FUNCTION, RUN "_idle");
    spawn_put_u64(w, SPAWN_A_WANT, SPAWN_WANT_SCALAR);
    spawn_put_bytes(w, SPAWN_A_ARGS, data, length);
}

/* ---- in a spare ---- */

void spawn_template_warm_up(pTHX)
{
    if (some_args)
        rehearse(aTHX_ RUN "_idle", DATA);
}
