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
  const PAUSE = 300;                    /* ms without a key: what was typed is searched for */
  const filter = () => document.activeElement && document.activeElement.closest('form');
  /* an element that the keyboard can be at, in the page that comes anew too */
  const named = (e, all) => e.id || e.getAttribute('href')
    || e.tagName + (e.parentNode.id || Array.from(all.querySelectorAll(e.tagName)).indexOf(e));
  const selected = () => { const s = getSelection(); return s && !s.isCollapsed; };
  let failed = 0;
  let timer = 0;
  let typed = 0;
  let search = null;                    /* the one that is on its way */
  let wrong = false;                    /* what the form has makes no sense: that is said below it */

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
    replaceLinks(page);
    return true;
  }

  /* The links below have the choice in them: the same ones stand on each page of a view. */
  function replaceLinks(page) {
    const now = page.querySelectorAll('footer a');
    document.querySelectorAll('footer a').forEach(function (a, i) {
      if (now[i])
        a.setAttribute('href', now[i].getAttribute('href'));
    });
  }

  /* What was found alone: who is in the form stays there, with what was typed. */
  function replaceFound(page) {
    const old = document.getElementById('found');
    const now = page.getElementById('found');
    const count = document.getElementById('count');
    if (!old || !now)
      return false;
    old.replaceWith(now);
    if (count && !wrong)
      count.textContent = page.getElementById('count').textContent;
    replaceLinks(page);
    return true;
  }

  /* The address of what the form has, without what is empty: it can be kept, and sent on. */
  function address(form) {
    const query = new URLSearchParams();
    new FormData(form).forEach(function (value, name) {
      if (value !== '')
        query.append(name, value);
    });
    return location.pathname + '?' + query;
  }

  async function find(form) {
    const where = address(form);
    if (search)
      search.abort();
    const mine = search = new AbortController();
    try {
      const answer = await fetch(where, {cache: 'no-store', signal: mine.signal});
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      if (mine !== search)
        return;
      const count = document.getElementById('count');
      wrong = !answer.ok;
      if (answer.ok && replaceFound(page))
        history.replaceState(null, '', where);
      else if (count)                   /* half a time, an unknown queue: it is said, and nothing else changes */
        count.textContent = (page.querySelector('.notice.bad') || {textContent: 'No answer.'}).textContent;
    } catch (e) {
      return;                           /* another search has begun, or httpd is being restarted */
    } finally {
      if (mine === search)
        search = null;
    }
  }

  document.addEventListener('input', function (e) {
    const form = e.target.closest('form.filter');
    if (!form)
      return;
    clearTimeout(typed);
    typed = setTimeout(() => find(form), PAUSE);
  });

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
    const typing = filter();
    if (!selected() && !search && (!typing || typing.matches('form.filter'))) {
      const asked = location.href;
      try {
        const answer = await fetch(asked, {cache: 'no-store', signal: AbortSignal.timeout(10000)});
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        failed = answer.ok || answer.status === 503 ? 0 : failed + 1;
        if (asked === location.href && !search && !(filter() ? replaceFound(page) : replace(page)))
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
