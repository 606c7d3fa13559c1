// Asks the server, and wires the parts together.

const POLL = 5000, POLL_BUSY = 2000;
const canvas = byId("canvas"), scroller = byId("scroller"), tip = byId("tip");
const timeline = makeTimeline(canvas, scroller, byId("spacer"));
const table = makeTable(byId("rows"), (id, from) => open(id, from));
const { view } = timeline;
const state = { model: makeModel(EMPTY, ""), ids: new Uint32Array(0), now: null, etag: "", loaded: false, unreachable: "", opened: "", back: null, fitted: false };

function filter() {
  const input = byId("matcher"), error = byId("matcher-error");
  let matchers = state.matchers ?? [];
  try {
    matchers = parseMatchers(input.value);
    error.textContent = "";
    input.removeAttribute("aria-invalid");
  } catch (problem) {
    error.textContent = `Filter of labels: ${problem.message}. The last valid one is applied.`;
    input.setAttribute("aria-invalid", "true");
  }
  state.matchers = matchers;
  return { matchers, view: byId("view").value, resolution: byId("resolution").value, format: byId("format").value };
}

/** Filters and lays out anew. */
function arrange() {
  const { model } = state;
  state.ids = filtered(model, filter());
  Object.assign(view, layout(model, state.ids), { model });
  view.running = runningBlocks();
  if (!state.fitted && state.loaded) fit();
  timeline.resize();
  timeline.redraw();
  table.set(model, state.ids, view.running);
  const bytes = state.ids.reduce((sum, id) => sum + model.bytes[id], 0);
  byId("table-count").textContent = state.ids.length === model.size ? `${numbers.format(model.size)}, ${bytesText(bytes)}` : `${numbers.format(state.ids.length)} of ${numbers.format(model.size)}, ${bytesText(bytes)}`;
  canvas.dataset.shown = state.ids.length;
  canvas.dataset.version = model.version;
  canvas.setAttribute("aria-label", `Timeline of ${count(state.ids.length, "block")} in ${count(view.titles.length, "group")}`);
  showEmpty();
}

function showEmpty() {
  const empty = byId("empty");
  empty.hidden = state.ids.length > 0;
  if (!empty.hidden) {
    const failed = state.now?.error || state.unreachable;
    const [title, text] = !state.loaded || (state.now && state.now.lookedAt === null)
      ? ["Reading the bucket…", "The blocks appear once it was listed."]
      : state.model.size > 0 ? ["No block matches the filter", "Clear shows all blocks again."]
        : failed ? ["No block is known", "The bucket could not be listed; see above."] : ["The bucket has no blocks", "Blocks appear here once they are uploaded."];
    empty.replaceChildren(el("b", {}, title), text);
  }
}

function fit() {
  const [min, max] = extent(state.model, state.ids.length > 0 ? state.ids : Uint32Array.from({ length: state.model.size }, (_, i) => i));
  const pad = (max - min) * 0.02;
  timeline.show(min - pad, max + pad);
  state.fitted = state.model.size > 0;
}

function runningBlocks() {
  const found = new Map();
  if (!state.now) return found;
  const ids = new Map();
  for (const run of state.now.running) for (const id of run.inputs) ids.set(id, run.phase);
  if (ids.size === 0) return found;
  state.model.root.forEach((root, i) => {
    const phase = ids.get(root.slice(root.lastIndexOf("/") + 1));
    if (phase) found.set(i, phase);
  });
  return found;
}

async function ask(path, headers = {}) {
  const answer = await fetch(path, { headers, cache: "no-store", credentials: "same-origin" });
  if (answer.status === 304) return { answer, body: null };
  const text = await answer.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error(`${path}: HTTP ${answer.status} ${text.slice(0, 200)}`);
  }
  if (body.status !== "success") throw new Error(body.error ?? `${path}: HTTP ${answer.status}`);
  return { answer, body: body.data };
}

/** Follows the server. */
async function poll() {
  try {
    const { body: now } = await ask("api/v1/activity");
    state.unreachable = "";
    const before = state.now;
    state.now = now;
    if (now.version !== state.model.version || !state.loaded) await loadTimeline();
    showNow(before);
  } catch (error) {
    state.unreachable = error.message;
    showStatus();
    showEmpty();
  }
  const busy = state.now?.running.length > 0;
  setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", poll, { once: true }) : poll()), busy ? POLL_BUSY : POLL);
}

async function loadTimeline() {
  const { answer, body } = await ask("api/v1/timeline", state.etag ? { "If-None-Match": state.etag } : {});
  if (body === null) return;
  state.etag = answer.headers.get("ETag") ?? "";
  const selected = view.selected >= 0 ? state.model.root[view.selected] : "";
  state.model = makeModel(body, state.now.label);
  state.loaded = true;
  view.selected = state.model.places.get(selected) ?? -1;
  showLegend();
  arrange();
  showPlanned(state.model, state.now, open);
  showWaiting(state.model, state.now);
  showBroken(state.model);
  if (state.opened !== "") await showBlock(state.opened);
}

