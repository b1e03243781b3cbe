/** A byte-level BPE vocabulary of exact size. The strings are made up: only their number matters to a benchmark. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  /** Two tokens with a blank between them, best first. */
  readonly merges: readonly string[];
  /** Ids at and above are special tokens. */
  readonly firstSpecial: number;
  readonly beginToken: number;
  readonly endToken: number;
}

const LETTERS = 'etaoinshrdlucmfwypvbgkjqxz';
const LONGEST_TOKEN = 14;

/** The same for every seed: prompts are token ids, and these must mean the same in every file. */
export function makeVocabulary(size: number): Vocabulary {
  const firstSpecial = size - (size > 2000 ? 256 : 16);
  const alphabet = byteAlphabet();
  const blank = alphabet[32] ?? ' ';
  const tokens = [...alphabet];
  const known = new Set(tokens);
  const merges: string[] = [];
  const pool = [...LETTERS, blank, ...LETTERS.toUpperCase()];
  const random = uniform(12_345);
  // Frequent pieces are merged more often: the product of two uniform numbers prefers the front of the pool.
  const pick = () => pool[Math.floor(random() * random() * pool.length)] ?? blank;
  while (tokens.length < firstSpecial) {
    const left = pick();
    const right = pick();
    const token = left + right;
    if (right.startsWith(blank) || token.length > LONGEST_TOKEN || known.has(token)) continue;
    known.add(token);
    tokens.push(token);
    merges.push(`${left} ${right}`);
    pool.push(token);
  }
  for (let id = firstSpecial; id < size; id++) tokens.push(specialName(id - firstSpecial));
  return {tokens, merges, firstSpecial, beginToken: firstSpecial, endToken: firstSpecial + 1};
}

/** Names that llama.cpp knows by heart (end of text, end of turn), so that it has nothing to warn about. */
function specialName(index: number): string {
  switch (index) {
    case 0:
      return '<|begin_of_text|>';
    case 1:
      return '<|end_of_text|>';
    case 9:
      return '<|eot_id|>';
    default:
      return `<|reserved_special_token_${index}|>`;
  }
}

/** GPT-2's printable stand-ins of the 256 bytes, by byte (bytes_to_unicode in openai/gpt-2, encoder.py). */
function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({length: 256}, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCodePoint(printable ? byte : next++);
  });
}

function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
