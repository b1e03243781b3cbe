/* oxlint-disable -- types are for the TypeScript around it; biome checks this file */
/* The page of a report: plain JavaScript, inlined by html-reporter.ts. It reads its data from the document, loads nothing,
 * evaluates nothing, and puts text into the page as text only. */
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const byId = (id) => document.getElementById(id);
  const rowAt = new Map(data.rows.map((row, index) => [row.key, index]));
  const tableRows = [...document.querySelectorAll('#cells tbody tr')];
  const filters = [...document.querySelectorAll('.filters select')];
  const views = [];
  const failures = [];

  const chosen = () => Object.fromEntries(filters.map(({name, value}) => [name, value]));
  const fits = (datum, wanted) =>
    Object.entries(wanted).every(
      ([key, value]) => value === '' || datum[key] === undefined || String(datum[key]) === value,
    );

  /** Headings stay only where a cell below them stays. */
  function keep(values, wanted) {
    const kept = values.filter((datum) => datum.heading || fits(datum, wanted));
    const panels = new Set(kept.filter((datum) => !datum.heading).map((datum) => datum.panel));
    return kept.filter((datum) => !datum.heading || panels.has(datum.panel));
  }

  function apply() {
    const wanted = chosen();
    let shown = 0;
    for (const line of tableRows) {
      line.hidden = !fits(data.rows[Number(line.dataset.index)], wanted);
      if (!line.hidden) shown++;
    }
    byId('count').textContent = `${shown} of ${tableRows.length} rows`;
    for (const {view, values} of views) {
      try {
        // Vega marks what it is given: it gets a copy each time.
        view.data('cells', structuredClone(keep(values, wanted))).runAsync();
      } catch (error) {
        failures.push(String(error));
      }
    }
    document.body.dataset.shown = String(shown);
  }

  function pairs(list, entries) {
    for (const [name, value] of entries) {
      const term = document.createElement('dt');
      term.textContent = name;
      const text = document.createElement('dd');
      text.textContent = value === null || value === undefined ? '–' : String(value);
      list.append(term, text);
    }
  }

  const tip = byId('tip');
  function showTip(_handler, event, _item, value) {
    if (value === null || value === undefined || value === '') {
      tip.hidden = true;
      return;
    }
    tip.replaceChildren();
    const list = document.createElement('dl');
    pairs(list, typeof value === 'object' ? Object.entries(value) : [['', value]]);
    tip.append(list);
    tip.hidden = false;
    const {width, height} = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
  }

  const dialog = byId('row');
  function showRow(index) {
    const row = data.rows[index];
    if (row === undefined) return;
    byId('row-title').textContent = `${row.format} on ${row.device}`;
    byId('row-command').textContent = row.command;
    const list = byId('row-values');
    list.replaceChildren();
    pairs(
      list,
      data.columns.map((name, at) => [name, row.values[at]]),
    );
    dialog.showModal();
  }

  function goTo(key) {
    const index = rowAt.get(key);
    const line = index === undefined ? null : byId(`row-${index}`);
    if (!line || line.hidden) return;
    for (const one of tableRows) one.classList.remove('hit');
    line.classList.add('hit');
    line.scrollIntoView({block: 'center'});
    line.querySelector('button').focus();
  }

  /** One field of RFC 4180 that no spreadsheet takes for a formula. */
  function field(text) {
    const safe =
      /^'*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/.test(text) && !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)
        ? `'${text}`
        : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }
  function csv() {
    const visible = [...document.querySelectorAll('#cells tbody tr')].filter((line) => !line.hidden);
    const lines = visible.map((line) => data.rows[Number(line.dataset.index)].values);
    return `${[data.columns, ...lines].map((values) => values.map((value) => field(value === null ? '' : String(value))).join(',')).join('\n')}\n`;
  }
  async function copy() {
    const text = csv();
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement('textarea');
      area.value = text;
      document.body.append(area);
      area.select();
      done = document.execCommand('copy');
      area.remove();
    }
    byId('copied').textContent = done ? 'Copied.' : 'The browser does not allow it.';
  }

  function sortBy(head, at) {
    const down = head.getAttribute('aria-sort') === 'ascending';
    for (const other of document.querySelectorAll('#cells thead th')) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const value = (line) => line.cells[at].dataset.value ?? line.cells[at].textContent;
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      // What was not measured stays last either way.
      if (x === '' || y === '') return (x === '') - (y === '');
      const order = head.dataset.kind === 'number' ? Number(x) - Number(y) : x.localeCompare(y);
      return down ? -order : order;
    };
    document.querySelector('#cells tbody').append(...[...tableRows].sort(compare));
  }

  for (const select of filters) select.addEventListener('change', apply);
  byId('reset').addEventListener('click', () => {
    for (const select of filters) select.value = '';
    apply();
  });
  byId('copy').addEventListener('click', copy);
  document.querySelectorAll('#cells thead th').forEach((head, at) => {
    head.querySelector('button')?.addEventListener('click', () => sortBy(head, at));
  });
  byId('cells').addEventListener('click', (event) => {
    const button = event.target.closest('tbody button');
    if (button) showRow(Number(button.closest('tr').dataset.index));
  });
  byId('row-close').addEventListener('click', () => dialog.close());

  const refuse = async () => {
    throw new Error('charts load nothing');
  };
  async function draw({id, spec}) {
    const values = structuredClone(spec.data.find(({name}) => name === 'cells')?.values);
    const place = byId(`chart-${id}`);
    const box = document.createElement('div');
    const view = new vega.View(vega.parse(spec, null, {ast: true}), {
      expr: globalThis.benchExpressionInterpreter,
      renderer: 'svg',
      loader: {load: refuse, sanitize: refuse, http: refuse, file: refuse},
      container: box,
      hover: true,
      tooltip: showTip,
    });
    view.addEventListener('click', (_event, item) => item?.datum?.key && goTo(item.datum.key));
    await view.runAsync();
    place.replaceChildren(box);
    if (values) views.push({view, values});
  }
  async function start() {
    for (const chart of data.charts) {
      try {
        await draw(chart);
      } catch (error) {
        // The picture drawn beforehand stays.
        failures.push(`${chart.id}: ${error}`);
      }
    }
    apply();
    document.body.dataset.ready = failures.length === 0 ? 'yes' : failures.join('; ');
  }
  start().catch((error) => {
    document.body.dataset.ready = String(error);
  });
})();
