// Other spellings of the same JSON, made by walking over its tokens: numbers keep their digits, fields their order.

const SPACINGS = ["kept", "compact", "spaced"] as const;
const ESCAPES = ["kept", "escaped", "plain"] as const;

interface Style {
  readonly spacing: (typeof SPACINGS)[number];
  /** Of the slash only. */
  readonly slash: (typeof ESCAPES)[number];
  /** Of every other character that JSON allows escaped or not. */
  readonly unicode: (typeof ESCAPES)[number];
}

/** `json` in every style, each with and without a line end; nothing when a string in it does not end. */
export function* rewritings(json: string): Generator<string> {
  const trimmed = json.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "");
  const tokens: readonly string[] = trimmed.match(/"[^"\\]*(?:\\[^][^"\\]*)*"|[^]/gu) ?? [];
  if (tokens.includes('"')) {
    return;
  }
  for (const spacing of SPACINGS) {
    for (const slash of ESCAPES) {
      for (const unicode of ESCAPES) {
        const style = { spacing, slash, unicode };
        const text = tokens.map((token) => rewrite(token, style)).join("");
        yield text;
        yield `${text}\n`;
      }
    }
  }
}

function rewrite(token: string, style: Style): string {
  if (token.length > 1 && token.startsWith('"')) {
    return token.replace(UNITS, (unit) => rewriteUnit(unit, style));
  }
  if (style.spacing === "kept") {
    return token;
  }
  if (/^[ \t\r\n]$/.test(token)) {
    return "";
  }
  return style.spacing === "spaced" && /^[:,]$/.test(token) ? `${token} ` : token;
}

/** A character or an escape; a surrogate pair counts as one escape. */
const UNITS =
  /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^]|[^]/gu;

function rewriteUnit(unit: string, style: Style): string {
  if (unit === "/" || unit === "\\/") {
    return { kept: unit, escaped: "\\/", plain: "/" }[style.slash];
  }
  const plain = unit.startsWith("\\") ? unescaped(unit) : unit;
  if (style.unicode === "kept") {
    return unit;
  }
  if (plain === undefined) {
    return unit.startsWith("\\u") ? unit.toLowerCase() : unit;
  }
  return style.unicode === "escaped" && plain > "\x7f" ? escaped(plain) : plain;
}

/** The character of a `\u` escape, when JSON also allows it unescaped. */
function unescaped(unit: string): string | undefined {
  const units = unit.match(/(?<=\\u)[0-9a-fA-F]{4}/g) ?? [];
  const char = String.fromCharCode(...units.map((digits) => Number.parseInt(digits, 16)));
  const mustStay = char < " " || char === '"' || char === "\\" || /^\p{Surrogate}$/u.test(char);
  return mustStay ? undefined : char;
}

function escaped(char: string): string {
  return Array.from({ length: char.length }, (_, index) => {
    return `\\u${char.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }).join("");
}
