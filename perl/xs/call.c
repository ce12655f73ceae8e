/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of a Perl function: the values that it returned, the exception
 * that it threw, or why there is neither. Runs in callers. Must not take one
 * for the other.
 */
#include <stdio.h>
#include <string.h>

#include "perl/xs/spawn_perl.h"
#include "common/spawn_field.h"

unsigned spawn_perl_want_later(U8 gimme)
{
    return gimme == G_VOID ? SPAWN_WANT_VOID : SPAWN_WANT_LIST;
}

unsigned spawn_perl_want_now(U8 gimme)
{
    switch (gimme) {
    case G_VOID:
        return SPAWN_WANT_VOID;
    case G_SCALAR:
        return SPAWN_WANT_SCALAR;
    default:
        return SPAWN_WANT_LIST;
    }
}

/* ---- progress ---- */

/* Numbers as numbers, other text as it is; empty: nothing. */
static void put_said(pTHX_ HV *hv, const char *key, const char *text)
{
    SV *value = *text ? newSVpv(text, 0) : newSV(0);

    if (looks_like_number(value))
        sv_setnv(value, SvNV(value));
    else if (*text)
        sv_utf8_decode(value);
    (void)hv_store(hv, key, (I32)strlen(key), value, 0);
}

SV *spawn_perl_progress(pTHX_ const spawn_message *m)
{
    static const char *const keys[] = {"done", "of", "text"};
    const spawn_attr *a = &m->attr[SPAWN_A_PROGRESS];
    const char *text = NULL;
    unsigned i;
    SV *ret;
    HV *hv;

    if (!spawn_has(m, SPAWN_A_PROGRESS) || spawn_strv_count(a) != 3)
        return NULL;
    hv = newHV();
    for (i = 0; i < 3; i++) {
        text = spawn_strv_next(a, text);
        put_said(aTHX_ hv, keys[i], text);
    }
    ret = newRV_noinc((SV *)hv);
    spawn_perl_taint(aTHX_ ret);
    return ret;
}

/* ---- why there is no result ---- */

static const char *function_of(const spawn_message *m)
{
    return spawn_str_or(m, SPAWN_A_FUNCTION, "the function");
}

/* said: the broker knows why there is no result, so that "before it returned"
 * would be a guess. */
static void end_text(const spawn_message *m, bool said, char *text, size_t room)
{
    unsigned outcome = (unsigned)spawn_u64_or(m, SPAWN_A_OUTCOME, 0);
    int signo = (int)spawn_u64_or(m, SPAWN_A_SIGNAL, 0);
    const char *name = sigabbrev_np(signo);
    char how[64] = "";

    if (signo > 0)
        (void)snprintf(how, sizeof(how), "signal %d%s%s%s%s", signo,
                       name ? " (" : "", name ? name : "", name ? ")" : "",
                       spawn_u64_or(m, SPAWN_A_CORE, 0) ? ", core dumped" : "");
    else if (spawn_has(m, SPAWN_A_EXIT_CODE))
        (void)snprintf(how, sizeof(how), "exit code %u",
                       (unsigned)spawn_u64_or(m, SPAWN_A_EXIT_CODE, 0));
    switch (outcome) {
    case SPAWN_OUTCOME_EXITED:
        (void)snprintf(text, room, "ended its process, %s, %s", how,
                       said ? "and has no result" : "before it returned");
        break;
    case SPAWN_OUTCOME_SIGNALLED:
        (void)snprintf(text, room, "was ended by %s", how);
        break;
    case SPAWN_OUTCOME_OUT_OF_MEMORY:
        (void)snprintf(text, room,
                       "was killed by the kernel for want of memory");
        break;
    case SPAWN_OUTCOME_TIMED_OUT:
        (void)snprintf(text, room,
                       "did not return within its timeout and was "
                       "ended: %s",
                       *how ? how : "timed out");
        break;
    case SPAWN_OUTCOME_CANCELLED:
        (void)snprintf(text, room, "was cancelled%s%s", *how ? ": " : "", how);
        break;
    case SPAWN_OUTCOME_EXPIRED:
        (void)snprintf(text, room, "was not called, the job has expired");
        break;
    case SPAWN_OUTCOME_ENDED:
        (void)snprintf(text, room, "has no result: its exit code is unknown");
        break;
    default:
        (void)snprintf(text, room, "has no result: %s",
                       spawn_outcome_name(outcome));
        break;
    }
}