function showNow(before) {
  const { now } = state;
  byId("component").textContent = now.component;
  document.title = `Blocks · varve ${now.component}`;
  if (JSON.stringify(before?.running.map((run) => run.id + run.phase)) !== JSON.stringify(now.running.map((run) => run.id + run.phase))) {
    view.running = runningBlocks();
    timeline.redraw();
    table.set(state.model, state.ids, view.running);
  }
  showRunning(now);
  if (JSON.stringify(before?.failed) !== JSON.stringify(now.failed)) showFailed(now);
  showStatus();
  showEmpty();
}

/** Whether what is shown is true, and of when it is. */
function showStatus() {
  const { now } = state, pill = byId("freshness"), banners = [];
  if (state.unreachable) {
    banners.push(["bad", "This page cannot reach its server", `${shown(state.unreachable)}\nWhat is shown is ${now ? `as of ${timeText(now.now, true)} UTC` : "nothing yet"}. Trying again.`]);
  }
  if (now?.error) {
    const shownIs = now.listedAt === null ? "Nothing was listed before." : `What is shown was listed at ${timeText(now.listedAt, true)} UTC and may be out of date.`;
    banners.push(["bad", "The bucket could not be listed", `${shown(now.error)}\nLast tried at ${timeText(now.lookedAt, true)} UTC. ${shownIs}`]);
  }
  const unread = state.model.broken.filter((one) => one.fault === "unread").length;
  const damaged = state.model.broken.filter((one) => one.fault === "damaged").length;
  const stale = state.model.flags.reduce((sum, flags) => sum + (flags & FLAG.unread ? 1 : 0), 0);
  if (unread + stale > 0) banners.push(["bad", `${count(unread + stale, "block")} could not be read`, `${unread} of them ${unread === 1 ? "is" : "are"} missing from the timeline, ${stale} may be out of date. They are tried again.`]);
  if (damaged > 0) banners.push(["warn", `${count(damaged, "block")} with a damaged meta.json`, "missing from the timeline; listed at the right."]);
  if (now?.failed.length > 0) banners.push(["warn", `${numbers.format(now.failed.length)} failed`, `in the last run: ${shown(now.failed[0].error, 300)}`]);
  const key = JSON.stringify(banners);
  if (key !== state.banners) {
    state.banners = key;
    byId("banners").replaceChildren(...banners.map(([kind, title, text]) => el("p", { class: `banner ${kind}`, role: kind === "bad" ? "alert" : "status" }, el("b", {}, `${title}: `), text)));
    timeline.resize();
    timeline.redraw();
  }
  const bad = Boolean(state.unreachable || now?.error);
  pill.className = bad ? "pill bad" : "pill";
  const text = !now ? "connecting" : bad ? "not up to date" : now.listedAt === null ? "reading the bucket" : `listed ${agoText(now.now - now.listedAt)}`;
  if (pill.textContent !== text) pill.textContent = text;
  const bytes = state.model.bytes.reduce((sum, n) => sum + n, 0);
  byId("totals").textContent = state.loaded ? `${count(state.model.size, "block")} in ${count(state.model.groups.length, "group")}, ${bytesText(bytes)}` : "";
}

