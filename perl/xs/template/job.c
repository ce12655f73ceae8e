/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Perl part of a job: the order as a hash, one call into Perl, the end.
 * Runs in the forked job only and never returns.
 *
 * exit, wherever in the job it is called, unwinds Perl's stack up to here and
 * not into the template's main program. Perl is not destructed: neither END
 * blocks nor objects of the template know that a copy of them has ended.
 */
#include <unistd.h>

#include "perl/xs/template/template.h"

static spawn_template_end end_blocks;
static AV *template_end; /* END blocks of the template */

void spawn_template_end_blocks(spawn_template_end which)
{
    end_blocks = which;
}

/* ---- the order ---- */

static void put(pTHX_ HV *to, unsigned attr, SV *value)
{
    const char *name = spawn_attr_name(attr);

    (void)hv_store(to, name, (I32)strlen(name), value, 0);
}

static void put_text(pTHX_ HV *to, const spawn_message *order, unsigned attr)
{
    if (spawn_has(order, attr))
        put(aTHX_ to, attr, newSVpv(spawn_attr_str(&order->attr[attr]), 0));
}

static void put_number(pTHX_ HV *to, const spawn_message *order, unsigned attr)
{
    put(aTHX_ to, attr, newSVuv((UV)spawn_u64_or(order, attr, 0)));
}

static void put_texts(pTHX_ HV *to, const spawn_message *order, unsigned attr)
{
    const spawn_attr *a = &order->attr[attr];
    const char *text = NULL;
    AV *list = newAV();
    uint32_t i;

    for (i = 0; spawn_has(order, attr) && i < spawn_strv_count(a); i++) {
        text = spawn_strv_next(a, text);
        av_push(list, newSVpv(text, 0));
    }
    put(aTHX_ to, attr, newRV_noinc((SV *)list));
}

/* The numbers of the job's handles. */
static void put_fds(pTHX_ HV *to, const spawn_message *order)
{
    const spawn_attr *a = &order->attr[SPAWN_A_FDS];
    AV *list = newAV();
    uint32_t i;

    for (i = 0; spawn_has(order, SPAWN_A_FDS) && i < spawn_u64v_count(a);
         i += 2)
        av_push(list, newSVuv((UV)spawn_u64v_at(a, i + 1)));
    put(aTHX_ to, SPAWN_A_FDS, newRV_noinc((SV *)list));
}

HV *spawn_template_hash(pTHX_ const spawn_message *order)
{
    const spawn_attr *args = &order->attr[SPAWN_A_ARGS];
    HV *hash = newHV();
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    spawn_attr_id(&order->attr[SPAWN_A_ID], &id);
    put(aTHX_ hash, SPAWN_A_ID, newSVpv(spawn_id_format(&id, text), 0));
    put_text(aTHX_ hash, order, SPAWN_A_FUNCTION);
    put_text(aTHX_ hash, order, SPAWN_A_LOAD);
    put_text(aTHX_ hash, order, SPAWN_A_QUEUE);
    put_text(aTHX_ hash, order, SPAWN_A_LABEL);
    put(aTHX_ hash, SPAWN_A_WANT,
        newSVuv((UV)(spawn_u64_or(order, SPAWN_A_WANT, 0)
                     & ~(uint64_t)SPAWN_WANT_EARLY)));
    if (spawn_has(order, SPAWN_A_ATTEMPT))
        put_number(aTHX_ hash, order, SPAWN_A_ATTEMPT);
    if (spawn_has(order, SPAWN_A_IS_WORKER)) {
        put_number(aTHX_ hash, order, SPAWN_A_IS_WORKER);
        put_number(aTHX_ hash, order, SPAWN_A_WORKER_JOBS);
        put_number(aTHX_ hash, order, SPAWN_A_WORKER_MEMORY);
    }
    put_texts(aTHX_ hash, order, SPAWN_A_CONTEXT);
    put_fds(aTHX_ hash, order);
    if (spawn_has(order, SPAWN_A_ARGS))
        put(aTHX_ hash, SPAWN_A_ARGS,
            newSVpvn((const char *)args->data, args->length));
    return hash;
}

/* ---- the call, and the end ---- */

static int call_job(pTHX_ const spawn_message *order)
{
    dSP;
    int code = 255;

    ENTER;
    SAVETMPS;
    spawn_template_surroundings(aTHX_ order);
    PUSHMARK(SP);
    mXPUSHs(newRV_noinc((SV *)spawn_template_hash(aTHX_ order)));
    PUTBACK;
    if (call_pv(SPAWN_TEMPLATE_JOB, G_SCALAR | G_EVAL) == 1) {
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
static int run(pTHX_ const spawn_message *order)
{
    const I32 scope = PL_scopestack_ix;
    volatile int code = 255;
    int how;
    dJMPENV;

    JMPENV_PUSH(how);
    switch (how) {
    case 0:
        code = call_job(aTHX_ order);
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

    template_end = PL_endav;
    PL_endav = NULL;
    PL_srand_called = FALSE; /* rand takes a new seed */
    PerlIO_clearerr(PerlIO_stdin());
    code = run(aTHX_ order);
    /* not in a process that the function forked */
    if (getpid() == pid && end_blocks >= SPAWN_END_JOB)
        code = run_end_blocks(aTHX_ PL_endav, code);
    if (getpid() == pid && end_blocks >= SPAWN_END_ALL)
        code = run_end_blocks(aTHX_ template_end, code);
    PERL_FLUSHALL_FOR_CHILD;
    (void)fflush(NULL);
    _exit(code);
}
