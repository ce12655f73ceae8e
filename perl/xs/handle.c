/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn::Job: a handle on a job that the broker knows. Runs in
 * callers.
 *
 * The object is a string, its id, so that making one costs next to nothing and
 * any serializer can carry it to another process. Its broker is noted as magic,
 * which does not travel: in another process that process's own broker is asked.
 * The magic also has what resubmit needs, only where a submit has failed. A
 * scalar may have been blessed by somebody else: its id must be checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perl/xs/spawn_perl.h"

/* In the private number of our magic: the endpoint's index, and this. */
#define OBJECTS (1u << 15) /* objects may be in the result */

/* ---- what resubmit sends ---- */

/* In a forked child the numbers are left alone: there a file that the child has
 * opened cannot be told from its parent's. */
static void close_kept(spawn_perl_resubmit_data *kept)
{
    unsigned i;

    for (i = 0; i < kept->fds_count && kept->pid == getpid(); i++)
        spawn_fd_close(&kept->fds[i]);
}

spawn_perl_resubmit_data *spawn_perl_keep(spawn_perl_job *job, uint32_t wait_ms)
{
    spawn_perl_resubmit_data *kept = calloc(1, sizeof(*kept));
    unsigned i;

    if (!kept)
        return NULL;
    kept->references = 1;
    kept->wait_ms = wait_ms;
    for (i = 0; i < job->fds_count; i++) {
        int fd = fcntl(job->fds[i], F_DUPFD_CLOEXEC, 3);

        if (fd < 0) {
            close_kept(kept);
            free(kept);
            return NULL;
        }
        spawn_fd_keep(&kept->fds[i], fd);
        kept->fds_count = i + 1;
    }
    kept->pid = getpid();
    kept->w = job->w;
    spawn_writer_init(&job->w, job->w.limit);
    return kept;
}

static int kept_free(pTHX_ SV *sv, MAGIC *mg)
{
    spawn_perl_resubmit_data *kept = (spawn_perl_resubmit_data *)mg->mg_ptr;

    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_ARG(sv);
    if (!kept || __atomic_sub_fetch(&kept->references, 1, __ATOMIC_ACQ_REL) > 0)
        return 0;
    spawn_writer_free(&kept->w);
    close_kept(kept);
    free(kept);
    return 0;
}

static int kept_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *params)
{
    spawn_perl_resubmit_data *kept = (spawn_perl_resubmit_data *)mg->mg_ptr;

    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_ARG(params);
    if (kept)
        (void)__atomic_add_fetch(&kept->references, 1, __ATOMIC_ACQ_REL);
    return 0;
}

static const MGVTBL job_magic = {NULL,      NULL, NULL,     NULL,
                                 kept_free, NULL, kept_dup, NULL};

/* ---- the object ---- */

SV *spawn_perl_handle(pTHX_ int endpoint, const spawn_id *id, bool objects,
                      spawn_perl_resubmit_data *kept)
{
    char text[SPAWN_ID_TEXT];
    SV *inner, *ret;
    MAGIC *mg;

    TAINT_NOT; /* the id is clean, whatever the job was given */
    inner = newSVpvn(spawn_id_format(id, text), SPAWN_ID_TEXT - 1);
    ret = newRV_noinc(inner);
    sv_bless(ret, gv_stashpvs(SPAWN_PERL_JOB, GV_ADD));
    mg = sv_magicext(inner, NULL, PERL_MAGIC_ext, &job_magic,
                     (const char *)kept, 0);
    mg->mg_private = (U16)((unsigned)endpoint | (objects ? OBJECTS : 0));
    mg->mg_flags |= MGf_DUP;
    SvREADONLY_on(inner);
    return ret;
}

/* The magic of a Job that was made in this process, or NULL. */
static const MAGIC *magic_of(SV *self)
{
    return SvTYPE(SvRV(self)) >= SVt_PVMG
               ? mg_findext(SvRV(self), PERL_MAGIC_ext, &job_magic)
               : NULL;
}

