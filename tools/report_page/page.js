'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const verdicts = ['allow', 'redact', 'escalate', 'block', 'error'];
  const whole = n => Math.round(n).toLocaleString('en');
  const money = n => n.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 6 });
  const time = ms => ms >= 10000 ? (ms / 1000).toFixed(1) + ' s' : whole(ms) + ' ms';
  const base = path => (path || '-').replace(/.*\//, '');

  // Text only, ever: what an event holds comes from programs and providers.
  const el = (name, attributes = {}, ...children) => {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children.map(c => c instanceof Node ? c : String(c)));
    return e;
  };
  const svg = (name, attributes = {}, text) => {
    const e = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const put = (id, ...children) => document.getElementById(id).append(...children);

  // ---- head ----
  const filters = Object.entries(data.filters).map(([k, v]) => `${k} ${v}`).join(', ');
  put('about', data.events ? `${data.first} to ${data.last}` : 'no calls', filters ? ` (${filters})` : '');
  if (data.gaps) put('rule', el('p', { class: 'rule broken' }, data.gaps));
  if (data.rule.fail_on.length && (data.rule.broken || !data.gaps))
    put('rule', el('p', { class: 'rule ' + (data.rule.broken ? 'broken' : 'kept') },
      data.rule.broken ? `${whole(data.rule.broken)} calls break the rule: ` +
        Object.entries(data.rule.broken_by).filter(b => b[1]).map(([k, v]) => `${k} ${whole(v)}`).join(', ')
        : `No call breaks the rule (${data.rule.fail_on.join(', ')})`));
  const count = name => (data.by_verdict.find(v => v.name === name) || { count: 0 }).count;
  for (const [name, value] of [['calls', whole(data.events)], ['blocked', whole(count('block'))],
    ['redacted', whole(count('redact'))], ['errors', whole(count('error'))], ['tokens', whole(data.tokens.total)],
    ['cost, USD', money(data.cost_usd)], ['latency p50', time(data.latency_ms.p50)],
    ['latency p95', time(data.latency_ms.p95)], ['latency p99', time(data.latency_ms.p99)],
    ['more than one attempt', whole(data.attempts.retried_events)]])
    put('tiles', el('div', { class: 'tile' }, el('b', {}, value), el('span', { class: 'dim' }, name)));

  // ---- charts ----
  const W = 440, H = 170, LEFT = 46, BOTTOM = 22;
  const frame = (label, top) => {
    const g = svg('svg', { viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': label });
    for (const part of [0, 0.5, 1]) {
      const y = 8 + (H - BOTTOM - 8) * (1 - part);
      g.append(svg('line', { x1: LEFT, x2: W, y1: y, y2: y }), svg('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' },
        top * part >= 1 || part === 0 ? whole(top * part) : (top * part).toPrecision(2)));
    }
    return g;
  };
  const height = (value, top) => (H - BOTTOM - 8) * value / top;
  const card = (title, ...children) => put('charts', el('div', { class: 'card' }, el('h2', {}, title), ...children));

  const sums = data.series.allow.map((_, i) => verdicts.reduce((n, v) => n + data.series[v][i], 0));
  const most = Math.max(1, ...sums), over = frame('calls over time by verdict', most), step = (W - LEFT) / sums.length;
  sums.forEach((sum, i) => {
    let y = H - BOTTOM;
    for (const v of verdicts) {
      const h = height(data.series[v][i], most);
      if (!h) continue;
      y -= h;
      const bar = svg('rect', { x: LEFT + i * step + 0.5, y, width: Math.max(1, step - 1), height: h, fill: `var(--${v})` });
      bar.append(svg('title', {}, `${new Date(data.series.from_ms + i * data.series.slice_ms).toISOString()}: ${whole(data.series[v][i])} ${v}`));
      over.append(bar);
    }
  });
  if (data.events)
    over.append(svg('text', { x: LEFT, y: H - 6 }, data.first.slice(0, 19).replace('T', ' ')),
      svg('text', { x: W, y: H - 6, 'text-anchor': 'end' }, data.last.slice(0, 19).replace('T', ' ')));
  card('Calls over time', over, el('div', { class: 'legend' }, ...verdicts.map(v =>
    el('span', {}, el('i', { style: `background: var(--${v})` }), v))));

  const bars = (label, items, name, value, text) => {
    const top = Math.max(1e-9, ...items.map(value)), g = frame(label, top), w = (W - LEFT) / items.length;
    items.forEach((item, i) => {
      const h = height(value(item), top), x = LEFT + i * w;
      const bar = svg('rect', { x: x + w * 0.12, y: H - BOTTOM - h, width: w * 0.76, height: h, fill: 'var(--bar)' });
      bar.append(svg('title', {}, `${name(item)}: ${text(item)}`));
      g.append(bar, svg('text', { x: x + w / 2, y: H - 6, 'text-anchor': 'middle' }, name(item).slice(0, Math.floor(w / 6))));
    });
    return g;
  };
  const spread = data.latency_histogram.map((b, i) => ({ ...b, from: i ? data.latency_histogram[i - 1].below_ms : 0 }));
  const used = spread.filter(b => b.calls), from = spread.indexOf(used[0]), to = spread.indexOf(used[used.length - 1]);
  if (used.length)
    card('Latency', bars('latency', spread.slice(from, to + 1), b => b.from >= 1000 ? (b.from / 1000).toFixed(0) + 's' : b.from + '',
      b => b.calls, b => `${whole(b.calls)} calls from ${time(b.from)}`), el('div', { class: 'legend' }, 'milliseconds, from'));
  const paid = data.targets.filter(t => t.cost_usd > 0).sort((a, b) => b.cost_usd - a.cost_usd).slice(0, 8);
  if (paid.length) card('Cost by target, USD', bars('cost by target', paid, t => t.name, t => t.cost_usd, t => money(t.cost_usd)));
  const acted = data.policies.filter(p => p.found).sort((a, b) => b.found - a.found).slice(0, 8);
  if (acted.length) card('Calls in which a policy found something', bars('findings by policy', acted, p => p.name, p => p.found, p => whole(p.found)));

  // ---- tables ----
  // columns: [title, value(row), text(value)?, class(row)?] - one with a text function is numeric. Rows become elements when they are
  // shown: a browser takes seconds for some thousands of them.
  const SHOWN = 300;
  const table = (id, title, rows, columns, find) => {
    if (!rows.length) return;
    const head = el('tr'), body = el('tbody'), more = el('button', { type: 'button', class: 'more' });
    let limit = SHOWN, kept = rows;
    const cell = ([, value, text, kind], row) => {
      const v = value(row), shown = text ? (v === undefined ? '-' : text(v)) : v || '-';
      return el('td', { class: (text ? 'n ' : '') + (kind ? kind(row) : ''), title: shown }, shown);
    };
    const show = () => {
      body.replaceChildren(...kept.slice(0, limit).map(row => el('tr', {}, ...columns.map(c => cell(c, row)))));
      more.hidden = kept.length <= limit;
      more.textContent = `show all ${whole(kept.length)}`;
    };
    more.addEventListener('click', () => { limit = Infinity; show(); });
    columns.forEach(([name, value, text], i) => {
      const th = el('th', { scope: 'col', class: text ? 'n' : '' }), button = el('button', { type: 'button' }, name);
      const key = row => { const v = value(row); return v === undefined || v === null ? (text ? -1 : '') : v; };
      button.addEventListener('click', () => {
        const down = th.getAttribute('aria-sort') === 'descending' ? 1 : -1;
        const order = (a, b) => { const x = key(a), y = key(b); return down * (x < y ? -1 : x > y ? 1 : 0); };
        rows.sort(order);
        if (kept !== rows) kept.sort(order);
        for (const other of head.cells) other.removeAttribute('aria-sort');
        th.setAttribute('aria-sort', down < 0 ? 'descending' : 'ascending');
        show();
      });
      th.append(button);
      head.append(th);
    });
    const section = el('section', {}, el('h2', {}, title));
    if (find) {
      const input = el('input', { class: 'find', type: 'search', placeholder: 'find in these calls', 'aria-label': 'find in these calls' });
      input.addEventListener('input', () => {
        const wanted = input.value.toLowerCase();
        const text = row => columns.map(([, value, form]) => { const v = value(row); return form && v !== undefined ? form(v) : v || '-'; }).join(' ');
        kept = wanted ? rows.filter(row => text(row).toLowerCase().includes(wanted)) : rows;
        show();
      });
      section.append(...find, input);
    }
    show();
    section.append(el('div', { class: 'scroll' }, el('table', { id }, el('thead', {}, head), body)), more);
    put('tables', section);
  };
  const numbers = [['calls', r => r.calls, whole], ['blocked', r => r.blocked, whole], ['redacted', r => r.redacted, whole],
    ['failed', r => r.failed, whole], ['retried', r => r.retried, whole], ['tokens', r => r.tokens, whole], ['cost, USD', r => r.cost_usd, money],
    ['p50', r => r.p50_ms, time], ['p95', r => r.p95_ms, time], ['p99', r => r.p99_ms, time]];
  const outcome = c => c.would_verdict && c.would_verdict !== 'allow' ? 'would ' + c.would_verdict
    : c.event_type !== 'decision' ? c.event_type : c.verdict;
  table('targets', 'Targets', data.targets, [['target', r => r.name], ...numbers]);
  table('models', 'Models', data.models, [['model', r => r.name], ...numbers]);
  table('policies', 'Policies', data.policies, [['policy', r => r.name], ['looked', r => r.looked, whole], ['found', r => r.found, whole],
    ['blocked', r => r.blocked, whole], ['redacted', r => r.redacted, whole], ['mean time, us', r => r.mean_us, whole]]);
  table('attempts', 'Attempts', data.attempts_by_outcome, [['target and outcome', r => r.name], ['attempts', r => r.count, whole]]);
  table('programs', 'Programs', data.programs, [['program', r => r.name], ...numbers]);
  table('calls', 'Calls', data.calls.slice().reverse(), [['seq', c => c.seq, n => String(n)], ['time', c => (c.timestamp || '').slice(0, 23).replace('T', ' ')],
    ['outcome', outcome, null, c => 'v-' + (c.would_verdict || c.verdict || 'error').replace(/[^a-z]/g, '')], ['reason', c => c.reason_code || c.error],
    ['policies', c => c.policies.join(', ')], ['model', c => c.model], ['target', c => c.target], ['status', c => c.status, String],
    ['latency', c => c.latency_ms, time], ['tokens', c => c.total_tokens, whole], ['cost, USD', c => c.cost_usd, money],
    ['attempts', c => c.attempts, whole], ['lane', c => c.lane], ['program', c => `${base(c.exe)}[${c.pid || '-'}]`], ['origin', c => c.origin]],
  data.events > data.calls_listed ? [el('p', { class: 'dim' },
    `The newest calls, and the newest that did not pass untouched; ${whole(data.events - data.calls_listed)} others are in the log.`)] : []);
  put('foot', `kt ${data.ktwrap}, ${data.generated}`, data.unreadable_lines ? `; ${whole(data.unreadable_lines)} unreadable lines in the log` : '');
})();
