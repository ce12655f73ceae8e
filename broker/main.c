/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_spawn's broker: queues, the store, callers. A program of its own, which
 * the spawner executes with the link as descriptor 3, the error log as 2, and
 * the right user already.
 *
 * Only the end of the link, or a word over it, ends the broker: signals that
 * ask a process to end go to a whole group or terminal and are not meant for
 * it. It never forks, never signals a child of the spawner, and never exits
 * with 7 or 15.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_sweep.h"
#include "broker/base/ledger.h"
#include "broker/base/loop.h"
#include "broker/base/notify.h"
#include "broker/base/passed.h"
#include "broker/process/link.h"
#include "broker/store/scribe_serve.h"
#include "broker/store/store.h"
#include "broker/run/lease.h"
#include "broker/run/pool.h"
#include "broker/broker.h"
#include "broker/spawner_says.h"
#include "broker/turn.h"

/* SIGXFSZ: a store that may not grow (ulimit -f) is reported as one that cannot
 * be written. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGHUP,  SIGINT,   SIGTERM,
                                  SIGUSR1, SIGUSR2, SIGWINCH, SIGXFSZ};
    struct sigaction ignore;
    size_t i;

    memset(&ignore, 0, sizeof(ignore));
    ignore.sa_handler = SIG_IGN;
    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)sigaction(ignored[i], &ignore, NULL);
}

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Orders of some MB pass through: give their memory back at once, and keep the
 * threshold for that from growing with them. */
static void keep_heap_small(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 65536);
    (void)mallopt(M_TRIM_THRESHOLD, 65536);
}

static bool link_is_there(void)
{
    socklen_t length = sizeof(int);
    int type = 0;

    return getsockopt(SPAWN_LINK_FD, SOL_SOCKET, SO_TYPE, &type, &length) == 0
           && type == SOCK_SEQPACKET;
}

/* Started by a broker, with nothing of it but the socket: process/scribe.c. */
static void be_the_scribe(const char *directory) __attribute__((noreturn));

static void be_the_scribe(const char *directory)
{
    ignore_signals();
    (void)spawn_os_undumpable();
    (void)spawn_os_cloexec_from(SPAWN_SCRIBE_FD);
    (void)umask(077);
    keep_heap_small();
    spawn_scribe_serve(directory);
}

int main(int argc, char **argv)
{
    static spawn_broker broker;
    int rv;

    if (argc > 0)
        spawn_closer_name(argv[0]);
    if (argc == 3 && strcmp(argv[1], SPAWN_SCRIBE_ARGUMENT) == 0)
        be_the_scribe(argv[2]);
    if (!link_is_there()) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0502) "the broker is started by mod_spawn's spawner, "
                             "not by hand");
        return 1;
    }
    ignore_signals();
    spawn_passed_begin();
    (void)spawn_os_undumpable();
    (void)spawn_os_sched_batch(
        false); /* the spawner is: see docs/decisions.md */
    (void)spawn_os_cloexec_from(SPAWN_LINK_FD);
    (void)umask(077);
    raise_file_limit();
    spawn_closer_prepare();
    keep_heap_small();
    broker.store = spawn_store_new();
    spawn_batch_init(&broker.batch, broker.store);
    spawn_pools_open();
    spawn_leases_open(&broker.batch);
    spawn_turn_open(&broker);
    rv = spawn_loop_init();
    if (rv == 0)
        spawn_notify_take(SPAWN_NOTIFY_FD);
    if (rv == 0)
        rv = spawn_link_open(&spawn_spawner_says, &broker);
    if (rv < 0) {
        spawn_log(SPAWN_LOG_CRIT, MSNO(0503) "the broker cannot start: %s",
                  strerror(-rv));
        return 1;
    }
    spawn_loop_run(spawn_turn_end, &broker);
}
