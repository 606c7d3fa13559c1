// The blocks, which of them are shown, and where.

const FLAG = { parquet: 1, loaded: 2, deletion: 4, noCompact: 8, noDownsample: 16, unusableMark: 32, unread: 64 };
/** What the plan says of blocks that do not merely wait. */
const NOT_WAITING = new Set(["", "merge", "downsample", "covered", "expired", "marked-for-deletion"]);
const LANE = 15, LANE_GAP = 2, ROW_PAD = 5, TITLE = 22;

const EMPTY = { version: "", groups: [], words: [""], root: [], min: [], max: [], level: [], group: [], resolution: [], bytes: [], flags: [], word: [], broken: [], tasks: [], plannedAt: null };

/** The blocks in typed arrays, and the names of their groups. */
function makeModel(data, title) {
  const names = data.groups.map((labels) => labelsText(labels, title));
  const collator = new Intl.Collator("en", { numeric: true });
  const order = names.map((_, i) => i).sort((a, b) => collator.compare(names[a], names[b]) || a - b);
  const rank = new Uint32Array(names.length);
  order.forEach((group, place) => { rank[group] = place; });
  const { min, max, group, resolution } = data;
  const sorted = Uint32Array.from(data.root, (_, i) => i).sort((a, b) => rank[group[a]] - rank[group[b]] || resolution[a] - resolution[b] || min[a] - min[b] || max[b] - max[a] || a - b);
  return {
    ...data, names, rank, sorted,
    size: data.root.length,
    min: Float64Array.from(data.min), max: Float64Array.from(data.max),
    level: Uint16Array.from(data.level, (n) => Math.min(n, 65535)), group: Uint32Array.from(data.group),
    resolution: Float64Array.from(data.resolution), flags: Uint8Array.from(data.flags), word: Uint16Array.from(data.word),
    places: new Map(data.root.map((root, i) => [root, i])),
  };
}

/** The indexes of the blocks that pass the filter, by group, resolution and time. */
function filtered(model, filter) {
  const passes = model.groups.map((labels) => filter.matchers.every((matches) => matches(labels)));
  const waits = model.words.map((word) => !NOT_WAITING.has(word));
  const marks = FLAG.deletion | FLAG.noCompact | FLAG.noDownsample | FLAG.unusableMark;
  const found = [];
  for (const i of model.sorted) {
    const flags = model.flags[i];
    if (!passes[model.group[i]]) continue;
    if (filter.view === "loaded" && !(flags & FLAG.loaded)) continue;
    if (filter.view === "marked" && !(flags & marks)) continue;
    if (filter.view === "waiting" && !waits[model.word[i]]) continue;
    if (filter.resolution !== "" && model.resolution[i] !== Number(filter.resolution)) continue;
    if (filter.format !== "" && (filter.format === "parquet") !== Boolean(flags & FLAG.parquet)) continue;
    found.push(i);
  }
  return Uint32Array.from(found);
}

/** Rows of the timeline: one for each group and resolution, with lanes of blocks that do not overlap. */
function layout(model, ids) {
  const rows = [], titles = [];
  let y = 0, lastGroup = -1;
  for (let at = 0; at < ids.length;) {
    const group = model.group[ids[at]], resolution = model.resolution[ids[at]];
    let end = at;
    while (end < ids.length && model.group[ids[end]] === group && model.resolution[ids[end]] === resolution) end += 1;
    if (group !== lastGroup) {
      titles.push({ y, group });
      y += TITLE;
      lastGroup = group;
    }
    const lanes = [], ends = [];
    for (let i = at; i < end; i += 1) {
      const id = ids[i];
      let lane = ends.findIndex((last) => last <= model.min[id]);
      if (lane < 0) { lane = ends.length; ends.push(0); lanes.push([]); }
      ends[lane] = Math.max(model.max[id], model.min[id] + 1);
      lanes[lane].push(id);
    }
    const height = lanes.length * (LANE + LANE_GAP) + ROW_PAD;
    rows.push({ y, height, group, resolution, lanes: lanes.map((lane) => Uint32Array.from(lane)), first: at, end });
    y += height;
    at = end;
  }
  return { rows, titles, height: y };
}

/** The first and the last time of blocks. Times that cannot be right do not stretch it. */
function extent(model, ids) {
  const limit = Date.now() + 400 * 86400000;
  let [min, max] = [Infinity, -Infinity];
  for (const id of ids) {
    if (model.min[id] < 0 || model.max[id] > limit) continue;
    min = Math.min(min, model.min[id]);
    max = Math.max(max, model.max[id]);
  }
  if (min > max) {
    for (const id of ids) { min = Math.min(min, model.min[id]); max = Math.max(max, model.max[id]); }
  }
  if (min > max) return [Date.now() - 86400000, Date.now()];
  return [min, Math.max(max, min + 1000)];
}

/** The index of the first block of a lane that ends after `time`. */
function firstAfter(model, lane, time) {
  let [low, high] = [0, lane.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (model.max[lane[middle]] > time) high = middle; else low = middle + 1;
  }
  return low;
}

/** The name of a block, without the folder in which it lies. */
function idOf(model, id) { return model.root[id].slice(model.root[id].lastIndexOf("/") + 1); }

function formatOf(model, id) { return model.flags[id] & FLAG.parquet ? "Parquet" : "TSDB"; }

/** The state of a block in a few words. */
function stateText(model, id, running) {
  const flags = model.flags[id], words = [];
  if (running.has(id)) words.push(`running: ${running.get(id)}`);
  if (flags & FLAG.unread) words.push("not read");
  if (flags & FLAG.unusableMark) words.push("unusable mark");
  if (flags & FLAG.deletion) words.push("marked for deletion");
  if (flags & FLAG.noCompact) words.push("no compaction");
  if (flags & FLAG.noDownsample) words.push("no downsampling");
  const word = model.words[model.word[id]];
  if (word !== "" && !(flags & FLAG.deletion) && !(word === "no-compact")) words.push(word);
  return words.join(", ");
}
