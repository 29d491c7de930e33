// Two networks answer, frame by frame, where a square moves to. They are streams in ONNX files
// (video_convs.use.stream_export), run in the browser by onnxruntime-web. No frame leaves the page.

const CLASSES = ['right', 'down', 'left', 'up'];
const STEPS = [[1, 0], [0, 1], [-1, 0], [0, -1]];
const KEYS = {ArrowRight: 0, ArrowDown: 1, ArrowLeft: 2, ArrowUp: 3};
const zeros = shape => new Float32Array(shape.reduce((a, b) => a * b, 1));
const around = (k, n) => ((k % n) + n) % n;

// A network and what it keeps: a frame goes in, scores and maps come out.
class Player {
  constructor(ort, session, page) {
    Object.assign(this, {ort, session, page});
    this.reset();
  }

  static async load(ort, base, name) {
    const page = await (await fetch(`${base}${name}.json`)).json();
    return new Player(ort, await ort.InferenceSession.create(`${base}${name}.onnx`), page);
  }

  reset() {
    this.frames = 0;
    this.state = Object.fromEntries(this.page.states.map(({name, shape}) => [name,
      new this.ort.Tensor('float32', zeros(shape), shape)]));
  }

  // Scores are null until they are known; maps[k] belongs to the frame page.maps[k].late ago.
  async step(grey) {
    const {frame, scores, maps, states, first} = this.page;
    const [before, data] = [this.state, zeros(frame.shape)];
    for (let k = 0; k < data.length; k += grey.length) data.set(grey, k);
    const found = await this.session.run({...before,
      frame: new this.ort.Tensor('float32', data, frame.shape)});
    if (this.state === before) {  // no other video has begun
      this.state = Object.fromEntries(states.map(({name, next}) => [name, found[next]]));
      this.frames += 1;
    }
    return {scores: this.frames > first ? [...found[scores[0].name].data] : null,
      maps: maps.map(({name, shape}) => ({data: found[name].data, shape}))};
  }
}

function softmax(scores) {
  const powers = scores.map(s => Math.exp(s - Math.max(...scores)));
  return powers.map(p => p / powers.reduce((a, b) => a + b));
}

// The root mean square over the channels of a map (1, C, h, w): where it is not zero.
function strength({data, shape: [, channels, height, width]}) {
  const area = height * width;
  return Float32Array.from({length: area}, (_, k) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += data[c * area + k] ** 2;
    return Math.sqrt(sum / channels);
  });
}

// A square of whole pixels on a torus.
function squareAt(x, y, side, size) {
  const grey = new Float32Array(size * size);
  for (let j = 0; j < side; j++)
    for (let i = 0; i < side; i++) grey[around(y + j, size) * size + around(x + i, size)] = 1;
  return grey;
}

// The pixels that the operator reads in a neighbouring frame, around a place.
function windowCells(slope, scale) {
  const far = slope ? [-1, 0, 1] : [0];
  const apart = Math.max(1, slope / 2) * scale;
  return far.flatMap(j => far.map(i => [i * apart, j * apart]));
}

function paint(canvas, values, size, [low, high] = [0, 1]) {
  canvas.width = canvas.height = size;
  const context = canvas.getContext('2d');
  const image = context.createImageData(size, size);
  values.forEach((value, k) => {
    const level = 255 * Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
    image.data.set([level, level, level, 255], 4 * k);
  });
  context.putImageData(image, 0, 0);
  return context;
}

// What the reader does to the square: where it is in the next frame.
class Scene {
  constructor() {
    Object.assign(this, {mode: 'auto', heading: 0, x: 4, y: 12, hand: null, background: null});
  }

  next({size, side}, speed, video) {
    const before = [this.x, this.y];
    if (this.mode === 'camera' && video.readyState >= 2) return {grey: this.look(video, size), move: null};
    if (this.mode === 'hand') {
      if (this.hand) [this.x, this.y] = this.hand.map(v => Math.round(v - side / 2));
    } else {
      this.x += STEPS[this.heading][0] * speed;
      this.y += STEPS[this.heading][1] * speed;
    }
    const move = [this.x - before[0], this.y - before[1]];
    if (!this.hand) [this.x, this.y] = [around(this.x, size), around(this.y, size)];
    return {grey: squareAt(this.x, this.y, side, size), move};
  }

