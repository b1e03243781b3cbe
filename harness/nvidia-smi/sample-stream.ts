import {parseHeader, parseLine, type SmiField} from './csv.ts';
import {type GpuSample, gpuSample, type SampleKey, sampleQuery} from './gpu-sample.ts';

/** Lines are a few hundred characters; what is longer is no line of ours. */
const MAX_LINE = 16 << 10;

/** What came out of a stream: a sample, or a line that none could be made of. */
export type StreamItem = {readonly sample: GpuSample} | {readonly garbage: string};

/**
 * Reads the output of `nvidia-smi --query-gpu=… --format=csv,nounits -lms N` piece by piece. The first line is the header, with the
 * names and the units; a header that comes again is passed over. Never throws.
 */
export class SampleStream {
  #rest = '';
  #header: string | null = null;
  #fields: readonly SmiField[] = [];
  #names: ReadonlyMap<SampleKey, string> = new Map();

  /** Whether the header has come: before it nothing can be read. */
  get begun(): boolean {
    return this.#header !== null;
  }

  push(text: string): StreamItem[] {
    const items: StreamItem[] = [];
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_LINE) this.#rest = '';
    for (const line of lines) {
      const item = this.#line(line);
      if (item !== null) items.push(item);
    }
    return items;
  }

  #line(raw: string): StreamItem | null {
    const line = raw.trimEnd();
    if (line === '' || line === this.#header) return null;
    if (this.#header === null) {
      const fields = parseHeader(line);
      const names = fields === null ? new Map<SampleKey, string>() : namesOf(fields);
      // A message of the driver may come first; a lone word passes for a header with one field.
      if (fields === null || names.size === 0) return {garbage: line};
      [this.#header, this.#fields, this.#names] = [line, fields, names];
      return null;
    }
    const row = parseLine(line, this.#fields);
    return row === null ? {garbage: line} : {sample: gpuSample(row, this.#names)};
  }
}

/** The fields that a header names, by what they are to a sample. */
function namesOf(fields: readonly SmiField[]): ReadonlyMap<SampleKey, string> {
  return sampleQuery(new Map(fields.map(({name}) => [name, name])));
}
