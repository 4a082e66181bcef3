/** The codec of a service, in place of one in the page: what the demo calls, by requests. */

/** A picture that a service decompressed. */
class RemotePicture {
  /** @param {ImageData} image */
  constructor(image) {
    this.image = image;
  }

  /** @returns {ImageData} */
  toImageData() {
    return this.image;
  }
}

export class ServiceCodec {
  /** @param {string} address of the service, ending in a slash */
  constructor(address) {
    this.address = address;
  }

  /** Nothing has to be loaded. */
  async warmUp() {}

  /**
   * @param {ImageData} image
   * @param {number} quality
   * @param {{signal?: AbortSignal}} options
   * @returns {Promise<Uint8Array>}
   */
  async compress(image, quality, { signal } = {}) {
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    const body = await canvas.convertToBlob({ type: "image/png" });
    return new Uint8Array(await this.post(`compress?quality=${quality}`, body, signal));
  }

  /**
   * @param {Uint8Array} stream
   * @param {{signal?: AbortSignal}} options
   * @returns {Promise<RemotePicture[]>} the first picture alone: the demo shows no other
   */
  async decompressBatch(stream, { signal } = {}) {
    const body = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (stream)]);
    return [new RemotePicture(await readImage(new Blob([await this.post("decompress", body, signal)])))];
  }

  /** @param {string} path @param {Blob} body @param {AbortSignal} [signal] */
  async post(path, body, signal) {
    const answer = await fetch(this.address + path, { method: "POST", body, signal });
    if (answer.ok) return answer.arrayBuffer();
    const { kind, error } = await answer.json();
    throw Object.assign(new Error(error), { name: kind });
  }
}

/** Pixels of a picture: turned by its EXIF orientation, in sRGB. @param {Blob} blob */
export async function readImage(blob) {
  const bitmap = await createImageBitmap(blob, { premultiplyAlpha: "none" });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  if (!context) throw new Error("no canvas");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}