function showLegend() {
  const levels = [...new Set(Array.from(state.model.level, (level) => Math.min(level, 6)))].sort((a, b) => a - b);
  const item = (kind, text) => el("li", {}, el("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
  byId("legend").replaceChildren(
    ...levels.map((level) => item(`l${level}`, level === 6 ? "level 6+" : `level ${level}`)),
    item("any", "Parquet"), item("open any", "TSDB"), item("mark", "to be deleted"), item("hold", "held back"), item("run", "running"),
  );
}

function say(id) {
  const { model } = state, [min, max] = [model.min[id], model.max[id]];
  return `${model.root[id]}, ${timeText(min)} to ${timeText(max)}, ${resolutionText(model.resolution[id])}, ${formatOf(model, id)}, level ${model.level[id]}, ${bytesText(model.bytes[id])}. ${model.names[model.group[id]].slice(0, 300)}. ${stateText(model, id, view.running)}`;
}

function select(id) {
  view.selected = id;
  timeline.reveal(id);
  timeline.redraw();
  table.select(id);
  byId("cursor").textContent = say(id);
  canvas.dataset.selected = state.model.root[id];
}

async function open(id, from = document.activeElement) {
  state.back = from;
  select(id);
  state.opened = state.model.root[id];
  byId("block").hidden = false;
  byId("block-title").textContent = "Block";
  byId("details").replaceChildren(el("p", { class: "none" }, "Loading…"));
  await showBlock(state.opened);
  byId("block-title").focus({ preventScroll: true });
  document.querySelector("aside").scrollTop = 0;
}

async function showBlock(root) {
  let nodes;
  try {
    nodes = blockNodes((await ask(`api/v1/block?root=${encodeURIComponent(root)}`)).body);
  } catch (error) {
    nodes = [note("bad", "This block cannot be shown", error.message)];
  }
  if (state.opened !== root) return;
  byId("block-title").textContent = `Block ${root.slice(root.lastIndexOf("/") + 1)}`;
  byId("details").replaceChildren(...nodes);
}

function close() {
  if (byId("block").hidden) return;
  byId("block").hidden = true;
  state.opened = "";
  (state.back?.isConnected ? state.back : canvas).focus({ preventScroll: true });
}

/** The block from which arrow keys lead to the next one. */
function move(key) {
  const { model, ids } = state;
  if (ids.length === 0) return;
  const place = ids.indexOf(view.selected);
  if (place < 0) {
    // The first one that is visible.
    const seen = ids.find((id) => model.max[id] > view.from && model.min[id] < view.to);
    return select(seen ?? ids[0]);
  }
  const at = view.rows.findIndex((row) => place >= row.first && place < row.end), row = view.rows[at];
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const next = place + (key === "ArrowRight" ? 1 : -1);
    if (next >= row.first && next < row.end) select(ids[next]);
    return;
  }
  const lane = row.lanes.findIndex((one) => one.includes(view.selected));
  const down = key === "ArrowDown", nextLane = row.lanes[lane + (down ? 1 : -1)];
  const other = view.rows[at + (down ? 1 : -1)];
  const target = nextLane ?? (other && (down ? other.lanes[0] : other.lanes[other.lanes.length - 1]));
  if (!target) return;
  const middle = (model.min[view.selected] + model.max[view.selected]) / 2;
  select(target[Math.min(firstAfter(model, target, middle), target.length - 1)]);
}

canvas.addEventListener("keydown", (event) => {
  const arrows = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 0, ArrowDown: 0 };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.shiftKey && arrows[event.key]) timeline.pan(arrows[event.key] * view.width / 6);
  else if (event.key in arrows) move(event.key);
  else if (event.key === "Enter" || event.key === " ") { if (view.selected >= 0) open(view.selected, canvas); }
  else if (event.key === "+" || event.key === "=") timeline.zoom(1 / 1.5);
  else if (event.key === "-" || event.key === "_") timeline.zoom(1.5);
  else if (event.key === "0" || event.key === "Home") fit();
  else if (event.key === "PageDown") scroller.scrollTop += view.tall - 60;
  else if (event.key === "PageUp") scroller.scrollTop -= view.tall - 60;
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });

let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  drag = { x: event.offsetX, y: event.offsetY, scroll: scroller.scrollTop, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (drag) {
    const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag.moved = true;
    canvas.classList.add("drag");
    timeline.pan(-dx);
    scroller.scrollTop = drag.scroll - dy;
    drag.x = event.offsetX;
    tip.hidden = true;
    return;
  }
  hover(event);
});
canvas.addEventListener("pointerup", (event) => {
  const was = drag;
  drag = null;
  canvas.classList.remove("drag");
  if (!was || was.moved) return;
  const id = timeline.at(event.offsetX, event.offsetY);
  if (id >= 0) open(id, canvas);
});
canvas.addEventListener("pointercancel", () => { drag = null; canvas.classList.remove("drag"); });
canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
canvas.addEventListener("dblclick", (event) => timeline.zoom(1 / 3, event.offsetX));
canvas.addEventListener("wheel", (event) => {
  const unit = event.deltaMode === 1 ? 16 : 1, [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
  const scrolls = scroller.scrollHeight > scroller.clientHeight + 1;
  if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) timeline.pan(dx || dy);
  else if (event.ctrlKey || event.metaKey || !scrolls) timeline.zoom(Math.exp(Math.max(Math.min(dy, 240), -240) / 300), event.offsetX);
  else return;
  event.preventDefault();
}, { passive: false });

function hover(event) {
  const id = timeline.at(event.offsetX, event.offsetY);
  tip.hidden = id < 0;
  if (id < 0) return;
  const { model } = state;
  tip.replaceChildren(el("b", {}, model.root[id]), el("div", {}, `${timeText(model.min[id])} – ${timeText(model.max[id])} (${durationText(model.max[id] - model.min[id])})`),
    el("div", {}, `${resolutionText(model.resolution[id])}, ${formatOf(model, id)}, level ${model.level[id]}, ${bytesText(model.bytes[id])}`),
    el("div", { class: "quiet" }, stateText(model, id, view.running)));
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - box.width - 8)}px`;
  tip.style.top = `${event.clientY + 18 + box.height > window.innerHeight ? event.clientY - box.height - 10 : event.clientY + 18}px`;
}

scroller.addEventListener("scroll", timeline.redraw);
let typed = 0;
byId("filters").addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(arrange, state.model.size > 5000 ? 150 : 0); });
byId("filters").addEventListener("reset", () => setTimeout(() => { arrange(); fit(); }));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("zoom-in").addEventListener("click", () => timeline.zoom(1 / 1.5));
byId("zoom-out").addEventListener("click", () => timeline.zoom(1.5));
byId("fit").addEventListener("click", fit);
byId("close").addEventListener("click", close);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { timeline.readColours(); timeline.redraw(); });
new ResizeObserver(() => { timeline.resize(); timeline.redraw(); table.redraw(); }).observe(scroller);
if (/\/loaded\/?$/.test(location.pathname)) byId("view").value = "loaded";
timeline.readColours();
arrange();
showStatus();
poll();
