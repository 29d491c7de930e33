// The button of a paper's card copies its BibTeX entry.
"use strict";
for (const button of document.querySelectorAll("button[data-bibtex]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.bibtex);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy BibTeX"; }, 2000);
  });
}
