/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Perl values to a SUBMIT message. Runs in callers, on the way of each submit:
 * straight from Perl's stack into the message, no copies in between.
 *
 * Reading a value can run Perl code (tied, overloaded), and that code can
 * throw, submit another job, or let go of the values: all state must be in the
 * job at hand, the job on the save stack, and what is read must be held.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perl/xs/spawn_perl.h"
#include "common/spawn_field.h"
#include "common/spawn_moment.h"
#include "common/spawn_os.h"

static void job_free(pTHX_ void *arg)
{
    spawn_perl_job *job = arg;

    PERL_UNUSED_CONTEXT;
    spawn_writer_free(&job->w);
    free(job->scratch);
    free(job);
}

spawn_perl_job *spawn_perl_job_new(pTHX)
{
    spawn_perl_job *job = malloc(sizeof(*job)); /* glibc's calloc is slow */

    if (!job)
        spawn_perl_no_memory(aTHX);
    memset(job, 0, offsetof(spawn_perl_job, fds));
    spawn_writer_init(&job->w, SPAWN_SUBMIT_MAX + SPAWN_WIRE_HEADER);
    job->grace_ms = SPAWN_DEFAULT_GRACE_MS;
    job->reply = SPAWN_REPLY_ACCEPTED;
    SAVEDESTRUCTOR_X(job_free, job);
    return job;
}

/* ---- argv ---- */

/* Without printf, which would take a tenth of a submit. */
static const char *name_of_element(char *room, size_t size, SSize_t i)
{
    char *at = room + size;

    *--at = '\0';
    *--at = ']';
    do {
        *--at = (char)('0' + i % 10);
        i /= 10;
    } while (i > 0);
    at -= sizeof("argv[") - 1;
    memcpy(at, "argv[", sizeof("argv[") - 1);
    return at;
}

static void put_argv(pTHX_ spawn_perl_job *job, SV *argv)
{
    size_t mark;
    SSize_t i;
    AV *av;

    SvGETMAGIC(argv);
    if (SvROK(argv) && SvAMAGIC(argv))
        argv = amagic_deref_call(argv, to_av_amg);
    if (!SvROK(argv) || SvTYPE(SvRV(argv)) != SVt_PVAV)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "argv: wanted: a reference to an array, [program, "
                          "argument, ...]; a line for a shell is never taken");
    av = (AV *)SvRV(argv);
    spawn_perl_hold(aTHX_(SV *) av);
    if (av_len(av) < 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "argv is empty; wanted: [program, argument, ...]");
    mark = spawn_open_strv(&job->w, SPAWN_A_ARGV);
    for (i = 0; i <= av_len(av); i++) {
        SV **element = av_fetch(av, i, 0);
        const char *text;
        STRLEN length;
        char what[32];

        text = spawn_perl_word(aTHX_ element ? *element : &PL_sv_undef, &length,
                               name_of_element(what, sizeof(what), i));
        spawn_add_text(&job->w, mark, text, length);
    }
    spawn_close(&job->w, mark);
}

/* ---- a Perl function and its arguments ---- */

static void refuse_code(pTHX_ CV *cv) __attribute__((noreturn));

static void refuse_code(pTHX_ CV *cv)
{
    GV *gv = CvANON(cv) ? NULL : CvGV(cv);
    const char *package = gv && GvSTASH(gv) ? HvNAME(GvSTASH(gv)) : NULL;

    if (package)
        spawn_perl_refuse(aTHX_ SPAWN_E_NOT_SENDABLE,
                          "function: a code reference cannot travel to another "
                          "process; write its name, '%.64s::%.64s', and have "
                          "its module loaded in httpd.conf (PerlModule), or "
                          "named by load",
                          package, GvNAME(gv));
    spawn_perl_refuse(aTHX_ SPAWN_E_NOT_SENDABLE,
                      "function: a code reference cannot travel to another "
                      "process; make it a named function of a module that "
                      "httpd.conf loads (PerlModule), and write that name, "
                      "such as 'My::Report::build', and what it needs as "
                      "arguments");
}

