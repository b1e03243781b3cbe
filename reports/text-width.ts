/** Advance widths of Inter Regular for U+0020 to U+007E, in thousandths of the font size. */
const WIDTHS = [
  281, 288, 466, 633, 642, 982, 644, 300, 365, 365, 501, 662, 288, 460, 288, 360, 631, 407, 610, 618, 646, 593, 620,
  566, 619, 620, 288, 302, 662, 662, 662, 511, 966, 690, 654, 730, 722, 601, 590, 746, 743, 269, 571, 672, 565, 903,
  753, 765, 639, 765, 644, 642, 646, 744, 690, 985, 682, 679, 629, 365, 360, 365, 471, 456, 323, 562, 612, 571, 612,
  583, 370, 613, 591, 242, 242, 549, 242, 876, 591, 600, 612, 612, 376, 528, 327, 591, 562, 818, 546, 562, 552, 426,
  333, 426, 662,
] as const;
const MIDDLE_DOT = 288;
/** Letters outside ASCII; ideographs are twice as wide. */
const OTHER = 650;
const WIDE = /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE4F\uFF00-\uFF60]|[\u{1F300}-\u{1FAFF}]/u;
/** Semi-bold is wider by this much. */
const BOLD = 1.035;

interface TextItem {
  readonly text?: unknown;
  readonly fontSize?: number;
  readonly fontWeight?: unknown;
}

/**
 * Width of a text in pixels, in the place of a canvas: what Vega lays out by. Vega's own guess without a canvas (0.8 of
 * the font size a letter) leaves gaps and cuts labels off.
 */
export function textWidth(item: TextItem, text: unknown = item.text): number {
  let thousandths = 0;
  for (const letter of String(text ?? '')) {
    const code = letter.codePointAt(0) ?? 0;
    thousandths += WIDTHS[code - 0x20] ?? (letter === '·' ? MIDDLE_DOT : WIDE.test(letter) ? 1000 : OTHER);
  }
  const weight = Number(item.fontWeight);
  const bold = item.fontWeight === 'bold' || weight >= 600 ? BOLD : 1;
  return (thousandths / 1000) * (item.fontSize ?? 11) * bold;
}
