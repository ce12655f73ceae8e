/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a job that are outside of its process group: they are signalled
 * with it, and it is told which could not be. Runs in the spawner only. Must
 * not signal what another job has left.
 */
#include <signal.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_tree.h"
#include "spawner/spawner.h"

static bool is_other(pid_t pid)
{
    return pid == spawner.broker_pid || table_by_pid(pid) != NULL;
}

static void tell_unreached(const job *j, const spawn_tree_found *f)
{
    char text[SPAWN_ID_TEXT];

    if (f->unreached > 0)
        spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                      MSNO(0380) "%u processes of job %s that have left its "
                                 "process group cannot be ended, as process "
                                 "%d: %s",
                      f->unreached, spawn_id_format(&j->id, text),
                      (int)f->example, strerror(f->error));
    if (f->cut)
        spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                      MSNO(0381) "job %s has more than %d processes outside of "
                                 "its process group; the others are not ended",
                      spawn_id_format(&j->id, text), SPAWN_TREE_MOST);
}

static void cannot_look(void)
{
    static bool told;

    if (!told)
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0382) "this kernel does not list the children of "
                             "processes (CONFIG_PROC_CHILDREN): what leaves a "
                             "job's process group is not ended with it");
    told = true;
}

static void look(const job *j, int signo, spawn_tree_found *ret)
{
    const spawn_tree tree = {.mark = spawn_tree_mark(&j->id, j->attempt),
                             .group = j->pid,
                             .leads = table_by_pid(j->pid) == j,
                             .is_other = is_other};

    if (spawn_tree_signal(&tree, signo, ret) < 0)
        cannot_look();
}

void tree_signal(const job *j, int signo)
{
    spawn_tree_found found;

    if (signo == SIGKILL)
        cgroup_kill(j); /* those that are nowhere else */
    /* Below a template are its jobs, or what will be. The jobs of httpd's own
     * template are its children, and what they leave is. */
    if (j->flags & (JOB_IS_TEMPLATE | JOB_FOREIGN))
        return;
    look(j, signo, &found);
    tell_unreached(j, &found);
}

pid_t tree_left(const job *j)
{
    spawn_tree_found found;

    look(j, 0, &found);
    return found.left;
}
