// A paper's card stands beside its link, also in a table that scrolls; its button copies BibTeX.
"use strict";
for (const cite of document.querySelectorAll(".cite")) {
  const card = cite.querySelector(".cite-card"), button = card.querySelector("button");
  const place = () => {
    const link = cite.getBoundingClientRect(), [width, height] = [card.offsetWidth, card.offsetHeight];
    const below = link.bottom + height < innerHeight;
    Object.assign(card.style, {
      position: "fixed", right: "auto", bottom: "auto",
      left: `${Math.max(8, Math.min(link.left, innerWidth - width - 8))}px`,
      top: `${below ? link.bottom : link.top - height}px`,
    });
  };
  cite.addEventListener("mouseenter", place);
  cite.addEventListener("focusin", place);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.bibtex);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy BibTeX"; }, 2000);
  });
}
