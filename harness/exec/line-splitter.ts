const LINE_FEED = 0x0a;

/** Cuts a byte stream into lines. A line longer than the limit is reported instead of kept. */
export class LineSplitter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of the line that has not ended yet. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /** @returns The lines that this chunk ends, without line feeds, or null once a line is too long. */
  push(chunk: Buffer): string[] | null {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      this.#take(chunk.subarray(from, at));
      if (this.#bytes > this.#maxBytes) return null;
      lines.push(Buffer.concat(this.#parts).toString('utf8'));
      this.#parts = [];
      this.#bytes = 0;
      from = at + 1;
    }
    this.#take(chunk.subarray(from));
    return this.#bytes > this.#maxBytes ? null : lines;
  }

  #take(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#parts.push(piece);
    this.#bytes += piece.length;
  }
}
