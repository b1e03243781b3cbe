import {BenchError} from '../../harness/contract/errors.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** A token with the probabilities of its rivals has some kilobytes. */
const MAX_EVENT_BYTES = 1 << 20;

/** One event of a stream. */
export interface SseEvent {
  /** The field `event`; '' for a plain message. */
  readonly name: string;
  readonly data: string;
}

/**
 * Takes a byte stream apart into server-sent events, however it was cut into pieces: within lines, within the bytes of
 * a character, between the two bytes of a line end. By the rules of the HTML standard, section 9.2.6, but for one: an
 * event that the end of the stream cuts off before its blank line still counts, since some servers end that way.
 */
export class SseReader {
  #parts: Buffer[] = [];
  #bytes = 0;
  #data: string[] = [];
  #dataBytes = 0;
  #name = '';
  #afterReturn: boolean = false;
  #first: boolean = true;

  /**
   * @returns The events that this piece ends, in order.
   * @throws {BenchError} PROTOCOL_VIOLATION for an event above 1 MiB.
   */
  push(piece: Buffer): SseEvent[] {
    const events: SseEvent[] = [];
    let from = 0;
    for (let at = 0; at < piece.length; at++) {
      const byte = piece[at];
      const secondHalf = byte === LINE_FEED && this.#afterReturn && at === from;
      this.#afterReturn = false;
      if (secondHalf) {
        from = at + 1;
        continue;
      }
      if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) continue;
      this.#afterReturn = byte === CARRIAGE_RETURN;
      this.#keep(piece.subarray(from, at));
      from = at + 1;
      const event = this.#line(this.#takeLine());
      if (event !== null) events.push(event);
    }
    this.#keep(piece.subarray(from));
    return events;
  }

  /** The stream has ended. */
  end(): SseEvent[] {
    const line = this.#takeLine();
    const events = [line === '' ? null : this.#line(line), this.#line('')];
    return events.filter((event) => event !== null);
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes + this.#dataBytes > MAX_EVENT_BYTES) {
      throw new BenchError('PROTOCOL_VIOLATION', `the server streams an event above ${MAX_EVENT_BYTES / 2 ** 20} MiB`);
    }
  }

  #takeLine(): string {
    const [only] = this.#parts;
    const bytes = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts);
    const line = bytes.toString('utf8');
    this.#parts = [];
    this.#bytes = 0;
    if (!this.#first) return line;
    this.#first = false;
    return line.replace(/^\uFEFF/, '');
  }

  /** @returns The event that a blank line ends. */
  #line(line: string): SseEvent | null {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    // A line that begins with a colon has an empty field: a comment, which keeps the connection alive.
    if (field === 'data') {
      this.#data.push(value);
      this.#dataBytes += value.length;
    } else if (field === 'event') {
      this.#name = value;
    }
    return null;
  }

  #dispatch(): SseEvent | null {
    const event = this.#data.length === 0 ? null : {name: this.#name, data: this.#data.join('\n')};
    this.#data = [];
    this.#dataBytes = 0;
    this.#name = '';
    return event;
  }
}
