/* Every function that changes `at` ends in render() or, if only the cell moved, in renderCell(). */

/* ---- small maps */

/* A canvas of small maps in rows, drawn a few at a time; item(row, col) gives that map. */
function small(id, item, chosen, choose, label) {
    const canvas = byId(id), self = {};
    let g = null, run = 0;
    const left = 30, top = 18;
    function outline(row, col, clear) {
        const ctx = canvas.getContext('2d'), x = left + col * g.pitch, y = top + row * g.pitch;
        ctx.lineWidth = 2;
        ctx.strokeStyle = clear ? '#fff' : '#b84300';
        ctx.strokeRect(x - 1.5, y - 1.5, g.pitch - 1, g.pitch - 1);
    }
    self.draw = function (count, cols, rowName, colName) {
        const rows = Math.ceil(count / cols);
        const room = canvas.parentNode.clientWidth, ratio = window.devicePixelRatio || 1;
        const pitch = Math.max(10, Math.min(66, Math.floor((room - left - 4) / cols))), mine = ++run;
        g = {count: count, rows: rows, cols: cols, pitch: pitch, was: null};
        const ctx = sized(canvas, left + cols * pitch + 4, top + rows * pitch + 4);
        const side = Math.max(1, Math.round((pitch - 4) * ratio)), middle = pitch / 2 - 2;
        ctx.font = '11px system-ui,sans-serif';
        ctx.fillStyle = '#5b6066';
        ctx.textBaseline = 'middle';
        ctx.textAlign = 'center';
        const step = pitch < 18 ? 5 : 1;
        for (let c = 0; c < cols; c += step) ctx.fillText(colName(c), left + c * pitch + middle, 8);
        ctx.textAlign = 'right';
        for (let r = 0; r < rows; r += step) ctx.fillText(rowName(r), left - 6, top + r * pitch + middle);
        const xOf = k => left + (k % cols) * pitch, yOf = k => top + Math.floor(k / cols) * pitch;
        ctx.strokeStyle = '#d9dcdf';
        for (let k = 0; k < count; k++)
            ctx.strokeRect(xOf(k) - 0.5, yOf(k) - 0.5, pitch - 3, pitch - 3);
        let k = 0;
        (function some() {
            if (mine !== run) return;
            for (const end = Date.now() + 15; k < count && Date.now() < end; k++) {
                const one = item(Math.floor(k / cols), k % cols);
                paint(ctx, Math.round(xOf(k) * ratio), Math.round(yOf(k) * ratio), side, side, one.v, one.p, 0,
                    one.p.rows.length, 0, columns(one.p), scale(one.p));
            }
            if (k < count) setTimeout(some, 0);
        })();
        self.mark();
    };
    self.mark = function () {
        const c = chosen();
        if (g.was) outline(g.was[0], g.was[1], true);
        outline(c[0], c[1], false);
        g.was = c;
        canvas.setAttribute('aria-label', label());
    };
    canvas.addEventListener('click', e => {
        const b = canvas.getBoundingClientRect();
        const c = Math.floor((e.clientX - b.left - left) / g.pitch);
        const r = Math.floor((e.clientY - b.top - top) / g.pitch);
        if (r >= 0 && c >= 0 && c < g.cols && r * g.cols + c < g.count) choose(r, c);
    });
    canvas.addEventListener('keydown', e => {
        const c = moved(e, chosen()[0], chosen()[1], g.rows, g.cols);
        if (c && c[0] * g.cols + c[1] < g.count) choose(c[0], c[1]);
    });
    return self;
}

/* Where an arrow key leads from row r, column c; null: no such key. */
function moved(e, r, c, rows, cols) {
    if (e.altKey || e.ctrlKey || e.metaKey) return null;
    const to = {ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c],
        Home: [r, 0], End: [r, cols - 1]}[e.key];
    if (!to) return null;
    e.preventDefault();
    return [Math.max(0, Math.min(rows - 1, to[0])), Math.max(0, Math.min(cols - 1, to[1]))];
}

const ACROSS = Math.max(5, Math.min(20, Math.ceil(Math.sqrt(data.inputs.length)))); /* texts in a row */
const heads = small('heads', (r, c) => ({v: view(at.input, at.part, r, c), p: part()}), () => [at.layer, at.head],
    (r, c) => { at.layer = r; at.head = c; render(); },
    () => 'Layers by heads, ' + where() + '. Arrow keys choose another.');
