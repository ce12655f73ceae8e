/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What spawnctl run does while it waits for its job: signals go on to the job
 * (--forward-signals), and bytes between our terminal and the job's (--tty).
 * Runs in spawnctl, in a thread beside the one that waits for the broker's
 * answer. All signals that it takes are blocked in both, and read here. Must
 * print nothing while our terminal is raw but what the job prints.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "common/spawn_os.h"
#include "ctl/ctl.h"

#define LOOK_AGAIN 200   /* ms, for a terminal that a shell gives us */
#define TRY_AGAIN  50    /* ms, for a signal that the broker has not taken */
#define LAST_MOST  1000  /* ms, for what the job's terminal still has */
#define LAST_BYTES 65536 /* more than the kernel keeps of a terminal */
#define AT_ONCE    4096  /* bytes: a pipe that can be written takes as much */

/* Bytes on their way. */
typedef struct {
    char bytes[AT_ONCE];
    size_t from, to;
} bytes;

struct ctl_beside {
    spawn_ctl *ctl;
    const ctl_job *job;
    ctl_terminal *terminal; /* NULL: there is none */
    sigset_t taken, before; /* signals: ours; the mask that we found */
    int signals, over;      /* signalfd, eventfd */
    pthread_t thread;
    bool input_ended;
    bool ended;           /* the job has: only its output is left */
    bool interrupted;     /* the first INT went to the job */
    uint64_t forward_yet; /* bits: signals that the broker has not taken */
    bytes in, out;
    int reopened;        /* the terminal at stdout, that never blocks; or -1 */
    size_t printed_most; /* bytes that stdout takes at once */
};

static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
/* With a terminal these are ours: it has to be put back first. */
static const int of_terminal[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGTSTP,
                                  SIGTTIN, SIGTTOU, SIGCONT, SIGWINCH};

/* ---- signals ---- */

static unsigned state_of(const struct ctl_beside *b)
{
    spawn_failure why;
    spawn_answer answer;
    unsigned state;

    memset(&answer, 0, sizeof(answer));
    if (ctl_get_quietly(b->ctl, &b->job->id, false, &answer, &why))
        return SPAWN_STATE_DONE;
    state = (unsigned)spawn_u64_or(&answer.message, SPAWN_A_STATE, 0);
    spawn_answer_free(&answer);
    return state;
}

/* A window that changes is no reason to cancel a job that waits. */
static bool is_to_go(const struct ctl_beside *b, int signo)
{
    return signo != SIGWINCH || state_of(b) == SPAWN_STATE_RUNNING;
}

static void say_that_it_goes_on(const struct ctl_beside *b)
{
    char text[128];

    ctl_goes_on_text(&b->job->id, text, sizeof(text));
    (void)!write(STDERR_FILENO, text, strlen(text));
}

/* As if we had not taken it: the terminal first. */
static void take_effect(struct ctl_beside *b, int signo)
{
    sigset_t one;

    if (b->terminal)
        ctl_terminal_restore(b->terminal);
    else if (signo == SIGINT)
        say_that_it_goes_on(b);
    (void)sigemptyset(&one);
    (void)sigaddset(&one, signo);
    (void)signal(signo, SIG_DFL);
    (void)raise(signo);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    /* only after a stop, when we go on */
    (void)pthread_sigmask(SIG_BLOCK, &one, NULL);
}

/* The broker has not refused it: it did not have the job, or has not answered.
 * A signal that comes twice is better than none. */
static bool may_come_yet(spawn_error code)
{
    return code == SPAWN_E_NO_SUCH_JOB || code == SPAWN_E_UNREACHABLE
           || code == SPAWN_E_UNCONFIRMED || code == SPAWN_E_DEADLINE
           || code == SPAWN_E_TIMED_OUT || code == SPAWN_E_STOPPING;
}

static void forward(struct ctl_beside *b, int signo)
{
    spawn_failure why;

    b->forward_yet &= ~(UINT64_C(1) << signo);
    if (!is_to_go(b, signo)
        || ctl_signal_job(b->ctl, &b->job->id, signo, &why) == 0
        || why.code == SPAWN_E_NOT_RUNNING)
        return;
    if (may_come_yet(why.code)) {
        b->forward_yet |= UINT64_C(1) << signo;
        return;
    }
    if (b->terminal) /* for what is said now */
        ctl_terminal_restore(b->terminal);
    (void)fprintf(stderr, "spawnctl: %s was not forwarded\n",
                  sigabbrev_np(signo));
    (void)ctl_fail(&why);
    take_effect(b, signo);
}

static void forward_again(struct ctl_beside *b)
{
    int signo;

    for (signo = 1; signo < NSIG && signo < 64; signo++) {
        if (b->forward_yet & UINT64_C(1) << signo)
            forward(b, signo);
    }
}

