"use strict";
// Times in the reader's zone, copying, and a refresh that stays where the reader is.
// Nothing else needs it.
const form = (options) => new Intl.DateTimeFormat("sv", options);
const full = form({dateStyle: "short", timeStyle: "medium"});
const written = {clock: form({timeStyle: "short"}), hour: form({dateStyle: "short", timeStyle: "short"}), full};
for (const element of document.querySelectorAll("time, [data-time]")) {
  const time = new Date(element.dateTime ?? element.dataset.time);
  const as = written[element.dataset.as];
  if (as) element.textContent = as.format(time);
  else element.title = full.format(time);
}
for (const zone of document.querySelectorAll("[data-zone]")) {
  zone.textContent = full.resolvedOptions().timeZone.replaceAll("_", " ");
}
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
