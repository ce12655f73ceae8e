/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the broker about a job, and the wait for its end: status, wait,
 * pid, progress, kill, retry, start_now. Runs in callers. Must let Perl's
 * signal handlers run while it waits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "perl/xs/spawn_perl.h"

static void answer_free(pTHX_ void *answer)
{
    PERL_UNUSED_CONTEXT;
    spawn_answer_free(answer);
    free(answer);
}

spawn_answer *spawn_perl_answer_new(pTHX)
{
    spawn_answer *answer = calloc(1, sizeof(*answer));

    if (!answer)
        spawn_perl_no_memory(aTHX);
    SAVEDESTRUCTOR_X(answer_free, answer);
    return answer;
}

static void fail(pTHX_ SV *self, const spawn_failure *why)
    __attribute__((noreturn));

static void fail(pTHX_ SV *self, const spawn_failure *why)
{
    spawn_perl_throw(aTHX_ why, newSVsv(self));
}

#define ASK_ROOM 256

static int ask(int endpoint, uint16_t type, const spawn_id *id, uint16_t attr,
               uint64_t value, spawn_answer *ret, spawn_failure *why)
{
    uint8_t room[ASK_ROOM];
    spawn_writer w;
    sigset_t before;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, type, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    if (attr)
        spawn_put_u64(&w, attr, value);
    (void)spawn_writer_finish(&w, 0);
    spawn_perl_signals_off(&before);
    rv = spawn_client_ask(spawn_perl_client(endpoint, NULL), &w, 0, ret, why);
    spawn_perl_signals_on(&before);
    return rv;
}

static int wait_slice(int endpoint, const spawn_id *id, unsigned want,
                      uint32_t wait_ms, spawn_answer *ret, spawn_failure *why)
{
    bool output = want == SPAWN_REPLY_FINISHED;
    uint8_t room[ASK_ROOM];
    spawn_writer w;
    sigset_t before;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_WAIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, want);
    spawn_put_u64(&w, SPAWN_A_WAIT_MS, wait_ms);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, output);
    (void)spawn_writer_finish(&w, 0);
    spawn_perl_signals_off(&before);
    rv = spawn_client_ask(spawn_perl_client(endpoint, NULL), &w, wait_ms, ret,
                          why);
    spawn_perl_signals_on(&before);
    return rv;
}

static bool done(const spawn_answer *answer)
{
    return spawn_u64_or(&answer->message, SPAWN_A_STATE, 0) == SPAWN_STATE_DONE;
}

int spawn_perl_wait_done(pTHX_ int endpoint, const spawn_id *id,
                         int64_t limit_ms, spawn_answer *ret,
                         spawn_failure *why)
{
    int64_t until = spawn_mono_ms() + limit_ms;

    for (;;) {
        int64_t left =
            limit_ms < 0 ? SPAWN_PERL_SLICE_MS : until - spawn_mono_ms();
        int rv;

        if (left > SPAWN_PERL_SLICE_MS)
            left = SPAWN_PERL_SLICE_MS;
        rv = left > 0 ? wait_slice(endpoint, id, SPAWN_REPLY_FINISHED,
                                   (uint32_t)left, ret, why)
                      : ask(endpoint, SPAWN_M_GET, id, SPAWN_A_WITH_OUTPUT, 1,
                            ret, why);
        if (rv == 0 && done(ret))
            return 1;
        if (rv == 0)
            spawn_answer_free(ret);
        else if (why->code != SPAWN_E_TIMED_OUT)
            return -1;
        if (left <= 0)
            return 0;
        PERL_ASYNC_CHECK();
    }
}

/* A job that has begun, or has ended without having begun. */
static bool begun(const spawn_answer *answer)
{
    return done(answer)
           || spawn_u64_or(&answer->message, SPAWN_A_STATE, 0)
                  == SPAWN_STATE_RUNNING;
}

SV *spawn_perl_started(pTHX_ SV *self)
{
    spawn_answer *answer;
    spawn_failure why;
    spawn_id id;
    int endpoint;
    SV *ret;

    spawn_perl_enter(aTHX);
    spawn_perl_hold(aTHX_ self);
    endpoint = spawn_perl_handle_of(aTHX_ self, &id);
    answer = spawn_perl_answer_new(aTHX);
    for (;;) {
        if (wait_slice(endpoint, &id, SPAWN_REPLY_STARTED, SPAWN_PERL_SLICE_MS,
                       answer, &why)
            == 0) {
            if (begun(answer))
                break;
            spawn_answer_free(answer);
        }
        else if (why.code != SPAWN_E_TIMED_OUT)
            fail(aTHX_ self, &why);
        PERL_ASYNC_CHECK();
    }
    ret = spawn_perl_result(aTHX_ endpoint, &answer->message);
    LEAVE;
    return ret;
}