/* Keys are for the job: when that has ended, Ctrl-C is for us. */
static void go_raw(struct ctl_beside *b)
{
    if (!b->ended)
        ctl_terminal_raw(b->terminal);
}

/* A shell gives us the terminal without a word (fg of a job that runs). */
static void follow_terminal(struct ctl_beside *b)
{
    if (b->terminal && b->terminal->raw != ctl_terminal_in_front())
        go_raw(b);
}

static bool asks_to_end(int signo)
{
    return signo == SIGHUP || signo == SIGINT || signo == SIGQUIT
           || signo == SIGTERM;
}

static void take_signal(struct ctl_beside *b, int signo)
{
    if (b->terminal && signo == SIGWINCH) {
        ctl_terminal_resize(b->terminal);
    }
    else if (b->terminal && signo == SIGCONT) {
        go_raw(b);
    }
    else if (b->terminal
             && (signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU)) {
        take_effect(b, signo);
        go_raw(b);
    }
    else if (b->ended && b->job->forward && !asks_to_end(signo)) {
        return; /* it was for the job */
    }
    else if (!b->ended && b->job->forward
             && !(signo == SIGINT && b->interrupted)) {
        b->interrupted = b->interrupted || signo == SIGINT;
        forward(b, signo);
    }
    else {
        take_effect(b, signo);
    }
}

