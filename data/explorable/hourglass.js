// The hourglass: which pixels of which frames one output reads, and whether the ball is among them.

function build(card, settings) {
  const {frames, size, radius} = settings;
  const [now, middle] = [(frames - 1) / 2, (size - 1) / 2];
  const [column, cell, left] = [36, 8, 34];
  const nine = new Array(9).fill(1 / 9);
  const number = value => value === 0 ? '0' : value < .01 ? value.toFixed(3) : value.toFixed(2);
  const after = i => i === 0 ? 't' : `t${i < 0 ? '−' : '+'}${Math.abs(i)}`;

  const speed = slider('ball speed', [0, 6, .25], settings.speed,
    value => `${value} px/frame`, draw);
  const slope = slider('slope p', [0, 8, 2], settings.slope, String, draw);
  const kernel = slider('frames in view K', [3, 7, 2], settings.kernel_size, String, draw);
  const radios = [['avg', 'average'], ['conv', 'learned']].map(([value, words]) => {
    const input = element('input', {type: 'radio', name: 'window', value});
    input.checked = value === settings.aggregate;
    input.addEventListener('change', draw);
    return [input, element('label', {}, input, words)];
  });
  const choice = element('fieldset', {}, element('legend', {}, 'window'),
    ...radios.map(([, label]) => label));

  const verdict = element('div', {class: 'verdict', role: 'status'});
  const panel = (title, words, wide) => {
    const picture = element('div');
    const caption = element('figcaption', {}, element('b', {}, title), ` ${words}`);
    const figure = element('figure', {class: wide ? 'panel wide' : 'panel'}, caption, picture);
    return {figure, show: (svg, label) => {
      picture.innerHTML = svg;
      picture.firstChild.setAttribute('role', 'img');
      picture.firstChild.setAttribute('aria-label', label);
    }};
  };
  const side = panel('From the side.', 'One row of pixels, frame by frame. '
    + 'Below: what each frame adds to the output at the ball in frame t.');
  const output = panel('What comes out.', 'One row of the output. Below: the output at the ball, '
    + 'and on top what the other frames add to it.');
  const above = panel('From above.', 'The frames that the output in the middle of frame t reads.', true);
  const keys = element('p');
  keys.innerHTML = [['--window', 'window, or its echo'], ['--ink', 'ball'], ['--hit', 'both meet']]
    .map(([colour, words]) => `<span class="key" style="background: var(${colour})"></span> ${words}`)
    .join(' &nbsp; ');
  card.append(element('div', {class: 'controls'}, speed.element, slope.element, kernel.element, choice),
    verdict, keys,
    element('div', {class: 'panels'}, side.figure, output.figure, above.figure));

  const rect = (x, y, width, height, name, opacity = 1) => `<rect x="${x}" y="${y}" width="${width}"`
    + ` height="${height}" class="${name}"${opacity < 1 ? ` opacity="${opacity.toFixed(2)}"` : ''}/>`;
  const text = (x, y, words, name = '') => `<text x="${x}" y="${y}" class="${name}">${words}</text>`;
  const place = t => left + t * column;

  // Nine columns of pixels: kind(t, x) says what each is, [name, opacity] or nothing.
  function columns(kind) {
    let svg = text(left - 5, 10, '12', 'side quiet') + text(left - 5, cell * middle + 8, '0', 'side quiet')
      + text(left - 5, cell * size, '−12', 'side quiet');
    for (let t = 0; t < frames; t++) {
      for (let x = 0; x < size; x++) {
        const y = cell * (size - 1 - x);
        svg += rect(place(t), y, column - 8, cell - 1, 'empty');
        for (const [name, opacity] of kind(t, x)) {
          svg += rect(place(t), y, column - 8, cell - 1, name, opacity);
        }
      }
      svg += text(place(t) + 14, cell * size + 14, after(t - now), t === now ? 'now' : 'quiet');
    }
    return svg;
  }

  // One bar under each column: what comes from the frame itself, and what the other frames add.
  function bars(own, others, reads) {
    const [base, height] = [cell * size + 84, 40];
    const most = Math.max(...own.map((value, t) => value + others[t]), 1e-9);
    let svg = '';
    own.forEach((value, t) => {
      if (!reads(t)) return;
      const [low, high] = [value / most * height, others[t] / most * height];
      svg += rect(place(t), base - low, column - 8, low, 'ball')
        + rect(place(t), base - low - high, column - 8, high, 'hit');
      const total = value + others[t];
      svg += text(place(t) + 14, base - low - high - 4, total ? number(total) : '✕ 0',
        total ? '' : 'miss');
    });
    return svg + `<path class="frame" d="M${left} ${base}H${place(frames) - 8}"/>`;
  }

  const sheet = inside => `<svg viewBox="0 0 ${place(frames)} ${cell * size + 88}">${inside}</svg>`;

  function sideView(clip, op, added) {
    const r = (op.taps.length - 1) / 2;
    const row = middle * size;
    const read = (t, x) => Math.abs(t - now) <= r
      && windowOf(op, t - now).some(([dx, dy]) => dy === 0 && middle + dx === x);
    const path = clip.map((_, t) => {
      const x = middle + speed.value * (t - now);
      return `${place(t) + 14},${cell * (size - 1 - x) + 4}`;
    });
    const cells = columns((t, x) => {
      const value = clip[t][row + x];
      const window = read(t, x);
      return [...window ? [['seen', 1]] : [], ...value ? [[window ? 'hit' : 'ball', value]] : []];
    });
    const centre = added.map((value, t) => t === now ? value : 0);
    const neighbours = added.map((value, t) => t === now ? 0 : value);
    side.show(sheet(cells + `<svg y="0" width="${place(frames)}" height="${cell * size}">`
      + `<polyline class="path" points="${path.join(' ')}"/></svg>`
      + bars(centre, neighbours, t => Math.abs(t - now) <= r)),
      `Side view: ${op.taps.length} frames with windows of slope ${op.slope}, and the path of the ball.`);
  }

  function outputView(clip, op) {
    const at = (t, x) => {
      const added = parts(clip, size, op, t, x, middle);
      const own = added[(added.length - 1) / 2];
      return [own, added.reduce((a, b) => a + b, 0) - own];
    };
    const grid = clip.map((_, t) => Array.from({length: size}, (_, x) => at(t, x)));
    const most = Math.max(...grid.flat().map(([own, others]) => own + others));
    const cells = columns((t, x) => {
      const [own, others] = grid[t][x];
      if (own + others < 1e-9) return [];
      const name = own < 1e-9 ? 'seen' : others < 1e-9 ? 'ball' : 'hit';
      return [[name, .25 + .75 * (own + others) / most]];
    });
    const balls = clip.map((_, t) => Math.round(middle + speed.value * (t - now)));
    const inside = t => balls[t] >= 0 && balls[t] < size;
    const trace = balls.map((x, t) => inside(t) ? grid[t][x] : [0, 0]);
    output.show(sheet(cells + bars(trace.map(([own]) => own), trace.map(([, others]) => others), inside)),
      `Output at the ball, frame by frame: ${trace.map(([a, b]) => number(a + b)).join(', ')}.`);
  }

  function aboveView(clip, op) {
    const r = (op.taps.length - 1) / 2;
    const step = size + 2;
    let svg = '';
    for (let i = -r; i <= r; i++) {
      const from = (i + r) * step + 1;
      const reads = windowOf(op, i);
      svg += rect(from, 1, size, size, 'empty');
      for (const [dx, dy] of reads) svg += rect(from + middle + dx, 1 + middle + dy, 1, 1, 'seen');
      clip[now + i].forEach((value, pixel) => {
        if (!value) return;
        const [x, y] = [pixel % size, Math.floor(pixel / size)];
        const met = reads.some(([dx, dy]) => middle + dx === x && middle + dy === y);
        svg += rect(from + x, 1 + y, 1, 1, met ? 'hit' : 'ball', value);
      });
      svg += `<text x="${from + size / 2}" y="${size + 4.5}" style="font-size: 3px">${after(i)}</text>`;
    }
    const width = op.taps.length * step;
    above.show(`<svg viewBox="0 0 ${width} ${size + 6}" style="max-width: ${width * 4.4}px"`
      + ` shape-rendering="crispEdges">${svg}</svg>`,
      `From above: the windows in frames ${after(-r)} to ${after(r)}, and the ball.`);
  }

  function judge(added, r) {
    const own = added[r];
    const others = added.reduce((a, b) => a + b, 0) - own;
    const offsets = added.map((_, k) => k - r).filter(i => i !== 0);
    const lost = offsets.filter(i => added[i + r] < 1e-9);
    const names = list => `${list.length > 1 ? 'frames' : 'frame'} ${listing(list.map(after))}`;
    const sum = `At the ball: ${number(own)} from frame t + ${number(others)} from the others`
      + ` = ${number(own + others)}.`;
    const [kind, head, words] = lost.length === 0
      ? ['good', '✓ In view.', `The window holds the ball in ${names(offsets)}.`]
      : lost.length < offsets.length
        ? ['', '◐ In view in part.', `The window has lost the ball in ${names(lost)}.`]
        : ['bad', '✕ Out of view.', 'The window does not hold the ball in any other frame: '
          + 'the output at the ball is that of a light which flashes once.'];
    verdict.className = `verdict ${kind}`;
    verdict.replaceChildren(element('b', {}, head), ` ${words} ${sum}`);
  }

  function draw() {
    const K = kernel.value;
    const aggregate = radios.find(([input]) => input.checked)[0].value;
    const op = {taps: new Array(K).fill(1), slope: slope.value, aggregate, weights: nine};
    const clip = ball(speed.value, frames, size, radius);
    const r = (K - 1) / 2;
    const added = parts(clip, size, op, now, middle, middle);
    const all = clip.map((_, t) => added[t - now + r] || 0);
    judge(added, r);
    sideView(clip, op, all);
    outputView(clip, op);
    aboveView(clip, op);
  }
  draw();
}
