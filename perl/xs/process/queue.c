/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From Perl values to an outbox, the short way. Runs in callers. Must run none
 * of the user's code but the layers of a handle that is flushed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "perl/xs/process/queue.h"

#define AT_ONCE 64 /* handles; more are added one by one */

/* ---- the object ---- */

static int lose(pTHX_ SV *sv, MAGIC *mg)
{
    spawn_outbox *o = (spawn_outbox *)(void *)mg->mg_ptr;

    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(sv);
    spawn_outbox_clear(o);
    Safefree(o);
    return 0;
}

#ifdef USE_ITHREADS
/* The object in another interpreter sends what is left on its own. The other
 * end of a socket stays with the first. */
static int copy(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
    const spawn_outbox *from = (const spawn_outbox *)(void *)mg->mg_ptr;
    spawn_outbox *o;
    size_t i;

    PERL_UNUSED_VAR(param);
    Newx(o, 1, spawn_outbox);
    spawn_outbox_init(o);
    o->begun = from->begun;
    o->closed = from->closed;
    if (spawn_outbox_pending(from)) {
        size_t left = from->length - from->sent;
        /* the message is cut off again: what stands there are messages */
        char *at = spawn_outbox_message(o, 0, left);

        if (!at)
            croak("Out of memory");
        memmove(o->data, from->data + from->sent, left);
        o->length = left;
    }
    for (i = from->riders_sent; i < from->riders_count; i++) {
        const spawn_outbox_rider *rider = &from->riders[i];
        int fd = fcntl(rider->fd, F_DUPFD_CLOEXEC, 3);

        if (spawn_outbox_ride(o, rider->at - from->sent - SPAWN_OUTBOX_HEAD, fd,
                              true)
            < 0)
            croak("Out of memory");
    }
    mg->mg_ptr = (char *)o;
    return 0;
}
#endif

static const MGVTBL outbox_vtbl = {
    .svt_free = lose,
#ifdef USE_ITHREADS
    .svt_dup = copy,
#endif
};

static spawn_outbox *outbox_of(pTHX_ SV *self)
{
    MAGIC *mg;

    PERL_UNUSED_CONTEXT;
    if (!SvROK(self) || SvTYPE(SvRV(self)) != SVt_PVHV)
        return NULL;
    mg = mg_findext(SvRV(self), PERL_MAGIC_ext, &outbox_vtbl);
    return mg ? (spawn_outbox *)(void *)mg->mg_ptr : NULL;
}

spawn_outbox *spawn_process_begin(pTHX_ SV *self)
{
    spawn_outbox *o;
    MAGIC *mg;

    if (!SvROK(self) || SvTYPE(SvRV(self)) != SVt_PVHV || outbox_of(aTHX_ self))
        croak("not a new object of Apache2::Spawn::Process");
    Newx(o, 1, spawn_outbox);
    spawn_outbox_init(o);
    mg = sv_magicext(SvRV(self), NULL, PERL_MAGIC_ext, &outbox_vtbl, (char *)o,
                     0);
#ifdef USE_ITHREADS
    mg->mg_flags |= MGf_DUP;
#else
    PERL_UNUSED_VAR(mg);
#endif
    return o;
}

spawn_outbox *spawn_process_outbox(pTHX_ SV *self)
{
    spawn_outbox *o = outbox_of(aTHX_ self);

    if (!o)
        croak("not an object of Apache2::Spawn::Process");
    return o;
}

spawn_outbox *spawn_process_open(pTHX_ SV *self)
{
    spawn_outbox *o = outbox_of(aTHX_ self);

    return o && !o->closed ? o : NULL;
}

/* ---- strings ---- */

/* Bytes, of which nothing is to be asked but themselves. */
static bool is_plain(SV *sv)
{
    return !SvGMAGICAL(sv) && !SvROK(sv) && !SvUTF8(sv)
           && SvTYPE(sv) <= SVt_PVMG && SvTYPE(sv) != SVt_REGEXP;
}

static bool is_ours(const char *package)
{
    static const char name[] = "Apache2::Spawn::Process";

    if (strncmp(package, name, sizeof(name) - 1) != 0)
        return false;
    package += sizeof(name) - 1;
    return !*package || strcmp(package, "::Failure") == 0
           || strcmp(package, "::Loop") == 0;
}

const char *spawn_process_place(pTHX_ long *ret_line)
{
    const char *file = CopFILE(PL_curcop), *package = CopSTASHPV(PL_curcop);

    if (!file || !package || is_ours(package))
        return NULL;
    *ret_line = (long)CopLINE(PL_curcop);
    return file;
}

/* 0: Perl has to look. */
static size_t place_of(pTHX_ char *room, size_t size)
{
    long line;
    const char *file = spawn_process_place(aTHX_ & line);
    int length;

    if (!file)
        return 0;
    length = snprintf(room, size, "at %s line %ld", file, line);
    return length < 0 || (size_t)length >= size ? 0 : (size_t)length;
}

static char *put(char *at, const char *bytes, size_t length)
{
    at[0] = (char)(length >> 24);
    at[1] = (char)(length >> 16);
    at[2] = (char)(length >> 8);
    at[3] = (char)length;
    memcpy(at + 4, bytes, length);
    return at + 4 + length;
}

