"use strict";
// Copying, and a refresh that stays where the reader is. Nothing else needs it.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  const label = button.innerHTML;
  button.addEventListener("click", async () => {
    const text = button.previousElementSibling;
    let done = true;
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      // Browsers have no clipboard on plain http from another host.
      const range = document.createRange();
      range.selectNodeContents(text);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.innerHTML = label; }, 2000);
  });
}
for (const link of document.querySelectorAll("[data-reload]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    location.reload();
  });
}
