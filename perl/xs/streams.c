/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options whose value is a stream or a set of handles. Runs in callers. Must
 * close no handle of Perl's.
 *
 * Only real descriptors can be passed to another process. STDIN and STDOUT as
 * mod_perl makes them (tied, or with its :Apache2 layer) have none, though
 * fileno may give a number; nor have handles in memory.
 */
#include <string.h>

#include "perl/xs/spawn_perl.h"

#include "perliol.h"
#include "common/spawn_field.h"

/* The IO behind what may be a handle, or NULL when it is something else. */
static IO *io_of(pTHX_ SV *sv, bool *ret_handle)
{
    PERL_UNUSED_CONTEXT;
    if (SvROK(sv))
        sv = SvRV(sv);
    *ret_handle = isGV_with_GP(sv) || SvTYPE(sv) == SVt_PVIO;
    if (isGV_with_GP(sv))
        return GvIO((GV *)sv);
    return SvTYPE(sv) == SVt_PVIO ? (IO *)sv : NULL;
}

static bool layer_of_httpd(PerlIO *f)
{
    for (; PerlIOValid(f); f = PerlIONext(f)) {
        if (PerlIOBase(f)->tab
            && strcmp(PerlIOBase(f)->tab->name, "Apache2") == 0)
            return true;
    }
    return false;
}

/* The descriptor of a handle; throws when there is none. */
static int descriptor(pTHX_ IO *io, bool writing, const char *what)
{
    PerlIO *f;
    int fd;

    if (io && SvRMAGICAL((SV *)io) && mg_find((SV *)io, PERL_MAGIC_tiedscalar))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s: a tied handle (as STDIN and STDOUT can be "
                          "under mod_perl) has no descriptor to pass",
                          what);
    f = !io ? NULL : writing && IoOFP(io) ? IoOFP(io) : IoIFP(io);
    if (!f)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID, "%s: the handle is not open",
                          what);
    if (layer_of_httpd(f))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s: this handle (STDIN or STDOUT under mod_perl) "
                          "is the client's connection and has no descriptor "
                          "to pass",
                          what);
    fd = PerlIO_fileno(f);
    if (fd < 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "%s: a handle in memory has no descriptor to pass; "
                          "%s",
                          what, writing ? "use 'capture'" : "use \\$data");
    if (writing)
        (void)PerlIO_flush(f); /* text that is printed already comes first */
    return fd;
}

/* Index of a descriptor of the message. */
static uint16_t add_fd(pTHX_ spawn_perl_job *job, int fd)
{
    if (job->fds_count == SPAWN_JOB_FDS_MAX)
        spawn_perl_refuse(aTHX_ SPAWN_E_TOO_BIG,
                          "fds: at most %d handles can go with a job",
                          SPAWN_JOB_FDS_MAX);
    job->fds[job->fds_count] = fd;
    return (uint16_t)job->fds_count++;
}

static void put_data(pTHX_ spawn_perl_job *job, SV *data)
{
    static const spawn_stdio from_data = {SPAWN_STDIO_DATA, 0, 0, ""};
    STRLEN length;
    const char *bytes =
        spawn_perl_bytes(aTHX_ data, &length, true, "stdin: the data");

    if (length > SPAWN_STDIN_MAX)
        spawn_perl_refuse(aTHX_ SPAWN_E_TOO_BIG,
                          "stdin: data of %lu bytes; at most %u MB go with a "
                          "job, more goes by a file or a handle",
                          (unsigned long)length, SPAWN_STDIN_MAX >> 20);
    spawn_put_stdio(&job->w, SPAWN_A_STDIN, &from_data);
    spawn_put_bytes(&job->w, SPAWN_A_STDIN_DATA, bytes, length);
}

void spawn_perl_put_stream(pTHX_ spawn_perl_job *job, const spawn_field *field,
                           SV *value)
{
    bool in = field->attr == SPAWN_A_STDIN;
    bool handle;
    IO *io;
    STRLEN length;
    const char *text;
    spawn_failure why;

    SvGETMAGIC(value);
    io = io_of(aTHX_ value, &handle);
    if (handle) {
        spawn_stdio passed = {SPAWN_STDIO_FD, 0, 0, ""};

        passed.fd = add_fd(aTHX_ job, descriptor(aTHX_ io, !in, field->name));
        spawn_put_stdio(&job->w, field->attr, &passed);
        return;
    }
    if (SvROK(value) && !SvAMAGIC(value) && SvTYPE(SvRV(value)) < SVt_PVAV) {
        if (!in)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "%s: a reference to a scalar is not filled; "
                              "use 'capture' and read %s of the result",
                              field->name, field->name);
        put_data(aTHX_ job, SvRV(value));
        return;
    }
    text = in ? spawn_perl_bytes(aTHX_ value, &length, false, field->name)
              : spawn_perl_word(aTHX_ value, &length, field->name);
    if (spawn_field_put_text(&job->w, field, text, &why) < 0) {
        length = strlen(why.text);
        (void)snprintf(why.text + length, sizeof(why.text) - length, "%s",
                       in ? "; a handle, or data by reference: \\$data"
                          : "; or a handle");
        spawn_perl_throw(aTHX_ & why, NULL);
    }
}

void spawn_perl_put_fds(pTHX_ spawn_perl_job *job, HV *fds)
{
    uint64_t pairs[2 * SPAWN_JOB_FDS_MAX];
    uint32_t used = 0;
    HE *he;

    (void)hv_iterinit(fds);
    while ((he = hv_iternext(fds)) != NULL) {
        STRLEN length;
        const char *name = spawn_perl_bytes(aTHX_ hv_iterkeysv(he), &length,
                                            false, "a number in fds");
        SV *value = hv_iterval(fds, he);
        char what[96];
        int64_t target;
        bool handle;
        IO *io;

        if (spawn_parse_integer(name, &target) < 0)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "fds: '%.64s' is not the number of a descriptor",
                              name);
        (void)snprintf(what, sizeof(what), "fds: %s", name);
        spawn_perl_hold(aTHX_ value);
        SvGETMAGIC(value);
        io = io_of(aTHX_ value, &handle);
        if (!handle)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "%s: wanted: an open handle", what);
        pairs[used++] = add_fd(aTHX_ job, descriptor(aTHX_ io, true, what));
        pairs[used++] = (uint64_t)target;
    }
    spawn_put_u64v(&job->w, SPAWN_A_FDS, pairs, used);
}
