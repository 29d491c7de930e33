"What a newcomer must see without scrolling, on a laptop and on a phone."

PAGES = 'index', 'zh/index'
WINDOWS = (1440, 900), (390, 844)
BELOW = """(() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const first = all('article :is(h1, blockquote, .cell_output img, pre)').slice(0, 6);
  return first.concat(all('article table th').slice(0, 3))
    .filter(e => e.getBoundingClientRect().bottom > innerHeight)
    .map(e => `${e.tagName.toLowerCase()} ${e.textContent.trim().slice(0, 30)}`);
})()"""


def hidden(browser):
    "Title, sentence, picture, install line, program, answer and doors that lie too low."
    found = []
    for width, height in WINDOWS:
        browser.show(width, height=height)
        for page in PAGES:
            browser.open(page)
            found += [f'{page}.html: below the first screen of {width}×{height}: {name}'
                      for name in browser.run(BELOW)]
    return found
