/** Where a label stands relative to its point, in pixels. */
export interface LabelPlace {
  readonly dx: number;
  readonly dy: number;
  readonly align: 'left' | 'right' | 'center';
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Tried in this order. */
const PLACES: readonly LabelPlace[] = [
  {dx: 8, dy: -6, align: 'left'},
  {dx: 8, dy: 6, align: 'left'},
  {dx: -8, dy: -6, align: 'right'},
  {dx: -8, dy: 6, align: 'right'},
  {dx: 0, dy: -13, align: 'center'},
  {dx: 0, dy: 13, align: 'center'},
  {dx: 8, dy: -18, align: 'left'},
  {dx: 8, dy: 18, align: 'left'},
];
/** Half the size of a point, and half the height of a line of text, with a little room. */
const POINT = 5;
const LINE = 6;

/**
 * Places labels beside their points so that none covers another, a point, or the edge of the plot; null where there is no
 * room. Earlier labels choose first. Points are in pixels, from the top left corner.
 */
export function labelPlaces(
  points: readonly {readonly x: number; readonly y: number; readonly width: number}[],
  size: {readonly width: number; readonly height: number},
): (LabelPlace | null)[] {
  const taken: Box[] = points.map(({x, y}) => box(x - POINT, x + POINT, y - POINT, y + POINT));
  return points.map((point) => {
    if (point.width === 0) return null;
    const place = PLACES.find((one) => {
      const own = boxOf(point, one);
      const inside = own.left >= 0 && own.right <= size.width && own.top >= 0 && own.bottom <= size.height;
      return inside && !taken.some((other) => overlap(own, other));
    });
    if (place === undefined) return null;
    taken.push(boxOf(point, place));
    return place;
  });
}

const box = (left: number, right: number, top: number, bottom: number): Box => ({left, right, top, bottom});

function boxOf(
  {x, y, width}: {readonly x: number; readonly y: number; readonly width: number},
  place: LabelPlace,
): Box {
  const at = x + place.dx;
  const left = place.align === 'left' ? at : place.align === 'right' ? at - width : at - width / 2;
  return box(left, left + width, y + place.dy - LINE, y + place.dy + LINE);
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
