/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn inside httpd: where the broker is, and the methods of the
 * request object, with the context of a job filled in from the request. Runs in
 * httpd: in the parent while it starts, then in its children. Loads only where
 * mod_perl is; must stay thin, since Apache2::Spawn does the work.
 */
#include "perl/xs/spawn_perl_api.h"

#include <fcntl.h>
#include <unistd.h>

#include "httpd.h"
#include "http_main.h"
#include "apr_strings.h"

#include "mod_spawn.h"
#include "module/perl_runner.h"

/* Of mod_perl's modperl_util.h, whose headers do not compile without warnings:
 * the request behind an object of any class that mod_perl takes for one
 * (Apache2::RequestRec, its subclasses, hashes with an r inside). */
request_rec *modperl_xs_sv2request_rec(pTHX_ SV *sv, char *class_name, CV *cv);

/* The same for all interpreters of the process. */
static const spawn_perl_api *perl_api;

/* Of mod_spawn; looked up once, since each submit needs them. A restart of httpd
 * loads that anew, perhaps to another place, and Perl with it: BOOT looks again.
 * An interpreter that loads this late does so while other threads use them, and
 * finds the same: so it must never make them NULL in between. */
static APR_OPTIONAL_FN_TYPE(spawn_child_endpoint_get) *get_endpoint;
static APR_OPTIONAL_FN_TYPE(spawn_submit_timeout_ms) *get_timeout;
static APR_OPTIONAL_FN_TYPE(spawn_request_context) *request_context;
static APR_OPTIONAL_FN_TYPE(spawn_queue_choose) *queue_choose;
static APR_OPTIONAL_FN_TYPE(spawn_request_job) *request_job;
static APR_OPTIONAL_FN_TYPE(spawn_job_token) *job_token;
static APR_OPTIONAL_FN_TYPE(spawn_bound_untold) *bound_untold;
static APR_OPTIONAL_FN_TYPE(spawn_queue_refuses) *queue_refuses;

#define LOOK_UP(place, name)                                                   \
    __atomic_store_n(&(place), APR_RETRIEVE_OPTIONAL_FN(name), __ATOMIC_RELEASE)

/* Several threads may do it at once. The endpoint, which others look at first,
 * comes last, and only when the others are there, too. */
static bool look_up(void)
{
    LOOK_UP(get_timeout, spawn_submit_timeout_ms);
    LOOK_UP(request_context, spawn_request_context);
    LOOK_UP(queue_choose, spawn_queue_choose);
    LOOK_UP(request_job, spawn_request_job);
    LOOK_UP(job_token, spawn_job_token);
    LOOK_UP(bound_untold, spawn_bound_untold);
    LOOK_UP(queue_refuses, spawn_queue_refuses);
    if (get_timeout && request_context && queue_choose && request_job
        && job_token && bound_untold && queue_refuses)
        LOOK_UP(get_endpoint, spawn_child_endpoint_get);
    else
        __atomic_store_n(&get_endpoint, NULL, __ATOMIC_RELEASE);
    return __atomic_load_n(&get_endpoint, __ATOMIC_ACQUIRE) != NULL;
}

static bool find_module(void)
{
    return __atomic_load_n(&get_endpoint, __ATOMIC_ACQUIRE) || look_up();
}

static int httpd_endpoint(void *server, spawn_endpoint *ret,
                          spawn_failure *why)
{
    const spawn_child_endpoint *own;

    if (!find_module()) {
        why->code = SPAWN_E_UNREACHABLE;
        why->step = SPAWN_STEP_CONNECT;
        why->error = 0;
        apr_cpystrn(why->text,
                    "mod_spawn is not loaded: add 'LoadModule spawn_module "
                    "modules/mod_spawn.so' to httpd.conf",
                    sizeof(why->text));
        return -1;
    }
    own = get_endpoint();
    if (!own) {
        why->code = SPAWN_E_UNREACHABLE;
        why->step = SPAWN_STEP_CONNECT;
        why->error = 0;
        apr_cpystrn(why->text,
                    "jobs can be submitted only from httpd's children: in a "
                    "handler, not while httpd starts and not in startup.pl; "
                    "elsewhere use Apache2::Spawn->connect($path)",
                    sizeof(why->text));
        return -1;
    }
    ret->socket_path = own->socket_path;
    ret->secret = own->secret;
    ret->post_fd = own->post_fd;
    ret->spool = own->spool;
    ret->name = "httpd";
    ret->timeout_ms = get_timeout(server ? server : ap_server_conf);
    return 0;
}

