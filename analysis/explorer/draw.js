'use strict';
/* Data are inputs, each with the parts of the model that read it, each with one coded map a head.  The state of the view
 * is in `at`.  This file makes numbers, names, colours and pictures of them; explorer.js handles the reader's input. */
const data = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);
const STEP = data.step, ONE = data.one;
const at = {input: 0, part: 0, layer: 0, head: 0, mode: 'model', prefix: true, i: 0, j: 0, find: '', hits: [],
    ends: null}; /* of the colours, where the reader chose it */
const MONO = '"DejaVu Sans Mono",ui-monospace,Consolas,monospace';

/* ---- maps */

/* Symbols are printable characters.  One below ONE is a value; another makes, with the next, a larger value or, above
 * STEP, a run of zeros. */
const CODE = new Uint8Array(128), SYMBOLS = 90;
for (let c = 35, n = 0; c < 127; c++) if (c !== 60 && c !== 92) CODE[c] = n++;

/* A row holds its mass on the prefix, where there is one, then the prefix and the text, each summing to one. */
function decode(text, p) {
    const n = p.rows.length, m = p.width, out = {mass: new Float32Array(n), share: new Float32Array(n * m)};
    let pos = 0, zeros = 0;
    function next() {
        if (zeros) { zeros--; return 0; }
        const c = CODE[text.charCodeAt(pos++)];
        if (c < ONE) return c;
        const v = ONE + (c - ONE) * SYMBOLS + CODE[text.charCodeAt(pos++)];
        if (v <= STEP) return v;
        zeros = v - STEP;
        return 0;
    }
    for (let i = 0; i < n; i++) {
        const end = p.causal ? Math.min(m, p.prefix + i + 1) : m;
        if (p.prefix) { const whole = next(); out.mass[i] = (whole + next() / STEP) / STEP; }
        for (let j = 0; j < end; j++) out.share[i * m + j] = next() / STEP;
    }
    return out;
}

function values(text, p, prefix) {
    const d = decode(text, p), n = p.rows.length, from = prefix ? 0 : p.prefix, m = p.width - from;
    if (prefix && !p.prefix) return d.share;
    const v = new Float32Array(n * m);
    for (let i = 0; i < n; i++)
        for (let j = from; j < p.width; j++)
            v[i * m + j - from] = d.share[i * p.width + j] * (!prefix ? 1 : j < p.prefix ? d.mass[i] : 1 - d.mass[i]);
    return v;
}

/* The last maps that were used, up to some 20 million cells. */
const kept = new Map();
let cells = 0;
function view(input, part, layer, head) {
    const p = data.inputs[input].parts[part], k = layer * p.heads.length + head;
    const key = [input, part, k, at.mode, at.prefix].join();
    if (kept.has(key)) return kept.get(key);
    const v = values(at.mode === 'base' ? p.base[k] : p.maps[k], p, at.prefix);
    if (at.mode === 'difference') {
        const b = values(p.base[k], p, at.prefix);
        for (let i = 0; i < v.length; i++) v[i] -= b[i];
    }
    kept.set(key, v);
    cells += v.length;
    for (const old of kept.keys()) {
        if (cells < 2e7 || old === key) break;
        cells -= kept.get(old).length;
        kept.delete(old);
    }
    return v;
}

const part = () => data.inputs[at.input].parts[at.part];
const skipped = p => at.prefix ? 0 : p.prefix;
const columns = p => p.width - skipped(p);
const masked = (p, i, j) => p.causal && j > i + p.prefix - skipped(p);

/* ---- tokens */

const BLANK = {'\n': '↵', '\t': '⇥', '\r': '␍'};
const COMBINING = new RegExp('^[\\u0300-\\u036f\\u0483-\\u0489\\u0591-\\u05bd\\u0610-\\u061a\\u064b-\\u065f' +
    '\\u0900-\\u0903\\u093a-\\u094f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u200d\\u20d0-\\u20ff' +
    '\\ufe00-\\ufe0f\\ufe20-\\ufe2f]');

/* Invisible characters get a sign; characters that would change the direction of the text get their number. */
function visible(token) {
    if (!token) return '∅';
    const t = token.replace(/^ +| +$/g, s => '␣'.repeat(s.length)).replace(/[\n\t\r]/g, c => BLANK[c])
        .replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
            c => '⟨' + c.charCodeAt(0).toString(16).toUpperCase() + '⟩');
    return COMBINING.test(t) ? '◌' + t : t;
}
const quoted = token => '“\u2068' + visible(token) + '\u2069”'; /* whatever its direction */
const keyLabel = (p, j) => (j += skipped(p)) < p.prefix ? String(j) : visible(p.cols[j - p.prefix]);
function keyName(p, j) {
    j += skipped(p);
    return j < p.prefix ? 'prefix ' + j : 'key ' + (j - p.prefix) + ' ' + quoted(p.cols[j - p.prefix]);
}
const queryName = (p, i) => 'query ' + i + ' ' + quoted(p.rows[i]);