static void take_signals(struct ctl_beside *b)
{
    struct signalfd_siginfo info;

    while (read(b->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        take_signal(b, (int)info.ssi_signo);
}

/* ---- bytes ---- */

/* False: there will be no more. */
static bool take_in(bytes *b, int fd)
{
    ssize_t n;

    if (b->from == b->to)
        b->from = b->to = 0;
    n = read(fd, b->bytes + b->to, sizeof(b->bytes) - b->to);
    if (n > 0)
        b->to += (size_t)n;
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* False: nobody takes them. */
static bool give_out(bytes *b, int fd, size_t most)
{
    size_t left = b->to - b->from;
    ssize_t n = write(fd, b->bytes + b->from, left < most ? left : most);

    if (n > 0)
        b->from += (size_t)n;
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static bool is_full(const bytes *b)
{
    return b->from < b->to;
}

/* A terminal that shows nothing more must not keep us in a write, where no
 * signal would be read: it is opened once more, since others share how the one
 * at stdout writes. Who cannot open it writes bytes one by one: it has told
 * that there is room for one. */
static void open_printed(struct ctl_beside *b)
{
    b->printed_most = AT_ONCE;
    if (!isatty(STDOUT_FILENO))
        return;
    b->reopened =
        open("/proc/self/fd/1", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (b->reopened < 0)
        b->printed_most = 1;
}

static int printed(const struct ctl_beside *b)
{
    return b->reopened >= 0 ? b->reopened : STDOUT_FILENO;
}

/* stty tostop: who writes in the background is to be stopped. */
static void print(struct ctl_beside *b)
{
    sigset_t one, before;

    (void)sigemptyset(&one);
    if (!b->terminal->raw)
        (void)sigaddset(&one, SIGTTOU);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, &before);
    if (!give_out(&b->out, printed(b), b->printed_most))
        b->out.from = b->out.to; /* nobody reads; the job goes on */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

enum {
    SIGNALS,
    OVER,
    JOBS,
    OURS,
    PRINTED,
    POLLED
};

/* While there is something to write, nothing is read: the other side waits. */
static void want(struct ctl_beside *b, struct pollfd *p)
{
    ctl_terminal *t = b->terminal;

    p[SIGNALS] = (struct pollfd){b->signals, POLLIN, 0};
    p[OVER] = (struct pollfd){b->over, POLLIN, 0};
    p[JOBS] = p[OURS] = p[PRINTED] = (struct pollfd){-1, 0, 0};
    if (!t || t->ours < 0)
        return;
    p[JOBS].fd = t->ours;
    p[JOBS].events = (short)((is_full(&b->out) ? 0 : POLLIN)
                             | (is_full(&b->in) ? POLLOUT : 0));
    if (p[JOBS].events == 0)
        p[JOBS].fd = -1; /* its end would be told again and again */
    /* in the background a read would stop us */
    if (!is_full(&b->in) && !b->input_ended && t->raw)
        p[OURS] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    if (is_full(&b->out))
        p[PRINTED] = (struct pollfd){printed(b), POLLOUT, 0};
}

/* What the job prints; false when its terminal has ended. */
static bool take_output(struct ctl_beside *b, const struct pollfd *p)
{
    if (p[PRINTED].revents)
        print(b);
    return !(p[JOBS].revents & (POLLIN | POLLHUP | POLLERR)) || is_full(&b->out)
           || take_in(&b->out, b->terminal->ours);
}

static void take_input(struct ctl_beside *b, const struct pollfd *p)
{
    if (p[OURS].revents && !take_in(&b->in, STDIN_FILENO)
        && ctl_terminal_in_front())
        b->input_ended = true;
    if (p[JOBS].revents & POLLOUT
        && !give_out(&b->in, b->terminal->ours, AT_ONCE))
        b->in.from = b->in.to;
}

/* The job has ended, and what it printed last may be on its way through the
 * kernel. Who has the terminal open still, such as a process that it left,
 * keeps us no longer than that, and no longer than what a terminal can hold
 * comes. Who reads what we print may take his time, and signals end us. */
static void take_the_last(struct ctl_beside *b)
{
    int64_t until = spawn_mono_ms() + LAST_MOST;
    struct pollfd p[POLLED];
    size_t came = 0;

    b->ended = b->input_ended = true;
    b->in.from = b->in.to;
    if (!isatty(STDOUT_FILENO)) /* what is printed does not depend on it */
        ctl_terminal_restore(b->terminal);
    for (;;) {
        bool prints = is_full(&b->out);
        int64_t left = until - spawn_mono_ms();

        if (!prints && (left <= 0 || came >= LAST_BYTES))
            return;
        want(b, p);
        p[OVER].fd = -1;
        if (poll(p, POLLED, prints ? -1 : (int)left) < 0) {
            if (errno != EINTR)
                return;
            continue;
        }
        if (!take_output(b, p))
            return;
        if (prints)
            until = spawn_mono_ms() + LAST_MOST;
        else
            came += b->out.to - b->out.from;
        if (p[SIGNALS].revents)
            take_signals(b);
    }
}

/* How long nothing may come until there is something to do. */
static int wait_ms(const struct ctl_beside *b)
{
    if (b->forward_yet)
        return TRY_AGAIN;
    return b->terminal && !b->terminal->raw ? LOOK_AGAIN : -1;
}

static void *run(void *arg)
{
    struct ctl_beside *b = arg;
    struct pollfd p[POLLED];

    for (;;) {
        follow_terminal(b);
        want(b, p);
        if (poll(p, POLLED, wait_ms(b)) < 0 && errno != EINTR)
            return NULL;
        if (p[SIGNALS].revents)
            take_signals(b);
        forward_again(b);
        if (b->terminal) {
            take_input(b, p);
            (void)take_output(b, p);
        }
        if (p[OVER].revents) {
            if (b->terminal)
                take_the_last(b);
            return NULL;
        }
    }
}

/* ---- for run ---- */

static void take(sigset_t *set, const int *signals, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        struct sigaction now;

        /* nohup and its like have said that these are not to be noticed */
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            (void)sigaddset(set, signals[i]);
    }
}

#define ALL_OF(list) list, sizeof(list) / sizeof((list)[0])

int ctl_beside_begin(spawn_ctl *ctl, ctl_job *job, struct ctl_beside **ret)
{
    struct ctl_beside *b = calloc(1, sizeof(*b));
    int code, error;

    if (!b)
        return ctl_usage(ctl, "no memory");
    b->ctl = ctl;
    b->job = job;
    b->terminal = job->terminal.ours >= 0 ? &job->terminal : NULL;
    (void)sigemptyset(&b->taken);
    if (job->forward)
        take(&b->taken, ALL_OF(forwarded));
    if (b->terminal)
        take(&b->taken, ALL_OF(of_terminal));
    b->signals = b->over = b->reopened = -1;
    (void)pthread_sigmask(SIG_BLOCK, &b->taken, &b->before);
    code = b->terminal ? ctl_terminal_begin(ctl, b->terminal) : -1;
    if (code >= 0) {
        ctl_beside_end(b);
        return code;
    }
    open_printed(b);
    b->signals = signalfd(-1, &b->taken, SFD_CLOEXEC | SFD_NONBLOCK);
    b->over = eventfd(0, EFD_CLOEXEC);
    error = b->signals < 0 || b->over < 0
                ? errno
                : pthread_create(&b->thread, NULL, run, b);
    if (error) {
        b->thread = 0;
        ctl_beside_end(b);
        return ctl_usage(ctl, "no thread can be made: %s",
                         strerrordesc_np(error));
    }
    *ret = b;
    return -1;
}

void ctl_beside_end(struct ctl_beside *b)
{
    static const uint64_t one = 1;

    if (b->terminal)
        ctl_terminal_hand_over(b->terminal);
    if (b->thread) {
        (void)!write(b->over, &one, sizeof(one));
        (void)pthread_join(b->thread, NULL);
    }
    if (b->terminal)
        ctl_terminal_close(b->terminal);
    (void)pthread_sigmask(SIG_SETMASK, &b->before, NULL);
    if (b->signals >= 0)
        (void)close(b->signals);
    if (b->over >= 0)
        (void)close(b->over);
    if (b->reopened >= 0)
        (void)close(b->reopened);
    free(b);
}
