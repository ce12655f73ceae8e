/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a job that are outside of its process group: they are signalled
 * with it, and it is told which could not be. Runs in the spawner only. Must
 * not signal what another job has left.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_tree.h"
#include "spawner/spawner.h"

static bool is_other(pid_t pid)
{
    return pid == spawner.broker_pid || table_by_pid(pid) != NULL;
}

/* Of another job, by its account. A program of the job may have changed to
 * one that no job has. */
static bool is_stranger(uid_t uid)
{
    return spawner.tree.account != 0 && uid != spawner.tree.account
           && accounts_has(uid);
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

static void not_here(void)
{
    if (!spawner.tree.told)
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0382) "this kernel does not list the children of "
                             "processes (CONFIG_PROC_CHILDREN): what leaves a "
                             "job's process group is not ended with it");
    spawner.tree.told = true;
}

static void cannot_look(const job *j, int error)
{
    char text[SPAWN_ID_TEXT];

    if (error == EOPNOTSUPP)
        not_here();
    else
        spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                      MSNO(0383) "the processes of job %s that have left its "
                                 "process group cannot all be looked for: %s",
                      spawn_id_format(&j->id, text), strerror(error));
}

static spawn_tree tree_of(const job *j)
{
    spawner.tree.account = j->uid;
    return (spawn_tree){.mark = spawn_tree_mark(&j->id, j->attempt),
                        .group = j->pid,
                        .leads = table_by_pid(j->pid) == j,
                        .remembers = true,
                        .is_other = is_other,
                        .is_stranger = is_stranger};
}

static void signal_all(const job *j, const spawn_tree *tree, int signo)
{
    spawn_tree_found found;
    int rv = spawn_tree_signal(tree, signo, &found);

    if (rv < 0)
        cannot_look(j, -rv);
    tell_unreached(j, &found);
}

void tree_signal_below(const job *j, pid_t parent, int leader, int signo)
{
    spawn_tree tree = tree_of(j);

    tree.parent = parent;
    tree.leader = leader;
    tree.leads = true;
    tree.remembers = false;
    signal_all(j, &tree, signo);
}

void tree_signal(const job *j, int signo)
{
    const spawn_tree tree = tree_of(j);

    if (signo == SIGKILL)
        cgroup_kill(j); /* those that are nowhere else */
    /* Below a template are its jobs, or what will be. The jobs of httpd's own
     * template are its children, and what they leave is. */
    if (j->flags & (JOB_IS_TEMPLATE | JOB_FOREIGN))
        return;
    signal_all(j, &tree, signo);
}

pid_t tree_left(const job *j)
{
    const spawn_tree tree = tree_of(j);
    pid_t left = spawn_tree_left(&tree);

    if (left < 0)
        cannot_look(j, -left);
    return left > 0 ? left : 0;
}