/* ---- colours */

function colours(hex) {
    const out = [];
    for (let k = 0; k < hex.length; k += 6)
        out.push([0, 2, 4].map(c => parseInt(hex.slice(k + c, k + c + 2), 16)));
    return out;
}
const SEQUENTIAL = colours(data.sequential), DIVERGING = colours(data.diverging), HIDDEN = [226, 228, 230];

function scale(p) {
    const difference = at.mode === 'difference', hi = at.ends || p.limit[difference ? 1 : 0];
    return {lut: difference ? DIVERGING : SEQUENTIAL, lo: difference ? -hi : 0, hi: hi};
}
function colourOf(s, v) {
    const n = s.lut.length - 1, k = Math.round((v - s.lo) / (s.hi - s.lo) * n);
    return s.lut[k < 0 ? 0 : k > n ? n : k];
}
const css = c => 'rgb(' + c.join() + ')';
function inkOn(c) {
    const [r, g, b] = c.map(x => (x /= 255) <= 0.04045 ? x / 12.92 : Math.pow((x + 0.055) / 1.055, 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000' : '#fff';
}

/* ---- drawing */

/* Cells r0..r1, c0..c1 onto W by H pixels.  A pixel that covers several takes from each row the one furthest from
 * zero, and of these the mean: both a key that all queries attend to and a diagonal stay visible. */
function paint(ctx, x0, y0, W, H, v, p, r0, r1, c0, c1, s) {
    const m = columns(p), image = ctx.createImageData(W, H), to = image.data;
    const left = new Int32Array(W), right = new Int32Array(W);
    for (let x = 0; x < W; x++) {
        left[x] = c0 + Math.floor(x * (c1 - c0) / W);
        right[x] = Math.max(left[x] + 1, c0 + Math.floor((x + 1) * (c1 - c0) / W));
    }
    for (let y = 0, k = 0; y < H; y++) {
        const top = r0 + Math.floor(y * (r1 - r0) / H);
        const end = Math.max(top + 1, r0 + Math.floor((y + 1) * (r1 - r0) / H));
        for (let x = 0; x < W; x++, k += 4) {
            let sum = 0;
            for (let i = top; i < end; i++) {
                let best = 0;
                for (let j = left[x]; j < right[x]; j++) {
                    const one = v[i * m + j];
                    if (Math.abs(one) > Math.abs(best)) best = one;
                }
                sum += best;
            }
            const c = masked(p, end - 1, left[x]) ? HIDDEN : colourOf(s, sum / (end - top));
            to[k] = c[0]; to[k + 1] = c[1]; to[k + 2] = c[2]; to[k + 3] = 255;
        }
    }
    ctx.putImageData(image, x0, y0);
}

/* Widths and heights in CSS pixels; the context then draws in them. */
function sized(canvas, w, h) {
    const ratio = window.devicePixelRatio || 1, ctx = canvas.getContext('2d');
    canvas.width = Math.max(1, Math.round(w * ratio));
    canvas.height = Math.max(1, Math.round(h * ratio));
    canvas.style.width = w + 'px';
    canvas.style.height = h + 'px';
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    return ctx;
}

function shorten(ctx, text, room) {
    if (ctx.measureText(text).width <= room) return text;
    const all = Array.from(text);
    while (all.length > 1 && ctx.measureText(all.join('') + '…').width > room) all.pop();
    return all.join('') + '…';
}

function labelRoom(ctx, labels, most) {
    return labels.reduce((w, t) => Math.max(w, Math.min(most, ctx.measureText(t).width)), 8) + 8;
}

/* Tokens where cells have room for them, otherwise a number now and then. */
function drawLabels(ctx, g, p) {
    ctx.fillStyle = '#1c1e21';
    ctx.textBaseline = 'middle';
    const every = size => [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find(k => k * size >= 26) || 1e4;
    const rows = g.h >= 10 ? 1 : every(g.h), cols = g.w >= 10 ? 1 : every(g.w);
    ctx.textAlign = 'right';
    for (let i = g.r0; i < g.r1; i++) {
        if (rows > 1 && i % rows) continue;
        const name = rows > 1 ? String(i) : shorten(ctx, visible(p.rows[i]), g.left - 21);
        ctx.fillText(name, g.left - 5, g.top + (i - g.r0 + 0.5) * g.h);
    }
    for (let j = g.c0; j < g.c1; j++) {
        const number = j + skipped(p) - p.prefix;
        if (cols > 1 && (number < 0 || number % cols)) continue;
        ctx.save();
        ctx.translate(g.left + (j - g.c0 + 0.5) * g.w, g.top - 5);
        ctx.textAlign = cols > 1 ? 'center' : 'left';
        if (cols > 1) ctx.translate(0, -6);
        else ctx.rotate(-Math.PI / 2);
        ctx.fillText(cols > 1 ? String(number) : shorten(ctx, keyLabel(p, j), g.top - 22), 0, 0);
        ctx.restore();
    }
    ctx.fillStyle = '#5b6066';
    ctx.textAlign = 'left';
    const border = Math.max(0, p.prefix - skipped(p) - g.c0) * g.w;
    if (border > 45) ctx.fillText('prefix', g.left, 7);
    ctx.fillText('key →', g.left + border, 7);
    ctx.save();
    ctx.translate(7, g.top);
    ctx.rotate(-Math.PI / 2);
    ctx.textAlign = 'right';
    ctx.fillText('← query', 0, 0);
    ctx.restore();
}

function drawHits(ctx, g) {
    ctx.fillStyle = '#b84300';
    at.hits.forEach(hit => {
        const k = hit.at - (hit.key ? g.c0 : g.r0);
        if (k < 0 || hit.at >= (hit.key ? g.c1 : g.r1)) return;
        if (hit.key) ctx.fillRect(g.left + k * g.w, g.top - 4, Math.max(2, g.w), 3);
        else ctx.fillRect(g.left - 4, g.top + k * g.h, 3, Math.max(2, g.h));
    });
}

/* A map with its labels; returns where its cells are. */
function drawMap(canvas, v, p, room, r0, r1, c0, c1, most) {
    const ctx = sized(canvas, 1, 1), font = size => size + 'px ' + MONO, n = r1 - r0, m = c1 - c0;
    const ratio = window.devicePixelRatio || 1, cross = p.part === 'cross';
    ctx.font = font(11.5);
    const longest = Math.min(110, room * 0.28), names = [];
    for (let j = c0; j < c1; j++) names.push(keyLabel(p, j));
    let left = labelRoom(ctx, p.rows.slice(r0, r1).map(visible), longest) + 14;
    let top = labelRoom(ctx, names, longest) + 18;
    let w = Math.min(most, (room - left - 2) / m), h = cross ? Math.min(most, Math.max(3, 760 / n)) : w;
    if (w < 10) { /* numbers will do */
        top = 32;
        if (h < 10) left = 44;
        w = Math.min(most, (room - left - 2) / m);
        if (!cross) h = w;
    }
    if (w > 6) w = Math.floor(w * ratio) / ratio;
    if (h > 6) h = Math.floor(h * ratio) / ratio;
    const g = {left: left, top: top, w: w, h: h, r0: r0, r1: r1, c0: c0, c1: c1};
    const out = sized(canvas, Math.ceil(left + w * m + 3), Math.ceil(top + h * n + 3));
    const x = Math.round(left * ratio), y = Math.round(top * ratio);
    g.left = x / ratio;
    g.top = y / ratio;
    const W = Math.max(1, Math.round(w * m * ratio)), H = Math.max(1, Math.round(h * n * ratio));
    paint(out, x, y, W, H, v, p, r0, r1, c0, c1, scale(p));
    out.font = font(Math.min(11.5, 0.92 * (w < 10 ? 12.5 : w), 0.92 * (h < 10 ? 12.5 : h)));
    out.strokeStyle = '#767b81';
    out.lineWidth = 1;
    out.strokeRect(g.left - 0.5, g.top - 0.5, w * m + 1, h * n + 1);
    const border = p.prefix - skipped(p) - c0;
    if (border > 0 && border < m) {
        out.fillStyle = '#1c1e21';
        out.fillRect(g.left + border * w - 0.75, g.top, 1.5, h * n);
    }
    drawLabels(out, g, p);
    drawHits(out, g);
    return g;
}

function frame(ctx, x, y, w, h) {
    ctx.lineWidth = 3;
    ctx.strokeStyle = '#fff';
    ctx.strokeRect(x, y, w, h);
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = '#1c1e21';
    ctx.strokeRect(x, y, w, h);
}

function drawCross(ctx, g, i, j) {
    if (i < g.r0 || i >= g.r1 || j < g.c0 || j >= g.c1) return;
    const x = g.left + (j - g.c0) * g.w, y = g.top + (i - g.r0) * g.h;
    ctx.strokeStyle = 'rgba(28,30,33,.65)';
    ctx.lineWidth = 1;
    ctx.strokeRect(g.left - 0.5, y, (g.c1 - g.c0) * g.w + 1, g.h);
    ctx.strokeRect(x, g.top - 0.5, g.w, (g.r1 - g.r0) * g.h + 1);
    const size = Math.max(4, g.w), tall = Math.max(4, g.h);
    frame(ctx, x + (g.w - size) / 2, y + (g.h - tall) / 2, size, tall);
}

