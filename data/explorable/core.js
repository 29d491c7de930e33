// The arithmetic of the figures. A frame is an array of size · size numbers, a clip an array of frames,
// an operator {taps, slope, aggregate, weights}: HgC of one channel with the same window in all rings.

function ball(speed, frames, size, radius) {
  const middle = (size - 1) / 2;
  return Array.from({length: frames}, (_, t) => {
    const x = middle + speed * (t - (frames - 1) / 2);
    return Array.from({length: size * size}, (_, k) => {
      const distance = Math.hypot(k % size - x, Math.floor(k / size) - middle);
      return Math.min(1, Math.max(0, radius + .5 - distance));
    });
  });
}

// '(137)' stands for 137 empty pixels, two hexadecimal digits for any other one.
function unpack(text, size) {
  const pixels = text.replace(/\((\d+)\)/g, (_, n) => '00'.repeat(n)).match(/../g)
    .map(pair => parseInt(pair, 16) / 255);
  const frames = pixels.length / (size * size);
  return Array.from({length: frames}, (_, t) => pixels.slice(t * size * size, (t + 1) * size * size));
}

// The pixels that f(·; W) reads for offset i, as [x, y, weight] from the pixel of the output.
function windowOf(op, i) {
  const reach = op.slope * Math.abs(i) / 2;
  if (reach === 0) return [[0, 0, 1]];
  const average = op.aggregate === 'avg';
  const steps = average ? Array.from({length: 2 * reach + 1}, (_, k) => k - reach) : [-reach, 0, reach];
  const weights = average ? steps.flatMap(() => steps.map(() => 1 / (2 * reach + 1) ** 2)) : op.weights;
  return steps.flatMap((y, v) => steps.map((x, u) => [x, y, weights[v * steps.length + u]]));
}

// What each frame adds to one output: a_i · f(X_{t+i}; W) at pixel (x, y), for i = -r … r.
function parts(clip, size, op, t, x, y) {
  const r = (op.taps.length - 1) / 2;
  return op.taps.map((tap, k) => {
    const frame = clip[t + k - r];
    if (!frame || tap === 0) return 0;
    let sum = 0;
    for (const [dx, dy, weight] of windowOf(op, k - r)) {
      const [u, v] = [x + dx, y + dy];
      if (u >= 0 && u < size && v >= 0 && v < size) sum += weight * frame[v * size + u];
    }
    return tap * sum;
  });
}

// The whole output, a clip like the input. An empty pixel is passed over.
function hgc(clip, size, op) {
  const r = (op.taps.length - 1) / 2;
  const output = clip.map(frame => new Array(frame.length).fill(0));
  op.taps.forEach((tap, k) => {
    const reads = windowOf(op, k - r).filter(([, , weight]) => weight * tap !== 0);
    clip.forEach((frame, s) => {
      const target = output[s - (k - r)];
      if (!target) return;
      frame.forEach((value, pixel) => {
        if (value === 0) return;
        for (const [dx, dy, weight] of reads) {
          const [x, y] = [pixel % size - dx, Math.floor(pixel / size) - dy];
          if (x >= 0 && x < size && y >= 0 && y < size) target[y * size + x] += tap * weight * value;
        }
      });
    });
  });
  return output;
}

function relu(clip) {
  return clip.map(frame => frame.map(value => Math.max(0, value)));
}

function mean(clip) {
  const sums = clip.map(frame => frame.reduce((a, b) => a + b, 0) / frame.length);
  return sums.reduce((a, b) => a + b, 0) / clip.length;
}

// Responses within `tolerance` of each other are one group. The largest ones are group 0.
function groups(responses, tolerance = .02) {
  const order = responses.map((_, k) => k).sort((a, b) => responses[b] - responses[a]);
  const found = [];
  order.forEach((k, place) => {
    const before = order[place - 1];
    const apart = responses[k] < (1 - tolerance) * responses[before];
    found[k] = place === 0 ? 0 : found[before] + apart;
  });
  return found;
}
