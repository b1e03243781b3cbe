import type {Architecture} from './architecture.ts';
import type {Format} from './format.ts';

/** A model in one format, on this disk, verified. */
export interface ModelArtifact {
  readonly format: Format;
  /** Absolute: a GGUF file, or a folder in Hugging Face layout. */
  readonly path: string;
  /** Bytes of the tensors on disk (all shards), without tokenizer files. */
  readonly weightsBytes: number;
  /** SHA-256 of the weights file; of several, of the sorted lines `<sha256>  <name>`. */
  readonly sha256: string;
  readonly parameters: number;
  /** Name of the architecture as the model file says: `llama-3.2-1b` for a catalogue model, else `llama`, `gemma3`, … */
  readonly architectureName: string;
  /** 8 × bytes of the tensors ÷ parameters. */
  readonly bitsPerWeight: number;
  /** Bytes that decoding one token must read from memory: see derive/roofline.ts. KV cache not included. */
  readonly bytesPerToken: number;
  /** Bytes of KV cache per position and sequence at 16 bit. */
  readonly kvBytesPerToken: number;
  /** `synthetic:llama-3.2-1b seed 1`, `hf:org/repo@<commit>`, `file:/path`. */
  readonly sourceText: string;
  readonly synthetic: boolean;
}

/** Estimate before anything is made: same fields as the artifact, from the architecture alone. */
export interface WeightsEstimate {
  readonly weightsBytes: number;
  readonly parameters: number;
  readonly bytesPerToken: number;
  readonly kvBytesPerToken: number;
  /** Disk still needed to make it, intermediate files included; 0 when it is in the cache. */
  readonly diskBytesNeeded: number;
  /** Rough seconds to make or pull it; 0 when it is in the cache. */
  readonly secondsNeeded: number;
}

export interface WeightsRequest {
  readonly source: string;
  readonly format: Format;
  readonly seed: number;
}

export interface WeightsProgress {
  readonly step: string;
  readonly doneBytes: number;
  readonly totalBytes: number | null;
}

/** Finds, makes or fetches models. Implemented by harness/weights, handed to exec by the CLI. */
export interface WeightsStore {
  /** Never touches the network nor the disk beyond a look. Null when nothing can be known before a download. */
  estimate(request: WeightsRequest): Promise<WeightsEstimate | null>;
  /**
   * @throws {BenchError} MODEL_SOURCE_INVALID, DISK_FULL, NETWORK, CHECKSUM_MISMATCH, MODEL_CORRUPT, UNSUPPORTED
   * (the source does not come in this format), INTERRUPTED.
   */
  ensure(
    request: WeightsRequest,
    options: {signal: AbortSignal; onProgress(progress: WeightsProgress): void},
  ): Promise<ModelArtifact>;
  architecture(name: string): Architecture | null;
}