static void put_function(pTHX_ spawn_perl_job *job, SV *function)
{
    STRLEN length;
    const char *text;

    SvGETMAGIC(function);
    if (SvROK(function) && SvTYPE(SvRV(function)) == SVt_PVCV)
        refuse_code(aTHX_(CV *) SvRV(function));
    text = spawn_perl_word(aTHX_ function, &length, "function");
    spawn_put_strn(&job->w, SPAWN_A_FUNCTION, text, length);
}

/* All names of options look so. */
static bool looks_like_a_name(pTHX_ SV *sv)
{
    STRLEN length, i;
    const char *text = SvPV_nomg_const(sv, length);

    for (i = 0; i < length; i++) {
        if (!isLOWER(text[i]) && text[i] != '_')
            return false;
    }
    return length > 0;
}

/* Arguments can be left out: then a name of an option is the first. */
static bool has_args(pTHX_ SV *sv, SSize_t count)
{
    SvGETMAGIC(sv);
    return SvROK(sv) || !SvOK(sv) || count % 2 != 0
           || !looks_like_a_name(aTHX_ sv);
}

/* The array itself, or the elements of an object in one without a class. */
static AV *args_of(pTHX_ SV *args)
{
    AV *av, *plain;
    SSize_t i;

    if (!SvOK(args))
        return (AV *)sv_2mortal((SV *)newAV());
    if (SvROK(args) && SvAMAGIC(args))
        args = amagic_deref_call(args, to_av_amg);
    if (!SvROK(args) || SvTYPE(SvRV(args)) != SVt_PVAV)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "arguments: wanted: one reference to an array, "
                          "[argument, ...], after the function's name; then "
                          "options, name => value");
    av = (AV *)SvRV(args);
    spawn_perl_hold(aTHX_(SV *) av);
    if (!SvOBJECT(av))
        return av;
    plain = (AV *)sv_2mortal((SV *)newAV());
    for (i = 0; i <= av_len(av); i++) {
        SV **element = av_fetch(av, i, 0);

        av_push(plain, element ? newSVsv(*element) : newSV(0));
    }
    return plain;
}

/* ---- options whose value is text ---- */

/* A bit for each field: the first have that of their number. Not its place in
 * the list of fields, since submit.c knows some by their numbers. */
#define PLACE(attr)                                                            \
    ((attr) < 64                    ? (attr)                                   \
     : (attr) == SPAWN_A_ON_FAILURE ? 43                                       \
     : (attr) == SPAWN_A_TTY        ? 44                                       \
                                    : (attr)-SPAWN_A_ON_CONFLICT + 40)
#define X_IS_PLACE(ATTR, ...) &&(unsigned)PLACE(SPAWN_A_##ATTR) < 64u
#define X_SUM(ATTR, ...)      +(1ull << (PLACE(SPAWN_A_##ATTR) & 63))
#define X_UNION(ATTR, ...)    | (1ull << (PLACE(SPAWN_A_##ATTR) & 63))
_Static_assert(1 SPAWN_FIELD_LIST(X_IS_PLACE), "each field has a place");
_Static_assert((0 SPAWN_FIELD_LIST(X_SUM)) == (0 SPAWN_FIELD_LIST(X_UNION)),
               "no two fields have the same place");

static uint64_t bit(unsigned attr)
{
    return 1ull << PLACE(attr);
}

/* A number (the literal 022) is the mask itself, text is octal. */
static bool put_umask_number(pTHX_ spawn_perl_job *job, SV *value)
{
    IV mask;

    SvGETMAGIC(value);
    if (SvPOK(value) || SvROK(value) || !SvNIOK(value))
        return false;
    mask = SvIV_nomg(value);
    if (mask < 0 || mask > 0777)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "umask: %ld is not allowed; wanted: a number from 0 "
                          "to 0777, or its octal text such as '022'",
                          (long)mask);
    spawn_put_u64(&job->w, SPAWN_A_UMASK, (uint64_t)mask);
    return true;
}

