/* SPDX-License-Identifier: Apache-2.0 */
/* The page is shown anew by itself, while somebody looks at it: what stands in #live is
 * fetched again and put in the place of the old. What is unfolded stays so, and where
 * the keyboard is it stays. Each fetch is a request that ends; a page in the
 * background asks nothing. */
'use strict';

(function () {
  const LATE = 3;                       /* so many failed in a row: it is said */
  const given = new URLSearchParams(location.search).get('refresh');
  const seconds = given === null ? 5 : Math.min(Math.max(parseInt(given, 10) || 0, 0), 3600);
  const filter = () => document.activeElement && document.activeElement.closest('form');
  /* an element that the keyboard can be at, in the page that comes anew too */
  const named = (e, all) => e.id || e.getAttribute('href')
    || e.tagName + (e.parentNode.id || Array.from(all.querySelectorAll(e.tagName)).indexOf(e));
  const selected = () => { const s = getSelection(); return s && !s.isCollapsed; };
  let failed = 0;
  let timer = 0;

  function mark() {
    document.querySelectorAll('#refresh a').forEach(function (a) {
      if (parseInt(a.dataset.refresh, 10) === seconds)
        a.setAttribute('aria-current', 'true');
      else
        a.removeAttribute('aria-current');
    });
  }

  function replace(page) {
    const old = document.getElementById('live');
    const now = page.getElementById('live');
    const asOf = page.getElementById('as-of');
    if (!old || !now)
      return false;
    const open = Array.from(old.querySelectorAll('details[open][id]'), d => d.id);
    const at = document.activeElement && old.contains(document.activeElement) ? document.activeElement : null;
    const where = at && named(at, old);
    /* who is at the end of an output sees what comes */
    const scrolled = Array.from(old.querySelectorAll('pre'),
      p => p.scrollTop + p.clientHeight + 4 >= p.scrollHeight ? 1e9 : p.scrollTop);
    now.querySelectorAll('[role=status]').forEach(n => n.remove());
    old.replaceWith(now);
    open.forEach(function (id) {
      const d = document.getElementById(id);
      if (d)
        d.open = true;
    });
    now.querySelectorAll('pre').forEach((p, i) => { p.scrollTop = scrolled[i] || 0; });
    if (where) {
      const again = Array.from(now.querySelectorAll('a, pre, summary')).find(e => named(e, now) === where);
      if (again)
        again.focus({preventScroll: true});
    }
    if (asOf)
      document.getElementById('as-of').textContent = asOf.textContent;
    return true;
  }

  function late() {
    const asOf = document.getElementById('as-of');
    asOf.classList.toggle('late', failed >= LATE);
    asOf.title = failed >= LATE ? 'httpd or the broker does not answer' : '';
  }

  async function again() {
    timer = 0;
    if (document.hidden)
      return;
    /* what somebody types, chooses or marks is left alone */
    if (!filter() && !selected()) {
      try {
        const answer = await fetch(location.href, {cache: 'no-store', signal: AbortSignal.timeout(10000)});
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        failed = answer.ok || answer.status === 503 ? 0 : failed + 1;
        if (!replace(page))
          failed++;
      } catch (e) {
        failed++;                       /* httpd is being restarted: asked again */
      }
      late();
    }
    later();
  }

  function later() {
    if (seconds && !timer && !document.hidden)
      timer = setTimeout(again, seconds * 1000);
  }

  document.addEventListener('visibilitychange', function () {
    if (document.hidden) {
      clearTimeout(timer);
      timer = 0;
    } else if (seconds && !timer) {
      again();
    }
  });
  mark();
  later();
})();
