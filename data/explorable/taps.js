// Turn the taps: three taps and a window, set by hand, and what the operator says to each motion.

function build(card, settings, host) {
  const {size} = settings;
  const names = Object.keys(settings.motions);
  const clips = names.map(name => unpack(settings.motions[name], size));
  const frames = clips[0].length;
  const weights = [...settings.window];

  const signed = value => `${value > 0 ? '+' : ''}${minus(value)}`;
  const words = ['frame before', 'frame itself', 'frame after'];
  const taps = words.map((name, k) => slider(`tap: ${name}`, [-2, 2, .25], settings.taps[k],
    signed, draw));
  const slope = slider('slope p', [0, 6, 2], settings.slope,
    value => value ? `${value}: reads ${value / 2} away` : '0: no window', draw);

  const rows = ['above left', 'above', 'above right', 'left', 'centre', 'right',
    'below left', 'below', 'below right'];
  const buttons = rows.map((where, k) => {
    const button = element('button', {type: 'button'});
    const turn = step => {
      weights[k] = (weights[k] + 4 + step) % 3 - 1;
      draw();
    };
    button.addEventListener('click', () => turn(1));
    button.addEventListener('keydown', event => {
      const step = {ArrowUp: 1, ArrowDown: -1}[event.key];
      if (!step) return;
      event.preventDefault();
      turn(step);
    });
    return button;
  });
  const grid = element('fieldset', {}, element('legend', {}, 'window: press'),
    element('div', {class: 'grid'}, ...buttons));

  const verdict = element('div', {class: 'verdict', role: 'status'});
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const play = element('button', {type: 'button'});
  let [playing, frame, outputs, most] = [!still, still ? (frames - 1) / 2 : 0, [], 1];
  play.addEventListener('click', () => {
    playing = !playing;
    tell();
  });
  const lines = names.map(name => {
    const [letter, bar, value] = [element('span', {class: 'letter'}), element('div', {class: 'bar'}),
      element('span', {class: 'value'})];
    const [input, output] = ['clip', 'response'].map(what =>
      element('canvas', {width: size, height: size, role: 'img', 'aria-label': `${what}: ${name}`}));
    const line = element('li', {}, element('span', {}, letter, name), input, output,
      element('div', {}, bar, value));
    return {letter, bar, value, input, output, line};
  });
  card.append(
    element('div', {class: 'beside'}, grid,
      element('div', {class: 'controls'}, ...taps.map(tap => tap.element), slope.element)),
    verdict, element('p', {}, play, ' Left the clip, right the response after the ReLU, then its mean. '
      + 'Means within 2 % of each other have the same letter.'),
    element('ul', {class: 'motions'}, ...lines.map(({line}) => line)));

  function paint(canvas, pixels, scale, colour) {
    const context = canvas.getContext('2d');
    const image = context.createImageData(size, size);
    pixels.forEach((value, k) => {
      const part = Math.min(1, value / scale);
      colour.forEach((full, c) => {
        image.data[4 * k + c] = full * part;
      });
      image.data[4 * k + 3] = 255;
    });
    context.putImageData(image, 0, 0);
  }

  function show() {
    lines.forEach(({input, output}, k) => {
      paint(input, clips[k][frame], 1, [255, 255, 255]);
      paint(output, outputs[k][frame], most, [255, 150, 60]);
    });
  }

  function tell() {
    play.textContent = playing ? 'Pause' : 'Play';
  }

  function judge(responses) {
    const found = groups(responses);
    const largest = Math.max(...responses, 1e-9);
    const letters = found.map(group => String.fromCharCode(65 + group));
    lines.forEach(({letter, bar, value}, k) => {
      letter.textContent = letters[k];
      bar.style.width = `${100 * responses[k] / largest}%`;
      value.textContent = responses[k].toFixed(4);
    });
    const sets = [...new Set(found)].sort((a, b) => a - b)
      .map(group => names.filter((_, k) => found[k] === group));
    const same = sets.filter(set => set.length > 1).map(set => set.join(' = '));
    verdict.className = `verdict ${same.length ? '' : 'good'}`;
    verdict.replaceChildren(element('b', {}, `${sets.length} different responses to ${names.length} motions.`),
      same.length ? ` It cannot tell apart: ${same.join('; ')}.` : ' It tells all of them apart.');
  }

  function draw() {
    buttons.forEach((button, k) => {
      button.textContent = signed(weights[k]);
      button.dataset.value = weights[k];
      button.setAttribute('aria-label', `window, ${rows[k]}: ${signed(weights[k])}`);
      button.disabled = slope.value === 0;
    });
    const op = {taps: taps.map(tap => tap.value), slope: slope.value, aggregate: 'conv', weights};
    outputs = clips.map(clip => relu(hgc(clip, size, op)));
    most = outputs.flat(2).reduce((a, b) => Math.max(a, b), 1e-9);
    judge(outputs.map(mean));
    show();
  }
  draw();
  tell();
  setInterval(() => {
    if (!playing || !host.isConnected) return;  // out of sight, JupyterLab takes a cell off the page
    frame = (frame + 1) % frames;
    show();
  }, 300);
}
