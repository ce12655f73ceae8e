/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn::Template, its Run and its Value, and Apache2::Spawn::Current:
 * the entry points from Perl into the template runner, whose files are in
 * template/, each in the package that calls it. Runs in a template and in its
 * jobs; other processes load it only when they ask for their own job, which
 * they do not have.
 */
#include <fcntl.h>
#include <unistd.h>

#include "perl/xs/template/freeze.h"
#include "perl/xs/template/template.h"
#include "common/spawn_child.h"
#include "perl/xs/taint.h"

MODULE = Apache2::Spawn::Template    PACKAGE = Apache2::Spawn::Template

int
_tell_preloaded(link, code, text)
    int link
    unsigned code
    SV *text
  PREINIT:
    STRLEN length;
    const char *bytes;
  CODE:
    bytes = SvPV(text, length);
    RETVAL = -spawn_template_tell_preloaded(link, code, bytes, length);
  OUTPUT:
    RETVAL

void
_get_ready(link)
    int link
  CODE:
    spawn_template_get_ready(aTHX_ link);

int
_serve(link, own, how, spares, weight)
    int link
    bool own
    unsigned how
    unsigned spares
    const char *weight
  CODE:
    /* in one, so that no Perl runs in between */
    RETVAL = 0;
    if (spawn_template_ready(aTHX_ link, own, how, weight) == 0)
        RETVAL = -spawn_template_serve(aTHX_ link, own, spares);
  OUTPUT:
    RETVAL

void
_put_progress(done, of, text)
    const char *done
    const char *of
    const char *text
  PREINIT:
    spawn_board *board;
  CODE:
    board = spawn_template_board();
    if (board)
        spawn_board_put_progress(board, done, of, text);

bool
_cancelled()
  PREINIT:
    const spawn_board *board;
  CODE:
    board = spawn_template_board();
    RETVAL = board && spawn_board_cancelled(board);
  OUTPUT:
    RETVAL

void
_end_blocks(which)
    unsigned which
  CODE:
    spawn_template_end_blocks((spawn_template_end)which);

void
_end(code)
    int code
  CODE:
    PERL_FLUSHALL_FOR_CHILD;
    _exit(code);

char
_access(fd)
    int fd
  PREINIT:
    int flags;
  CODE:
    /* r, w or b(oth); a(ppend); x: not open */
    flags = fcntl(fd, F_GETFL);
    RETVAL = flags < 0                            ? 'x'
             : (flags & O_ACCMODE) == O_RDONLY    ? 'r'
             : (flags & O_ACCMODE) == O_RDWR      ? 'b'
             : flags & O_APPEND                   ? 'a'
                                                  : 'w';
  OUTPUT:
    RETVAL

MODULE = Apache2::Spawn::Template    PACKAGE = Apache2::Spawn::Template::Run

int
take_link(fd)
    int fd
  CODE:
    /* above the numbers that jobs can ask for */
    RETVAL = fcntl(fd, F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
    if (RETVAL >= 0)
        (void)close(fd);
  OUTPUT:
    RETVAL

int
_tell_ready(link, code, text)
    int link
    unsigned code
    SV *text
  PREINIT:
    STRLEN length;
    const char *bytes;
  CODE:
    bytes = SvPV(text, length);
    RETVAL = -spawn_template_tell_ready(link, code, bytes, length);
  OUTPUT:
    RETVAL

void
_hook_begins(seconds, document, text, link)
    double seconds
    SV *document
    SV *text
    int link
  CODE:
    spawn_template_hook_begins(aTHX_ seconds, document, text, link);

void
_hook_ended()
  CODE:
    spawn_template_hook_ended();

void
_note_environment()
  CODE:
    spawn_template_note_environment();

int
_job()
  CODE:
    RETVAL = spawn_template_job_inside(aTHX);
  OUTPUT:
    RETVAL

void
_call()
  CODE:
    spawn_template_call_inside(aTHX);

void
_prepare(alone)
    bool alone
  CODE:
    spawn_template_fresh_memory(aTHX_ alone);
    spawn_template_prepare_surroundings(aTHX);
    spawn_template_prepare_job(aTHX);
    spawn_template_prepare_calls(aTHX);

void
_rehearse(args, objects)
    SV *args
    int objects
  CODE:
    spawn_template_rehearse(aTHX_ args, objects);

int
_serve(link, jobs, memory)
    int link
    UV jobs
    UV memory
  CODE:
    RETVAL = spawn_template_serve_calls(aTHX_ link, jobs, memory);
  OUTPUT:
    RETVAL

bool
_put_result(kind, bytes)
    unsigned kind
    SV *bytes
  CODE:
    RETVAL = spawn_template_put_result(aTHX_ kind, bytes);
  OUTPUT:
    RETVAL

MODULE = Apache2::Spawn::Template    PACKAGE = Apache2::Spawn::Current

SV *
_order()
  CODE:
    RETVAL = spawn_template_own_order(aTHX);
  OUTPUT:
    RETVAL

MODULE = Apache2::Spawn::Template    PACKAGE = Apache2::Spawn::Template::Value

void
_taint(value)
    SV *value
  CODE:
    spawn_perl_taint(aTHX_ value);

BOOT:
  {
    HV *stash = gv_stashpvs("Apache2::Spawn::Template", GV_ADD);
    HV *run = gv_stashpvs("Apache2::Spawn::Template::Run", GV_ADD);
    HV *value = gv_stashpvs("Apache2::Spawn::Template::Value", GV_ADD);

    newCONSTSUB(stash, "_START_FAILED", newSVuv(SPAWN_E_START_FAILED));
    newCONSTSUB(stash, "_NUMBER_MAX", newSVuv(SPAWN_BOARD_NUMBER - 1));
    newCONSTSUB(stash, "_SHARED", newSVuv(SPAWN_MEMORY_SHARED));
    newCONSTSUB(stash, "_HUGE", newSVuv(SPAWN_MEMORY_HUGE));
    newCONSTSUB(stash, "_FROZEN", newSVuv(SPAWN_MEMORY_FROZEN));
    newCONSTSUB(stash, "_SPARES_MAX", newSVuv(SPAWN_SPARES_MAX));
    newCONSTSUB(stash, "_TEXT_MAX", newSVuv(SPAWN_BOARD_TEXT - 1));
    newCONSTSUB(run, "_DIED", newSVuv(SPAWN_RESULT_DIED));
    newCONSTSUB(run, "_START_FAILED", newSVuv(SPAWN_E_START_FAILED));
    newCONSTSUB(value, "_RESULT_MAX", newSVuv(SPAWN_RESULT_MAX));
  }
