import type {Architecture} from '../contract/architecture.ts';
import type {WeightsProgress} from '../contract/weights.ts';

/** What every maker of model files takes. Paths are written in place: temporary name and rename are the caller's. */
export interface MakeOptions {
  readonly architecture: Architecture;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: WeightsProgress) => void;
}

/** What was written. */
export interface MadeWeights {
  /** Bytes of all files. */
  readonly fileBytes: number;
  /** Bytes of the tensors alone. */
  readonly weightsBytes: number;
  readonly parameters: number;
}
