/* Put behind the page's own script with `given`: its name and what maps.safetensors holds.  Works the page through
 * its events alone, as a reader's hands do, and leaves verdicts in the document around it: TAP without numbers. */
(function () {
'use strict';
const $ = id => document.getElementById(id), verdicts = [];
const say = (good, name) => verdicts.push((good ? 'ok - ' : 'not ok - ') + given.name + ': ' + name);
window.onerror = (message, file, line) => say(false, message + ' in line ' + line);
// Until the page has drawn: browsers order short timers of unlike nesting as they like.
const wait = async () => {
    do await new Promise(done => setTimeout(done, 1));
    while (waiting);
};
const key = (id, k, shift) =>
    $(id).dispatchEvent(new KeyboardEvent('keydown', {key: k, shiftKey: !!shift, bubbles: true}));
const mouse = (target, type, x, y) =>
    target.dispatchEvent(new MouseEvent(type, {clientX: x, clientY: y, bubbles: true, view: window}));
const shown = () => Number($('shown').textContent.replace('−', '-'));
const words = () => $('where').textContent.match(/query (\d+) .*(prefix|key) (\d+)/);
const title = () => $('h-map').textContent;
function choose(id, value) { $(id).value = value; $(id).dispatchEvent(new Event('change')); }
const mode = name => document.querySelector('[value=' + name + ']').click();

/* What should be shown in row i, column j of those shown. */
function exact(name, i, j, prefix) {
    const one = m => {
        const row = m.slice(i * given.keys, (i + 1) * given.keys);
        const text = row.slice(given.prefix).reduce((a, b) => a + b, 0);
        return prefix ? row[j] : row[j + given.prefix] / text;
    };
    const model = one(given.maps[name]), base = given.maps['base.' + name];
    return {model: model, base: base && one(base), difference: base && model - one(base)};
}

/* Through every cell by the arrow keys; returns the largest error. */
async function walk(name, what, prefix) {
    const cols = given.keys - (prefix ? 0 : given.prefix);
    let worst = 0, places = 0;
    for (let i = 0; i < given.queries; i++) key('map', 'ArrowUp');
    for (let i = 0; i < given.queries; i++) {
        key('map', 'Home');
        for (let j = 0; j < cols; j++) {
            await wait();
            const w = words(), at = Number(w[3]) + (w[2] === 'key' && prefix ? given.prefix : 0);
            if (Number(w[1]) === i && at === j) places++;
            const e = exact(name, i, j, prefix), hidden = $('shown').textContent === 'masked';
            worst = Math.max(worst, !hidden ? Math.abs(shown() - e[what]) : e.model !== 0 ? 1 : 0);
            key('map', 'ArrowRight');
        }
        key('map', 'ArrowDown');
    }
    return places === given.queries * cols ? worst : 2;
}

async function everyCell() {
    const modes = $('field-mode').hidden ? ['model'] : ['model', 'base', 'difference'];
    for (const what of modes)
        for (const prefix of given.prefix ? [true, false] : [true]) {
            mode(what);
            if ($('prefix').checked !== prefix) key('map', 'p');
            let worst = 0;
            for (const name of Object.keys(given.maps).filter(n => !n.startsWith('base'))) {
                const [, layer, head] = name.match(/(\d+)\D+(\d+)/);
                choose('layer', layer);
                choose('head', head);
                if (!title().includes('layer ' + layer + ', head ' + head)) worst = 3;
                worst = Math.max(worst, await walk(name, what, prefix));
            }
            const how = what + (prefix ? '' : ' without prefix');
            say(worst < 0.001, how + ', every cell: ' + worst.toFixed(5) + ' off');
        }
    mode('model');
    if (!$('prefix').checked) $('prefix').click();
}

/* Where the pointer finds each cell, and whether the largest is dark. */
async function pointer(name) {
    choose('layer', 0);
    choose('head', 0);
    const box = $('map').getBoundingClientRect(), ratio = window.devicePixelRatio, found = {};
    for (let y = 2; y < box.height; y += 11)
        for (let x = 2; x < box.width; x += 11) {
            $('shown').textContent = '';
            mouse($('map'), 'mousemove', box.left + x, box.top + y);
            await wait();
            const w = words(), text = $('shown').textContent;
            if (text && text !== 'masked' && w[2] === 'key') found[w[1] + ' ' + w[3]] = {x: x, y: y, v: shown()};
        }
    mouse($('map'), 'mouseleave', 0, 0);
    await wait();
    const cells = Object.keys(found), q = c => Number(c.split(' ')[0]), k = c => Number(c.split(' ')[1]);
    const value = c => exact(name, q(c), k(c) + given.prefix, true).model;
    const ordered = cells.every(a => cells.every(b => (q(a) < q(b)) <= (found[a].y < found[b].y) &&
        (k(a) < k(b)) <= (found[a].x < found[b].x)));
    say(ordered && cells.length >= given.queries && cells.every(c => Math.abs(found[c].v - value(c)) < 0.001),
        'the pointer finds queries downwards, keys to the right, and their values');
    const light = c => {
        const d = $('map').getContext('2d').getImageData(found[c].x * ratio, found[c].y * ratio, 1, 1).data;
        return 0.2126 * d[0] + 0.7152 * d[1] + 0.0722 * d[2];
    };
    cells.sort((a, b) => value(a) - value(b));
    const most = cells[cells.length - 1], least = cells.find(c => q(c) !== 0);
    say(light(least) > light(most) + 60, 'a large value is darker than a small one');
}

function smallMaps() {
    const layers = $('layer').length, box = $('heads').getBoundingClientRect();
    key('heads', 'ArrowRight');
    key('heads', 'ArrowDown');
    say(title().includes('layer 1, head 1'), 'arrow keys in the small maps choose a head');
    key('map', 'h', true);
    key('map', 'l', true);
    say(title().includes('layer 0, head 0'), 'letters do');
    mouse($('heads'), 'click', box.left + 30 + 1.5 * (box.width - 34) / $('head').length, box.bottom - 12);
    say(title().includes('layer ' + (layers - 1) + ', head 1'), 'a click does');
}

async function tokens() {
    const token = $('queries').querySelectorAll('[role=option]')[1], row = 'layer.' + $('layer').value + '.head.1';
    let best = 0;
    for (let j = 0; j < given.keys; j++) best = Math.max(best, exact(row, 1, j, true).model);
    mouse(token, 'mouseover', 0, 0);
    await wait();
    say($('h-keys').textContent.startsWith('Keys that query 1') && token.classList.contains('at'),
        'a token under the pointer is the query');
    say(Math.abs(parseFloat($('top-keys').firstChild.textContent) - best) < 0.001, 'what it looks at most is first');
    mouse($('queries'), 'mouseleave', 0, 0);
    key('map', 'Home');
    await wait();
    const chosen = () => $('queries').querySelector('.at');
    chosen().dispatchEvent(new KeyboardEvent('keydown', {key: 'Home', bubbles: true}));
    chosen().dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
    say(chosen() === token && document.activeElement === token && token.tabIndex === 0,
        'arrow keys go from token to token, and the focus with them');
    $('find').value = given.word;
    $('find').dispatchEvent(new Event('input'));
    say($('found').textContent === given.times && document.querySelectorAll('.hit').length === given.hits,
        'a token is found');
    key('find', 'Enter');
    await wait();
    say($('where').textContent.includes(given.word + '\u2069'), 'and gone to');
}

function whole() {
    const nameless = [...document.querySelectorAll('input,select,canvas')].filter(e =>
        e.offsetParent && !(e.labels && e.labels.length) && !e.getAttribute('aria-label'));
    say(!nameless.length && $('read').getAttribute('role') === 'status',
        'controls have names, the value is announced');
    const by = given.by ? given.by.slice(0, -1) : 'token';
    say($('find-what').textContent === 'Find ' + by && $('lead').textContent.includes(' by ') === !!given.by,
        'what a row is');
    say(document.documentElement.scrollWidth <= window.innerWidth, 'nothing sticks out at ' + window.innerWidth);
}

function oddTexts() {
    say($('title').textContent === 'Attention of script><i>' && $('lead').textContent.includes('<' + '/script><i>'),
        'the name as it is');
    say(!document.querySelector('i') && !window.intruded && $('queries').textContent.includes('<'),
        'no token becomes an element');
    key('map', 't');
    say($('input').value === '1' && ['⇥', '⟨1⟩', '␣'].every(sign => $('queries').textContent.includes(sign)),
        'another text, with its signs');
    const box = $('texts').getBoundingClientRect();
    mouse($('texts'), 'click', box.left + 40, box.top + 25);
    say($('input').value === '0' && $('texts').getAttribute('aria-label').includes('text 1 of 3'),
        'and back by its small map');
}

async function all() {
    if (given.name === 'texts') {
        oddTexts();
    } else {
        await everyCell();
        await pointer('layer.0.head.0');
        smallMaps();
        await tokens();
    }
    whole();
}
all().catch(e => say(false, e.stack.replace(/\n/g, ' '))).then(() => {
    const out = parent.document.createElement('pre');
    out.textContent = '\n' + verdicts.join('\n') + '\nend\n';
    parent.document.body.appendChild(out);
});
})();
