"""What a reader does with the built pages: first views, keys in figures, stillness, paper."""
import json

from site_weight import FIRST

SETTLE = 'new Promise(done => setTimeout(done, 1000))'
# the controls of a figure that the key Tab should reach; of a group of radios only one
CONTROLS = """function(k) {
  const root = document.querySelectorAll('[data-explorable]')[k].shadowRoot;
  const probe = Object.assign(document.createElement('span'), {tabIndex: 0});
  root.host.before(probe);
  probe.focus();
  const all = [...root.querySelectorAll('button, input, select, a[href], [tabindex="0"]')];
  const reached = all.filter(e => e.checkVisibility() && !e.disabled &&
    (e.type !== 'radio' || e.checked));
  reached.forEach((e, n) => { e.dataset.tab = n; });
  return reached.map(e => (e.ariaLabel || e.textContent || e.type).trim().slice(0, 30));
}"""
FOCUSED = """(() => {
  let e = document.activeElement;
  while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
  const seen = e.matches(':focus-visible') && getComputedStyle(e).outlineStyle !== 'none';
  return [e.dataset.tab ?? '', seen, e.type === 'range' ? e.value : '', e.max ?? ''];
})()"""
MOVING = """[...document.querySelectorAll('img[data-moving]')].filter(e =>
  e.complete && e.naturalWidth && e.checkVisibility()).length +
  document.getAnimations().filter(a => a.playState === 'running').length"""
ON_PAPER = """(() => {
  const seen = selector => [...document.querySelectorAll(selector)].filter(e =>
    e.checkVisibility() && e.getBoundingClientRect().height);
  const name = e =>
    `${e.tagName.toLowerCase()}.${e.className} ${e.textContent.trim().slice(0, 30)}`;
  const cut = seen('pre').filter(e => e.scrollWidth > e.clientWidth + 1);
  const side = seen('.bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .copybtn, ' +
                    '.show-code, .pause');
  return side.map(e => `is printed: ${name(e)}`).concat(cut.map(e => `is cut: ${name(e)}`));
})()"""
BRIGHT = """[...document.querySelectorAll('article *')].filter(e => {
  const parts = getComputedStyle(e).backgroundColor.match(/[0-9.]+/g)?.map(Number) ?? [0, 0, 0];
  return e.tagName !== 'IMG' && (parts[3] ?? 1) > .5 && Math.min(...parts.slice(0, 3)) > 128 &&
    e.checkVisibility() && e.getBoundingClientRect().width > 100;
}).map(e => `${e.tagName.toLowerCase()}.${e.className}`)"""
CUT = """[...document.querySelectorAll('div.math')].filter(e => e.checkVisibility() &&
  e.firstElementChild.getBoundingClientRect().left < e.getBoundingClientRect().left - 1)
  .map(e => e.textContent.trim().slice(0, 30))"""
PAPER, PHONE = 680, 390  # px; paper between its margins
LOADED = """(async () => {
  const host = document.querySelector('[data-explorable]');
  while (!host.play) {
    const bad = host.shadowRoot.querySelector('.verdict.bad');
    if (bad) return bad.textContent;
    await new Promise(done => setTimeout(done, 100));
  }
  await host.play.ready;
  return '';
})()"""
FIGURES = "document.querySelectorAll('[data-explorable]').length"


def press(browser, key, text=''):
    "Press and release a key."
    code = dict(Tab=9, Enter=13, ArrowRight=39, ArrowLeft=37, ArrowUp=38)[key]
    for kind in ('keyDown', 'keyUp'):
        given = dict(text=text) if text and kind == 'keyDown' else {}
        browser.send('Input.dispatchKeyEvent', type=kind, key=key, code=key,
                     windowsVirtualKeyCode=code, **given)


def first_views(browser, pages):
    "Pages that fetch more than a first view may, what their scripts fetch included."
    browser.show()
    browser.send('Network.setCacheDisabled', cacheDisabled=True)
    found = []
    for page in pages:
        browser.open(page)
        browser.run(SETTLE)
        if (weight := browser.bytes()) > FIRST:
            found.append(f'{page}.html: fetches {weight // 1000} kB as it is opened')
    browser.send('Network.setCacheDisabled', cacheDisabled=False)
    return found