const texts = small('texts', (r, c) => {
    const k = r * ACROSS + c;
    return {v: view(k, at.part, at.layer, at.head), p: data.inputs[k].parts[at.part]};
}, () => [Math.floor(at.input / ACROSS), at.input % ACROSS], (r, c) => { at.input = r * ACROSS + c; render(); },
    () => 'This head on every text, text ' + (at.input + 1) + ' of ' + data.inputs.length +
        '. Arrow keys choose another.');

/* ---- texts */

/* At most MOST tokens are elements at a time: those around the one chosen. */
const MOST = 800;
function textView(id, top, ofKeys) {
    const box = byId(id), list = byId(top), self = {};
    let spans = [], from = 0, built = '', marked = null;
    const count = p => ofKeys ? columns(p) : p.rows.length;
    const chosen = () => ofKeys ? at.j : at.i;
    function build(p) {
        const n = count(p);
        const quarter = MOST / 4, first = (Math.floor(chosen() / quarter) - 2) * quarter;
        from = Math.max(0, Math.min(n - MOST, first));
        const key = [at.input, at.part, at.prefix, from].join();
        if (key === built) return;
        built = key;
        spans = [];
        marked = null;
        box.textContent = from ? '… ' : '';
        for (let k = from; k < Math.min(n, from + MOST); k++) {
            const span = document.createElement('span'), content = ofKeys ? k + skipped(p) - p.prefix : k;
            const raw = content < 0 ? '' : (ofKeys ? p.cols : p.rows)[content];
            span.textContent = content < 0 ? String(k) : visible(raw);
            if (content < 0) span.className = 'prefix';
            span.setAttribute('role', 'option');
            span.setAttribute('aria-selected', 'false');
            span.setAttribute('dir', 'auto');
            span.tabIndex = -1;
            span.dataset.k = k;
            box.appendChild(span);
            spans.push(span);
            if (data.by === 'lines' || raw.indexOf('\n') >= 0) box.appendChild(document.createElement('br'));
        }
        if (from + MOST < n) box.appendChild(document.createTextNode(' …'));
    }
    function mark(on) {
        marked.classList.toggle('at', on);
        marked.setAttribute('aria-selected', String(on));
        marked.tabIndex = on ? 0 : -1;
    }
    /* value(k): of token k, NaN where it is masked */
    self.show = function (p, value, name) {
        build(p);
        const s = scale(p), hit = new Set(at.hits.filter(x => x.key === ofKeys).map(x => x.at));
        spans.forEach((span, k) => {
            const v = value(from + k), hidden = isNaN(v), c = hidden ? [255, 255, 255] : colourOf(s, v);
            span.style.backgroundColor = css(c);
            span.style.color = inkOn(c);
            span.classList.toggle('masked', hidden);
            span.classList.toggle('hit', hit.has(from + k));
        });
        if (marked) mark(false);
        marked = spans[chosen() - from];
        mark(true);
        if (!box.matches(':hover')) {
            const y = marked.offsetTop, end = y + marked.offsetHeight;
            const seen = y >= box.scrollTop && end <= box.scrollTop + box.clientHeight;
            if (!seen) box.scrollTop = y - box.clientHeight / 2;
        }
        const order = [];
        for (let k = 0; k < count(p); k++) if (Math.abs(value(k)) >= 0.0005) order.push(k);
        order.sort((a, b) => Math.abs(value(b)) - Math.abs(value(a)) || a - b);
        list.textContent = '';
        order.slice(0, 8).forEach(k => {
            const li = document.createElement('li');
            li.textContent = shown(value(k)) + ' ' + name(k);
            list.appendChild(li);
        });
    };
    const tokenOf = e => e.target.dataset && e.target.dataset.k !== undefined ? Number(e.target.dataset.k) : -1;
    box.addEventListener('mouseover', e => { if (tokenOf(e) >= 0) hover(...pair(tokenOf(e))); });
    box.addEventListener('mouseleave', unhover);
    box.addEventListener('click', e => { if (tokenOf(e) >= 0) pin(...pair(tokenOf(e))); });
    box.addEventListener('keydown', e => {
        const vertical = {ArrowUp: -1, ArrowDown: 1}[e.key];
        const to = moved(e, 0, chosen() + (vertical || 0), 1, count(part()));
        if (!to) return;
        pin(...pair(to[1]));
        renderCell();
        marked.focus();
    });
    /* In self-attention a token is query and key at once. */
    function pair(k) {
        const p = part(), own = p.part !== 'cross', shift = p.prefix - skipped(p);
        if (ofKeys) return [own && k >= shift ? k - shift : at.i, k];
        return [k, own ? k + shift : at.j];
    }
    return self;
}
const keys = textView('keys', 'top-keys', true), queries = textView('queries', 'top-queries', false);

