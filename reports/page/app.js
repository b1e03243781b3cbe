/* oxlint-disable -- types are for the TypeScript around it; biome checks this file */
/* The page of a report: plain JavaScript, inlined by html-reporter.ts. It reads its data from the document, loads nothing,
 * evaluates nothing, and puts text into the page as text only. */
(() => {
  const byId = (id) => document.getElementById(id);
  const {columns, shown, anchors, keys, commands, caveats, charts, pageRows} = JSON.parse(byId('data').textContent);
  const columnOf = new Map(columns.map((column) => [column.name, column]));
  const rowAt = new Map(keys.map((key, row) => [key, row]));
  const body = document.querySelector('#cells tbody');
  const heads = [...document.querySelectorAll('#cells thead th')];
  const filters = [...document.querySelectorAll('.filters select')];
  const views = [];
  const failures = [];
  /** Rows that the filters leave, sorted. */
  let visible = anchors.map((_, row) => row);
  let size = pageRows;
  let page = 0;
  let sorted = {name: null, down: false};
  let marked = null;

  /** What a row has in a column; null: not measured. */
  function valueAt(row, name) {
    const {texts, values} = columnOf.get(name);
    const value = values[row];
    return texts === undefined || value === null ? value : texts[value];
  }
  /** As in text.ts: nothing that turns text around or breaks lines. */
  const clean = (text) =>
    text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\uFFFE\uFFFF]/gu, ' ');

  /* Figures, as in units.ts. */
  function significant(value) {
    const magnitude = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
    return value.toFixed(Math.min(6, Math.max(0, 2 - magnitude)));
  }
  function bytes(value) {
    let rest = value;
    let step = 0;
    for (; Math.abs(rest) >= 1024 && step < 4; step++) rest /= 1024;
    if (step === 0) return `${Math.round(value)} B`;
    return `${significant(rest)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][step]}`;
  }
  const figure = (value, shows) =>
    shows === 'bytes' ? bytes(value) : shows === 'integer' ? String(value) : significant(value);

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className !== undefined) made.className = className;
    return made;
  }

  /* The table: of the rows that are left, one page stands in the document. */

  function cellOf(row, {name, shows, interval}) {
    const value = valueAt(row, name);
    if (name === 'status') {
      const parts = [value, valueAt(row, 'status_reason')].filter((part) => part !== null && part !== '');
      return element('td', clean(parts.join(': ')), parts.length > 1 ? 'long' : '');
    }
    if (typeof value !== 'number') {
      return element('td', clean(value ?? ''), name === 'caveats' && value !== null ? 'long caveats' : '');
    }
    const cell = element('td', figure(value, shows), 'n');
    const bounds = (interval ?? []).map((bound) => valueAt(row, bound));
    if (bounds.length === 2 && !bounds.includes(null)) {
      cell.append(' ', element('small', bounds.map((bound) => figure(bound, shows)).join('–')));
    }
    return cell;
  }
  function lineOf(row) {
    const line = element('tr', undefined, valueAt(row, 'status') === 'ok' ? '' : 'bad');
    line.id = anchors[row];
    line.dataset.row = String(row);
    line.classList.toggle('hit', row === marked);
    const head = element('th');
    head.scope = 'row';
    const button = element('button', String(row + 1));
    button.type = 'button';
    button.setAttribute('aria-label', `Row ${row + 1}: all figures and the command`);
    head.append(button);
    line.append(head, ...shown.map((column) => cellOf(row, column)));
    return line;
  }
  function render() {
    const last = Math.max(0, Math.ceil(visible.length / size) - 1);
    page = Math.min(Math.max(page, 0), last);
    const rows = visible.slice(page * size, (page + 1) * size);
    body.replaceChildren(...rows.map(lineOf));
    byId('place').textContent =
      rows.length === 0
        ? 'No row is left.'
        : `Rows ${page * size + 1}–${page * size + rows.length} of ${visible.length}`;
    // Not `disabled`: that would take the focus away from whoever pages with the keyboard.
    byId('previous').setAttribute('aria-disabled', String(page === 0));
    byId('next').setAttribute('aria-disabled', String(page === last));
  }
  const collator = new Intl.Collator('en', {numeric: true});
  function arrange() {
    const {name, down} = sorted;
    visible.sort((a, b) => {
      if (name === null) return a - b;
      const [x, y] = [valueAt(a, name), valueAt(b, name)];
      // What was not measured stays last either way.
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      const order = typeof x === 'number' ? x - y : collator.compare(x, y);
      return (down ? -order : order) || a - b;
    });
  }
  /** Once up, twice down, three times the order of the report. */
  function sortBy(name) {
    if (name === undefined || (sorted.name === name && sorted.down)) sorted = {name: null, down: false};
    else sorted = {name, down: sorted.name === name};
    for (const head of heads) {
      if (sorted.name === null || head.dataset.name !== sorted.name) head.removeAttribute('aria-sort');
      else head.setAttribute('aria-sort', sorted.down ? 'descending' : 'ascending');
    }
    arrange();
    page = 0;
    render();
  }

  /* Filters: of the table and of every chart. */

  const fits = (row) =>
    filters.every(({name, value}) => value === '' || columnOf.get(name).values[row] === Number(value));
  function apply() {
    visible = anchors.map((_, row) => row).filter(fits);
    arrange();
    page = 0;
    render();
    byId('count').textContent = `${visible.length} of ${anchors.length} rows`;
    document.body.dataset.shown = String(visible.length);
    const left = new Set(visible);
    for (const one of views) update(one, left);
  }
  /** A mark is of a row, or of something else that has some of the columns: a claim has a device. */
  function stays(datum, left) {
    const row = rowAt.get(datum.key);
    if (row !== undefined) return left.has(row);
    return filters.every(
      ({name, value, selectedOptions}) =>
        value === '' ||
        name === 'status' ||
        datum[name] === undefined ||
        datum[name] === '' ||
        datum[name] === selectedOptions[0].textContent,
    );
  }
  /** Headings stay only where a cell below them stays. */
  function keep(values, left) {
    const kept = values.filter((datum) => datum.heading || stays(datum, left));
    const panels = new Set(kept.filter((datum) => !datum.heading).map((datum) => datum.panel));
    return kept.filter((datum) => !datum.heading || panels.has(datum.panel));
  }
  function update({id, view, values}, left) {
    const failed = (error) => failures.push(`${id}: ${error}`);
    try {
      // Vega marks what it is given: it gets a copy each time.
      view
        .data('cells', structuredClone(keep(values, left)))
        .runAsync()
        .catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /* Rows: where a link leads, and all that is known of one. */

  function goTo(row) {
    if (!visible.includes(row)) {
      for (const select of filters) select.value = '';
      apply();
    }
    marked = row;
    page = Math.floor(visible.indexOf(row) / size);
    render();
    const line = byId(anchors[row]);
    line.scrollIntoView({block: 'center'});
    line.querySelector('button').focus({preventScroll: true});
  }
  function follow(hash) {
    const row = anchors.indexOf(hash.slice(1));
    if (row >= 0) goTo(row);
    return row >= 0;
  }

  const dialog = byId('row');
  function pairs(entries) {
    const list = element('dl');
    for (const [name, text, title] of entries) {
      const term = element('dt', clean(name));
      if (title !== undefined) term.title = title;
      list.append(term, element('dd', clean(text)));
    }
    return list;
  }
  function withUnit(value, unit) {
    if (value === null) return '–';
    if (typeof value !== 'number') return value;
    return unit === null ? plain(value) : `${plain(value)} ${unit}${unit === 'bytes' ? ` (${bytes(value)})` : ''}`;
  }
  function showRow(row) {
    const text = (name) => String(valueAt(row, name) ?? '–');
    byId('row-title').textContent = clean(`${text('format')} on ${text('device')}`);
    const command = element('p', 'Measure it again: ');
    command.append(element('code', clean(commands.texts[commands.values[row]])));
    const place = element('p', 'It stands in ');
    place.append(
      element('code', clean(`${text('run_id')}/results.csv`)),
      ` under the cell_id ${clean(text('cell_id'))}; its requests, one a row, in requests.csv beside it. `,
    );
    const link = element('a', 'Link to this row');
    link.href = `#${anchors[row]}`;
    place.append(link);
    const parts = [command, place];
    const codes = (valueAt(row, 'caveats') ?? '').split(' ').filter((code) => code !== '');
    if (codes.length > 0) {
      const known = (code) => (Object.hasOwn(caveats, code) ? caveats[code] : 'Not known to this version of bench.');
      parts.push(
        element('h3', 'Reasons to trust it less'),
        pairs(codes.map((code) => [code, known(code.split('=')[0])])),
      );
    }
    for (const group of new Set(columns.map((column) => column.group))) {
      parts.push(
        element('h3', group),
        pairs(
          columns
            .filter((column) => column.group === group)
            .map(({name, unit, doc}) => [name, withUnit(valueAt(row, name), unit), doc]),
        ),
      );
    }
    byId('row-content').replaceChildren(...parts);
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  /* Copying: the columns of results.csv, the rows that the filters leave, in their order. */

  /** A number without an exponent, which spreadsheets stumble over. */
  const plain = (value) =>
    /e/.test(String(value))
      ? value.toLocaleString('en-US', {useGrouping: false, maximumSignificantDigits: 17})
      : String(value);
  /** One field of RFC 4180; an apostrophe keeps a text from being run as a formula (see formula-guard.ts). */
  function field(value) {
    if (value === null) return '';
    if (typeof value === 'number') return plain(value);
    const safe = /^'*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }
  function csv() {
    const names = columns.map(({name}) => name);
    const lines = visible.map((row) => names.map((name) => field(valueAt(row, name))).join(','));
    return `${[names.join(','), ...lines].join('\n')}\n`;
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
      byId('copy').focus();
    }
    byId('copied').textContent = done ? `Copied ${visible.length} rows.` : 'The browser does not allow it.';
  }

  /* Charts. */

  const tip = byId('tip');
  function showTip(_handler, event, _item, value) {
    tip.hidden = value === null || value === undefined || value === '';
    if (tip.hidden) return;
    const entries = typeof value === 'object' ? Object.entries(value) : [['', value]];
    tip.replaceChildren(pairs(entries.map(([name, text]) => [name, text === null ? '–' : String(text)])));
    const {width, height} = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
  }
  const refuse = async () => {
    throw new Error('charts load nothing');
  };
  async function draw({id, spec}) {
    const values = structuredClone(spec.data.find(({name}) => name === 'cells')?.values);
    const box = document.createElement('div');
    const view = new vega.View(vega.parse(spec, null, {ast: true}), {
      expr: globalThis.benchExpressionInterpreter,
      renderer: 'svg',
      loader: {load: refuse, sanitize: refuse, http: refuse, file: refuse},
      container: box,
      hover: true,
      tooltip: showTip,
    });
    view.addEventListener('click', (_event, item) => {
      const row = rowAt.get(item?.datum?.key);
      if (row !== undefined) goTo(row);
    });
    await view.runAsync();
    byId(`chart-${id}`).replaceChildren(box);
    if (values) views.push({id, view, values});
  }
  async function start() {
    for (const chart of charts) {
      try {
        await draw(chart);
      } catch (error) {
        // The picture drawn beforehand stays.
        failures.push(`${chart.id}: ${error}`);
      }
      // The page answers between two charts.
      await new Promise((resolve) => setTimeout(resolve));
    }
    apply();
    document.body.dataset.ready = failures.length === 0 ? 'yes' : failures.join('; ');
  }

  /* What people do. */

  for (const select of filters) select.addEventListener('change', apply);
  document.querySelector('.filters').addEventListener('submit', (event) => event.preventDefault());
  byId('reset').addEventListener('click', () => {
    for (const select of filters) select.value = '';
    apply();
  });
  for (const head of heads) head.querySelector('button')?.addEventListener('click', () => sortBy(head.dataset.name));
  byId('size').addEventListener('change', ({target}) => {
    size = Number(target.value);
    page = 0;
    render();
  });
  for (const [id, step] of [
    ['previous', -1],
    ['next', 1],
  ]) {
    byId(id).addEventListener('click', ({target}) => {
      if (target.getAttribute('aria-disabled') === 'true') return;
      page += step;
      render();
      byId('cells-scroll').scrollTop = 0;
    });
  }
  byId('copy').addEventListener('click', copy);
  body.addEventListener('click', ({target}) => {
    // Marking figures with the mouse is no click.
    if (target.closest('button') || getSelection().toString() === '') showRow(Number(target.closest('tr').dataset.row));
  });
  byId('row-close').addEventListener('click', () => dialog.close());
  addEventListener('keydown', ({key}) => {
    if (key === 'Escape') tip.hidden = true;
  });
  addEventListener('hashchange', () => follow(location.hash));
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href^="#row-"]');
    if (!link) return;
    dialog.close();
    // A second click on one link changes no hash.
    if (location.hash === link.hash && follow(link.hash)) event.preventDefault();
  });

  /* On paper there is no paging: a table that can be read is printed whole. */
  let before = null;
  addEventListener('beforeprint', () => {
    before = {size, page};
    size = Math.max(size, 1000);
    page = Math.floor((before.page * before.size) / size);
    render();
    for (const details of document.querySelectorAll('details')) details.open = true;
  });
  addEventListener('afterprint', () => {
    if (before === null) return;
    ({size, page} = before);
    before = null;
    render();
  });

  start()
    .then(() => follow(location.hash))
    .catch((error) => {
      document.body.dataset.ready = String(error);
    });
})();
