// What the figures share: a card of its own in a shadow root, its theme, and labelled controls.

const minus = value => String(value).replace('-', '−');
const listing = words => words.length < 2 ? words.join('')
  : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function slider(name, [low, high, step], value, write, changed) {
  const input = element('input', {type: 'range', min: low, max: high, step, value});
  const shown = element('output');
  const follow = () => {
    shown.textContent = write(Number(input.value));
    input.setAttribute('aria-valuetext', shown.textContent);
  };
  input.addEventListener('input', () => {
    follow();
    changed();
  });
  follow();
  const line = element('span', {class: 'name'}, element('span', {}, name), shown);
  return {
    element: element('label', {class: 'control'}, line, input),
    get value() { return Number(input.value); },
  };
}

// What the page around the figure says about itself, or else what the reader's system prefers.
function isDark() {
  const [root, body] = [document.documentElement, document.body];
  const said = [root.dataset.theme, root.getAttribute('theme'), body.dataset.vscodeThemeKind,
    {true: 'light', false: 'dark'}[body.dataset.jpThemeLight]].find(word => /dark|light/.test(word));
  return said ? /dark/.test(said) : matchMedia('(prefers-color-scheme: dark)').matches;
}

function mount(style, settings, build) {
  const host = document.querySelector(`[data-explorable="${settings.key}"]:not([data-live])`);
  if (!host) return;
  const card = element('div', {class: 'card', role: 'group', 'aria-label': settings.label});
  build(card, settings, host);
  const follow = () => card.classList.toggle('dark', isDark());
  follow();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', follow);
  const observer = new MutationObserver(follow);
  for (const place of [document.documentElement, document.body]) {
    observer.observe(place, {attributes: true});
  }
  host.dataset.live = 'true';
  host.dataset.lmSuppressShortcuts = 'true';  // JupyterLab leaves the keys to the controls
  host.attachShadow({mode: 'open'}).append(element('style', {}, style), card);
}
