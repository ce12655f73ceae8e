/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handle on a program that runs as a job: a PerlIO layer in the place of
 * ":perlio", whose close waits for the job and gives $? its status, as that of
 * a handle of Perl's open '-|' does. Runs in callers. Must wait for nothing in
 * a forked child, in a cloned interpreter, or in one that ends.
 *
 * Why a layer and not a tied handle: all else stays Perl's own (fileno, select,
 * binmode, eof, $., sysread, dup), at its speed; and Perl closes it by itself
 * when the last reference goes or the handle is opened anew.
 */
#include <errno.h>
#include <unistd.h>

#include "perl/xs/spawn_perl.h"

#include "perliol.h"

typedef struct {
    PerlIOBuf base; /* first: PerlIO takes ours for it */
    SV *job;        /* an Apache2::Spawn::Job; NULL: nothing to wait for */
    pid_t owner;
} program_handle;

#define WAIT_FOR "Apache2::Spawn::Instead::_end_of"

/* The job's wait status. From an explicit close a signal handler of Perl's may
 * die through us, as through Perl's own. */
static int wait_for(pTHX_ SV *job, bool explicit_close)
{
    int status = -1;
    dSP;

    ENTER;
    SAVETMPS;
    PUSHSTACKi(PERLSI_MAGIC);
    PUSHMARK(SP);
    XPUSHs(sv_2mortal(job));
    PUTBACK;
    if (call_pv(WAIT_FOR, G_SCALAR | (explicit_close ? 0 : G_EVAL | G_KEEPERR))
        == 1) {
        SPAGAIN;
        if (SvOK(TOPs))
            status = (int)SvIV(TOPs);
    }
    POPSTACK;
    FREETMPS;
    LEAVE;
    return status;
}

/* Perl sets $? only where the program has said close. */
static IV handle_close(pTHX_ PerlIO *f)
{
    program_handle *h = PerlIOSelf(f, program_handle);
    bool explicit_close = PL_op && PL_op->op_type == OP_CLOSE;
    IV rv = PerlIOBuf_close(aTHX_ f);
    int error = errno, status;
    SV *job = h->job;

    h->job = NULL;
    if (!job)
        return rv;
    if (PL_dirty || h->owner != getpid()) {
        SvREFCNT_dec(job);
        return rv;
    }
    status = wait_for(aTHX_ job, explicit_close);
    if (rv != 0)
        status = -1; /* not all of it was written */
    errno = rv != 0 ? error : status == -1 ? ECHILD : 0;
    if (explicit_close)
        STATUS_NATIVE_CHILD_SET(status);
    return status == -1 || (explicit_close && status != 0) ? -1 : 0;
}

static IV handle_popped(pTHX_ PerlIO *f)
{
    program_handle *h = PerlIOSelf(f, program_handle);

    SvREFCNT_dec(h->job);
    h->job = NULL;
    return PerlIOBuf_popped(aTHX_ f);
}

static const PerlIO_funcs layer = {sizeof(PerlIO_funcs),
                                   "spawn",
                                   sizeof(program_handle),
                                   PERLIO_K_BUFFERED | PERLIO_K_RAW,
                                   PerlIOBuf_pushed,
                                   handle_popped,
                                   PerlIOBuf_open,
                                   PerlIOBase_binmode,
                                   NULL, /* Getarg: a clone gets no job */
                                   PerlIOBase_fileno,
                                   PerlIOBuf_dup,
                                   PerlIOBuf_read,
                                   PerlIOBuf_unread,
                                   PerlIOBuf_write,
                                   PerlIOBuf_seek,
                                   PerlIOBuf_tell,
                                   handle_close,
                                   PerlIOBuf_flush,
                                   PerlIOBuf_fill,
                                   PerlIOBase_eof,
                                   PerlIOBase_error,
                                   PerlIOBase_clearerr,
                                   PerlIOBase_setlinebuf,
                                   PerlIOBuf_get_base,
                                   PerlIOBuf_bufsiz,
                                   PerlIOBuf_get_ptr,
                                   PerlIOBuf_get_cnt,
                                   PerlIOBuf_set_ptrcnt};

bool spawn_perl_program_handle(pTHX_ SV *glob, SV *job, bool writing)
{
    IO *io = sv_2io(glob);
    PerlIO *f = writing ? IoOFP(io) : IoIFP(io);
    program_handle *h;

    if (!PerlIOValid(f))
        return false;
    if (PerlIOBase(f)->tab == &PerlIO_perlio)
        PerlIO_pop(aTHX_ f); /* just opened: nothing is in its buffer */
    if (!PerlIO_push(aTHX_ f, (PerlIO_funcs *)(uintptr_t)&layer,
                     writing ? "w" : "r", NULL))
        return false;
    h = PerlIOSelf(f, program_handle);
    h->job = newSVsv(job);
    h->owner = getpid();
    return true;
}

void spawn_perl_child_status(pTHX_ int status)
{
    STATUS_NATIVE_CHILD_SET(status);
}