static bool is_word(unsigned attr)
{
    return attr == SPAWN_A_CWD || attr == SPAWN_A_LOAD || attr == SPAWN_A_USER
           || attr == SPAWN_A_GROUP;
}

static uint64_t ms_until(const char *moment)
{
    uint64_t then = 0, now = (uint64_t)spawn_wall_ms();

    (void)spawn_parse_moment(moment, &then);
    return then > now ? then - now : 0;
}

/* A list may be an array: its elements with commas between them. */
static SV *joined(pTHX_ const spawn_field *field, SV *value)
{
    bool list = field->form == SPAWN_FORM_BACKOFF
                || field->form == SPAWN_FORM_RETRY_ON
                || field->form == SPAWN_FORM_IDS;
    SSize_t i;
    SV *ret;
    AV *av;

    if (!list || !SvROK(value) || SvTYPE(SvRV(value)) != SVt_PVAV)
        return value;
    av = (AV *)SvRV(value);
    spawn_perl_hold(aTHX_(SV *) av);
    ret = sv_2mortal(newSVpvs(""));
    for (i = 0; i <= av_len(av); i++) {
        SV **element = av_fetch(av, i, 0);
        STRLEN length;
        const char *text =
            spawn_perl_bytes(aTHX_ element ? *element : &PL_sv_undef, &length,
                             false, field->name);

        if (i > 0)
            sv_catpvs(ret, ",");
        sv_catpvn(ret, text, length);
    }
    return ret;
}

static void put_text(pTHX_ spawn_perl_job *job, const spawn_field *field,
                     SV *value)
{
    STRLEN length;
    const char *text;
    spawn_failure why;

    value = joined(aTHX_ field, value);
    text = is_word(field->attr)
               ? spawn_perl_word(aTHX_ value, &length, field->name)
               : spawn_perl_bytes(aTHX_ value, &length, false, field->name);
    if (spawn_field_put_text(&job->w, field, text, &why) < 0)
        spawn_perl_throw(aTHX_ & why, NULL);
    switch (field->attr) {
    case SPAWN_A_TIMEOUT:
        (void)spawn_parse_duration(text, &job->timeout_ms);
        break;
    case SPAWN_A_GRACE:
        (void)spawn_parse_duration(text, &job->grace_ms);
        break;
    case SPAWN_A_QUEUE:
        (void)snprintf(job->queue, sizeof(job->queue), "%s", text);
        break;
    case SPAWN_A_DELAY:
        (void)spawn_parse_duration(text, &job->delay_ms);
        break;
    case SPAWN_A_AT:
        job->delay_ms = ms_until(text);
        break;
    case SPAWN_A_REPLY:
        job->reply = (unsigned)spawn_reply_number(text);
        break;
    case SPAWN_A_ID:
        (void)spawn_id_parse(text, &job->id);
        break;
    default:
        break;
    }
}

/* A list of words or numbers, or its text with commas between them. */
static void put_words(pTHX_ spawn_perl_job *job, const spawn_field *field,
                      SV *value)
{
    SV *text;
    AV *av;
    SSize_t i;

    SvGETMAGIC(value);
    if (!SvROK(value) || SvTYPE(SvRV(value)) != SVt_PVAV) {
        put_text(aTHX_ job, field, value);
        return;
    }
    av = (AV *)SvRV(value);
    spawn_perl_hold(aTHX_(SV *) av);
    text = sv_2mortal(newSVpvs(""));
    for (i = 0; i <= av_len(av); i++) {
        SV **word = av_fetch(av, i, 0);
        STRLEN length;
        const char *bytes = spawn_perl_bytes(aTHX_ word ? *word : &PL_sv_undef,
                                             &length, false, field->name);

        if (i)
            sv_catpvs(text, ",");
        sv_catpvn(text, bytes, length);
    }
    put_text(aTHX_ job, field, text);
}

