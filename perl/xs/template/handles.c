/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors and handles of the template, and how a job loses them. They
 * are noted once, in the template, after preloading; each job closes them. Must
 * not close what the job itself asked for.
 *
 * Closing the descriptors alone would not do. Perl counts the users of each
 * number: a new file at the number of a handle that Perl takes for open would
 * never be closed (a pipe's reader would wait for ever). And a C library that
 * still takes the number for its database would write into the new file. So
 * Perl's handles are closed as handles, and the other numbers are blocked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "perl/xs/template/template.h"

static IO **handles;
static size_t handles_count;
static int *numbers; /* all descriptors, handles of Perl's or not */
static size_t numbers_count;

static bool is_foreign(pTHX_ PerlIO *file)
{
    return file && PerlIO_fileno(file) > STDERR_FILENO;
}

static bool to_be_closed(pTHX_ const SV *sv)
{
    const IO *io = (const IO *)sv;

    if (SvTYPE(sv) != SVt_PVIO || SvREFCNT(sv) == 0)
        return false;
    return is_foreign(aTHX_ IoIFP(io)) || is_foreign(aTHX_ IoOFP(io))
           || IoDIRP(io);
}

static size_t find_handles(pTHX_ IO **ret, size_t room)
{
    size_t count = 0;
    SV *arena, *sv;

    for (arena = PL_sv_arenaroot; arena; arena = MUTABLE_SV(SvANY(arena))) {
        const SV *end = arena + SvREFCNT(arena);

        for (sv = arena + 1; sv < end; sv++) {
            if (!to_be_closed(aTHX_ sv))
                continue;
            if (count < room)
                ret[count] = (IO *)SvREFCNT_inc(sv);
            count++;
        }
    }
    return count;
}

static void note_numbers(int link)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    size_t room = 0;

    numbers_count = 0;
    while (dir && (entry = readdir(dir))) {
        int fd = atoi(entry->d_name);

        if (fd <= STDERR_FILENO || fd == dirfd(dir) || fd == link)
            continue;
        if (numbers_count == room) {
            int *more = realloc(numbers, (room + 64) * sizeof(*more));

            if (!more)
                break;
            numbers = more;
            room += 64;
        }
        numbers[numbers_count++] = fd;
    }
    if (dir)
        (void)closedir(dir);
}

void spawn_template_note_handles(pTHX_ int link)
{
    handles_count = find_handles(aTHX_ NULL, 0);
    handles = calloc(handles_count + 1, sizeof(*handles));
    if (!handles)
        handles_count = 0;
    else
        handles_count = find_handles(aTHX_ handles, handles_count);
    note_numbers(link);
}

void spawn_template_flush(pTHX)
{
    (void)fflush(NULL);
    PERL_FLUSHALL_FOR_CHILD;
}

/* Close the descriptor first, so that text in a layer is not written a second
 * time into a file of the template's. */
static void close_file(pTHX_ PerlIO *file)
{
    (void)close(PerlIO_fileno(file));
    (void)PerlIO_close(file);
}

void spawn_template_close_handles(pTHX)
{
    size_t i;

    for (i = 0; i < handles_count; i++) {
        IO *io = handles[i];

        if (IoDIRP(io))
            (void)PerlDir_close(IoDIRP(io));
        IoDIRP(io) = NULL;
        if (IoOFP(io) != IoIFP(io) && is_foreign(aTHX_ IoOFP(io)))
            close_file(aTHX_ IoOFP(io));
        if (is_foreign(aTHX_ IoIFP(io)))
            close_file(aTHX_ IoIFP(io));
        IoIFP(io) = IoOFP(io) = NULL;
        IoTYPE(io) = IoTYPE_CLOSED;
    }
    handles_count = 0;
    for (i = 0; i < numbers_count; i++) {
        if (fcntl(numbers[i], F_GETFD) < 0)
            numbers[i] = -1; /* it was one of Perl's */
    }
}

void spawn_template_block_numbers(void)
{
    int blocker = -1;
    bool keep = false;
    size_t i;

    for (i = 0; i < numbers_count; i++) {
        if (numbers[i] < 0 || fcntl(numbers[i], F_GETFD) >= 0)
            continue; /* the job asked for a handle at this number */
        if (blocker < 0)
            blocker = open("/dev/null", O_PATH | O_CLOEXEC);
        if (blocker == numbers[i])
            keep = true;
        else if (blocker >= 0)
            (void)dup3(blocker, numbers[i], O_CLOEXEC);
    }
    if (blocker >= 0 && !keep)
        (void)close(blocker);
}