/* Milliseconds, -1 for no limit. */
static int64_t limit_of(pTHX_ SV *seconds, const char *method)
{
    const char *text;
    STRLEN length;
    uint64_t ms;
    char what[32];

    if (!seconds)
        return -1;
    SvGETMAGIC(seconds);
    if (!SvOK(seconds))
        return -1;
    (void)snprintf(what, sizeof(what), "%s: the time", method);
    text = spawn_perl_bytes(aTHX_ seconds, &length, false, what);
    if (spawn_parse_duration(text, &ms) < 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s: '%.100s' is not allowed; wanted: seconds (a "
                          "number, not negative), or nothing for no limit",
                          method, text);
    return (int64_t)ms;
}

spawn_answer *spawn_perl_wait_answer(pTHX_ SV *self, SV *seconds,
                                     const char *what)
{
    spawn_answer *answer;
    spawn_failure why;
    int64_t limit_ms;
    spawn_id id;
    int endpoint, rv;

    spawn_perl_hold(aTHX_ self);
    endpoint = spawn_perl_handle_of(aTHX_ self, &id);
    limit_ms = limit_of(aTHX_ seconds, what);
    answer = spawn_perl_answer_new(aTHX);
    rv = spawn_perl_wait_done(aTHX_ endpoint, &id, limit_ms, answer, &why);
    if (rv < 0)
        fail(aTHX_ self, &why);
    return rv > 0 ? answer : NULL;
}

SV *spawn_perl_wait(pTHX_ SV *self, SV *seconds)
{
    const spawn_answer *answer;
    spawn_id id;
    SV *ret = NULL;

    spawn_perl_enter(aTHX);
    answer = spawn_perl_wait_answer(aTHX_ self, seconds, "wait");
    if (answer)
        ret = spawn_perl_result(aTHX_ spawn_perl_handle_of(aTHX_ self, &id),
                                &answer->message);
    LEAVE;
    return ret;
}

/* The job as it is now, without output; freed when the current Perl scope is
 * left. */
static const spawn_message *look(pTHX_ SV *self, int *ret_endpoint)
{
    spawn_answer *answer;
    spawn_failure why;
    spawn_id id;

    spawn_perl_hold(aTHX_ self);
    *ret_endpoint = spawn_perl_handle_of(aTHX_ self, &id);
    answer = spawn_perl_answer_new(aTHX);
    if (ask(*ret_endpoint, SPAWN_M_GET, &id, 0, 0, answer, &why) < 0)
        fail(aTHX_ self, &why);
    return &answer->message;
}

SV *spawn_perl_status(pTHX_ SV *self)
{
    const spawn_message *m;
    SV *ret;
    int endpoint;

    spawn_perl_enter(aTHX);
    m = look(aTHX_ self, &endpoint);
    ret = spawn_perl_result(aTHX_ endpoint, m);
    LEAVE;
    return ret;
}

SV *spawn_perl_job_progress(pTHX_ SV *self)
{
    SV *ret;
    int endpoint;

    spawn_perl_enter(aTHX);
    ret = spawn_perl_progress(aTHX_ look(aTHX_ self, &endpoint));
    LEAVE;
    return ret;
}

SV *spawn_perl_pid(pTHX_ SV *self)
{
    uint64_t pid;
    int endpoint;

    spawn_perl_enter(aTHX);
    pid = spawn_u64_or(look(aTHX_ self, &endpoint), SPAWN_A_PID, 0);
    LEAVE;
    return pid ? newSVuv(pid) : NULL;
}

static int signal_number(pTHX_ SV *signal)
{
    STRLEN length;
    const char *text =
        spawn_perl_bytes(aTHX_ signal, &length, false, "kill: the signal");
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
    int64_t number;
    int i;

    if (spawn_parse_integer(text, &number) == 0) {
        if (number > 0 && number < NSIG)
            return (int)number;
    }
    else {
        for (i = 1; PL_sig_name[i]; i++) {
            if (strcmp(PL_sig_name[i], name) == 0)
                return PL_sig_num[i];
        }
    }
    spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                      "kill: there is no signal '%.64s'; wanted: a name such "
                      "as TERM, or a number",
                      text);
}

bool spawn_perl_kill(pTHX_ SV *self, SV *signal)
{
    spawn_answer *answer;
    spawn_failure why;
    int signo = 15;
    spawn_id id;
    int endpoint, rv;

    spawn_perl_enter(aTHX);
    spawn_perl_hold(aTHX_ self);
    endpoint = spawn_perl_handle_of(aTHX_ self, &id);
    if (signal)
        signo = signal_number(aTHX_ signal);
    answer = spawn_perl_answer_new(aTHX);
    rv = ask(endpoint, SPAWN_M_KILL, &id, SPAWN_A_SIGNO, (uint64_t)signo,
             answer, &why);
    if (rv < 0 && why.code != SPAWN_E_NOT_RUNNING)
        fail(aTHX_ self, &why);
    LEAVE;
    return rv == 0;
}

/* False: refused with this code, which is no error. */
static bool ask_for(pTHX_ SV *self, uint16_t type, spawn_error no)
{
    spawn_answer *answer;
    spawn_failure why;
    spawn_id id;
    int endpoint, rv;

    spawn_perl_enter(aTHX);
    spawn_perl_hold(aTHX_ self);
    endpoint = spawn_perl_handle_of(aTHX_ self, &id);
    answer = spawn_perl_answer_new(aTHX);
    rv = ask(endpoint, type, &id, 0, 0, answer, &why);
    if (rv < 0 && why.code != no)
        fail(aTHX_ self, &why);
    LEAVE;
    return rv == 0;
}

/* TERM, and KILL after its grace. */
bool spawn_perl_stop(pTHX_ SV *self)
{
    return ask_for(aTHX_ self, SPAWN_M_KILL, SPAWN_E_NOT_RUNNING);
}

bool spawn_perl_retry(pTHX_ SV *self)
{
    return ask_for(aTHX_ self, SPAWN_M_REVIVE, SPAWN_E_NOT_DEAD);
}

bool spawn_perl_start_now(pTHX_ SV *self)
{
    return ask_for(aTHX_ self, SPAWN_M_START_NOW, SPAWN_E_NOT_DELAYED);
}