/* It is asked after the endpoint was: the module has been found. */
static const char *choose_queue(const void *request, const char *named,
                                char *text, size_t room)
{
    return queue_choose((request_rec *)(uintptr_t)request, NULL, named, text,
                        room);
}

_Static_assert(SPAWN_PERL_TOKEN_TEXT >= SPAWN_JOB_TOKEN_SIZE, "room for it");

static int make_token(const char *id, uint64_t life_ms, char *text)
{
    return find_module()
                   && job_token(id, apr_time_from_msec((apr_int64_t)life_ms),
                                text)
                          == APR_SUCCESS
               ? 0
               : -1;
}

static void note_job(void *request, const void *id)
{
    request_job(request, id);
}

_Static_assert(SPAWN_PERL_PAIRS == SPAWN_CONTEXT_PAIRS, "one for each");

/* This request asks for a job. */
static void asked_by(request_rec *r, spawn_perl_asked *ret)
{
    spawn_context_pair known[SPAWN_CONTEXT_PAIRS];
    bool found = find_module();
    unsigned i;

    ret->count = found ? request_context(r, known) : 0;
    for (i = 0; i < ret->count; i++) {
        ret->pairs[i].name = known[i].name;
        ret->pairs[i].value = known[i].value;
    }
    ret->note = found ? note_job : NULL;
    ret->request = r;
}

#include "perl/xs/httpd_bound.h"
#include "perl/xs/httpd_cleanup.h"
#include "perl/xs/httpd_perl.h"
#include "perl/xs/httpd_phases.h"

/* Perl takes httpd's first word for the room that $0 has; it is all of httpd's
 * command line. */
static void widen_title(pTHX)
{
    char line[4096];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, line, sizeof(line));

    if (fd >= 0)
        (void)close(fd);
    if (length > 0 && PL_origargv
        && PL_origargv[0] == ap_server_conf->process->argv[0])
        PL_origalen = (U32)length;
}

/* In a template that was forked from httpd: must never come back to httpd. */
static void run_template(void *interpreter, const char *name, int link,
                         unsigned memory, unsigned spares)
{
    dTHXa(interpreter);
    dSP;

    PERL_SET_CONTEXT(interpreter);
    perl_api->set_token(NULL);
    perl_api->set_current(NULL, NULL);
    perl_api->set_bind(NULL);
    perl_api->set_httpd(NULL, NULL); /* a job has its own in its environment */
    widen_title(aTHX);
    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    mXPUSHp(name, strlen(name));
    mXPUSHi(link);
    mXPUSHu(memory);
    mXPUSHu(spares);
    PUTBACK;
    call_pv("Apache2::Spawn::Template::_serve_in_httpd",
            G_VOID | G_DISCARD | G_EVAL);
}

/* While httpd starts: if this is the main server's Perl, templates can be
 * forked from it. A Perl of a virtual host has no template, which the module
 * logs. */
static void offer_templates(pTHX)
{
    APR_OPTIONAL_FN_TYPE(spawn_own_perl_note) *note =
        APR_RETRIEVE_OPTIONAL_FN(spawn_own_perl_note);
    APR_OPTIONAL_FN_TYPE(spawn_template_runner_set) *set =
        APR_RETRIEVE_OPTIONAL_FN(spawn_template_runner_set);

#ifdef MULTIPLICITY
    server_rec *s = server_of_perl(aTHX);

    if (s && s != modperl_global_get_server_rec()) {
        if (note)
            note(s);
        return;
    }
#endif
    if (set)
#ifdef MULTIPLICITY
        set(run_template, aTHX);
#else
        set(run_template, NULL);
#endif
}

MODULE = Apache2::Spawn::Httpd    PACKAGE = Apache2::RequestRec