def unreached(browser, k):
    "Controls of a page's figure k that Tab passes over, that show no focus, or that do not turn."
    names = browser.run(f'({CONTROLS})({k})')
    seen, found = {}, []
    for _ in range(len(names) + 1):
        press(browser, 'Tab')
        number, outlined, value, most = browser.run(FOCUSED)
        if not number or number in seen:
            break
        seen[number] = outlined
        if value:
            press(browser, 'ArrowLeft' if value == most else 'ArrowRight')
            if browser.run(FOCUSED)[2] == value:
                found.append(f'does not turn by keyboard: {names[int(number)]}')
    for number, name in enumerate(names):
        if not seen.get(str(number)):
            kind = 'shows no focus' if str(number) in seen else 'is not reached by Tab'
            found.append(f'{kind}: {name}')
    return found


def by_keyboard(browser, pages):
    "Figures that cannot be used without a pointer."
    browser.show()
    found = []
    for page in pages:
        browser.open(page)
        for k in range(browser.run(FIGURES)):
            found += [f'{page}.html, figure {k + 1}: {line}' for line in unreached(browser, k)]
    return found


def played(browser, html, page='story/play'):
    "Faults of the page whose networks load when asked: loaded and steered by keyboard, and still."
    missing = json.loads((html/'_static/play/play.json').read_text('utf-8'))['missing']
    if missing:
        return []
    browser.show(still=True)
    browser.open(page)
    browser.run(f'({CONTROLS})(0)')
    press(browser, 'Tab')
    press(browser, 'Enter', '\r')
    if problem := browser.run(LOADED):
        return [f'{page}.html: {problem}']
    found = []
    if browser.run("document.querySelector('[data-explorable]').shadowRoot"
                   ".activeElement?.className") != 'scene':
        found.append('the focus is not on the square after loading')
    press(browser, 'ArrowUp')
    if browser.run("document.querySelector('[data-explorable]').play.scene.heading") != 3:
        found.append('the key ↑ does not turn the square')
    before = browser.run("document.querySelector('[data-explorable]').play.scene.y")
    browser.run(SETTLE)
    if browser.run("document.querySelector('[data-explorable]').play.scene.y") != before:
        found.append('the square moves where motion is to be reduced')
    return [f'{page}.html: {line}' for line in [*found, *unreached(browser, 0)]]


def restless(browser, pages):
    "Pages on which something moves although the reader wants little motion."
    browser.show(still=True)
    found = []
    for page in pages:
        browser.open(page)
        browser.run(SETTLE)
        if moving := browser.run(MOVING):
            found.append(f'{page}.html: {moving} parts move where motion is to be reduced')
    browser.show()
    return found


def on_paper(browser, pages):
    "What is printed and does not belong on paper, and code that is cut."
    found = []
    for page in pages:
        browser.show(PAPER)
        browser.open(page)
        browser.send('Emulation.setEmulatedMedia', media='print')
        found += [f'{page}.html, printed: {line}' for line in browser.run(ON_PAPER)]
    browser.send('Emulation.setEmulatedMedia', media='')
    return found


def looks(browser, pages):
    "Bright boxes on dark pages, and formulas whose beginning no scrolling reaches on a phone."
    found = []
    for page in pages:
        browser.show(dark=True)
        browser.open(page)
        found += [f'{page}.html: bright in dark mode, {line}' for line in browser.run(BRIGHT)]
        browser.show(PHONE)
        found += [f'{page}.html: the formula {line} is cut on a phone'
                  for line in browser.run(CUT)]
    browser.show()
    return found


def faults(browser, html, pages):
    "All faults in the use of these pages."
    figures = [page for page in pages
               if 'data-explorable' in (html/f'{page}.html').read_text('utf-8')]
    found = [*first_views(browser, pages), *by_keyboard(browser, figures),
             *restless(browser, pages), *on_paper(browser, pages), *looks(browser, pages)]
    return found + (played(browser, html) if 'story/play' in figures else [])
