/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file views.h
 * @brief The views of the status page, each as HTML and as JSON.
 *
 * Runs in httpd children, in the thread of the request. Each returns 0, or -1
 * with the page's status and why; what it has written is thrown away then.
 */
#ifndef SPAWN_STATUS_VIEWS_H
#define SPAWN_STATUS_VIEWS_H

#include "module/status/page.h"

/** overview.c: queues, templates, the newest jobs. */
int spawn_view_overview(spawn_page *page);
int spawn_view_overview_json(spawn_page *page);

/** jobs.c: jobs that are chosen by queue, state and context. */
int spawn_view_jobs(spawn_page *page);
int spawn_view_jobs_json(spawn_page *page);

/** csv.c: the same jobs. */
int spawn_view_jobs_csv(spawn_page *page);

/** job.c: all that is known of one. */
int spawn_view_job(spawn_page *page);
int spawn_view_job_json(spawn_page *page);

/** metrics.c: the broker's numbers as Prometheus reads them. */
int spawn_view_metrics(spawn_page *page);

#endif
