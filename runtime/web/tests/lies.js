/** Manifests that break one rule each, of tiny-hyper; hashes are made right afterwards. */

/** Changes of a manifest that break one rule each. @type {Record<string, (manifest: any) => any>} */
export const LIES = {
  "a schema of tomorrow": (manifest) => void (manifest.schema = 2),
  "a schema that is a fraction": (manifest) => JSON.stringify(manifest).replace('"schema":1', '"schema":1.0'),
  "passes that are a fraction": (manifest) => JSON.stringify(manifest).replace('"passes":2', '"passes":2.0'),
  "an unknown key": (manifest) => void (manifest.more = 1),
  "a missing key": (manifest) => void delete manifest.limits,
  "a key twice": (manifest) => JSON.stringify(manifest).replace("{", '{"schema":1,'),
  NaN: (manifest) => JSON.stringify({ ...manifest, training: { loss: 12345 } }).replace("12345", "NaN"),
  "a number beyond a float": (manifest) =>
    JSON.stringify({ ...manifest, training: { loss: 12345 } }).replace("12345", "1e999"),
  "no JSON": () => "{",
  "a byte order mark": (manifest) => `\ufeff${JSON.stringify(manifest)}`,
  "a long text": (manifest) => void (manifest.name = "x".repeat(1001)),
  "a name that is no text": (manifest) => void (manifest.name = 5),
  "another family": (manifest) => void (manifest.family = "gan"),
  "a family that is not its prior's": (manifest) => void (manifest.family = "conv"),
  "a dense family without patches": (manifest) =>
    void Object.assign(manifest, { family: "dense", prior: { kind: "factorized" } }),
  "two channels": (manifest) => void (manifest.image.channels = 2),
  "a stride of 0": (manifest) => void (manifest.image.stride = [0, 8]),
  "a stride of one number": (manifest) => void (manifest.image.stride = [8]),
  "patched that is a number": (manifest) => void (manifest.image.patched = 0),
  "no latent channel": (manifest) => void (manifest.latent.channels = 0),
  "65,537 latent channels": (manifest) => void (manifest.latent.channels = 65537),
  "a hyper stride of 65": (manifest) => void (manifest.prior.stride = 65),
  "three passes": (manifest) => void (manifest.prior.passes = 3),
  "groups that do not sum": (manifest) => void (manifest.prior.groups = [3, 4]),
  "no group": (manifest) => void (manifest.prior.groups = []),
  "halves in another order": (manifest) => void (manifest.halves = ["decoder", "encoder"]),
  "no half": (manifest) => void (manifest.halves = []),
  "a file outside the bundle": (manifest) => void (manifest.files["../x"] = manifest.files["prior.onnx"]),
  "the manifest as a file": (manifest) => void (manifest.files["manifest.json"] = manifest.files["prior.onnx"]),
  "a file of 2^31 bytes": (manifest) => JSON.stringify(manifest).replace(/"bytes":\d+/, '"bytes":2147483648'),
  "a hash of 63 digits": (manifest) => JSON.stringify(manifest).replace(/"sha256":"./, '"sha256":"'),
  "a graph that is not listed": (manifest) => void delete manifest.files["prior.onnx"],
  "a limit of 0 pixels": (manifest) => void (manifest.limits.max_pixels = 0),
  "an overlap below 0": (manifest) => void (manifest.limits.overlap = -1),
  "a threshold above 1": (manifest) =>
    void (manifest.anomaly = { score: "mse", threshold: 2, false_positive_rate: 0.01, images: 5 }),
  "another score": (manifest) =>
    void (manifest.anomaly = { score: "psnr", threshold: 0.5, false_positive_rate: 0.01, images: 5 }),
  "another precision": (manifest) => void (manifest.precision = { encoder: "fp32", decoder: "fp4" }),
  "training that is no object": (manifest) => void (manifest.training = []),
  "a stream id that is not its parts'": (manifest) => JSON.stringify({ ...manifest, stream_id: "0123456789abcdef" }),
};