  // What differs from the last seconds, as a mirror shows it.
  look(video, size) {
    const canvas = Object.assign(document.createElement('canvas'), {width: size, height: size});
    const context = canvas.getContext('2d', {willReadFrequently: true});
    const side = Math.min(video.videoWidth, video.videoHeight);
    context.setTransform(-1, 0, 0, 1, size, 0);
    context.drawImage(video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side,
      0, 0, size, size);
    const {data} = context.getImageData(0, 0, size, size);
    const now = Float32Array.from({length: size * size}, (_, k) =>
      (data[4 * k] + data[4 * k + 1] + data[4 * k + 2]) / 765);
    if (this.background?.length !== now.length) this.background = now.slice();
    return now.map((value, k) => {
      const apart = Math.abs(value - this.background[k]);
      this.background[k] += .15 * (value - this.background[k]);
      return Math.min(1, Math.max(0, 4 * apart - .4));
    });
  }
}

// The controls, in one place: what the reader has chosen, and functions that tell of a change.
function controls(sets, on) {
  const radios = [['auto', 'itself'], ['hand', 'your hand'], ['camera', 'the camera']]
    .map(([value, text]) => {
      const input = element('input', {type: 'radio', name: 'mode', value});
      input.addEventListener('change', () => on.mode(value));
      return [input, element('label', {}, input, text)];
    });
  const choice = element('select', {'aria-label': 'networks'},
    ...sets.map(({title}, k) => element('option', {value: k}, title)));
  choice.addEventListener('change', () => on.pick(Number(choice.value)));
  const speed = slider('speed', [1, 11, 1], sets[0].speed, v => `${v} px/frame`, () => {});
  const slope = slider('slope p', [0, 8, 2], 4, String, () => on.slope());
  const button = (label, sign, press) => {
    const made = element('button', {type: 'button', 'aria-label': label}, sign);
    made.addEventListener('click', press);
    return made;
  };
  const pause = button('Pause or play', 'Pause', () => on.pause());
  const headings = [...'→↓←↑'].map((sign, k) => button(`move ${CLASSES[k]}`, sign, () => on.head(k)));
  const turn = (knob, value) => Object.assign(knob.element.querySelector('input'), {value})
    .dispatchEvent(new Event('input'));
  return {speed, slope, pause, headings, choice,
    setSpeed: value => turn(speed, value),
    setSlope: value => turn(slope, value),
    setMode: mode => radios.forEach(([input]) => { input.checked = input.value === mode; }),
    top: element('div', {class: 'controls'},
      element('fieldset', {}, element('legend', {}, 'the square is moved by'),
        ...radios.map(([, label]) => label)),
      element('label', {class: 'control'}, element('span', {class: 'name'}, 'networks'), choice),
      speed.element, slope.element),
    row: element('div', {class: 'row'}, ...headings, pause,
      button('Step: one frame', 'Step', () => on.step()))};
}

// Bars of one network.
function answers(title) {
  const lines = CLASSES.map(name => {
    const bar = element('span');
    const percent = element('span', {class: 'percent'}, '–');
    return {bar, percent, cells: [element('span', {}, name), element('div', {class: 'track'}, bar), percent]};
  });
  return {
    element: element('div', {}, element('h4', {}, title),
      element('div', {class: 'answers'}, ...lines.flatMap(({cells}) => cells))),
    show(chances, truth) {
      const best = chances ? chances.indexOf(Math.max(...chances)) : -1;
      lines.forEach(({bar, percent}, k) => {
        bar.style.width = chances ? `${100 * chances[k]}%` : '0';
        const sure = k === best && chances[k] > .5;
        bar.className = !sure || truth === null ? '' : k === truth ? 'right' : 'wrong';
        percent.textContent = chances ? `${Math.round(100 * chances[k])} %` : '–';
      });
    },
  };
}

function picture(name) {
  const canvas = element('canvas', {role: 'img', 'aria-label': name});
  return {canvas, element: element('figure', {}, canvas, element('figcaption', {}, name))};
}

// The frames t − 1, t, t + 1 around a result, and the pixels that the operator reads there.
function drawWindows(pictures, frames, size, [x, y], slope, scale) {
  pictures.forEach(({canvas}, k) => {
    const frame = frames[k] ?? new Float32Array(size * size);
    const context = paint(canvas, frame, size);
    for (const [i, j] of windowCells(k === 1 ? 0 : slope, scale)) {
      const [column, row] = [around(x + i, size), around(y + j, size)];
      context.fillStyle = frame[row * size + column] > .5 ? '#e06000' : '#8ccaf0';
      context.fillRect(column, row, 1, 1);
    }
  });
}

