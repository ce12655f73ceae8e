/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn::Process: the methods that are called often, and the outbox of
 * an object. Runs in callers. A call that is not plain goes to the Perl method
 * of the same name with a line before it, which says what is wrong. Must leave
 * errno to the caller as it was.
 */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>

#include "perl/xs/process/passed.h"
#include "perl/xs/process/queue.h"

#define CMD_REQUIRE 'q'
#define CMD_EVAL    'e'
#define CMD_ARGS    'a'
#define CMD_HANDLE  'h'
#define CMD_FORK    'f'
#define CMD_RUN     'r'

/* How long a method waits for the process, without the option; seconds. */
#define DEADLINE 60

/* Call a method of the class with the arguments that stand on Perl's stack from
 * there on. Its values take their place. */
static void pass_on(pTHX_ SV **sp, I32 count, const char *function,
                    U8 context)
{
    PUSHMARK(SP);
    SP += count;
    PUTBACK;
    (void)call_pv(function, context);
}

/* Something has been added: send it, or have a loop send it. */
static void added(pTHX_ SV *self)
{
    dSP;

    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    XPUSHs(self);
    PUTBACK;
    (void)call_pv("Apache2::Spawn::Process::_added", G_VOID | G_DISCARD);
    FREETMPS;
    LEAVE;
}

/* A message; a descriptor that rides on it, or -1, is the outbox's from now
 * on. */
static void append(pTHX_ spawn_outbox *o, char letter, SV *body, int fd)
{
    size_t begin = o->length;
    const char *bytes;
    STRLEN length;
    char *at;

    bytes = SvPV(body, length);
    at = spawn_outbox_message(o, letter, length);
    if (!at || (fd >= 0 && spawn_outbox_ride(o, begin, fd, true) < 0))
        croak("Out of memory");
    memcpy(at, bytes, length);
}

/* Two ends of a socket: a handle that does not block, and a number. NULL, and
 * errno. */
static SV *pair(pTHX_ int *ret_theirs)
{
    int fds[2];
    SV *own;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return NULL;
    (void)fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK);
    own = spawn_process_socket(aTHX_ fds[0]);
    if (own)
        *ret_theirs = fds[1];
    else
        (void)close(fds[1]);
    return own;
}

/* An object; its socket and the deadline are taken over. Its fields are
 * described at _object of the Perl module. */
static SV *object(pTHX_ HV *stash, SV *socket, SV *deadline)
{
    HV *hv = newHV();
    SV *ret = newRV_noinc((SV *)hv);

    (void)hv_stores(hv, "in", newSVpvs(""));
    (void)hv_stores(hv, "fh", socket);
    (void)hv_stores(hv, "deadline", deadline);
    return sv_bless(ret, stash);
}

/* For a copy of another one. */
static SV *copy_of(pTHX_ SV *self, SV *socket)
{
    HV *from = (HV *)SvRV(self), *hv;
    SV **deadline = hv_fetchs(from, "deadline", 0);
    SV *ret = object(aTHX_ SvSTASH((SV *)from), socket,
                     newSVsv(deadline ? *deadline : &PL_sv_undef));
    SV **on_error = hv_fetchs(from, "on_error", 0);

    hv = (HV *)SvRV(ret);
    (void)hv_stores(hv, "forked", newSViv(1));
    (void)hv_stores(hv, "from", newRV_inc((SV *)from));
    if (on_error && SvOK(*on_error))
        (void)hv_stores(hv, "on_error", newSVsv(*on_error));
    (void)spawn_process_begin(aTHX_ ret);
    return ret;
}

/* The only option that a plain new has: via, or the class when it has none; NULL:
 * it is not plain. */
static SV *plain_via(pTHX_ SV **options, I32 count)
{
    SV *via;

    if (count == 0)
        return sv_2mortal(newSVpvs("Apache2::Spawn"));
    if (count != 2 || !SvPOK(options[0]) || strNE(SvPVX(options[0]), "via"))
        return NULL;
    via = options[1];
    return !SvGMAGICAL(via) && sv_derived_from(via, "Apache2::Spawn") ? via
                                                                      : NULL;
}

/* For a new one, whose job is sent later: it has both ends of the socket. */
static SV *new_of(pTHX_ HV *stash, SV *socket, int other, SV *submit, SV *via)
{
    SV *ret = object(aTHX_ stash, socket, newSViv(DEADLINE));
    HV *hv = (HV *)SvRV(ret);
    spawn_outbox *o;

    (void)hv_stores(hv, "unsent", newSVsv(submit));
    (void)hv_stores(hv, "via", newSVsv(via));
    o = spawn_process_begin(aTHX_ ret);
    o->other = other;
    o->pid = getpid();
    return ret;
}

static bool loop_in_use(pTHX)
{
    SV *model = get_sv("AnyEvent::MODEL", 0);

    return model && SvPOK(model) && SvCUR(model) > 0;
}