/* ---- all options ---- */

static bool is_call(spawn_perl_verb verb)
{
    return verb == SPAWN_PERL_SPAWN_CALL || verb == SPAWN_PERL_CALL;
}

/* Options that are no fields: the first two end up in WANT. */
static const char *const own_options[] = {"want", "objects", "until", NULL};

static const char *option_name(unsigned i)
{
    unsigned fields = 0;

    while (spawn_field_at(fields))
        fields++;
    return i < fields ? spawn_field_at(i)->name : own_options[i - fields];
}

/* bound.c has what follows from it. */
static void put_until(pTHX_ spawn_perl_job *job, SV *value)
{
    STRLEN length;
    const char *text = spawn_perl_bytes(aTHX_ value, &length, false, "until");

    if (strcmp(text, "request") != 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "until: '%.100s' is not allowed; wanted: request",
                          text);
    job->until_request = true;
}

void spawn_perl_not_bound(pTHX_ const spawn_perl_job *job, const char *why)
{
    if (job->until_request)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID, "until: %s", why);
}

static void put_own_option(pTHX_ spawn_perl_job *job, spawn_perl_verb verb,
                           const char *name, SV *value)
{
    bool want = strcmp(name, own_options[0]) == 0;
    unsigned seen = want ? SPAWN_A_WANT : 0;
    STRLEN length;
    const char *text;
    uint64_t yes;

    if (strcmp(name, own_options[2]) == 0) {
        put_until(aTHX_ job, value);
        return;
    }
    if (!want && strcmp(name, own_options[1]) != 0)
        spawn_perl_unknown_option(aTHX_ name, option_name);
    if (!is_call(verb))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s belongs to Perl functions, this job is a program",
                          name);
    if (want && verb == SPAWN_PERL_CALL)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "want: call takes the context that it is called in; "
                          "spawn_call takes this option");
    if (job->seen & bit(seen))
        return;
    job->seen |= bit(seen);
    text = spawn_perl_bytes(aTHX_ value, &length, false,
                            own_options[want ? 0 : 1]);
    if (!want) {
        if (spawn_parse_bool(text, &yes) < 0)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "objects: '%.100s' is not allowed; wanted: 0 or "
                              "1",
                              text);
        job->objects = yes != 0;
    }
    else if (strcmp(text, "void") == 0)
        job->want = SPAWN_WANT_VOID;
    else if (strcmp(text, "scalar") == 0)
        job->want = SPAWN_WANT_SCALAR;
    else if (strcmp(text, "list") == 0)
        job->want = SPAWN_WANT_LIST;
    else
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "want: '%.100s' is not allowed; wanted: void, scalar "
                          "or list",
                          text);
}

static void put_option(pTHX_ spawn_perl_job *job, const spawn_field *field,
                       SV *value, const spawn_perl_pair *filled,
                       unsigned filled_count)
{
    bool hash = field->form == SPAWN_FORM_MAP
                || field->form == SPAWN_FORM_LIMITS
                || field->form == SPAWN_FORM_FDS;

    if (!hash && !SvMAGICAL(value) && !SvOK(value))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s is undefined; leave it out for its default",
                          field->name);
    switch (field->form) {
    case SPAWN_FORM_MAP:
        spawn_perl_put_map(aTHX_ job, field, value, filled, filled_count);
        break;
    case SPAWN_FORM_LIMITS:
        spawn_perl_put_limits(
            aTHX_ job, spawn_perl_hash_of(aTHX_ value, "limits",
                                          "{ memory => '512M', cpu => 30 }"));
        break;
    case SPAWN_FORM_FDS:
        spawn_perl_put_fds(aTHX_ job, spawn_perl_hash_of(aTHX_ value, "fds",
                                                         "{ 5 => $handle }"));
        break;
    case SPAWN_FORM_STDIO:
        spawn_perl_put_stream(aTHX_ job, field, value);
        break;
    case SPAWN_FORM_IDS:
        spawn_perl_put_ids(aTHX_ job, field, value);
        break;
    case SPAWN_FORM_OCTAL:
        if (!put_umask_number(aTHX_ job, value))
            put_text(aTHX_ job, field, value);
        break;
    case SPAWN_FORM_BACKOFF:
    case SPAWN_FORM_RETRY_ON:
        put_words(aTHX_ job, field, value);
        break;
    default:
        put_text(aTHX_ job, field, value);
        break;
    }
}

