import type {Connection} from './connection.ts';
import {countIn, isRecord, shortLine, textIn} from './server-words.ts';

/** What a request asks beyond the API that all servers share. */
export interface Wish {
  readonly generatedTokens: number;
  /** Go on after the end of the sequence, so that every answer has one length. */
  readonly ignoreEos: boolean;
  /** The prompt may be taken from a cache, and be kept in it. */
  readonly cacheable: boolean;
  /** Different in every request. */
  readonly salt: string;
}

/** One kind of server: what it takes, and how it says what it is. Which kind it is shows in its list of models. */
export interface Dialect {
  readonly name: string;
  /** `/completions` takes a prompt of token ids. */
  readonly takesTokenIds: boolean;
  /** Fields of a request that only this server knows. */
  fields(wish: Wish): Readonly<Record<string, unknown>>;
  /** Its version, in its own words; null when it does not say. */
  version(connection: Connection): Promise<string | null>;
}

const ASK_MS = 5_000;

async function ask(connection: Connection, path: string): Promise<unknown> {
  const {status, body} = await connection.get(path, ASK_MS).catch(() => ({status: 0, body: undefined}));
  return status === 200 ? body : undefined;
}

/** The first of the fields that the facts at a path have. */
function versionAt(path: string, ...fields: readonly string[]): Dialect['version'] {
  return async (connection) => {
    const facts = await ask(connection, path);
    for (const field of fields) {
      const value = textIn(facts, field);
      if (value !== null) return shortLine(value);
    }
    return null;
  };
}

/** What vLLM and SGLang share: a fixed length, and a running count in every piece. */
const counted = ({generatedTokens, ignoreEos}: Wish) => ({
  ...(ignoreEos ? {ignore_eos: true, min_tokens: generatedTokens} : {}),
  stream_options: {include_usage: true, continuous_usage_stats: true},
});

const NOTHING = () => ({});

const LLAMA_SERVER: Dialect = {
  name: 'llama-server',
  takesTokenIds: true,
  fields: ({ignoreEos, cacheable}) => ({ignore_eos: ignoreEos, cache_prompt: cacheable, timings_per_token: true}),
  version: versionAt('../props', 'build_info'),
};
const VLLM: Dialect = {
  name: 'vllm',
  takesTokenIds: true,
  // The salt keeps even the template of a chat out of the cache.
  fields: (wish) => ({...counted(wish), ...(wish.cacheable ? {} : {cache_salt: wish.salt})}),
  version: versionAt('../version', 'version'),
};
const SGLANG: Dialect = {
  name: 'sglang',
  takesTokenIds: true,
  fields: counted,
  version: versionAt('../get_server_info', 'version'),
};
const TGI: Dialect = {name: 'tgi', takesTokenIds: false, fields: NOTHING, version: versionAt('../info', 'version')};
const OLLAMA: Dialect = {
  name: 'ollama',
  takesTokenIds: false,
  fields: NOTHING,
  version: versionAt('../api/version', 'version'),
};
const LM_STUDIO: Dialect = {name: 'lm-studio', takesTokenIds: false, fields: NOTHING, version: async () => null};
/** Some other server: nothing is sent to it that the API does not have. */
const UNKNOWN: Dialect = {
  name: 'unknown',
  takesTokenIds: false,
  fields: NOTHING,
  version: versionAt('../version', 'version'),
};

/** `owned_by` of a model, and who writes it. */
const BY_OWNER: Readonly<Record<string, Dialect>> = {
  llamacpp: LLAMA_SERVER,
  vllm: VLLM,
  sglang: SGLANG,
  library: OLLAMA,
  organization_owner: LM_STUDIO,
};

/** A model as the list of a server has it. */
export interface ListedModel {
  readonly name: string;
  readonly owner: string | null;
  /** Positions of one sequence. */
  readonly contextTokens: number | null;
  readonly vocabularyTokens: number | null;
  readonly weightsBytes: number | null;
  readonly parameters: number | null;
}

/** The models of `/models`; whatever else the list holds is left out. */
export function listedModels(body: unknown): ListedModel[] {
  const data: unknown = isRecord(body) ? body['data'] : undefined;
  return (Array.isArray(data) ? data : []).slice(0, 1000).flatMap((entry: unknown) => {
    const name = textIn(entry, 'id');
    if (name === null) return [];
    const meta: unknown = isRecord(entry) ? entry['meta'] : undefined;
    const positive = (value: number | null) => (value === 0 ? null : value);
    return [
      {
        name,
        owner: textIn(entry, 'owned_by'),
        contextTokens: positive(countIn(meta, 'n_ctx') ?? countIn(entry, 'max_model_len')),
        vocabularyTokens: positive(countIn(meta, 'n_vocab')),
        weightsBytes: positive(countIn(meta, 'size')),
        parameters: positive(countIn(meta, 'n_params')),
      },
    ];
  });
}

/** Which kind of server has this model. */
export async function dialectOf({owner}: ListedModel, connection: Connection): Promise<Dialect> {
  const known = owner !== null && Object.hasOwn(BY_OWNER, owner) ? BY_OWNER[owner] : undefined;
  if (known !== undefined) return known;
  // TGI writes the name of the model as its owner, and tells of its router.
  const info = await ask(connection, '../info');
  return textIn(info, 'router') !== null && textIn(info, 'model_id') !== null ? TGI : UNKNOWN;
}
