/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_cleanup, of a request object or of the current request: the message of
 * a job for after the answer. Runs in httpd
 * children, in a handler: must do all of Perl's part now, so that a mistake is
 * thrown where it can be seen. The module posts the job later
 * (module/cleanup.c); a function of Apache2::Spawn::Httpd's gives it the
 * message.
 */
#include <string.h>

#include "perl/xs/spawn_perl.h"
#include "common/spawn_check.h"
#include "common/spawn_spool.h"

/* In the order of spawn_cleanup_when. */
static const char *const only_if_names[] = {"always", "success", "error",
                                            "aborted"};
#define ONLY_IF_COUNT (sizeof(only_if_names) / sizeof(only_if_names[0]))

static unsigned only_if_of(pTHX_ SV *value)
{
    STRLEN length;
    const char *text = spawn_perl_bytes(aTHX_ value, &length, false, "only_if");
    unsigned i;

    for (i = 1; i < ONLY_IF_COUNT; i++) {
        if (strcmp(text, only_if_names[i]) == 0)
            return i;
    }
    spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                      "only_if: '%.100s' is not allowed; wanted: success, "
                      "error or aborted",
                      text);
}

static bool is_only_if(pTHX_ SV *sv)
{
    STRLEN length;
    const char *text;

    SvGETMAGIC(sv);
    if (!SvOK(sv) || SvROK(sv))
        return false;
    text = SvPV_nomg_const(sv, length);
    return length == sizeof("only_if") - 1
           && memcmp(text, "only_if", length) == 0;
}

/*
 * The arguments without only_if, which is no field of a job. Options are pairs
 * and stand last, so every second argument from the end is a name.
 */
static SV **without_only_if(pTHX_ SV **args, SSize_t *count, unsigned *ret_when)
{
    SSize_t left = *count, i, from;
    SV **rest;

    *ret_when = 0;
    Newx(rest, left > 0 ? left : 1, SV *);
    SAVEFREEPV(rest);
    Copy(args, rest, left, SV *);
    for (i = left - 2; i >= 1; i -= 2) {
        if (!is_only_if(aTHX_ rest[i]))
            continue;
        if (*ret_when == 0)
            *ret_when = only_if_of(aTHX_ rest[i + 1]);
        for (from = i + 2; from < left; from++)
            rest[from - 2] = rest[from];
        left -= 2;
    }
    *count = left;
    return rest;
}

static bool is_program(pTHX_ SV *what)
{
    SvGETMAGIC(what);
    return SvROK(what) && SvTYPE(SvRV(what)) != SVt_PVCV
           && (SvTYPE(SvRV(what)) == SVt_PVAV || SvAMAGIC(what));
}

static void refuse_code(pTHX_ SV *what)
{
    if (SvROK(what) && SvTYPE(SvRV(what)) == SVt_PVCV)
        spawn_perl_refuse(
            aTHX_ SPAWN_E_NOT_SENDABLE,
            "spawn_cleanup: a code reference cannot travel to another process; "
            "give the name of a function and what it needs: "
            "$r->spawn_cleanup('My::Module::function', [ arguments ])");
}