/* From the last to the first: when an option stands twice the last counts, as
 * when a hash is made of the list. */
static void put_options(pTHX_ spawn_perl_job *job, SV **options, SSize_t count,
                        const spawn_perl_pair *filled, unsigned filled_count,
                        spawn_perl_verb verb)
{
    SSize_t i;

    if (count == 1 && SvROK(options[0]) && SvTYPE(SvRV(options[0])) == SVt_PVHV)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "options are a list, name => value, not a reference "
                          "to a hash; write %%{$options}");
    if (count % 2 != 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "options come in pairs, name => value; here %s %ld "
                          "value%s",
                          count == 1 ? "is" : "are", (long)count,
                          count == 1 ? "" : "s");
    for (i = count - 2; i >= 0; i -= 2) {
        STRLEN length;
        const char *name = spawn_perl_bytes(aTHX_ options[i], &length, false,
                                            "the name of an option");
        const spawn_field *field = spawn_field_find(name);

        if (!field) {
            put_own_option(aTHX_ job, verb, name, options[i + 1]);
            continue;
        }
        if (job->seen & bit(field->attr))
            continue;
        job->seen |= bit(field->attr);
        put_option(aTHX_ job, field, options[i + 1], filled, filled_count);
    }
}

static bool has(const spawn_perl_job *job, unsigned attr)
{
    return job->seen & bit(attr);
}

/* run and call wait, with a time limit. */
static void put_waiting_defaults(pTHX_ spawn_perl_job *job,
                                 spawn_perl_verb verb)
{
    bool call = verb == SPAWN_PERL_CALL;

    if (has(job, SPAWN_A_REPLY))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "reply: %s always waits for the end; %s takes this "
                          "option",
                          call ? "call" : "run", call ? "spawn_call" : "spawn");
    if (has(job, SPAWN_A_DELAY) || has(job, SPAWN_A_AT))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s: %s waits for the end; %s takes this option",
                          has(job, SPAWN_A_DELAY) ? "delay" : "at",
                          call ? "call" : "run", call ? "spawn_call" : "spawn");
    job->reply = SPAWN_REPLY_FINISHED;
    spawn_put_u64(&job->w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    if (!has(job, SPAWN_A_TIMEOUT)) {
        job->timeout_ms = SPAWN_PERL_RUN_MS;
        spawn_put_u64(&job->w, SPAWN_A_TIMEOUT, SPAWN_PERL_RUN_MS);
    }
}

static void put_stream_default(spawn_perl_job *job, unsigned attr,
                               spawn_stdio_how how)
{
    spawn_stdio s = {how, 0, 0, ""};

    if (!has(job, attr))
        spawn_put_stdio(&job->w, (uint16_t)attr, &s);
}

static void put_defaults(pTHX_ spawn_perl_job *job, spawn_perl_verb verb)
{
    if (verb == SPAWN_PERL_RUN || verb == SPAWN_PERL_CALL)
        put_waiting_defaults(aTHX_ job, verb);
    if (verb == SPAWN_PERL_RUN) {
        put_stream_default(job, SPAWN_A_STDOUT, SPAWN_STDIO_CAPTURE);
        put_stream_default(job, SPAWN_A_STDERR, SPAWN_STDIO_CAPTURE);
    }
}