PROTOTYPES: DISABLE

BOOT:
    {
        SV **found = hv_fetchs(PL_modglobal, SPAWN_PERL_API_KEY, 0);

        if (!found)
            Perl_croak(aTHX_ "Apache2::Spawn %s is not loaded: use "
                             "Apache2::Spawn, which loads this by itself",
                       SPAWN_RELEASE);
        perl_api = INT2PTR(const spawn_perl_api *, SvIV(*found));
        (void)look_up();
        perl_api->set_httpd(httpd_endpoint, choose_queue);
        perl_api->set_token(make_token);
        perl_api->set_current(current_request, cleanup_later);
        perl_api->set_bind(bind_to_request);
        offer_templates(aTHX);
        refuse_phases(aTHX);
    }

SV *
spawn(self, ...)
    SV *self
  ALIAS:
    spawn_run = SPAWN_PERL_RUN
    spawn_call = SPAWN_PERL_SPAWN_CALL
  PREINIT:
    char class_name[] = "Apache2::RequestRec";
    spawn_perl_asked asked;
    request_rec *r;
    int endpoint;
  CODE:
    r = modperl_xs_sv2request_rec(aTHX_ self, class_name, cv);
    if (!r)
        Perl_croak(aTHX_ "%s needs a request: $r->%s(...)",
                   GvNAME(CvGV(cv)), GvNAME(CvGV(cv)));
    endpoint = perl_api->httpd_endpoint(aTHX_ r->server);
    asked_by(r, &asked);
    RETVAL = perl_api->submit(aTHX_ endpoint, &ST(1), items - 1, &asked,
                               (spawn_perl_verb)ix,
                               perl_api->want_later(GIMME_V));
  OUTPUT:
    RETVAL

SV *
spawn_cleanup(self, ...)
    SV *self
  PREINIT:
    char class_name[] = "Apache2::RequestRec";
    request_rec *r;
    int endpoint;
  CODE:
    r = modperl_xs_sv2request_rec(aTHX_ self, class_name, cv);
    if (!r)
        Perl_croak(aTHX_ "spawn_cleanup needs a request: "
                         "$r->spawn_cleanup(...)");
    endpoint = perl_api->httpd_endpoint(aTHX_ r->server);
    RETVAL = perl_api->cleanup(aTHX_ endpoint, &ST(1), items - 1,
                                cleanup_later, r);
  OUTPUT:
    RETVAL

MODULE = Apache2::Spawn::Httpd    PACKAGE = Apache2::Spawn::Httpd

# request and queue may be undef
bool
_refuses(self, queue, variable)
    SV *self
    SV *queue
    const char *variable
  PREINIT:
    char class_name[] = "Apache2::RequestRec";
    request_rec *r;
  CODE:
    r = SvOK(self) ? modperl_xs_sv2request_rec(aTHX_ self, class_name, cv)
                   : NULL;
    RETVAL = find_module()
             && queue_refuses(r, SvOK(queue) ? SvPV_nolen(queue) : NULL,
                              variable);
  OUTPUT:
    RETVAL

MODULE = Apache2::Spawn::Httpd    PACKAGE = Apache2::Spawn::Cleanup

void
_handlers(self)
    SV *self
  PREINIT:
    char class_name[] = "Apache2::RequestRec";
    const apr_array_header_t *handlers;
    request_rec *r;
    int i;
  PPCODE:
    r = modperl_xs_sv2request_rec(aTHX_ self, class_name, cv);
    handlers = r ? cleanup_handlers(r) : NULL;
    for (i = 0; handlers && i < handlers->nelts; i++)
        mXPUSHp(APR_ARRAY_IDX(handlers, i, const char *),
                strlen(APR_ARRAY_IDX(handlers, i, const char *)));

# mod_perl's own makes a proxy's request of one with a whole URI
int
_proxyreq(self)
    SV *self
  PREINIT:
    char class_name[] = "Apache2::RequestRec";
    const request_rec *r;
  CODE:
    r = modperl_xs_sv2request_rec(aTHX_ self, class_name, cv);
    RETVAL = r ? r->proxyreq : 0;
  OUTPUT:
    RETVAL
