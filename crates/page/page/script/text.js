// Text for people. What comes from labels is untrusted: it is only ever set as text, and characters that would change
// the text around them are shown by their numbers.

/** The text without characters that cannot be seen or that turn the direction of others. */
function shown(text, most = 4096) {
  const all = String(text);
  const cut = all.length > most ? `${all.slice(0, most)}…` : all;
  return cut.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
    (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

function bytesText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

const numbers = new Intl.NumberFormat("en");
function count(n, one, many = `${one}s`) { return `${numbers.format(n)} ${n === 1 ? one : many}`; }

/** A time in UTC: 2026-01-31 12:00. */
function timeText(ms, seconds = false) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return `${ms} ms`;
  const iso = date.toISOString();
  const [day, time] = iso.split("T");
  const rest = ms % 1000 !== 0 ? time.slice(0, 12) : seconds || ms % 60000 !== 0 ? time.slice(0, 8) : time.slice(0, 5);
  return `${day} ${rest}`;
}

function durationText(ms) {
  if (ms < 1000) return `${ms} ms`;
  const parts = [];
  let rest = Math.round(ms / 1000);
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    const n = Math.floor(rest / size);
    if (n > 0) parts.push(`${n} ${unit}`);
    rest -= n * size;
  }
  return parts.slice(0, 2).join(" ");
}

function agoText(ms) { return ms < 2000 ? "now" : `${durationText(ms - ms % 1000)} ago`; }

/** The labels of a group on one line. */
function labelsText(labels, title) {
  const pair = ([name, value]) => `${shown(name, 200)}="${shown(value, 500)}"`;
  const all = Object.entries(labels);
  if (title && Object.hasOwn(labels, title)) {
    const rest = all.filter(([name]) => name !== title).map(pair).join(", ");
    return rest === "" ? shown(labels[title], 500) : `${shown(labels[title], 500)} (${rest})`;
  }
  return all.length === 0 ? "{} (no external labels)" : all.map(pair).join(", ");
}

const RESOLUTIONS = new Map([[0, "raw"], [300000, "5 m"], [3600000, "1 h"]]);
function resolutionText(ms) { return RESOLUTIONS.get(ms) ?? durationText(ms); }

/** An element with text and children; strings become text. */
function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function byId(id) { return document.getElementById(id); }