/* The id that is in it; throws when self is no Job. */
static const MAGIC *read_job(pTHX_ SV *self, spawn_id *ret_id)
{
    SvGETMAGIC(self);
    if (!SvROK(self) || !sv_derived_from(self, SPAWN_PERL_JOB)
        || !SvPOK(SvRV(self)) || SvCUR(SvRV(self)) != SPAWN_ID_TEXT - 1
        || spawn_id_parse(SvPVX(SvRV(self)), ret_id) < 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "not an Apache2::Spawn::Job: wanted: what spawn or "
                          "Apache2::Spawn->job($id) gives");
    return magic_of(self);
}

void spawn_perl_id_of(pTHX_ SV *self, spawn_id *ret_id)
{
    (void)read_job(aTHX_ self, ret_id);
}

int spawn_perl_handle_of(pTHX_ SV *self, spawn_id *ret_id)
{
    const MAGIC *mg = read_job(aTHX_ self, ret_id);
    int endpoint = mg ? (int)(mg->mg_private & ~OBJECTS)
                      : spawn_perl_own_endpoint(aTHX_ true);
    spawn_failure why;

    if (spawn_perl_client(endpoint, NULL))
        return endpoint;
    spawn_failure_set(&why, SPAWN_E_UNREACHABLE, SPAWN_STEP_CONNECT, 0,
                      "the connections are closed: this perl ends");
    spawn_perl_throw(aTHX_ & why, NULL);
}

bool spawn_perl_handle_objects(pTHX_ SV *self)
{
    spawn_id id;
    const MAGIC *mg = read_job(aTHX_ self, &id);

    return mg && mg->mg_private & OBJECTS;
}

/* ---- resubmit ---- */

/* A copy of the message for each sending, which writes its number into it.
 * Without a message the submit was answered: another job is kept, and the
 * handle is that one's. */
static int send_kept(const spawn_perl_resubmit_data *kept, int endpoint,
                     const spawn_id *id, spawn_failure *why)
{
    int fds[SPAWN_JOB_FDS_MAX];
    char text[SPAWN_ID_TEXT];
    spawn_id other = *id;
    spawn_writer w;
    unsigned i;
    int rv;

    if (kept->w.length == 0)
        return 0;
    for (i = 0; i < kept->fds_count; i++) {
        fds[i] = spawn_fd_kept(&kept->fds[i]);
        if (fds[i] >= 0)
            continue;
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_FDS, EBADF,
                          "resubmit: this process has closed a handle of the "
                          "job");
        return -1;
    }
    rv = spawn_writer_copy(&w, &kept->w);
    if (rv < 0) {
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_OPTIONS, -rv,
                          "the job could not be written down: %s",
                          strerror(-rv));
        return -1;
    }
    rv = spawn_client_submit(spawn_perl_client(endpoint, NULL), &w, fds,
                             kept->fds_count, kept->wait_ms, &other, NULL, why);
    if (!spawn_id_equal(&other, id)) {
        spawn_failure_set(why, SPAWN_E_NOT_UNIQUE, SPAWN_STEP_QUEUE, 0,
                          "job %s has the unique key, and is kept",
                          spawn_id_format(&other, text));
        rv = -1;
    }
    spawn_writer_free(&w);
    return rv;
}

void spawn_perl_resubmit(pTHX_ SV *self)
{
    spawn_failure why;
    spawn_id id;
    const MAGIC *mg;
    sigset_t before;
    int endpoint, rv;

    spawn_perl_enter(aTHX);
    spawn_perl_hold(aTHX_ self);
    endpoint = spawn_perl_handle_of(aTHX_ self, &id);
    mg = magic_of(self);
    if (!mg || !mg->mg_ptr)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "resubmit: there is nothing to send again: the "
                          "submit of this job was answered, or it was bound "
                          "to its request (until)");
    spawn_perl_signals_off(&before);
    rv = send_kept((const spawn_perl_resubmit_data *)mg->mg_ptr, endpoint, &id,
                   &why);
    spawn_perl_signals_on(&before);
    if (rv < 0 && why.code != SPAWN_E_TIMED_OUT)
        spawn_perl_throw(aTHX_ & why, newSVsv(self));
    LEAVE;
}
