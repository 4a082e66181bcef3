/**
 * Every error a caller can meet, with the names of the Python package.
 *
 *     AeedgeError
 *     ├── ArgumentError                a value the caller passed cannot be used
 *     ├── InputError                   an input is not what it claims to be
 *     │   ├── ImageError               an image that cannot be read
 *     │   ├── StreamError              a damaged or forged stream
 *     │   │   └── UnsupportedStreamError   a stream that needs a newer reader
 *     │   ├── BundleError              a damaged or forged bundle
 *     │   └── LimitError               a valid input beyond a limit of this reader
 *     ├── ModelError                   the model at hand is not the one that is needed
 *     │   ├── WrongModelError          the stream was written with another model
 *     │   ├── MissingHalfError         the bundle holds only the encoder or only the decoder
 *     │   └── ModelNotFoundError       no bundle at that URL or path
 *     └── DeviceError                  the requested device cannot be used
 *         └── BackendError             ONNX Runtime is missing or does not load
 *
 * An aborted call rejects with the reason of its signal, usually a DOMException named AbortError.
 */

export class AeedgeError extends Error {
  name = "AeedgeError";
}

export class ArgumentError extends AeedgeError {
  name = "ArgumentError";
}

export class InputError extends AeedgeError {
  name = "InputError";
}

export class ImageError extends InputError {
  name = "ImageError";
}

export class StreamError extends InputError {
  name = "StreamError";
}

export class UnsupportedStreamError extends StreamError {
  name = "UnsupportedStreamError";
}

export class BundleError extends InputError {
  name = "BundleError";
}

export class LimitError extends InputError {
  name = "LimitError";
}

export class ModelError extends AeedgeError {
  name = "ModelError";
}

export class WrongModelError extends ModelError {
  name = "WrongModelError";
}

export class MissingHalfError extends ModelError {
  name = "MissingHalfError";
}

export class ModelNotFoundError extends ModelError {
  name = "ModelNotFoundError";
}

export class DeviceError extends AeedgeError {
  name = "DeviceError";
}

export class BackendError extends DeviceError {
  name = "BackendError";
}

const CLASSES = [
  AeedgeError,
  ArgumentError,
  InputError,
  ImageError,
  StreamError,
  UnsupportedStreamError,
  BundleError,
  LimitError,
  ModelError,
  WrongModelError,
  MissingHalfError,
  ModelNotFoundError,
  DeviceError,
  BackendError,
];

/**
 * Rebuild an error that crossed a worker's boundary, where only names and messages survive.
 *
 * @param {string} name
 * @param {string} message
 * @returns {Error}
 */
export function errorOfName(name, message) {
  for (const Class of CLASSES) {
    const error = new Class(message);
    if (error.name === name) return error;
  }
  return name === "AbortError" ? new DOMException(message, name) : new Error(`${name}: ${message}`);
}

/**
 * The message of anything that was thrown.
 *
 * @param {unknown} error
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
