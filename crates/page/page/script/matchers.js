// Label matchers, as PromQL writes them: {cluster="a", replica=~"x|y"}; the braces may be left out.

/** The matchers of a text: functions from the labels of a group to whether it matches. Throws an Error that says what is wrong. */
function parseMatchers(text) {
  let rest = text.trim();
  if (rest.startsWith("{")) {
    if (!rest.endsWith("}")) throw new Error("expected } at the end");
    rest = rest.slice(1, -1).trim();
  }
  const all = [];
  while (rest !== "") {
    const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|"(?:[^"\\]|\\.)*")/.exec(rest);
    if (!name) throw new Error(`expected the name of a label, found ${shown(rest.slice(0, 20))}`);
    rest = rest.slice(name[0].length).trim();
    const label = name[0].startsWith('"') ? unquote(name[0]) : name[0];
    const op = /^(?:=~|!~|!=|=)/.exec(rest);
    if (!op) throw new Error(`expected =, !=, =~ or !~ after ${shown(label)}`);
    rest = rest.slice(op[0].length).trim();
    const value = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)/.exec(rest);
    if (!value) throw new Error(`expected a value in quotes after ${shown(label)}${op[0]}`);
    rest = rest.slice(value[0].length).trim();
    all.push(matcher(label, op[0], unquote(value[0])));
    if (rest === "") break;
    if (!rest.startsWith(",")) throw new Error(`expected a comma, found ${shown(rest.slice(0, 20))}`);
    rest = rest.slice(1).trim();
  }
  return all;
}

function matcher(label, op, value) {
  // A label that is missing is empty.
  const of = (labels) => Object.hasOwn(labels, label) ? labels[label] : "";
  if (op === "=") return (labels) => of(labels) === value;
  if (op === "!=") return (labels) => of(labels) !== value;
  let pattern;
  try {
    pattern = new RegExp(`^(?:${value})$`, "su");
  } catch (error) {
    throw new Error(`${shown(label)}: ${error.message}`);
  }
  return op === "=~" ? (labels) => pattern.test(of(labels)) : (labels) => !pattern.test(of(labels));
}

function unquote(text) {
  const inner = text.slice(1, -1);
  if (text.startsWith("`")) return inner;
  const known = { n: "\n", t: "\t", r: "\r" };
  return inner.replace(/\\(.)/gs, (_, c) => known[c] ?? c);
}
