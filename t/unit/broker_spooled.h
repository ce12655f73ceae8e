/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the spool. For unit tests of the broker. */
#ifndef BROKER_SPOOLED_H
#define BROKER_SPOOLED_H

#include "t/unit/broker_caller.h"

#define SPOOL_PATH 200

static inline const char *path_in_spool(const spawn_id *id, char *ret)
{
    char text[SPAWN_ID_TEXT];

    (void)snprintf(ret, SPOOL_PATH, "%s/spool/%s", dir,
                   spawn_id_format(id, text));
    return ret;
}

/* As httpd's children write it: under another name first. */
static inline void put_in_spool(const spawn_id *id, const void *data,
                                size_t length)
{
    char path[SPOOL_PATH], unfinished[SPOOL_PATH];
    FILE *out;

    (void)snprintf(unfinished, sizeof(unfinished), "%s/spool/new-x", dir);
    out = fopen(unfinished, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, length, out), length);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(rename(unfinished, path_in_spool(id, path)), 0);
}

/* A message that is not finished. */
static inline void lies_in_spool(const spawn_id *id, spawn_writer *w)
{
    assert_int_equal(spawn_writer_finish(w, 0), 0);
    put_in_spool(id, w->data, w->length);
    spawn_writer_free(w);
}

#endif