static void throw_end(pTHX_ const spawn_message *m, SV *job, SV *exception)
    __attribute__((noreturn));

static void throw_end(pTHX_ const spawn_message *m, SV *job, SV *exception)
{
    uint64_t outcome = spawn_u64_or(m, SPAWN_A_OUTCOME, 0);
    const char *said = spawn_str_or(m, SPAWN_A_TEXT, "");
    spawn_failure why = {outcome == SPAWN_OUTCOME_TIMED_OUT ? SPAWN_E_TIMED_OUT
                         : outcome == SPAWN_OUTCOME_EXPIRED
                             ? SPAWN_E_EXPIRED
                             : SPAWN_E_CALL_FAILED,
                         SPAWN_STEP_NONE, 0, ""};
    char end[128];

    end_text(m, *said != '\0', end, sizeof(end));
    spawn_perl_throw_error(
        aTHX_ & why,
        newSVpvf("%s %s%s%s", function_of(m), end, *said ? ": " : "", said),
        newSVsv(job), exception ? newSVsv(exception) : NULL);
}

/* ---- the exception of the function ---- */

static SV *fetch(pTHX_ HV *hv, const char *key)
{
    SV **found = hv_fetch(hv, key, (I32)strlen(key), 0);

    return found && SvOK(*found) ? *found : NULL;
}

static unsigned code_number(const char *name)
{
    unsigned i;

    for (i = 1; strcmp(spawn_error_name(i), "unknown") != 0; i++) {
        if (strcmp(spawn_error_name(i), name) == 0)
            return i;
    }
    return SPAWN_E_CALL_FAILED;
}

static void throw_refusal(pTHX_ SV *code, SV *text, SV *job)
    __attribute__((noreturn));

/* Not an exception of the function: its runner could not do its part. */
static void throw_refusal(pTHX_ SV *code, SV *text, SV *job)
{
    spawn_failure why = {code_number(SvPV_nolen_const(code)),
                         SPAWN_STEP_TEMPLATE, 0, ""};

    spawn_perl_throw_error(aTHX_ & why,
                           text ? newSVsv(text)
                                : newSVpvs("the function was not run"),
                           newSVsv(job), NULL);
}

static void throw_died(pTHX_ const spawn_message *m, SV *exception, SV *job)
    __attribute__((noreturn));

/*
 * Text and plain data are thrown again as they are. The class of an object may
 * not exist here, so that an object comes as the exception of an error.
 */
static void throw_died(pTHX_ const spawn_message *m, SV *exception, SV *job)
{
    spawn_failure why = {SPAWN_E_CALL_FAILED, SPAWN_STEP_NONE, 0, ""};
    SV *text, *class_name, *data, *message;
    HV *hv;

    if (!SvROK(exception) || SvTYPE(SvRV(exception)) != SVt_PVHV) {
        why.code = SPAWN_E_PROTOCOL;
        why.step = SPAWN_STEP_RECEIVE;
        spawn_failure_set(&why, why.code, why.step, 0,
                          "the exception cannot be read");
        spawn_perl_throw(aTHX_ & why, newSVsv(job));
    }
    hv = (HV *)SvRV(exception);
    text = fetch(aTHX_ hv, "text");
    class_name = fetch(aTHX_ hv, "class");
    data = fetch(aTHX_ hv, "data");
    switch (spawn_u64_or(m, SPAWN_A_OUTCOME, 0)) {
    case SPAWN_OUTCOME_TIMED_OUT:
    case SPAWN_OUTCOME_CANCELLED:
        throw_end(aTHX_ m, job, exception);
    default:
        break;
    }
    if (fetch(aTHX_ hv, "code"))
        throw_refusal(aTHX_ fetch(aTHX_ hv, "code"), text, job);
    if (!class_name)
        croak_sv(sv_mortalcopy(data   ? data
                               : text ? text
                                      : sv_2mortal(newSVpvs("Died\n"))));
    message = newSVpvf("%s died with an object of class %" SVf, function_of(m),
                       SVfARG(class_name));
    if (text) {
        sv_catpvs(message, ": ");
        sv_catsv(message, text);
        while (SvCUR(message) && SvEND(message)[-1] == '\n')
            SvCUR_set(message, SvCUR(message) - 1);
        *SvEND(message) = '\0';
    }
    spawn_perl_throw_error(aTHX_ & why, message, newSVsv(job),
                           newSVsv(exception));
}

