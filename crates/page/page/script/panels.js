// The lists beside the timeline, and what is known of one block.

const MOST_ITEMS = 100;

function fill(id, title, items, none) {
  const list = items.slice(0, MOST_ITEMS);
  if (items.length > MOST_ITEMS) list.push(el("p", { class: "more" }, `and ${numbers.format(items.length - MOST_ITEMS)} more`));
  byId(id).replaceChildren(...(list.length > 0 ? list : [el("p", { class: "none" }, none)]));
  const heading = byId(`${id}-title`);
  heading.replaceChildren(title, items.length > 0 ? el("span", { class: "count" }, ` ${numbers.format(items.length)}`) : "");
}

const PHASES = { fetching: "fetching its blocks", merging: "merging", verifying: "verifying the result", uploading: "uploading", committing: "committing" };

function showRunning(now) {
  fill("running", "Running", now.running.map((run) => {
    const parts = run.of > 0 && run.phase === "merging" ? `, ${numbers.format(run.done)} of ${numbers.format(run.of)} series` : "";
    const item = el("div", { class: "item" }, el("div", {}, shown(run.text)));
    const bar = el("progress", { "aria-label": `Progress of ${shown(run.id)}` });
    if (run.of > 0 && run.phase === "merging") { bar.max = run.of; bar.value = run.done; }
    item.append(bar, el("div", { class: "quiet" }, `${PHASES[run.phase] ?? run.phase}${parts}, for ${durationText(Math.max(now.now - run.since, 0)) || "0 s"}`));
    return item;
  }), now.plans ? "Nothing runs." : `varve ${now.component} changes no block.`);
}

function showFailed(now) {
  fill("failed", "Failed", now.failed.map((one) => el("div", { class: "item" },
    el("div", { class: "id" }, shown(one.what)), el("div", { class: "why" }, shown(one.error)), el("div", { class: "quiet" }, `${timeText(one.at, true)} UTC`))),
  now.plans ? "Nothing failed in the last run." : "Nothing to fail here.");
}

function showPlanned(model, now, open) {
  const none = now.plans
    ? (model.plannedAt === null ? "Nothing is planned yet: the bucket was not listed." : "Nothing is to be merged or downsampled.")
    : "Planned by varve compact, whose page shows it.";
  fill("planned", "Planned", model.tasks.map((task) => {
    const first = task.blocks[0];
    const item = el("div", { class: "item" }, el("div", {}, shown(task.text)), el("div", { class: "quiet" }, `${bytesText(task.bytes)} to read `));
    if (first !== undefined) item.lastChild.append(el("button", { type: "button", class: "link", onclick: () => open(first) }, "show"));
    return item;
  }), none);
  if (model.plannedAt !== null) byId("planned").append(el("p", { class: "more" }, `The plan of ${timeText(model.plannedAt, true)} UTC.`));
}

const WAITS = {
  "outside-times": "outside of --min-time to --max-time", "not-selected": "not selected by their labels", "other-shard": "of another shard",
  "marked-for-deletion": "marked for deletion", "too-fresh": "uploaded too recently", "no-compact": "marked as not to be compacted",
  "unusable-mark": "with a mark that cannot be used", "compaction-failed": "whose compaction failed in Prometheus", damaged: "damaged",
  "wrong-times": "with impossible times", unread: "beside a block that could not be read", newest: "the newest of their group",
  "window-open": "whose window is not complete", "waits-for": "whose window waits for a block", "waits-for-task": "whose window waits for a task", "not-served": "whose samples are in a Parquet block that no store gateway is known to serve",
  "waits-for-store": "whose samples are in a Parquet block that a store gateway must serve for some time first",
  alone: "alone in their window", "downsample-vertical-compaction": "downsampled and overlapping", covered: "to be marked: another block has their samples",
  expired: "to be marked: past their retention", merge: "to be merged", downsample: "to be downsampled",
};

function showWaiting(model, now) {
  const counts = new Map();
  for (let i = 0; i < model.size; i += 1) counts.set(model.word[i], (counts.get(model.word[i]) ?? 0) + 1);
  const items = [...counts].filter(([word]) => model.words[word] !== "").sort((a, b) => b[1] - a[1])
    .map(([word, n]) => el("div", { class: "item" }, `${count(n, "block")} ${WAITS[model.words[word]] ?? shown(model.words[word])}`));
  fill("waiting", "Blocks in the plan", items, now.plans ? "Nothing is planned for any block yet." : "Planned by varve compact, whose page shows it.");
}

