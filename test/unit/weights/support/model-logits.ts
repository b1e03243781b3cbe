import {EngineLog} from '../../../../runners/llama-cpp/engine-log.ts';
import {loadLibllama, viewFloats} from '../../../../runners/llama-cpp/libllama.ts';
import {findLibraries} from '../../../../runners/llama-cpp/libraries.ts';
import {TokenBatch} from '../../../../runners/llama-cpp/token-batch.ts';

/**
 * A program: loads a model in llama.cpp, evaluates tokens, and prints the logits after the last one, the text of some
 * tokens tokenized again, and what the engine said at level warning (3) or error (4).
 */
const [libraryDir = '', path = '', tokenList = ''] = process.argv.slice(2);
const tokens = tokenList.split(',').map(Number);
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
    n_ctx: 256,
    n_threads: 1,
    n_threads_batch: 1,
    flash_attn_type: 0,
    type_k: 0,
    type_v: 0,
  });
let logits: number[] | null = null;
let textTokens: number[] = [];
if (model !== null && context !== null) {
  const batch = new TokenBatch(256, 1);
  for (const [position, token] of tokens.entries()) batch.add(token, position, 0, position === tokens.length - 1);
  if (library.llama_decode(context, batch.struct) === 0) {
    const vocab = library.llama_model_get_vocab(model);
    const pointer = library.llama_get_logits_ith(context, -1);
    if (pointer !== null) logits = [...viewFloats(pointer, library.llama_vocab_n_tokens(vocab))];
    const text = Buffer.from('Hello, the rain in 2026!');
    const room = new Int32Array(64);
    textTokens = [...room.subarray(0, library.llama_tokenize(vocab, text, text.length, room, room.length, true, true))];
  }
}
library.endLog();
const warnings = messages.filter(({level}) => level === 3 || level === 4).map(({text}) => text.trim());
process.stdout.write(JSON.stringify({logits, textTokens, warnings}), () => process.exit(0));