static void check(pTHX_ const spawn_perl_job *job)
{
    spawn_failure why;
    spawn_message m;

    if (job->fds_count > 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "spawn_cleanup: no handle can go with a job for "
                          "after the answer, since it would have to stay open "
                          "until then; give a path, or data for stdin");
    if (job->reply != SPAWN_REPLY_ACCEPTED && job->reply != SPAWN_REPLY_POSTED)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "reply: '%s' is not allowed for spawn_cleanup, whose "
                          "jobs are posted when nobody waits any more",
                          spawn_reply_name(job->reply));
    if (job->w.length > SPAWN_WIRE_HEADER + SPAWN_CLEANUP_MAX)
        spawn_perl_refuse(aTHX_ SPAWN_E_TOO_BIG,
                          "the job has more than %u bytes; give big data as a "
                          "file",
                          SPAWN_CLEANUP_MAX);
    if (spawn_message_parse(job->w.data, job->w.length, SPAWN_FROM_CALLER, 0,
                            &m, &why)
            < 0
        || spawn_job_check(&m, &why) < 0)
        spawn_perl_throw(aTHX_ & why, NULL);
    if (spawn_u64_or(&m, SPAWN_A_DURABLE, 0))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "durable: a job for after the answer is posted when "
                          "nobody waits any more, who could be told that it is "
                          "not on the disk; use spawn");
    if (m.attr[SPAWN_A_CONTEXT].length > SPAWN_CLEANUP_CONTEXT_MAX)
        spawn_perl_refuse(aTHX_ SPAWN_E_TOO_BIG,
                          "context: it has %lu bytes, %u are allowed",
                          (unsigned long)m.attr[SPAWN_A_CONTEXT].length,
                          SPAWN_CLEANUP_CONTEXT_MAX);
}

SV *spawn_perl_cleanup(pTHX_ int endpoint, SV **args, SSize_t count,
                       spawn_perl_later_fn later, void *request)
{
    spawn_perl_job *job;
    unsigned when;
    SV **rest;
    SV *ret;

    spawn_perl_enter(aTHX);
    spawn_perl_hold_all(aTHX_ args, count);
    rest = without_only_if(aTHX_ args, &count, &when);
    job = spawn_perl_job_new(aTHX);
    job->choose = spawn_perl_httpd_queues(endpoint);
    job->request = request;
    if (count > 0)
        refuse_code(aTHX_ rest[0]);
    spawn_perl_job_fill(aTHX_ job, rest, count, NULL, 0,
                        count > 0 && is_program(aTHX_ rest[0])
                            ? SPAWN_PERL_SPAWN
                            : SPAWN_PERL_SPAWN_CALL,
                        SPAWN_WANT_VOID);
    spawn_perl_not_bound(aTHX_ job, "a job for after the answer begins when "
                                    "its request has ended");
    check(aTHX_ job);
    later(request, job->w.data, job->w.length, when);
    ret = spawn_perl_handle(aTHX_ endpoint, &job->id, false, NULL);
    LEAVE;
    return ret;
}

/* ---- without a request object ---- */

static spawn_perl_current_fn current_request;
static spawn_perl_later_fn current_later;

void spawn_perl_set_current(spawn_perl_current_fn fn, spawn_perl_later_fn later)
{
    current_later = later;
    __atomic_store_n(&current_request, fn, __ATOMIC_RELEASE);
}

void *spawn_perl_current_request(void **ret_server)
{
    spawn_perl_current_fn fn =
        __atomic_load_n(&current_request, __ATOMIC_ACQUIRE);

    return fn ? fn(ret_server) : NULL;
}

SV *spawn_perl_cleanup_current(pTHX_ SV *self, SV **args, SSize_t count)
{
    int endpoint = spawn_perl_invocant(aTHX_ self);
    void *server = NULL, *request;

    if (SvROK(self))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "cleanup: a connection has no request; it is a class "
                          "method: Apache2::Spawn->cleanup(...)");
    if (!spawn_perl_is_httpds(endpoint))
        spawn_perl_refuse(aTHX_ SPAWN_E_UNREACHABLE,
                          "cleanup: this process serves no request, which "
                          "httpd's children do; elsewhere use "
                          "Apache2::Spawn->spawn or spawn_call");
    request = spawn_perl_current_request(&server);
    if (!request)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "cleanup: no request is known here: mod_perl tells "
                          "of it with 'SetHandler perl-script' or 'PerlOptions "
                          "+GlobalRequest'; or use $r->spawn_cleanup(...)");
    return spawn_perl_cleanup(aTHX_ spawn_perl_httpd_endpoint(aTHX_ server),
                              args, count, current_later, request);
}
