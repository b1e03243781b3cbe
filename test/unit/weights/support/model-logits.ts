import {EngineLog} from '../../../../runners/llama-cpp/engine-log.ts';
import {loadLibllama, viewFloats} from '../../../../runners/llama-cpp/libllama.ts';
import {findLibraries} from '../../../../runners/llama-cpp/libraries.ts';
import {TokenBatch} from '../../../../runners/llama-cpp/token-batch.ts';

/**
 * A program: `LIBRARIES MODEL TOKENS [POSITIONS]` loads a model in llama.cpp, evaluates the tokens, and prints the logits
 * after the last one (and after those at POSITIONS), the text of some tokens tokenized again, and what the engine said at
 * level warning (3) or error (4).
 */
const [libraryDir = '', path = '', tokenList = '', positionList = ''] = process.argv.slice(2);
const tokens = tokenList.split(',').map(Number);
const positions = positionList === '' ? [] : positionList.split(',').map(Number);
const room = Math.max(256, tokens.length);
const messages: {level: number; text: string}[] = [];
const log = Object.assign(new EngineLog(() => undefined), {
  listen: (level: number, text: string) => messages.push({level, text}),
});
const library = loadLibllama(findLibraries(libraryDir), log);
library.ggml_backend_load_all_from_path(libraryDir);
const model = library.llama_model_load_from_file(path, {...library.modelDefaults, n_gpu_layers: 0});
const context =
  model &&
  library.llama_init_from_model(model, {
    ...library.contextDefaults,
    n_ctx: room,
    n_batch: room,
    n_ubatch: room,
    n_threads: 1,
    n_threads_batch: 1,
    flash_attn_type: 0,
    type_k: 0,
    type_v: 0,
  });
let logits: number[] | null = null;
let textTokens: number[] = [];
let rows: number[][] = [];
if (model !== null && context !== null) {
  const batch = new TokenBatch(room, 1);
  const outputs = new Set([...positions, tokens.length - 1]);
  for (const [position, token] of tokens.entries()) batch.add(token, position, 0, outputs.has(position));
  if (library.llama_decode(context, batch.struct) === 0) {
    const vocab = library.llama_model_get_vocab(model);
    const read = (index: number) => {
      const pointer = library.llama_get_logits_ith(context, index);
      return pointer === null ? null : [...viewFloats(pointer, library.llama_vocab_n_tokens(vocab))];
    };
    logits = read(-1);
    rows = positions.map((position) => read(position) ?? []);
    const text = Buffer.from('Hello, the rain in 2026!');
    const found = new Int32Array(64);
    const count = library.llama_tokenize(vocab, text, text.length, found, found.length, true, true);
    textTokens = [...found.subarray(0, count)];
  }
}
library.endLog();
const warnings = messages.filter(({level}) => level === 3 || level === 4).map(({text}) => text.trim());
process.stdout.write(JSON.stringify({logits, rows, textTokens, warnings}), () => process.exit(0));
