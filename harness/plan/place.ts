import {type Document, isAlias, isMap, isNode, isScalar, isSeq, type LineCounter, type Node} from 'yaml';

type Path = readonly PropertyKey[];

/** Where things stand in a YAML file, for messages: `matrices/x.yaml:12:3`. */
export class Places {
  readonly #file: string;
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(file: string, document: Document, lines: LineCounter) {
    this.#file = file;
    this.#document = document;
    this.#lines = lines;
  }

  at(offset: number): string {
    const {line, col} = this.#lines.linePos(offset);
    return `${this.#file}:${line}:${col}`;
  }

  /** The value at the path; of what is missing, the nearest thing around it. */
  of(path: Path): string {
    return this.at(this.#walk(path).at);
  }

  /** The key itself, for keys that should not be there. */
  ofKey(path: Path, key: string): string {
    const {node} = this.#walk(path);
    if (isMap(node)) {
      for (const pair of node.items) {
        if (isScalar(pair.key) && String(pair.key.value) === key) return this.at(pair.key.range?.[0] ?? 0);
      }
    }
    return this.of(path);
  }

  #walk(path: Path): {node: Node | null; at: number} {
    let node: Node | null = this.#resolved(this.#document.contents);
    let at = node?.range?.[0] ?? 0;
    for (const key of path) {
      if (!isMap(node) && !isSeq(node)) break;
      const next: unknown = node.get(typeof key === 'symbol' ? key.toString() : key, true);
      if (!isNode(next)) break;
      at = next.range?.[0] ?? at;
      node = this.#resolved(next);
    }
    return {node, at};
  }

  #resolved(node: unknown): Node | null {
    if (isAlias(node)) return node.resolve(this.#document) ?? null;
    return isNode(node) ? node : null;
  }
}

/** `formats[1]`, `models[0].source`: a path as people write it. */
export function pathText(path: Path): string {
  let text = '';
  for (const key of path) {
    text += typeof key === 'number' ? `[${key}]` : `${text === '' ? '' : '.'}${String(key)}`;
  }
  return text;
}
