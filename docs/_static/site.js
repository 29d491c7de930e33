/* A switch that opens all folded code, pause for moving pictures, scrolling by keyboard. */
"use strict";
(() => {
  const make = (tag, given, text) => {
    const made = Object.assign(document.createElement(tag), given);
    made.textContent = text;
    return made;
  };
  const stored = (key, value) => {
    try {
      if (value !== undefined) localStorage.setItem(key, value);
      return localStorage.getItem(key);
    } catch { return null; }
  };

  const folded = [...document.querySelectorAll("div.cell details.hide")];
  if (folded.length) {
    const button = make("button", {type: "button", className: "show-code"}, "Show all code");
    const show = all => {
      folded.forEach(details => { details.open = all; });
      button.setAttribute("aria-pressed", all);
    };
    button.addEventListener("click", () => {
      const all = button.getAttribute("aria-pressed") !== "true";
      stored("all-code", all);
      show(all);
    });
    show(stored("all-code") === "true");
    document.querySelector("article h1")?.before(button);
  }

  const still = matchMedia("(prefers-reduced-motion: reduce)");
  for (const picture of document.querySelectorAll("img[data-moving]")) {
    const frame = document.createElement("canvas");
    const button = make("button", {type: "button", className: "pause"}, "Pause");
    const box = make("span", {className: "moving"}, "");
    frame.setAttribute("role", "img");
    frame.setAttribute("aria-label", picture.alt);
    frame.hidden = true;
    picture.replaceWith(box);
    box.append(picture, frame, button);
    const play = moving => {
      if (!moving) {
        frame.width = picture.naturalWidth;
        frame.height = picture.naturalHeight;
        frame.style.width = `${picture.clientWidth || picture.width}px`;
        frame.getContext("2d").drawImage(picture, 0, 0);
      }
      picture.hidden = !moving;
      frame.hidden = moving;
      button.textContent = moving ? "Pause" : "Play";
    };
    button.addEventListener("click", () => play(picture.hidden));
    const settle = () => { if (still.matches) play(false); };
    if (picture.complete && picture.naturalWidth) settle();
    else picture.addEventListener("load", settle, {once: true});
  }

  // On paper the page is light, and answers and other folded text are open; code stays folded.
  const folds = () => document.querySelectorAll("article details:not(.hide)");
  let before = null;
  addEventListener("beforeprint", () => {
    before = {theme: document.documentElement.dataset.theme, closed: [...folds()].filter(d => !d.open)};
    document.documentElement.dataset.theme = "light";
    before.closed.forEach(details => { details.open = true; });
  });
  addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = before.theme;
    before.closed.forEach(details => { details.open = false; });
  });

  const scrolls = () => {
    const boxes = ".highlight pre, .cell_output .text_html, .cell_output pre, div.math, " +
                  ".pst-scrollable-table-container, .table-box";
    for (const box of document.querySelectorAll(boxes)) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("load", scrolls);
  addEventListener("resize", scrolls);
})();
