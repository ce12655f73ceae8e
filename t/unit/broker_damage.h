/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brokers whose store is damaged while they have it open: it is larger than
 * what they keep in memory of it. For unit tests.
 */
#ifndef BROKER_DAMAGE_H
#define BROKER_DAMAGE_H

#include "t/unit/broker_clock.h"

#define HISTORY "3000"

/* More than is kept in memory of it. Half of the ids are of an old time: the
 * index has many pages between these and the ids of now. */
static inline void fill_history(const char *body_size)
{
    char sql[600];

    (void)snprintf(
        sql, sizeof(sql),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
        " SELECT i + 1 FROM n WHERE i < " HISTORY ")"
        " INSERT INTO job(id, queue, state, digest, fds, submitted_at,"
        " started_at, ended_at, elapsed, outcome, exit_code, body, end_seq)"
        " SELECT CASE i %% 2 WHEN 0 THEN randomblob(16)"
        " ELSE CAST(x'00' || randomblob(15) AS BLOB) END,"
        " 'default', 4, 1, 0, i, i, i, 1, 1, 0, randomblob(%s), i FROM n",
        body_size);
    run_sql(sql);
}

/* So much of it that nothing else is in memory. */
static inline void others_are_read(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_BEFORE, 2000);
    spawn_put_u64(&w, SPAWN_A_ROWS, 1000);
    ask(&w);
    do {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    } while (message.header.type == SPAWN_M_JOB);
    assert_int_equal(message.header.type, SPAWN_M_END);
}

/* Of the oldest one in the history. */
static inline void oldest(spawn_id *ret)
{
    const char *hex = ask_sql("SELECT hex(id) FROM job ORDER BY seq LIMIT 1");
    unsigned i, byte;

    for (i = 0; i < SPAWN_ID_SIZE; i++) {
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        ret->bytes[i] = (uint8_t)byte;
    }
}

/* All but the first page, where the layout is. */
static inline void damage(void)
{
    char name[300], bytes[4096];
    struct stat st;
    off_t at;
    int fd;

    memset(bytes, 'x', sizeof(bytes));
    (void)snprintf(name, sizeof(name), "%s/jobs.db", dir);
    fd = open(name, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size > 2000000);
    for (at = sizeof(bytes); at < st.st_size; at += (off_t)sizeof(bytes))
        assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at), sizeof(bytes));
    (void)close(fd);
}

#endif
