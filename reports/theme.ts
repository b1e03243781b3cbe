import type {Config} from 'vega-lite';

/**
 * Looks of every chart. Ink colours are named once, because the page and the SVG files swap exactly these values for a
 * dark screen; colours of data are of middle lightness, so that they stand on white, on dark and in grey print alike.
 */
export const INK = '#1f2328';
export const MUTED = '#59636e';
export const GRID = '#d8dee4';
export const PAPER = '#ffffff';
export const DARK = {[INK]: '#e6edf3', [MUTED]: '#9da7b1', [GRID]: '#353c45', [PAPER]: '#0d1117'} as const;

export const FONT = 'Inter, "Helvetica Neue", Helvetica, Arial, sans-serif';

/** Okabe and Ito (2008), without yellow and black; told apart with every common colour blindness. */
export const PALETTE = [
  '#0072b2',
  '#e08a00',
  '#009e73',
  '#cc79a7',
  '#d55e00',
  '#3fa0d9',
  '#8a6fb0',
  '#7f7f7f',
] as const;

/** Shapes go with the colours wherever a chart has points: colour is never the only sign. */
export const SHAPES = [
  'circle',
  'square',
  'triangle-up',
  'diamond',
  'cross',
  'triangle-down',
  'triangle-right',
] as const;

/** How a cell ended: colour and sign. */
export const STATUS_LOOKS = {
  ok: {color: '#009e73', sign: '✓'},
  waiting: {color: '#3fa0d9', sign: '…'},
  'does-not-fit': {color: '#e08a00', sign: '>'},
  unsupported: {color: '#8c959f', sign: '–'},
  timeout: {color: '#cc79a7', sign: 't'},
  crashed: {color: '#d55e00', sign: '!'},
  invalid: {color: '#8a6fb0', sign: '?'},
} as const;

export const BLUE = PALETTE[0];
export const ORANGE = PALETTE[1];
export const GREEN = PALETTE[2];

/** Vega-Lite configuration that all charts share. */
export const CONFIG: Config = {
  background: PAPER,
  padding: 12,
  font: FONT,
  view: {stroke: null},
  title: {
    anchor: 'start',
    fontSize: 16,
    fontWeight: 600,
    color: INK,
    subtitleColor: MUTED,
    subtitleFontSize: 12,
    subtitlePadding: 4,
    offset: 14,
  },
  axis: {
    labelColor: MUTED,
    titleColor: MUTED,
    titleFontWeight: 400,
    titleFontSize: 12,
    labelFontSize: 11,
    gridColor: GRID,
    domainColor: GRID,
    tickColor: GRID,
    labelLimit: 320,
  },
  axisY: {labelColor: INK, grid: false, ticks: false, domain: false, labelPadding: 8},
  legend: {
    labelColor: INK,
    titleColor: MUTED,
    titleFontWeight: 400,
    labelFontSize: 11,
    labelLimit: 260,
    symbolStrokeColor: MUTED,
  },
  header: {labelColor: INK, labelFontSize: 12, labelFontWeight: 600, titleColor: MUTED, labelLimit: 760},
  range: {category: [...PALETTE]},
};

/** Rules that swap the ink of an SVG for a dark screen: attributes of SVG yield to them. */
export function darkRules(prefix = ''): string {
  return Object.entries(DARK)
    .flatMap(([light, dark]) => [
      `${prefix}[fill="${light}"]{fill:${dark}}`,
      `${prefix}[stroke="${light}"]{stroke:${dark}}`,
    ])
    .join('');
}
