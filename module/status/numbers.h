/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file numbers.h
 * @brief The broker's numbers of a queue, as cells of a table and as JSON: the
 * last hour by minutes, and how long jobs waited and ran.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_NUMBERS_H
#define SPAWN_STATUS_NUMBERS_H

#include "client/meters.h"
#include "module/status/page.h"

/** The row of a queue; NULL: nothing was told of it. */
const spawn_meter_row *spawn_numbers_of(const spawn_meters_answer *all,
                                        const char *queue);

/** How many ended and failed in the last hour, in all queues that are told. */
void spawn_numbers_hour(const spawn_meters_answer *all, uint64_t *ret_ended,
                        uint64_t *ret_failed);

/** The content of a cell: a picture of the last hour, which is told in words,
 * too. */
void spawn_numbers_put_hour(spawn_page *page, const spawn_meter_row *row);
/** Half and 95 of 100 lasted at most so long. */
void spawn_numbers_put_times(spawn_page *page, const spawn_times *times);

/** An object "numbers": since when, of all queues, and of each. */
void spawn_numbers_told(spawn_page *page, const spawn_meters_answer *all);

/** When the hour began that they are of, as far as httpd's clock knows. */
uint64_t spawn_numbers_hour_began(const spawn_page *page);

#endif
