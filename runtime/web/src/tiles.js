/** What the networks see at once: whole images, tiles of a large one, or patches (limits and patched of a manifest). */

/** Pixels of one run of a graph where several images or patches wait. */
const SLICE_PIXELS = 2 ** 19;
/** Most pixels of one run over a part of a large image, context included. */
const TILE_PIXELS = 2 ** 20;

/**
 * Latent rows and columns of an image that go through a graph, and the part of them that the run is for.
 *
 * @typedef {object} Region
 * @property {number} image
 * @property {Rectangle} outer with the rows and columns that lend context
 * @property {Rectangle} inner
 */

/** @typedef {{row: number, column: number, rows: number, columns: number}} Rectangle */
/** @typedef {{start: number, stop: number}} Range */

/**
 * Runs that cover `count` images of h x w latent positions; the regions of one run have outer rectangles of one size.
 *
 * @param {import("./manifest.js").Manifest} manifest
 * @param {number} count
 * @param {number} h
 * @param {number} w
 * @returns {Generator<Region[], void>}
 */
export function* batches({ image, limits }, count, h, w) {
  const perPosition = image.stride[0] * image.stride[1];
  if (image.patched) {
    yield* patchBatches(Math.max(Math.floor(SLICE_PIXELS / perPosition), 1), count, h, w);
    return;
  }
  const step = Math.max(Math.floor(SLICE_PIXELS / (h * w * perPosition)), 1);
  const tiles = tilesOf(
    Math.floor(limits.band_pixels / perPosition),
    Math.floor(TILE_PIXELS / perPosition),
    limits.overlap,
    h,
    w,
  );
  for (let first = 0; first < count; first += step) {
    for (const tile of tiles) {
      yield Array.from({ length: Math.min(step, count - first) }, (_, i) => ({ image: first + i, ...tile }));
    }
  }
}

/**
 * @param {number} step patches of a run
 * @param {number} count
 * @param {number} h
 * @param {number} w
 * @returns {Generator<Region[], void>}
 */
function* patchBatches(step, count, h, w) {
  const patches = count * h * w;
  for (let first = 0; first < patches; first += step) {
    yield Array.from({ length: Math.min(step, patches - first) }, (_, i) => {
      const place = (first + i) % (h * w);
      const patch = { row: Math.floor(place / w), column: place % w, rows: 1, columns: 1 };
      return { image: Math.floor((first + i) / (h * w)), outer: patch, inner: patch };
    });
  }
}

/**
 * The whole plane, or, where it has more than `wholeMost` positions, tiles of at most `tileMost`.
 *
 * @param {number} wholeMost
 * @param {number} tileMost
 * @param {number} overlap
 * @param {number} h
 * @param {number} w
 * @returns {{outer: Rectangle, inner: Rectangle}[]}
 */
function tilesOf(wholeMost, tileMost, overlap, h, w) {
  if (h * w <= wholeMost) {
    const whole = { row: 0, column: 0, rows: h, columns: w };
    return [{ outer: whole, inner: whole }];
  }
  const most = Math.min(wholeMost, tileMost);
  const bands = pieces(h, Math.floor(Math.sqrt(most)), overlap);
  const tallest = Math.max(...bands.map(({ outer }) => outer.stop - outer.start));
  const strips = pieces(w, Math.floor(most / tallest), overlap);
  return bands.flatMap((band) =>
    strips.map((strip) => ({ outer: rectangle(band.outer, strip.outer), inner: rectangle(band.inner, strip.inner) })),
  );
}

/** @param {Range} rows @param {Range} columns @returns {Rectangle} */
function rectangle(rows, columns) {
  return {
    row: rows.start,
    column: columns.start,
    rows: rows.stop - rows.start,
    columns: columns.stop - columns.start,
  };
}

/**
 * Cut 0..size into pieces of about one length, each without and with its context. A piece with its context is at most
 * `most` long where that leaves more piece than context on either side.
 *
 * @param {number} size
 * @param {number} most
 * @param {number} overlap
 * @returns {{inner: Range, outer: Range}[]}
 */
function pieces(size, most, overlap) {
  const longest = size <= most ? size : Math.max(most - 2 * overlap, overlap, 1);
  const step = Math.ceil(size / Math.ceil(size / longest));
  const found = [];
  for (let start = 0; start < size; start += step) {
    const stop = Math.min(start + step, size);
    found.push({
      inner: { start, stop },
      outer: { start: Math.max(start - overlap, 0), stop: Math.min(stop + overlap, size) },
    });
  }
  return found;
}