/* run in a loop that has sent nothing of the object yet: a socket that can be
 * written to has the loop come by at once, so all that it has to do is noted.
 * False: nothing is done. */
static bool run_later(pTHX_ SV *self, spawn_outbox *o, SV *function, SV *code)
{
    HV *hv = (HV *)SvRV(self);
    SV **deadline = hv_fetchs(hv, "deadline", 0);
    AV *then, *place;
    struct timespec now;
    const char *file;
    long line;

    if (SvGMAGICAL(code) || !SvROK(code) || SvTYPE(SvRV(code)) != SVt_PVCV
        || SvOBJECT(SvRV(code)) || !deadline)
        return false;
    file = spawn_process_place(aTHX_ & line);
    if (!file || !spawn_process_name(aTHX_ o, CMD_RUN, function))
        return false;
    o->closed = true;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    place = newAV();
    av_push(place, newSVpv(file, 0));
    av_push(place, newSViv(line));
    then = newAV();
    av_push(then, newSVsv(code));
    av_push(then, newRV_noinc((SV *)place));
    av_push(then, newSVnv((NV)now.tv_sec + (NV)now.tv_nsec / 1e9
                          + SvNV(*deadline)));
    (void)hv_stores(hv, "then", newRV_noinc((SV *)then));
    (void)hv_stores(hv, "gone", newSVpvs("run was called"));
    return true;
}

MODULE = Apache2::Spawn::Process    PACKAGE = Apache2::Spawn::Process

PROTOTYPES: DISABLE

void
send_arg(self, ...)
    SV *self
  ALIAS:
    eval = 1
    require = 2
    send_fh = 3
  PREINIT:
    static const char *const slow[] = {
        "Apache2::Spawn::Process::_send_arg", "Apache2::Spawn::Process::_eval",
        "Apache2::Spawn::Process::_require",
        "Apache2::Spawn::Process::_send_fh"};
    static const char letters[] = {CMD_ARGS, CMD_EVAL, CMD_REQUIRE, CMD_HANDLE};
    spawn_outbox *o;
    SV **args;
    SSize_t count;
    bool done;
    dSAVE_ERRNO;
  PPCODE:
    o = spawn_process_open(aTHX_ self);
    args = &ST(1);
    count = items - 1;
    if (!o || (TAINTING_get && (ix == 1 || ix == 2)))
        done = false;
    else if (ix == 3) /* without a loop they are sent before it returns */
        done = o->watched
               && spawn_process_handles(aTHX_ o, letters[ix], args, count);
    else
        done = (ix != 1 || count > 0)
               && (ix != 2 || spawn_process_modules(aTHX_ args, count))
               && spawn_process_texts(aTHX_ o, letters[ix], args, count,
                                      ix != 0, ix == 0);
    if (!done) {
        RESTORE_ERRNO;
        pass_on(aTHX_ SP, items, slow[ix], G_SCALAR);
        return;
    }
    if (!o->watched)
        added(aTHX_ self);
    RESTORE_ERRNO;
    XSRETURN(1); /* the object */

void
run(self, ...)
    SV *self
  PREINIT:
    spawn_outbox *o;
    dSAVE_ERRNO;
  PPCODE:
    o = spawn_process_open(aTHX_ self);
    if (items != 3 || !o || o->begun || TAINTING_get
        || (!o->watched && !loop_in_use(aTHX))
        || !run_later(aTHX_ self, o, ST(1), ST(2))) {
        RESTORE_ERRNO;
        pass_on(aTHX_ SP, items, "Apache2::Spawn::Process::_run", GIMME_V);
        return;
    }
    if (!o->watched)
        added(aTHX_ self);
    RESTORE_ERRNO;
    XSRETURN_EMPTY;

void
_begin_outbox(self)
    SV *self
  CODE:
    (void)spawn_process_begin(aTHX_ self);

bool
_pending(self)
    SV *self
  CODE:
    RETVAL = spawn_outbox_pending(spawn_process_outbox(aTHX_ self));
  OUTPUT:
    RETVAL

bool
_begun(self)
    SV *self
  CODE:
    RETVAL = spawn_process_outbox(aTHX_ self)->begun;
  OUTPUT:
    RETVAL

void
_watched(self, watched)
    SV *self
    bool watched
  CODE:
    spawn_process_outbox(aTHX_ self)->watched = watched;

void
_close_outbox(self)
    SV *self
  CODE:
    spawn_process_outbox(aTHX_ self)->closed = true;

void
_empty_outbox(self)
    SV *self
  CODE:
    spawn_outbox_clear(spawn_process_outbox(aTHX_ self));

void
_append(self, letter, body)
    SV *self
    const char *letter
    SV *body
  CODE:
    append(aTHX_ spawn_process_outbox(aTHX_ self), *letter, body, -1);