// The middle of what is bright.
function middleOf(grey, size) {
  const total = weight => grey.reduce((sum, value, k) => sum + value * weight(k), 0);
  const all = total(() => 1) || 1;
  return [k => k % size, k => Math.floor(k / size)].map(place => Math.round(total(place) / all));
}

// The class of a motion, null where nothing or no axis leads.
function classOf([dx, dy]) {
  if (Math.abs(dx) === Math.abs(dy)) return null;
  return Math.abs(dx) > Math.abs(dy) ? (dx > 0 ? 0 : 2) : dy > 0 ? 1 : 3;
}

function play(card, words, sets, loaded) {
  const scene = new Scene();
  const video = Object.assign(document.createElement('video'), {muted: true, playsInline: true});
  let [set, players, past, busy, running, timer] = [sets[0], [], [], false, false, null];
  const slopeOf = ({hgc}) => hgc[ui.slope.value] ? ui.slope.value : Number(Object.keys(hgc)[0]);

  // The networks of the set and the slope; a network that is new to the video begins anew.
  function choose(next, restart) {
    const wanted = [next.tsn, next.hgc[slopeOf(next)]].map(name => loaded[name]);
    wanted.filter((player, k) => restart || player !== players[k]).forEach(player => player.reset());
    [set, players, past] = [next, wanted, restart ? [] : past];
    ui.slope.element.hidden = Object.keys(set.hgc).length < 2;
  }

  function pick(k) {
    ui.choice.value = k;
    ui.setSpeed(sets[k].speed);
    choose(sets[k], true);
  }

  function head(heading) {
    mode('auto');
    scene.heading = heading;
    mark();
  }

  const ui = controls(sets, {mode, head, pick, slope: () => choose(set, false),
    pause: () => run(!running), step: () => run(false) || tick()});
  const stage = element('canvas', {class: 'scene', tabindex: 0, role: 'application',
    'aria-label': 'The square. Arrow keys choose where it moves to; drag it with mouse or finger.'});
  const bars = [answers('TSN: frame by frame'), answers('HgC: with the frames beside it')];
  const strip = ['the frame before', 'the frame', 'the frame after'].map(picture);
  const maps = ['TSN', 'HgC'].map(picture);
  card.append(ui.top, element('div', {class: 'stage'},
    element('div', {}, stage, ui.row),
    element('div', {}, ...bars.map(bar => bar.element), words),
    element('div', {}, element('h4', {}, 'What the hourglass reads for one pixel'),
      element('div', {class: 'strip'}, ...strip.map(p => p.element))),
    element('div', {}, element('h4', {}, 'What the first operator makes of the frame'),
      element('div', {class: 'strip two'}, ...maps.map(p => p.element)))));

  const mark = () => ui.headings.forEach((button, k) =>
    button.setAttribute('aria-pressed', scene.mode === 'auto' && scene.heading === k));

  async function mode(value) {
    if (value === 'camera') {
      try {
        video.srcObject = await navigator.mediaDevices.getUserMedia({video: {width: 320, height: 240}});
        await video.play();
      } catch {
        words.textContent = 'The camera is not available here. Draw with mouse or finger instead.';
        value = 'auto';
      }
    }
    if (value !== 'camera') video.srcObject?.getTracks().forEach(track => track.stop());
    Object.assign(scene, {mode: value, hand: null, background: null});
    ui.setMode(value);
    mark();
  }

  const place = ({clientX, clientY}) => {
    const {left, top, width} = stage.getBoundingClientRect();
    return [clientX - left, clientY - top].map(v => v / width * set.size);
  };
  stage.addEventListener('pointerdown', event => {
    stage.setPointerCapture(event.pointerId);
    mode('hand');
    scene.hand = place(event);
    run(true);
  });
  stage.addEventListener('pointermove', event => { scene.hand &&= place(event); });
  stage.addEventListener('lostpointercapture', () => { scene.hand = null; });
  stage.addEventListener('keydown', event => {
    const heading = KEYS[event.key];
    if (event.key === ' ') run(!running);
    else if (heading !== undefined) head(heading);
    else return;
    event.preventDefault();
  });

  function tell(chances, moves) {
    const same = moves.length && moves.every(move => move && classOf(move) === classOf(moves[0]));
    const truth = same ? classOf(moves[0]) : null;
    bars.forEach((bar, k) => bar.show(chances[k], truth));
    if (!chances.every(Boolean)) return say('', 'The first frames.', 'The networks wait for more of them.');
    const best = chances.map(c => c.indexOf(Math.max(...c)));
    const hgc = `HgC says ${CLASSES[best[1]]}.`;
    if (scene.mode === 'camera')
      return say('', hgc, 'It has learned from squares only, so it may be wrong about your hand.');
    if (truth === null)
      return say('', hgc, 'The square stands still, turns or moves aslant: none of the four answers '
        + 'holds for all frames in view.');
    const pixels = Math.max(...moves.flat().map(Math.abs));
    const reach = set.reach && set.reach + slopeOf(set) / 2;
    const why = !reach ? set.note : pixels < reach
      ? `A step of ${pixels} px is below the reach of ${reach} px: the square and its echo meet.`
      : `A step of ${pixels} px is not below the reach of ${reach} px: the square and its echo never meet.`;
    const right = best[1] === truth && chances[1][truth] > .5;
    return say(right ? 'good' : 'bad', right ? `✓ ${hgc}` : `✕ ${hgc}`, `The square moves `
      + `${CLASSES[truth]}. ${why} TSN cannot know: a single frame looks the same in all four cases.`);
  }

  function say(kind, head, more) {
    if (words.textContent === `${head} ${more}`) return;
    words.className = `verdict ${kind}`;
    words.replaceChildren(element('b', {}, head), ` ${more}`);
  }

  async function tick() {
    if (busy) return;
    busy = true;
    const [{size}, mine] = [set, players];
    const {grey, move} = scene.next(set, ui.speed.value, video);
    const found = [];
    try {
      for (const player of mine) found.push(await player.step(grey));
    } finally {
      busy = false;
    }
    if (mine !== players) return null;
    const at = move ? [scene.x, scene.y].map(v => v + Math.floor(set.side / 2)) : middleOf(grey, size);
    past = [...past, {grey, move, at}].slice(-set.window - 8);
    paint(stage, grey, size);
    const chances = found.map(({scores}) => scores && softmax(scores));
    tell(chances, past.slice(-set.window - mine[1].page.delay + 1).map(({move}) => move));
    drawWindows(strip, [3, 2, 1].map(k => past.at(-k)?.grey), size, past.at(-2)?.at ?? at, slopeOf(set),
      size / found[1].maps[0].shape[3]);
    found.forEach(({maps: [seen]}, k) => {
      const values = strength(seen);
      paint(maps[k].canvas, values, seen.shape[3], [Math.min(...values), Math.max(...values)]);
    });
    return {scores: found.map(({scores}) => scores), move};
  }

  function run(on) {
    running = on;
    ui.pause.textContent = on ? 'Pause' : 'Play';
    clearInterval(timer);
    if (on) timer = setInterval(() => { if (card.isConnected && !document.hidden) tick(); }, 160);
  }

  mode('auto');
  choose(set, true);
  const ready = tick().then(() => run(!matchMedia('(prefers-reduced-motion: reduce)').matches));
  return {ready, scene, ui, run, pick, tick};
}

