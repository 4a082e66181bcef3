/** The public face of aeedge for browsers and Node. */
export { Codec, DEFAULT_QUALITY } from "./codec.js";
export {
  AeedgeError,
  ArgumentError,
  BackendError,
  BundleError,
  DeviceError,
  ImageError,
  InputError,
  LimitError,
  MissingHalfError,
  ModelError,
  ModelNotFoundError,
  StreamError,
  UnsupportedStreamError,
  WrongModelError,
} from "./errors.js";
export { info } from "./info.js";
export { load } from "./load.js";
export { Picture } from "./picture.js";
export { loadInWorker, RemoteCodec } from "./remote.js";