/* ---- the cell */

function number(v, signed) {
    const text = Math.abs(v).toFixed(3);
    return (Number(text) === 0 ? '' : v < 0 ? '\u2212' : signed ? '+' : '') + text;
}
const shown = v => number(v, at.mode === 'difference');
function where() {
    const p = part(), head = p.heads[at.head];
    return 'layer ' + p.layers[at.layer] + (head === 'mean' ? ', mean of heads' : ', head ' + head);
}

let mapCopy = null, cellGeometry = null, pinned = [0, 0], waiting = false;
function pin(i, j) { pinned = [i, j]; at.i = i; at.j = j; renderSoon(); }
function hover(i, j) { at.i = i; at.j = j; renderSoon(); }
function unhover() { at.i = pinned[0]; at.j = pinned[1]; renderSoon(); }
function renderSoon() {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; renderCell(); }, 0);
}

function valueAt(mode, i, j) {
    const was = at.mode;
    at.mode = mode;
    const v = view(at.input, at.part, at.layer, at.head)[i * columns(part()) + j];
    at.mode = was;
    return v;
}

/* The map below must not move under the pointer when the line above it becomes two lines. */
function keepRoom() {
    const read = byId('read'), had = parseFloat(read.style.minHeight) || 0;
    read.style.minHeight = Math.max(had, read.getBoundingClientRect().height) + 'px';
}

function renderCell() {
    const p = part(), m = columns(p), v = view(at.input, at.part, at.layer, at.head), i = at.i, j = at.j;
    const hidden = masked(p, i, j);
    byId('of').textContent = queryName(p, i);
    byId('to').textContent = '→ ' + keyName(p, j) + ':';
    byId('shown').textContent = hidden ? 'masked' : shown(v[i * m + j]);
    let rest = '';
    if (p.base && !hidden) {
        const tuned = valueAt('model', i, j), base = valueAt('base', i, j);
        rest = 'model ' + number(tuned) + ', base ' + number(base) + ', difference ' + number(tuned - base, true);
    }
    byId('rest').textContent = rest;
    keepRoom();
    byId('h-keys').textContent = 'Keys that ' + queryName(p, i) + ' attends to';
    byId('h-queries').textContent = 'Queries that attend to ' + keyName(p, j);
    keys.show(p, k => masked(p, i, k) ? NaN : v[i * m + k], k => keyName(p, k));
    queries.show(p, k => masked(p, k, j) ? NaN : v[k * m + j], k => queryName(p, k));
    const canvas = byId('map'), ctx = canvas.getContext('2d');
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.globalCompositeOperation = 'copy';
    ctx.drawImage(mapCopy, 0, 0);
    ctx.restore();
    drawCross(ctx, cellGeometry, i, j);
    const close = cellGeometry.w < 10 || cellGeometry.h < 10;
    byId('close-up').hidden = !close;
    if (!close) return;
    const near = 17, n = p.rows.length, room = Math.min(560, canvas.parentNode.clientWidth);
    const from = (k, all) => Math.max(0, Math.min(k - (near - 1) / 2, all - near)), r0 = from(i, n), c0 = from(j, m);
    const g = drawMap(byId('lens'), v, p, room, r0, Math.min(n, r0 + near), c0, Math.min(m, c0 + near), 26);
    drawCross(byId('lens').getContext('2d'), g, i, j);
}

/* ---- everything */

const beginning = x => x.parts[0].rows.slice(0, 16).join('').replace(/\s+/g, ' ').trim().slice(0, 40);

function fill(select, names, chosen) {
    if (select.options.length !== names.length || names.some((n, k) => select.options[k].text !== n)) {
        select.textContent = '';
        names.forEach((n, k) => select.add(new Option(n, k)));
    }
    select.value = chosen;
}

/* The chosen layer, head or cell may not exist in another text or part. */
function clamp() {
    at.part = Math.min(at.part, data.inputs[at.input].parts.length - 1);
    const p = part();
    at.layer = Math.min(at.layer, p.layers.length - 1);
    at.head = Math.min(at.head, p.heads.length - 1);
    at.i = Math.min(at.i, p.rows.length - 1);
    at.j = Math.min(at.j, columns(p) - 1);
    if (!p.base) at.mode = 'model';
    pinned = [at.i, at.j];
}

