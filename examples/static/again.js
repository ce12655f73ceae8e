/* SPDX-License-Identifier: Apache-2.0 */
/* As long as a job of this page runs, what the page tells of jobs is fetched once
 * a second and put in the place of the old. The form above is left alone: what
 * somebody types or chooses there stays. */
'use strict';

(function () {
  function again() {
    const jobs = document.getElementById('jobs');
    if (!jobs || !jobs.dataset.again)
      return;
    setTimeout(async function () {
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
    }, 1000);
  }
  again();
})();