/* ---- the result ---- */

static void throw_gone(pTHX_ const spawn_message *m, SV *job)
    __attribute__((noreturn));

static void throw_gone(pTHX_ const spawn_message *m, SV *job)
{
    spawn_failure why;

    spawn_failure_set(&why, SPAWN_E_OUTPUT_GONE, SPAWN_STEP_RECEIVE, 0,
                      "the result of %.120s is not kept any more",
                      function_of(m));
    spawn_perl_throw(aTHX_ & why, newSVsv(job));
}

AV *spawn_perl_returned(pTHX_ const spawn_message *m, bool objects, SV *job)
{
    uint64_t kind = spawn_u64_or(m, SPAWN_A_RESULT_KIND, SPAWN_RESULT_NONE);
    const spawn_attr *a = &m->attr[SPAWN_A_RESULT];
    spawn_failure why;
    SV *value;

    if (!spawn_has(m, SPAWN_A_FUNCTION))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "result: this job is a program, which returns "
                          "nothing; wait gives its exit code and its output");
    if (spawn_client_start_failed(m, &why))
        spawn_perl_throw(aTHX_ & why, newSVsv(job));
    if (kind == SPAWN_RESULT_NONE)
        throw_end(aTHX_ m, job, NULL);
    if (!spawn_has(m, SPAWN_A_RESULT))
        throw_gone(aTHX_ m, job);
    value = spawn_perl_decode(aTHX_ a, objects, job);
    if (kind == SPAWN_RESULT_DIED)
        throw_died(aTHX_ m, value, job);
    if (!SvROK(value) || SvTYPE(SvRV(value)) != SVt_PVAV) {
        spawn_failure_set(&why, SPAWN_E_PROTOCOL, SPAWN_STEP_RECEIVE, 0,
                          "the result is not a list of values");
        spawn_perl_throw(aTHX_ & why, newSVsv(job));
    }
    return (AV *)sv_2mortal(SvREFCNT_inc(SvRV(value)));
}

static bool objects_option(pTHX_ SV **options, SSize_t count, bool given)
{
    static const char *const names[] = {"objects", NULL};
    const char *name, *text;
    STRLEN length;
    uint64_t yes;
    SSize_t i;

    if (count % 2 != 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "result: wanted: seconds, then options in pairs");
    for (i = 0; i < count; i += 2) {
        name = spawn_perl_bytes(aTHX_ options[i], &length, false,
                                "the name of an option");
        if (strcmp(name, names[0]) != 0)
            spawn_perl_refuse(aTHX_ SPAWN_E_UNKNOWN_OPTION,
                              "result: there is no option '%.64s'; it has "
                              "'%s'",
                              name, names[0]);
        text = spawn_perl_bytes(aTHX_ options[i + 1], &length, false, name);
        if (spawn_parse_bool(text, &yes) < 0)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "objects: '%.100s' is not allowed; wanted: 0 or "
                              "1",
                              text);
        given = yes != 0;
    }
    return given;
}

AV *spawn_perl_job_result(pTHX_ SV *self, SV *seconds, SV **options,
                          SSize_t count)
{
    const spawn_answer *answer;
    spawn_failure why;
    bool objects;
    AV *ret;

    spawn_perl_hold(aTHX_ self);
    if (seconds)
        spawn_perl_hold(aTHX_ seconds);
    spawn_perl_hold_all(aTHX_ options, count);
    objects = objects_option(aTHX_ options, count,
                             spawn_perl_handle_objects(aTHX_ self));
    spawn_perl_enter(aTHX);
    answer = spawn_perl_wait_answer(aTHX_ self, seconds, "result");
    if (!answer) {
        spawn_failure_set(&why, SPAWN_E_TIMED_OUT, SPAWN_STEP_RECEIVE, 0,
                          "the job has not ended within %.32s s; it goes on",
                          SvPV_nolen_const(seconds));
        spawn_perl_throw(aTHX_ & why, newSVsv(self));
    }
    ret = spawn_perl_returned(aTHX_ & answer->message, objects, self);
    LEAVE;
    return ret;
}
