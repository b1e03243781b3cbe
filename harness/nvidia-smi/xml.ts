/**
 * @module `nvidia-smi -q -x`: the XML log as a tree.
 *
 * A reader for what nvidia-smi writes (elements, attributes, text, five entities, a DOCTYPE that is passed over), with
 * bounds, and nothing else of XML: no external entities, no processing instructions that do anything.
 */
import {parseValue, type SmiValue} from './value.ts';

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** Text directly inside, trimmed. */
  readonly text: string;
}

const TOKEN =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!DOCTYPE[^>]*>|<\/([A-Za-z_][\w.-]*)\s*>|<([A-Za-z_][\w.-]*)((?:\s+[A-Za-z_][\w.-]*="[^"<]*")*)\s*(\/?)>|([^<]+)|</g;
const ATTRIBUTE = /([A-Za-z_][\w.-]*)="([^"<]*)"/g;
const MAX_DEPTH = 32;

interface Building {
  name: string;
  attributes: Record<string, string>;
  children: Building[];
  text: string;
}

/** The root element, or null for a torn or foreign text. Never throws. */
export function parseXml(source: string): XmlElement | null {
  const root: Building = {name: '', attributes: {}, children: [], text: ''};
  const open: Building[] = [root];
  for (const match of source.matchAll(TOKEN)) {
    const [token, closing, opening, attributes = '', selfClosing, text] = match;
    const inner = open.at(-1);
    if (inner === undefined || token === '<') return null;
    if (text !== undefined) inner.text += decode(text);
    else if (closing !== undefined) {
      if (open.length < 2 || inner.name !== closing) return null;
      open.pop();
    } else if (opening !== undefined) {
      const element: Building = {name: opening, attributes: {}, children: [], text: ''};
      for (const [, key = '', value = ''] of attributes.matchAll(ATTRIBUTE))
        Object.defineProperty(element.attributes, key, {value: decode(value), enumerable: true, configurable: true});
      inner.children.push(element);
      if (selfClosing !== '/') open.push(element);
      if (open.length > MAX_DEPTH) return null;
    }
  }
  const [first, second] = root.children;
  if (open.length !== 1 || first === undefined || second !== undefined) return null;
  return trimmed(first);
}

function trimmed({name, attributes, children, text}: Building): XmlElement {
  return {name, attributes, children: children.map(trimmed), text: text.trim()};
}

const ENTITIES: Readonly<Record<string, string>> = {amp: '&', lt: '<', gt: '>', quot: '"', apos: "'"};

function decode(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? '');
}

/** The element at a path of names, first match at each step; null when there is none. */
export function at(element: XmlElement, ...path: readonly string[]): XmlElement | null {
  let here: XmlElement | null = element;
  for (const name of path) here = here?.children.find((child) => child.name === name) ?? null;
  return here;
}

/** The value at a path, with the same rules as everywhere for "no value". */
export function valueAt(element: XmlElement, ...path: readonly string[]): SmiValue {
  return parseValue(at(element, ...path)?.text ?? '');
}

/** The `<gpu>` elements of a log. */
export function gpusOf(log: XmlElement): readonly XmlElement[] {
  return log.name === 'nvidia_smi_log' ? log.children.filter(({name}) => name === 'gpu') : [];
}
