/** The grid of tiles that may be stored losslessly, and the sheets that hold them (FORMAT.md, Stored tiles). */

const TILE = 64;
const [MAX_SHEET_COLUMNS, MAX_SHEET_ROWS, MAX_SHEET_TILES] = [255, 170, 2048];

/** @typedef {import("./tiles.js").Rectangle} Rectangle */

/** Tiles of images of one size, which lie below one another: tile rows are counted over all of them. */
export class TileGrid {
  /** @param {number} count @param {number} height @param {number} width */
  constructor(count, height, width) {
    this.height = height;
    this.width = width;
    this.rowsEach = tilesAlong(height);
    this.rows = count * this.rowsEach;
    this.columns = tilesAlong(width);
  }

  get tiles() {
    return this.rows * this.columns;
  }

  /** Pixels of a rectangle of tiles, rows counted over all images. @param {Rectangle} tiles @returns {Rectangle} */
  pixels({ row, column, rows, columns }) {
    const [top, left] = [this.#pixelRow(row), this.#pixelColumn(column)];
    return {
      row: top,
      column: left,
      rows: this.#pixelRow(row + rows) - top,
      columns: this.#pixelColumn(column + columns) - left,
    };
  }

  /**
   * For each sheet that has marked tiles, the smallest rectangle of tiles that holds them.
   *
   * @param {Uint8Array} held 1 for every marked tile
   * @returns {Generator<Rectangle, void>}
   */
  *boxes(held) {
    const wide = Math.min(this.columns, MAX_SHEET_COLUMNS);
    const high = Math.min(MAX_SHEET_ROWS, Math.floor(MAX_SHEET_TILES / wide));
    for (let row = 0; row < this.rows; row += high) {
      for (let column = 0; column < this.columns; column += wide) {
        const sheet = {
          row,
          column,
          rows: Math.min(high, this.rows - row),
          columns: Math.min(wide, this.columns - column),
        };
        const box = this.#boxIn(held, sheet);
        if (box) yield box;
      }
    }
  }

  /** @param {Uint8Array} held @param {Rectangle} sheet @returns {Rectangle | null} */
  #boxIn(held, { row: first, column, rows, columns }) {
    let [top, bottom, left, right] = [Infinity, -1, Infinity, -1];
    for (let row = first; row < first + rows; row++) {
      for (let x = column; x < column + columns; x++) {
        if (!held[row * this.columns + x]) continue;
        top = Math.min(top, row);
        bottom = row;
        left = Math.min(left, x);
        right = Math.max(right, x);
      }
    }
    return bottom < 0 ? null : { row: top, column: left, rows: bottom - top + 1, columns: right - left + 1 };
  }

  /** @param {number} row */
  #pixelRow(row) {
    return Math.floor(row / this.rowsEach) * this.height + (row % this.rowsEach) * TILE;
  }

  /** @param {number} column */
  #pixelColumn(column) {
    return column === this.columns ? this.width : column * TILE;
  }
}

/**
 * Tiles along a side in pixels: a remainder of less than half a tile belongs to the tile before it.
 *
 * @param {number} side
 */
function tilesAlong(side) {
  return Math.max(Math.floor((side + TILE / 2) / TILE), 1);
}