function renderControls(p) {
    fill(byId('input'), data.inputs.map((x, k) => (k + 1) + ' ' + beginning(x)), at.input);
    fill(byId('part'), data.inputs[at.input].parts.map(x => x.title), at.part);
    fill(byId('layer'), p.layers.map(String), at.layer);
    fill(byId('head'), p.heads.map(String), at.head);
    document.querySelectorAll('[name=mode]').forEach(x => { x.checked = x.value === at.mode; });
    byId('prefix').checked = at.prefix;
    byId('field-prefix').hidden = !p.prefix;
    const s = scale(p);
    if (document.activeElement !== byId('limit')) byId('limit').value = s.hi;
    byId('bar-lo').textContent = s.lo ? '\u2212' + s.hi : '0';
    byId('bar-hi').textContent = (s.lo ? '+' : '') + s.hi + (s.hi < 1 ? ' and beyond' : '');
    const stops = s.lut.filter((c, k) => k % 16 === 0).map(css);
    byId('bar-colours').style.background = 'linear-gradient(to right,' + stops.join() + ')';
}

function render() {
    clamp();
    const p = part(), n = p.rows.length, m = columns(p);
    const mode = {model: '', base: ' of the base', difference: ', model minus base'}[at.mode];
    search();
    renderControls(p);
    byId('h-map').textContent = p.title + ', ' + where() + mode + (p.prefix && !at.prefix ? ', prefix removed' : '');
    const canvas = byId('map'), v = view(at.input, at.part, at.layer, at.head);
    canvas.setAttribute('aria-label', 'Attention map of ' + where() + ': ' + n + ' queries by ' + m +
        ' keys. Arrow keys move from cell to cell.');
    cellGeometry = drawMap(canvas, v, p, canvas.parentNode.clientWidth, 0, n, 0, m, 34);
    mapCopy = document.createElement('canvas');
    mapCopy.width = canvas.width;
    mapCopy.height = canvas.height;
    mapCopy.getContext('2d').drawImage(canvas, 0, 0);
    renderCell();
    heads.draw(p.layers.length * p.heads.length, p.heads.length, r => 'L' + p.layers[r], c => String(p.heads[c]));
    const many = data.inputs.length;
    if (many > 1) texts.draw(many, Math.min(ACROSS, many), r => String(r * ACROSS + 1), () => '');
}

/* ---- search */

function search() {
    const p = part(), wanted = at.find.toLowerCase(), shift = p.prefix - skipped(p);
    const has = t => t.toLowerCase().indexOf(wanted) >= 0 || visible(t).toLowerCase().indexOf(wanted) >= 0;
    at.hits = [];
    if (wanted) {
        p.rows.forEach((t, k) => { if (has(t)) at.hits.push({key: false, at: k}); });
        p.cols.forEach((t, k) => { if (has(t)) at.hits.push({key: true, at: k + shift}); });
    }
    const n = at.hits.filter(h => p.part === 'cross' || !h.key).length;
    byId('found').textContent = wanted ? n + ' ' + data.unit + (n === 1 ? '' : 's') : '';
}

function toHit(step) {
    const p = part(), own = p.part !== 'cross', list = at.hits.filter(h => !own || !h.key);
    if (!list.length) return;
    const here = list.findIndex(h => h.at === (h.key ? at.j : at.i));
    const k = here < 0 ? (step > 0 ? 0 : list.length - 1) : (here + step + list.length) % list.length, h = list[k];
    byId('found').textContent = (k + 1) + ' of ' + list.length;
    if (h.key) pin(at.i, h.at);
    else pin(h.at, own ? h.at + p.prefix - skipped(p) : at.j);
}

/* ---- events */

function cellOf(e) {
    const g = cellGeometry, b = byId('map').getBoundingClientRect();
    const i = Math.floor((e.clientY - b.top - g.top) / g.h), j = Math.floor((e.clientX - b.left - g.left) / g.w);
    return i >= 0 && j >= 0 && i < g.r1 && j < g.c1 ? [i, j] : null;
}
byId('map').addEventListener('mousemove', e => { const c = cellOf(e); if (c) hover(c[0], c[1]); });
byId('map').addEventListener('mouseleave', unhover);
byId('map').addEventListener('click', e => { const c = cellOf(e); if (c) pin(c[0], c[1]); });
byId('map').addEventListener('keydown', e => {
    const c = moved(e, at.i, at.j, part().rows.length, columns(part()));
    if (c) pin(c[0], c[1]);
});