const FAULTS = { damaged: "meta.json is damaged", incomplete: "has no meta.json: its upload runs or was aborted", unread: "could not be read" };

function showBroken(model) {
  byId("broken-section").hidden = model.broken.length === 0;
  fill("broken", "Not in the timeline", model.broken.map((one) => el("div", { class: "item" },
    el("div", { class: "id" }, shown(one.root)), el("div", {}, `${FAULTS[one.fault] ?? one.fault}, ${bytesText(one.bytes)}`), el("div", { class: "why" }, shown(one.reason)))), "");
}

function definition(pairs) {
  const list = el("dl");
  for (const [name, value] of pairs) list.append(el("dt", {}, name), el("dd", {}, ...(Array.isArray(value) ? value : [value])));
  return list;
}

function note(kind, title, ...lines) {
  return el("div", { class: `note ${kind}` }, el("b", {}, title), ...lines.filter(Boolean).map((line) => el("div", {}, shown(line))));
}

/** All that is known of a block. */
function blockNodes(block) {
  const { meta } = block, thanos = meta.thanos ?? {}, nodes = [], stats = meta.stats ?? {}, compaction = meta.compaction ?? {};
  const at = (seconds) => seconds > 0 ? `${timeText(seconds * 1000, true)} UTC` : "";
  if (block.running) nodes.push(note("run", `Running: ${PHASES[block.running.phase] ?? block.running.phase}`, block.running.task));
  if (block.unread) nodes.push(note("bad", "Not read; what is shown may be out of date", block.unread));
  for (const reason of block.unusableMarks) nodes.push(note("bad", "A mark cannot be used", reason));
  const marks = [["mark", "Marked for deletion", block.deletionMark, block.deletionMark?.deletion_time], ["hold", "Marked as not to be compacted", block.noCompactMark, block.noCompactMark?.no_compact_time], ["hold", "Marked as not to be downsampled", block.noDownsampleMark, block.noDownsampleMark?.no_downsample_time]];
  for (const [kind, title, mark, time] of marks) {
    if (mark) nodes.push(note(kind, `${title}${mark.reason ? `: ${shown(mark.reason)}` : ""}`, mark.details, at(time ?? 0)));
  }
  if (block.plan) nodes.push(note("", "Plan", block.plan.text));
  const labels = Object.entries(thanos.labels ?? {});
  const bytes = block.files.reduce((sum, file) => sum + file.bytes, 0);
  nodes.push(definition([
    ["Folder", el("span", { class: "id" }, shown(block.root))],
    ["From", `${timeText(meta.minTime, true)} UTC`], ["To", `${timeText(meta.maxTime, true)} UTC, excluded`], ["Duration", durationText(meta.maxTime - meta.minTime)],
    ["Resolution", resolutionText(thanos.downsample?.resolution ?? 0)], ["Format", meta.parquet ? "Parquet" : "TSDB"],
    ["Level", `${compaction.level ?? 0}, of ${count((compaction.sources ?? []).length, "source")}`],
    ["Labels", labels.length === 0 ? "none" : el("ul", { class: "labels" }, ...labels.map(([name, value]) => el("li", {}, el("code", {}, `${shown(name)}="${shown(value)}"`))))],
    ["Contents", `${count(stats.numSeries ?? 0, "series", "series")}, ${count(stats.numSamples ?? 0, "sample")}, ${count(stats.numChunks ?? 0, "chunk")}`],
    ["Written by", shown(thanos.source || "unknown")], ["In use", block.loaded ? "yes" : "no"],
    ["Size", `${bytesText(bytes)} in ${count(block.files.length, "file")}`],
  ]));
  const files = el("tbody");
  for (const file of block.files.slice(0, 200)) files.append(el("tr", {}, el("td", {}, shown(file.name)), el("td", { class: "n" }, bytesText(file.bytes))));
  nodes.push(el("table", { class: "files" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "File"), el("th", { scope: "col", class: "n" }, "Size"))), files));
  if (block.files.length > 200) nodes.push(el("p", { class: "more" }, `and ${numbers.format(block.files.length - 200)} more`));
  nodes.push(el("details", {}, el("summary", {}, "meta.json"), el("pre", { tabindex: "0" }, shown(JSON.stringify(meta, null, 2), 200000))));
  return nodes;
}
