// The blocks as a table: only the rows that are visible are in the document.

const TABLE_ROW = 24;

function makeTable(region, open) {
  const table = region.querySelector("table"), body = region.querySelector("tbody");
  const above = el("tr", { class: "pad", "aria-hidden": "true" }, el("td", { colspan: "9" }));
  const below = above.cloneNode(true);
  let model = makeModel(EMPTY, ""), ids = new Uint32Array(0), running = new Map(), selected = -1, due = false;

  function row(place) {
    const id = ids[place];
    const button = el("button", { type: "button", class: "link", title: model.root[id] }, idOf(model, id));
    button.addEventListener("click", () => open(id, button));
    const cells = [
      button, timeText(model.min[id]), durationText(model.max[id] - model.min[id]), model.names[model.group[id]],
      resolutionText(model.resolution[id]), formatOf(model, id), String(model.level[id]), bytesText(model.bytes[id]), stateText(model, id, running),
    ];
    const tr = el("tr", { "aria-rowindex": String(place + 2) });
    cells.forEach((content, n) => tr.append(el("td", n === 6 || n === 7 ? { class: "n" } : {}, content)));
    if (id === selected) { tr.className = "on"; tr.setAttribute("aria-selected", "true"); }
    return tr;
  }

  function draw() {
    const first = Math.max(Math.floor(region.scrollTop / TABLE_ROW) - 8, 0);
    const last = Math.min(first + Math.ceil(region.clientHeight / TABLE_ROW) + 16, ids.length);
    const had = document.activeElement?.closest("#rows tr")?.getAttribute("aria-rowindex");
    above.firstChild.style.height = `${first * TABLE_ROW}px`;
    below.firstChild.style.height = `${(ids.length - last) * TABLE_ROW}px`;
    const rows = [];
    for (let place = first; place < last; place += 1) rows.push(row(place));
    body.replaceChildren(above, ...rows, below);
    table.setAttribute("aria-rowcount", String(ids.length + 1));
    if (had) body.querySelector(`tr[aria-rowindex="${had}"] button`)?.focus({ preventScroll: true });
  }

  function redraw() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; draw(); });
  }

  region.addEventListener("scroll", redraw);
  region.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const now = Number(document.activeElement?.closest("tr")?.getAttribute("aria-rowindex") ?? 1) - 2;
    const next = now + (event.key === "ArrowDown" ? 1 : -1);
    if (next < 0 || next >= ids.length) return;
    event.preventDefault();
    const y = next * TABLE_ROW;
    if (y < region.scrollTop) region.scrollTop = y;
    else if (y + 3 * TABLE_ROW > region.scrollTop + region.clientHeight) region.scrollTop = y + 3 * TABLE_ROW - region.clientHeight;
    draw();
    body.querySelector(`tr[aria-rowindex="${next + 2}"] button`)?.focus({ preventScroll: true });
  });

  return {
    set(newModel, newIds, newRunning) { [model, ids, running] = [newModel, newIds, newRunning]; redraw(); },
    select(id) { selected = id; redraw(); },
    redraw,
  };
}