static void put_program(pTHX_ spawn_perl_job *job, SV **args, SSize_t count,
                        const spawn_perl_pair *filled, unsigned filled_count,
                        spawn_perl_verb verb)
{
    put_argv(aTHX_ job, count > 0 ? args[0] : &PL_sv_undef);
    put_options(aTHX_ job, args + 1, count > 0 ? count - 1 : 0, filled,
                filled_count, verb);
}

/* The options come first: they say which arguments are allowed. */
static void put_call(pTHX_ spawn_perl_job *job, SV **args, SSize_t count,
                     const spawn_perl_pair *filled, unsigned filled_count,
                     spawn_perl_verb verb, unsigned want)
{
    AV *given = NULL;

    put_function(aTHX_ job, count > 0 ? args[0] : &PL_sv_undef);
    args++;
    count = count > 0 ? count - 1 : 0;
    if (count > 0 && has_args(aTHX_ args[0], count)) {
        given = args_of(aTHX_ args[0]);
        args++;
        count--;
    }
    put_options(aTHX_ job, args, count, filled, filled_count, verb);
    if (!has(job, SPAWN_A_WANT))
        job->want = want;
    spawn_put_u64(&job->w, SPAWN_A_WANT,
                  job->want | (job->objects ? SPAWN_WANT_OBJECTS : 0)
                      | (verb == SPAWN_PERL_CALL ? SPAWN_WANT_EARLY : 0));
    if (given)
        spawn_perl_put_args(aTHX_ job, given);
}

/* httpd's values of the request that the job is of. */
static void put_queue(pTHX_ spawn_perl_job *job)
{
    const char *queue;
    char text[400];

    if (!job->choose)
        return;
    queue =
        job->choose(job->request, has(job, SPAWN_A_QUEUE) ? job->queue : NULL,
                    text, sizeof(text));
    if (!queue)
        spawn_perl_refuse(aTHX_ SPAWN_E_NOT_PERMITTED, "%s", text);
    if (!has(job, SPAWN_A_QUEUE) && strcmp(queue, SPAWN_DEFAULT_QUEUE) != 0)
        spawn_put_str(&job->w, SPAWN_A_QUEUE, queue);
}

void spawn_perl_job_fill(pTHX_ spawn_perl_job *job, SV **args, SSize_t count,
                         const spawn_perl_pair *filled, unsigned filled_count,
                         spawn_perl_verb verb, unsigned want)
{
    int rv;

    spawn_perl_hold_all(aTHX_ args, count);
    spawn_writer_begin(&job->w, SPAWN_M_SUBMIT, 0);
    if (is_call(verb))
        put_call(aTHX_ job, args, count, filled, filled_count, verb, want);
    else
        put_program(aTHX_ job, args, count, filled, filled_count, verb);
    put_defaults(aTHX_ job, verb);
    put_queue(aTHX_ job);
    if (filled_count > 0 && !has(job, SPAWN_A_CONTEXT))
        spawn_perl_put_context(aTHX_ job, NULL, filled, filled_count);
    if (!has(job, SPAWN_A_ID)) {
        rv = spawn_id_make(&job->id);
        if (rv < 0)
            spawn_perl_refuse(aTHX_ SPAWN_E_SYSTEM,
                              "no random bytes for the job's id: errno %d",
                              -rv);
        spawn_put_id(&job->w, SPAWN_A_ID, &job->id);
        job->id_is_new = true;
    }
    rv = spawn_writer_finish(&job->w, job->fds_count);
    if (rv == -EMSGSIZE)
        spawn_perl_refuse(aTHX_ SPAWN_E_TOO_BIG,
                          "the job has more than %u MB; give big data as a "
                          "file or a handle",
                          SPAWN_SUBMIT_MAX >> 20);
    if (rv < 0)
        spawn_perl_no_memory(aTHX);
}