bool spawn_process_texts(pTHX_ spawn_outbox *o, char letter, SV **args,
                         SSize_t count, bool place, bool more)
{
    char where[512];
    size_t total = 0, where_length = 0;
    const char *bytes;
    STRLEN length;
    SSize_t i;
    char *at;

    if (place) {
        where_length = place_of(aTHX_ where, sizeof(where));
        if (!where_length)
            return false;
        total = 4 + where_length;
    }
    for (i = 0; i < count; i++) {
        if (!is_plain(args[i]))
            return false;
        length = 0;
        if (SvOK(args[i]))
            (void)SvPV_nomg(args[i], length);
        if (length > SPAWN_OUTBOX_MOST)
            return false;
        total += 4 + length;
    }
    if (total > SPAWN_OUTBOX_MOST)
        return false;
    at = more ? spawn_outbox_texts(o, letter, total)
              : spawn_outbox_message(o, letter, total);
    if (!at)
        croak("Out of memory");
    if (place)
        at = put(at, where, where_length);
    for (i = 0; i < count; i++) {
        length = 0;
        bytes = SvOK(args[i]) ? SvPV_nomg(args[i], length) : "";
        at = put(at, bytes, length);
    }
    return true;
}

bool spawn_process_name(pTHX_ spawn_outbox *o, char letter, SV *name)
{
    STRLEN length;
    const char *bytes;
    char *at;

    if (!is_plain(name) || !SvPOK(name))
        return false;
    bytes = SvPV_nomg(name, length);
    if (!length || length > SPAWN_OUTBOX_MOST)
        return false;
    at = spawn_outbox_message(o, letter, length);
    if (!at)
        croak("Out of memory");
    memcpy(at, bytes, length);
    return true;
}

bool spawn_process_modules(pTHX_ SV **args, SSize_t count)
{
    SSize_t i;

    for (i = 0; i < count; i++) {
        const char *p, *end;
        STRLEN length;
        bool begins = true;

        if (!is_plain(args[i]) || !SvPOK(args[i]))
            return false;
        p = SvPV_nomg(args[i], length);
        end = p + length;
        if (!length || (*p >= '0' && *p <= '9'))
            return false;
        for (; p < end; p++) {
            if (*p == ':') {
                if (begins || p + 1 >= end || p[1] != ':')
                    return false;
                p++;
                begins = true;
            }
            else if (isWORDCHAR_A(*p))
                begins = false;
            else
                return false;
        }
        if (begins)
            return false;
    }
    return true;
}

/* ---- handles ---- */

/* A handle that has a descriptor, and no code of its own that is to be asked.
 */
static IO *plain_io(pTHX_ SV *sv)
{
    IO *io;

    if (SvGMAGICAL(sv) || !SvROK(sv) || SvAMAGIC(sv))
        return NULL;
    sv = SvRV(sv);
    if (isGV_with_GP(sv))
        io = GvIO((GV *)sv);
    else
        io = SvTYPE(sv) == SVt_PVIO ? (IO *)sv : NULL;
    if (!io || !IoIFP(io)
        || (SvRMAGICAL((SV *)io) && mg_find((SV *)io, PERL_MAGIC_tiedscalar)))
        return NULL;
    return io;
}

bool spawn_process_handles(pTHX_ spawn_outbox *o, char letter, SV **args,
                           SSize_t count)
{
    int fds[AT_ONCE];
    SSize_t i;

    if (count > AT_ONCE)
        return false;
    for (i = 0; i < count; i++) {
        IO *io = plain_io(aTHX_ args[i]);

        if (!io || PerlIO_fileno(IoIFP(io)) < 0)
            return false;
    }
    for (i = 0; i < count; i++) {
        IO *io = plain_io(aTHX_ args[i]);

        if (io && IoOFP(io))
            (void)PerlIO_flush(IoOFP(io)); /* printed text comes first */
        fds[i] = io && IoIFP(io)
                     ? fcntl(PerlIO_fileno(IoIFP(io)), F_DUPFD_CLOEXEC, 3)
                     : -1;
        if (fds[i] >= 0)
            continue;
        while (i > 0)
            (void)close(fds[--i]);
        return false;
    }
    for (i = 0; i < count; i++) {
        if (spawn_outbox_handle(o, letter, fds[i], true) < 0)
            croak("Out of memory");
    }
    return true;
}

SV *spawn_process_socket(pTHX_ int fd)
{
    GV *gv = (GV *)newSV(0);
    SV *ref = newRV_noinc((SV *)gv);
    IO *io;

    gv_init_pvn(gv, gv_stashpvs("Apache2::Spawn::Process", GV_ADD), "socket", 6,
                0);
    io = GvIOn(gv);
    IoIFP(io) = PerlIO_fdopen(fd, "r");
    IoOFP(io) = PerlIO_fdopen(fd, "w");
    IoTYPE(io) = IoTYPE_SOCKET;
    if (!IoIFP(io) || !IoOFP(io)) {
        if (!IoIFP(io) && !IoOFP(io))
            (void)close(fd);
        SvREFCNT_dec(ref); /* closes what there is */
        return NULL;
    }
    return ref;
}
