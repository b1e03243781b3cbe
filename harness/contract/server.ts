import {z} from 'zod';
import {FORMAT_NAMES, type Format} from './format.ts';

/** The runner that measures servers, whatever name a matrix gives to one of them. */
export const SERVER_RUNNER = 'openai-http';

/** Scheme of a model source that only a server has: `server:<its name there>`. */
export const SERVER_SOURCE = 'server:';

/** What a server's command may hold in braces, and the setting of the matrix that it passes on. */
export const SERVER_PLACEHOLDERS = {
  /** Path of the weights; of a `server:` source, the name behind it. */
  model: null,
  /** A free port of the loopback, chosen anew for every round. */
  port: null,
  format: null,
  /** Requests in flight at once. */
  concurrency: null,
  /** Positions of one sequence, and of all lanes together. */
  context: 'context_tokens',
  context_total: 'context_tokens',
  threads: 'threads',
  gpu_layers: 'gpu_layers',
  batch_tokens: 'batch_tokens',
  ubatch_tokens: 'ubatch_tokens',
  kv_type: 'kv_type',
} as const;
export type ServerPlaceholder = keyof typeof SERVER_PLACEHOLDERS;

/** Braces around a word: JSON in an argument has quotes there, and is left alone. */
const PLACEHOLDER = /\{([a-z_]+)\}/g;

/** The words in braces of a text, known ones and others. */
export function wordsInBraces(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, word = '']) => word);
}

/** The text with every placeholder replaced; words that are none stay. */
export function fillPlaceholders(text: string, values: Readonly<Record<ServerPlaceholder, string>>): string {
  return text.replace(PLACEHOLDER, (whole, word: string) => (isPlaceholder(word) ? values[word] : whole));
}

export function isPlaceholder(word: string): word is ServerPlaceholder {
  return Object.hasOwn(SERVER_PLACEHOLDERS, word);
}

/** What is wrong is not repeated: it may be the key itself. */
const variableName = z.string().refine((text) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text), {
  error: 'give the name of an environment variable, never its value',
});

/** A base address such as `http://127.0.0.1:8000/v1`. Secrets have no place in it: it is written to results. */
const serverUrl = z.string().min(1);

const formatName = z.enum(FORMAT_NAMES as readonly [Format, ...Format[]]);

/** A server as a person writes it, under a runner of a matrix. */
export const MatrixServerSchema = z
  .strictObject({
    url: z
      .union([serverUrl, z.partialRecord(formatName, serverUrl)])
      .optional()
      .describe('Base address of a server that runs already, for example http://127.0.0.1:8000/v1; or one per format'),
    command: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe(
        `Program and arguments that start the server for each round; in braces: ${Object.keys(SERVER_PLACEHOLDERS).join(', ')}`,
      ),
    env: z
      .record(variableName, z.string())
      .optional()
      .describe('Environment variables for the command; the same words in braces'),
    device: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]*$/)
      .optional()
      .describe('The server at the url runs elsewhere, on this device: as you say, it cannot be seen from here'),
    api_key_env: variableName.optional().describe('Environment variable that holds the key; the key is never written'),
    endpoint: z
      .enum(['completions', 'chat'])
      .default('completions')
      .describe('/completions takes exact prompts; /chat/completions puts the template of the model around them'),
    prompt: z
      .enum(['auto', 'tokens', 'text'])
      .default('auto')
      .describe('Token ids (exact lengths), or words. Default: token ids where the server is known to take them'),
    fixed_length: z
      .boolean()
      .default(true)
      .describe('Answers must have generated_tokens tokens. false: shorter ones count, and the row says so'),
    vocabulary_tokens: z
      .int()
      .min(64)
      .optional()
      .describe('Size of the vocabulary, for random token ids. Default: as the server says, else 32000'),
    body: z
      .record(z.string(), z.json())
      .optional()
      .describe('Fields added to every request, for what this server needs of its own'),
  })
  .refine((server) => (server.url === undefined) !== (server.command === undefined), {
    error: 'give either url (a server that runs) or command (bench starts it)',
    when: ({issues}) => issues.length === 0,
  });
export type MatrixServer = z.infer<typeof MatrixServerSchema>;

/** A server as a cell has it: one, for one format. */
export const ServerRefSchema = z.strictObject({
  /** null: `command` starts it. */
  url: serverUrl.nullable(),
  /** null: it runs already. */
  command: z.array(z.string().min(1)).min(1).nullable(),
  env: z.record(variableName, z.string()),
  /** It runs on another machine: nothing but its answers can be seen. */
  elsewhere: z.boolean(),
  apiKeyEnv: variableName.nullable(),
  endpoint: z.enum(['completions', 'chat']),
  prompt: z.enum(['auto', 'tokens', 'text']),
  fixedLength: z.boolean(),
  vocabularyTokens: z.int().positive().nullable(),
  body: z.record(z.string(), z.json()),
});
export type ServerRef = z.infer<typeof ServerRefSchema>;

/** The server of a cell's format; null when the matrix names none for it. */
export function serverRef(server: MatrixServer, format: Format): ServerRef | null {
  const url = typeof server.url === 'object' ? server.url[format] : server.url;
  if (server.command === undefined && url === undefined) return null;
  return {
    url: url ?? null,
    command: server.command ?? null,
    env: server.env ?? {},
    elsewhere: server.device !== undefined,
    apiKeyEnv: server.api_key_env ?? null,
    endpoint: server.endpoint,
    prompt: server.prompt,
    fixedLength: server.fixed_length,
    vocabularyTokens: server.vocabulary_tokens ?? null,
    body: server.body ?? {},
  };
}

/** Whether an address is this machine's own, as far as it can tell without asking anybody. */
export function isLoopback(url: string): boolean {
  const {hostname} = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
}

/** Every text of a server in which a placeholder may stand. */
export function placeholderTexts(server: {
  readonly command?: readonly string[] | null | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}): string[] {
  return [...(server.command ?? []), ...Object.values(server.env ?? {})];
}

/** Whether the server is told this: what it is not told is unknown of it. */
export function tellsServer(
  server: Parameters<typeof placeholderTexts>[0],
  ...any: readonly ServerPlaceholder[]
): boolean {
  return placeholderTexts(server)
    .flatMap(wordsInBraces)
    .some((word) => any.some((one) => one === word));
}
