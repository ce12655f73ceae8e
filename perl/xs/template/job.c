/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Perl part of a job: its surroundings, its call or a worker's calls, the
 * end. Runs in the forked job only and never returns.
 *
 * exit, wherever in the job it is called, unwinds Perl's stack up to here and
 * not into the template's main program. Perl is not destructed: neither END
 * blocks nor objects of the template know that a copy of them has ended.
 */
#include <unistd.h>

#include "perl/xs/template/template.h"

static spawn_template_end end_blocks;
static AV *template_end; /* END blocks of the template */
static const spawn_message *job_order;
static CV *inside;          /* spawn_template_job_inside */
static void (*tells)(void); /* of a job of nothing */

void spawn_template_end_blocks(spawn_template_end which)
{
    end_blocks = which;
}

void spawn_template_job_tells(void (*function)(void))
{
    tells = function;
}

/* ---- the call, and the end ---- */

void spawn_template_prepare_job(pTHX)
{
    inside = get_cv(SPAWN_TEMPLATE_JOB, GV_ADD);
    SvREFCNT_inc_simple_void_NN((SV *)inside);
    PerlIO_clearerr(PerlIO_stdin());
}

/* In a worker: call after call. */
static int serve_calls(pTHX)
{
    int code;
    dSP;

    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    mXPUSHs(newRV_noinc((SV *)spawn_template_hash(aTHX_ job_order)));
    PUTBACK;
    (void)call_pv(SPAWN_TEMPLATE_WORKER, G_SCALAR);
    SPAGAIN;
    code = (int)POPi;
    PUTBACK;
    FREETMPS;
    LEAVE;
    return code;
}

int spawn_template_job_inside(pTHX)
{
    if (spawn_has(job_order, SPAWN_A_IS_WORKER))
        return serve_calls(aTHX);
    return spawn_template_call(aTHX_ job_order, !tells);
}

/* No exception leaves this: outside is the template's program. */
static int call_job(pTHX)
{
    int code = 255;
    dSP;

    ENTER;
    SAVETMPS;
    spawn_template_surroundings(aTHX_ job_order);
    PUSHMARK(SP);
    if (call_sv((SV *)inside, G_SCALAR | G_EVAL) == 1) {
        SPAGAIN;
        if (SvTRUE(ERRSV))
            PerlIO_printf(PerlIO_stderr(), "%" SVf, SVfARG(ERRSV));
        else
            code = (int)SvIV(TOPs);
        (void)POPs;
        PUTBACK;
    }
    FREETMPS;
    LEAVE;
    return code;
}

/* Call the job, and catch exit as perl itself does. Returns the exit code. */
static int run(pTHX)
{
    const I32 scope = PL_scopestack_ix;
    volatile int code = 255;
    int how;
    dJMPENV;

    JMPENV_PUSH(how);
    switch (how) {
    case 0:
        code = call_job(aTHX);
        break;
    case 2: /* exit */
        while (PL_scopestack_ix > scope)
            LEAVE;
        FREETMPS;
        code = STATUS_EXIT & 0xff;
        break;
    default:
        break;
    }
    JMPENV_POP;
    return code;
}

/* END blocks may change $?, and call exit: then the remaining ones run. */
static int run_end_blocks(pTHX_ AV *volatile list, int code)
{
    int how;
    dJMPENV;

    STATUS_EXIT_SET(code);
    JMPENV_PUSH(how);
    PERL_UNUSED_VAR(how);
    PERL_SET_PHASE(PERL_PHASE_END);
    if (list)
        call_list(PL_scopestack_ix, list);
    JMPENV_POP;
    return STATUS_EXIT & 0xff;
}

void spawn_template_job(pTHX_ const spawn_message *order)
{
    const pid_t pid = getpid();
    int code;

    job_order = order;
    spawn_template_order_of_process(order);
    template_end = PL_endav;
    PL_endav = NULL;
    PL_srand_called = FALSE; /* rand takes a new seed */
    code = run(aTHX);
    if (tells) {
        spawn_template_flush(aTHX);
        tells();
        _exit(code);
    }
    /* not in a process that the function forked */
    if (getpid() == pid && end_blocks >= SPAWN_END_JOB)
        code = run_end_blocks(aTHX_ PL_endav, code);
    if (getpid() == pid && end_blocks >= SPAWN_END_ALL)
        code = run_end_blocks(aTHX_ template_end, code);
    PERL_FLUSHALL_FOR_CHILD;
    (void)fflush(NULL);
    _exit(code);
}
