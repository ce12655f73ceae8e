/* SPDX-License-Identifier: Apache-2.0 */
/* As long as a job of this page runs, what the page tells of jobs is kept up to
 * date: it is fetched once a second and put in the place of the old; or, where
 * jobs have an address with a token (data-job), httpd sends what is new of each,
 * and it is fetched when one has ended. The form above is left alone: what
 * somebody types or chooses there stays. */
'use strict';

(function () {
  let streams = [];

  function stop() {
    for (const stream of streams)
      stream.close();
    streams = [];
  }

  /* Of SetHandler spawn-job. What a job says is text, and never HTML. */
  function show(place, job) {
    const progress = job.progress || {};
    const bar = place.querySelector('progress');
    if (typeof progress.of === 'number' && progress.of > 0) {
      bar.max = progress.of;
      bar.value = progress.done || 0;
    }
    place.querySelector('span').textContent = progress.text || '';
  }

  function follow(place) {
    const stream = new EventSource(place.dataset.job);
    stream.onmessage = function (event) {
      const job = JSON.parse(event.data);
      show(place, job);
      if (job.state === 'done')
        fetch_jobs();
    };
    /* httpd is being restarted: the browser asks again by itself, but for a
     * refusal */
    stream.onerror = function () {
      if (stream.readyState === EventSource.CLOSED)
        setTimeout(fetch_jobs, 1000);
    };
    streams.push(stream);
  }

  async function fetch_jobs() {
    const jobs = document.getElementById('jobs');
    stop();
    try {
      const answer = await fetch(location.href, {cache: 'no-store', headers: {'X-Again': '1'}});
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const now = page.getElementById('jobs');
      if (answer.ok && now)
        jobs.replaceWith(now);
    } catch (e) {
      /* httpd is being restarted: asked again */
    }
    again();
  }

  function again() {
    const jobs = document.getElementById('jobs');
    if (!jobs || !jobs.dataset.again)
      return;
    const places = jobs.querySelectorAll('[data-job]');
    if (jobs.dataset.again === 'events' && places.length > 0)
      places.forEach(follow);
    else
      setTimeout(fetch_jobs, 1000);
  }
  again();
})();
