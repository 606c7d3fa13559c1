// The canvas: only what is visible is drawn, and what falls into one pixel is drawn once.

const GUTTER = 64, AXIS = 26;
const MINUTE = 60000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [1, 10, 100, 1000, 5000, 15000, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY];

function makeTimeline(canvas, scroller, spacer) {
  const context = canvas.getContext("2d");
  const view = { from: 0, to: 1, model: makeModel(EMPTY, ""), rows: [], titles: [], height: 0, selected: -1, running: new Map(), width: 0, tall: 0 };
  let colours = {}, due = false;

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    colours = Object.fromEntries(["text", "quiet", "line", "grid", "band", "card", "mark", "hold", "run", "accent", "focus"].map((name) => [name, of(`--${name}`)]));
    colours.levels = [0, 1, 2, 3, 4, 5, 6].map((level) => of(`--l${level}`));
  }

  function resize() {
    const ratio = window.devicePixelRatio || 1;
    view.width = scroller.clientWidth;
    view.tall = Math.max(scroller.clientHeight, 60);
    const [wide, tall] = [Math.round(view.width * ratio), Math.round(view.tall * ratio)];
    if (canvas.width !== wide || canvas.height !== tall) {
      // This clears the canvas, so it is drawn at once.
      [canvas.width, canvas.height] = [wide, tall];
      canvas.style.height = `${view.tall}px`;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      draw();
    }
    spacer.style.height = `${Math.max(0, view.height + AXIS + 8 - view.tall)}px`;
  }

  const span = () => view.width - GUTTER;
  const x = (time) => GUTTER + (time - view.from) / (view.to - view.from) * span();
  const timeAt = (px) => view.from + (px - GUTTER) / span() * (view.to - view.from);

  function redraw() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; draw(); });
  }

  function draw() {
    const start = performance.now();
    context.fillStyle = colours.card;
    context.fillRect(0, 0, view.width, view.tall);
    const top = scroller.scrollTop;
    drawGrid();
    context.save();
    context.beginPath();
    context.rect(0, AXIS, view.width, view.tall - AXIS);
    context.clip();
    let drawn = 0;
    for (const row of visible(view.rows, top)) drawn += drawRow(row, row.y - top + AXIS);
    for (const title of view.titles) {
      const y = title.y - top + AXIS;
      if (y > -TITLE && y < view.tall) drawTitle(title, y);
    }
    context.restore();
    drawAxis();
    canvas.dataset.drawn = drawn;
    canvas.dataset.drawMs = (performance.now() - start).toFixed(2);
  }

  /** The rows within the window; rows are sorted by y. */
  function visible(rows, top) {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].y + rows[middle].height > top) high = middle; else low = middle + 1;
    }
    let end = low;
    while (end < rows.length && rows[end].y < top + view.tall) end += 1;
    return rows.slice(low, end);
  }

  function drawTitle(title, y) {
    context.fillStyle = colours.band;
    context.fillRect(0, y, view.width, TITLE);
    context.fillStyle = colours.line;
    context.fillRect(0, y, view.width, 1);
    context.fillStyle = colours.text;
    context.font = "600 12px system-ui, 'DejaVu Sans', sans-serif";
    context.textBaseline = "middle";
    context.fillText(fitted(view.model.names[title.group], view.width - 20), 10, y + TITLE / 2 + 1);
  }

  function fitted(text, width) {
    // No text of a line is longer than a thousand characters.
    let cut = text.slice(0, 1000);
    if (cut === text && context.measureText(cut).width <= width) return cut;
    let [low, high] = [0, cut.length];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(`${cut.slice(0, middle)}…`).width <= width) low = middle; else high = middle - 1;
    }
    return `${cut.slice(0, low)}…`;
  }

  function drawRow(row, y) {
    const { model } = view;
    context.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = colours.quiet;
    context.fillText(resolutionText(row.resolution), 24, y + ROW_PAD / 2 + LANE / 2 + 1);
    context.save();
    context.beginPath();
    context.rect(GUTTER, y, span(), row.height);
    context.clip();
    let drawn = 0;
    const overlays = [];
    row.lanes.forEach((lane, n) => {
      const laneY = y + ROW_PAD / 2 + n * (LANE + LANE_GAP);
      if (laneY > view.tall || laneY + LANE < AXIS) return;
      let lastEnd = -1, lastStyle = -1;
      for (let i = firstAfter(model, lane, view.from); i < lane.length; i += 1) {
        const id = lane[i];
        if (model.min[id] >= view.to) break;
        const left = Math.max(x(model.min[id]), GUTTER - 4);
        const right = Math.min(x(model.max[id]), view.width + 4);
        const level = Math.min(model.level[id], 6);
        const style = level * 2 + (model.flags[id] & FLAG.parquet);
        // Of blocks that share a pixel the first is drawn.
        const special = id === view.selected || view.running.has(id) || (model.flags[id] & (FLAG.deletion | FLAG.noCompact | FLAG.unusableMark | FLAG.unread));
        if (right <= lastEnd && right - left < 1 && !special) continue;
        const width = Math.max(right - left - (right - left > 3 ? 1 : 0), 1);
        if (style !== lastStyle || drawn === 0) context.fillStyle = colours.levels[level];
        if (style & 1) {
          context.fillRect(left, laneY, width, LANE);
        } else {
          context.globalAlpha = 0.3;
          context.fillRect(left, laneY, width, LANE);
          context.globalAlpha = 1;
          context.fillRect(left, laneY, width, 1);
          context.fillRect(left, laneY + LANE - 1, width, 1);
          if (width > 3) {
            context.fillRect(left, laneY, 1, LANE);
            context.fillRect(left + width - 1, laneY, 1, LANE);
          }
        }
        drawn += 1;
        if (special) overlays.push([id, left, laneY, width]);
        lastEnd = Math.floor(left) + 1;
        lastStyle = style;
      }
    });
    for (const overlay of overlays) drawOverlay(...overlay);
    context.restore();
    return drawn;
  }

  function drawOverlay(id, left, y, width) {
    const flags = view.model.flags[id];
    if (flags & (FLAG.noCompact | FLAG.unusableMark | FLAG.unread)) {
      context.fillStyle = colours.hold;
      context.fillRect(left, y, width, 3);
    }
    if (flags & FLAG.deletion) {
      context.fillStyle = colours.card;
      context.globalAlpha = 0.55;
      context.fillRect(left, y, width, LANE - 3);
      context.globalAlpha = 1;
      context.fillStyle = colours.mark;
      context.fillRect(left, y + LANE - 3, width, 3);
    }
    const outline = id === view.selected ? colours.text : view.running.has(id) ? colours.run : null;
    if (outline && width < 6) {
      context.fillStyle = outline;
      context.fillRect(left, y - 1, width, 3);
      context.fillRect(left, y + LANE - 2, width, 3);
    } else if (outline) {
      context.strokeStyle = outline;
      context.lineWidth = 2;
      context.strokeRect(left + 0.5, y + 0.5, Math.max(width - 1, 2), LANE - 1);
    }
  }

  function ticks() {
    const per = (view.to - view.from) / span() * 110;
    let step = STEPS.find((size) => size >= per);
    const found = [];
    if (step === undefined) {
      // Months and years.
      const months = [1, 3, 6, 12, 24, 60, 120, 1200].find((n) => n * 30 * DAY >= per) ?? 12000;
      const first = new Date(view.from);
      let at = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months;
      for (let n = 0; n < 200; n += 1, at += months) {
        const time = Date.UTC(Math.floor(at / 12), at % 12, 1);
        if (time > view.to || Number.isNaN(time)) break;
        found.push(time);
      }
      return [months >= 12 ? 365 * DAY : 30 * DAY, found];
    }
    for (let time = Math.ceil(view.from / step) * step; time <= view.to && found.length < 200; time += step) found.push(time);
    return [step, found];
  }

  function tickText(time, step, isFirst) {
    const date = new Date(time);
    if (Number.isNaN(date.getTime())) return "";
    const iso = date.toISOString(), [day, clock] = [iso.slice(0, 10), iso.slice(11)];
    if (step >= 365 * DAY) return iso.slice(0, 4);
    if (step >= 30 * DAY) return iso.slice(0, 7);
    if (step >= DAY) return day;
    const text = step >= MINUTE ? clock.slice(0, 5) : step >= 1000 ? clock.slice(0, 8) : clock.slice(0, 12);
    return isFirst || time % DAY === 0 ? `${day} ${text === "00:00" && !isFirst ? "" : text}`.trim() : text;
  }

  function drawGrid() {
    const [, times] = ticks();
    context.fillStyle = colours.grid;
    for (const time of times) {
      const px = Math.round(x(time));
      if (px >= GUTTER) context.fillRect(px, AXIS, 1, view.tall - AXIS);
    }
  }

  function drawAxis() {
    context.fillStyle = colours.card;
    context.fillRect(0, 0, view.width, AXIS);
    context.fillStyle = colours.line;
    context.fillRect(0, AXIS - 1, view.width, 1);
    const [step, times] = ticks();
    context.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = colours.quiet;
    context.fillText("UTC", 24, AXIS / 2);
    let free = GUTTER - 1;
    times.forEach((time, n) => {
      const px = Math.round(x(time));
      if (px < GUTTER) return;
      const text = tickText(time, step, n === 0);
      if (px < free || px + 4 + context.measureText(text).width > view.width) return;
      context.fillStyle = colours.line;
      context.fillRect(px, AXIS - 7, 1, 6);
      context.fillStyle = time % DAY === 0 && step < DAY ? colours.text : colours.quiet;
      context.fillText(text, px + 4, AXIS / 2);
      free = px + context.measureText(text).width + 12;
    });
  }

  /** The block at a place of the canvas, or -1. */
  function at(px, py) {
    const y = py - AXIS + scroller.scrollTop;
    if (py < AXIS || px < GUTTER) return -1;
    const row = view.rows.find((one) => y >= one.y && y < one.y + one.height);
    const lane = row?.lanes[Math.floor((y - row.y - ROW_PAD / 2) / (LANE + LANE_GAP))];
    if (!lane) return -1;
    const { model } = view;
    let best = -1, distance = 4;
    for (let i = Math.max(firstAfter(model, lane, timeAt(px - 4)), 0); i < lane.length; i += 1) {
      const id = lane[i];
      const away = Math.max(x(model.min[id]) - px, px - x(model.max[id]), 0);
      if (x(model.min[id]) > px + 4) break;
      if (away < distance) [best, distance] = [id, away];
      if (away === 0) break;
    }
    return best;
  }

  function zoom(factor, px = GUTTER + span() / 2) {
    const time = timeAt(px), width = Math.min(Math.max((view.to - view.from) * factor, 100), 200 * 365 * DAY);
    const share = (px - GUTTER) / span();
    show(time - share * width, time + (1 - share) * width);
  }

  function pan(px) {
    const by = px / span() * (view.to - view.from);
    show(view.from + by, view.to + by);
  }

  function show(from, to) {
    [view.from, view.to] = [from, to];
    canvas.dataset.from = Math.round(from);
    canvas.dataset.to = Math.round(to);
    redraw();
  }

  /** Scrolls and pans until a block is visible. */
  function reveal(id) {
    const row = view.rows.find((one) => one.lanes.some((lane) => lane.includes(id)));
    if (!row) return;
    const y = row.y + row.lanes.findIndex((lane) => lane.includes(id)) * (LANE + LANE_GAP);
    const room = view.tall - AXIS;
    if (y - TITLE < scroller.scrollTop) scroller.scrollTop = y - TITLE;
    else if (y + LANE + 8 > scroller.scrollTop + room) scroller.scrollTop = y + LANE + 8 - room;
    const { min, max } = view.model, width = view.to - view.from;
    if (max[id] <= view.from || min[id] >= view.to) {
      const middle = (min[id] + max[id]) / 2;
      show(middle - width / 2, middle + width / 2);
    }
  }

  return { view, readColours, resize, redraw, at, zoom, pan, show, reveal };
}