# A handle, or with own a duplicate of it. False, and $!: there is none.
bool
_append_handle(self, fd, own)
    SV *self
    int fd
    bool own
  CODE:
    if (own)
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0
        && spawn_outbox_handle(spawn_process_outbox(aTHX_ self), CMD_HANDLE, fd,
                               own)
               < 0)
        croak("Out of memory");
    RETVAL = fd >= 0;
  OUTPUT:
    RETVAL

# True when all is sent; else $! says why not.
bool
_send_outbox(self, fd)
    SV *self
    int fd
  PREINIT:
    int rv;
  CODE:
    rv = spawn_outbox_send(spawn_process_outbox(aTHX_ self), fd);
    if (rv < 0)
        errno = -rv;
    RETVAL = rv == 0;
  OUTPUT:
    RETVAL

# A handle that does not block, and the number of the other end; or nothing, and $!.
void
_socketpair()
  PREINIT:
    int theirs;
    SV *own;
  PPCODE:
    own = pair(aTHX_ & theirs);
    if (!own)
        XSRETURN_EMPTY;
    EXTEND(SP, 2);
    mPUSHs(own);
    mPUSHi(theirs);

# A new object of this one's class, for the copy that it is asked for; undef, and $!. With
# closed also when nothing can be sent any more.
SV *
_ask_for_copy(self, body, closed)
    SV *self
    SV *body
    bool closed
  PREINIT:
    spawn_outbox *o;
    int theirs;
    SV *own = NULL;
    dSAVE_ERRNO;
  CODE:
    o = spawn_process_outbox(aTHX_ self);
    if (closed || !o->closed)
        own = pair(aTHX_ & theirs);
    if (own) {
        append(aTHX_ o, CMD_FORK, body, theirs);
        RETVAL = copy_of(aTHX_ self, own);
        RESTORE_ERRNO;
    }
    else
        RETVAL = &PL_sv_undef;
  OUTPUT:
    RETVAL

int
_deadline()
  CODE:
    RETVAL = DEADLINE;
  OUTPUT:
    RETVAL

# A new object, given the class and the options, whose job is sent later. undef: it is not
# plain, or there is no socket.
SV *
_new_plain(submit, class_name, ...)
    SV *submit
    SV *class_name
  PREINIT:
    SV *own, *via;
    int theirs;
    dSAVE_ERRNO;
  CODE:
    via = plain_via(aTHX_ & ST(2), items - 2);
    own = via ? pair(aTHX_ & theirs) : NULL;
    RETVAL = own ? new_of(aTHX_ SvROK(class_name) && SvOBJECT(SvRV(class_name))
                              ? SvSTASH(SvRV(class_name))
                              : gv_stashsv(class_name, GV_ADD),
                          own, theirs, submit, via)
                 : &PL_sv_undef;
    RESTORE_ERRNO;
  OUTPUT:
    RETVAL

# The other end of its socket, once, and for who made it: a forked child has a copy. undef,
# and $!: there is none.
SV *
_other_end(self)
    SV *self
  PREINIT:
    spawn_outbox *o;
    int fd;
  CODE:
    o = spawn_process_outbox(aTHX_ self);
    fd = o->pid == getpid() ? o->other : -1;
    if (fd >= 0)
        o->other = -1;
    errno = EBADF;
    RETVAL = fd >= 0 ? spawn_process_socket(aTHX_ fd) : NULL;
    if (!RETVAL)
        RETVAL = &PL_sv_undef;
  OUTPUT:
    RETVAL

# A handle for a socket that is ours; undef, and $!, and the socket is closed.
SV *
_handle(fd)
    int fd
  CODE:
    RETVAL = spawn_process_socket(aTHX_ fd);
    if (!RETVAL)
        RETVAL = &PL_sv_undef;
  OUTPUT:
    RETVAL

# Up to so many bytes into the buffer; how many, and a handle that came with them.
# Nothing, and $!: an error.
void
_receive(fd, buffer, length)
    int fd
    SV *buffer
    UV length
  PREINIT:
    int fds[SPAWN_PASSED_MOST];
    unsigned count = 0;
    STRLEN had;
    SV *handle;
    long got;
    char *at;
  PPCODE:
    if (!SvOK(buffer))
        sv_setpvs(buffer, "");
    (void)SvPV_force(buffer, had);
    at = SvGROW(buffer, had + length + 1) + had;
    got = spawn_passed_receive(fd, at, length, fds, &count);
    if (got < 0) {
        errno = (int)-got;
        XSRETURN_EMPTY;
    }
    SvCUR_set(buffer, had + (STRLEN)got);
    *SvEND(buffer) = '\0';
    SvTAINTED_on(buffer);
    EXTEND(SP, 2);
    mPUSHi(got);
    while (count > 1)
        (void)close(fds[--count]);
    if (count) {
        (void)fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK);
        handle = spawn_process_socket(aTHX_ fds[0]);
        if (handle)
            mPUSHs(handle);
    }