function build(card, settings, host) {
  card.classList.add('play');
  const words = element('div', {class: 'verdict', role: 'status'});
  card.append(element('style', {}, settings.style), element('slot'), words);
  const root = document.documentElement.dataset.content_root ?? './';
  start(card, words, `${root}_static/play/`, host).catch(problem => {
    words.className = 'verdict bad';
    words.textContent = location.protocol === 'file:'
      ? 'From a file a browser loads no networks. Run "python -m http.server" in the folder of the '
        + 'site and open the address that it prints.'
      : `The networks are not here: ${problem.message}. They run on the site that "make docs" builds.`;
  });
}

// Nothing large is loaded before the reader asks for it.
async function asked(card, words, megabytes) {
  const load = element('button', {type: 'button', class: 'load'}, `Load and play (${megabytes} MB)`);
  words.before(load);
  await new Promise(resolve => load.addEventListener('click', resolve, {once: true}));
  words.textContent = 'The networks are loading …';
  load.remove();
}

async function start(card, words, base, host) {
  const listed = await fetch(`${base}play.json`);
  if (!listed.ok) throw new Error('the page found no list of networks');
  const {sets, runtime, program, missing, megabytes} = await listed.json();
  if (missing) throw new Error(missing);
  await asked(card, words, megabytes);
  const ort = await import(new URL(`${base}${runtime}`, location.href).href);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = {wasm: new URL(`${base}${program}`, location.href).href};
  const loaded = {};
  for (const name of sets.flatMap(({tsn, hgc}) => [tsn, ...Object.values(hgc)]))
    loaded[name] ??= await Player.load(ort, base, name);
  card.querySelector('slot').remove();
  host.play = play(card, words, sets, loaded);
  await host.play.ready;
  card.querySelector('.scene').focus({preventScroll: true});
}