['input', 'part', 'layer', 'head'].forEach(name => byId(name).addEventListener('change', e => {
    at[name] = Number(e.target.value);
    render();
}));
document.querySelectorAll('[name=mode]').forEach(x => x.addEventListener('change', () => { setMode(x.value); }));
byId('prefix').addEventListener('change', () => setPrefix(byId('prefix').checked));
byId('limit').addEventListener('change', e => {
    const v = Number(e.target.value);
    at.ends = v > 0 && v <= 1 ? v : null;
    render();
    e.target.value = scale(part()).hi;
});
byId('find').addEventListener('input', e => { at.find = e.target.value; render(); });
byId('find').addEventListener('keydown', e => {
    if (e.key === 'Enter') toHit(e.shiftKey ? -1 : 1);
    if (e.key === 'Escape') { at.find = byId('find').value = ''; render(); byId('map').focus(); }
});
byId('controls').addEventListener('submit', e => e.preventDefault());

function setMode(mode) { at.mode = mode; at.ends = null; render(); }
function setPrefix(on) {
    const p = part();
    at.j = Math.max(0, at.j + (on === at.prefix ? 0 : on ? p.prefix : -p.prefix));
    at.prefix = on;
    render();
}

const LETTER = {
    l: step => { at.layer += step; wrap('layer', part().layers.length); },
    h: step => { at.head += step; wrap('head', part().heads.length); },
    t: step => { at.input += step; wrap('input', data.inputs.length); },
    m: () => { if (part().base) setMode({model: 'base', base: 'difference', difference: 'model'}[at.mode]); },
    p: () => { if (part().prefix) setPrefix(!at.prefix); },
    n: step => toHit(step),
    '/': () => byId('find').focus(),
    escape: () => { at.find = byId('find').value = ''; render(); }
};
function wrap(name, n) { at[name] = (at[name] + n) % n; render(); }
document.addEventListener('keydown', e => {
    if (e.altKey || e.ctrlKey || e.metaKey || /^(SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    if (e.target.tagName === 'INPUT' && !/^(checkbox|radio)$/.test(e.target.type)) return;
    const key = e.key.toLowerCase(), act = LETTER[key];
    if (!act || (key !== 'escape' && !byId('letters').checked)) return;
    e.preventDefault();
    act(e.shiftKey ? -1 : 1);
});
let width = window.innerWidth;
window.addEventListener('resize', () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    byId('read').style.minHeight = '';
    render();
});

/* ---- start */

data.inputs.forEach(x => x.parts.forEach(p => {
    p.cols = p.cols || p.rows;
    p.width = p.prefix + p.cols.length;
    p.title = {encoder: 'Encoder self-attention', decoder: 'Decoder self-attention',
        cross: 'Cross-attention'}[p.part];
}));
at.part = Math.max(0, data.inputs[0].parts.findIndex(p => p.part === data.part));
at.j = part().prefix;
document.title = byId('title').textContent = data.title;
byId('lead').textContent = data.model + (data.adapter ? ' with ' + data.adapter : '') +
    (data.base ? ' against ' + data.base : '') + ' · ' + data.architecture +
    (data.left_out ? ' · the first ' + data.inputs.length + ' of ' + (data.inputs.length + data.left_out) + ' texts'
        : '') +
    (data.by ? ' · by ' + data.by + ': queries of a ' + data.unit + ' are averaged, keys of one are summed' : '') +
    (data.bare ? ' · prefix removed' : '');
byId('find-what').textContent = 'Find ' + data.unit;
byId('field-input').hidden = byId('follow').hidden = data.inputs.length < 2;
byId('field-part').hidden = data.inputs.every(x => x.parts.length < 2);
byId('field-mode').hidden = !data.base;
byId('about').textContent =
    'Rows are queries and columns are keys; a row sums to one. Values are stored in steps of 1/' + STEP +
    ', so every shown value and difference is within 0.001 of the exact one. A pixel that covers several cells ' +
    'shows, as a mean over rows, the cell furthest from zero. Grey cells are masked. The exact maps of a single ' +
    'text are in maps.safetensors next to the report.';
render();
