"""The script of the page: sorts tables and enlarges pictures, without a network."""

SCRIPT = """
function number(text) {
  const parts = text.match(/^1\\/(\\d+)/);
  const found = parts ? 1 / parts[1] : parseFloat(text.replace("−", "-"));
  return isNaN(found) ? -Infinity : found;
}
function sort(head) {
  const body = head.closest("table").tBodies[0], column = head.cellIndex;
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const text = line => line.cells[column].textContent;
  const numeric = head.classList.contains("number");
  const compare = (a, b) => numeric ? number(text(a)) - number(text(b))
    : text(a).localeCompare(text(b));
  body.append(...[...body.rows].sort((a, b) => sign * (compare(a, b) || 0)));
}
function onUse(element, action) {
  element.addEventListener("click", action);
  element.addEventListener("keydown", event => {
    if (event.key === "Enter") action();
  });
}
for (const head of document.querySelectorAll("thead th")) {
  head.tabIndex = 0;
  head.title = "sort by " + head.textContent;
  onUse(head, () => sort(head));
}
const box = document.body.appendChild(document.createElement("dialog"));
box.addEventListener("click", () => box.close());
for (const image of document.querySelectorAll("img.zoom")) {
  onUse(image, () => {
    const large = image.cloneNode(), words = document.createElement("p");
    large.removeAttribute("style");
    words.textContent = image.alt;
    box.replaceChildren(large, words);
    box.showModal();
  });
}
"""
