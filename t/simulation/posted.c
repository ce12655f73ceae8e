/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that nobody waits for: posts, and files of the spool, as httpd's
 * children make them. One is promised when it is there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "t/simulation/caller.h"

static void write_post(const job *j, spawn_writer *w, unsigned type)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, (uint16_t)type, 0);
    job_write(j, w, false);
    (void)spawn_writer_finish(w, 0);
}

static void promise(job *j, const char *how)
{
    j->claims++;
    if (j->unsure) /* a job that the power has cost is a new one */
        j->left_in = 0;
    j->promised = true;
    say("job %u is %s", job_number(j), how);
}

void caller_posts(job *j)
{
    spawn_writer w;

    write_post(j, &w, SPAWN_M_POST);
    caller_sent(j);
    if (spawn_packet_send(life_post(), w.data, w.length, NULL, 0) == 0)
        promise(j, "posted");
    j->posted_in = lives;
    spawn_writer_free(&w);
}

void caller_spools(job *j)
{
    char unfinished[160], finished[160], id[SPAWN_ID_TEXT];
    spawn_writer w;
    int fd;

    (void)spawn_id_format(&j->id, id);
    (void)snprintf(unfinished, sizeof(unfinished), "%s/spool/new-%s", world_dir,
                   id);
    (void)snprintf(finished, sizeof(finished), "%s/spool/%s", world_dir, id);
    write_post(j, &w, SPAWN_M_SUBMIT);
    caller_sent(j);
    fd = open(unfinished, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, w.data, w.length) == (ssize_t)w.length
        && rename(unfinished, finished) == 0)
        promise(j, "spooled");
    j->spooled = true;
    spawn_close_fds(&fd, 1);
    spawn_writer_free(&w);
}
