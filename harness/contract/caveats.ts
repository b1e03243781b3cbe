import {z} from 'zod';

/**
 * Coded reasons to trust a row less. A code is stable (it is written to results.csv); `doc` says what it means, `fix`
 * what a person can do about it.
 */
export const CAVEATS = {
  'few-requests': {
    doc: 'Fewer than 29 requests: no p90 can be given.',
    fix: 'Raise the budget, or shorten the workload.',
  },
  'wide-interval': {doc: 'The budget ended before the wanted interval width was reached.', fix: 'Raise `budget`.'},
  'unsteady-warmup': {doc: 'Request times were still moving when the warm-up ended.', fix: 'Raise `warmup`.'},
  'rounds-differ': {
    doc: 'Rounds differ by more than requests within a round explain: the host drifts.',
    fix: 'Use a quiet host; raise `rounds`.',
  },
  'one-round': {doc: 'One round only: drift of the host cannot be seen.', fix: 'Use `rounds: 3` or more.'},
  'not-quiet': {doc: 'Other programs used the CPU before the run began.', fix: 'Stop them, or wait.'},
  'foreign-cpu': {doc: 'Other programs used the CPU while the cell ran (cores).', fix: 'Stop them, or wait.'},
  'foreign-gpu': {doc: 'Another process held memory or ran on the GPU.', fix: 'Stop it (nvidia-smi names it).'},
  'cpu-steal': {doc: 'The hypervisor took CPU time away (ratio).', fix: 'Rent a dedicated host.'},
  throttled: {
    doc: 'Clocks were held down while busy (ratio of samples).',
    fix: 'Cool the host; raise the power limit.',
  },
  'clocks-spread': {
    doc: 'Clocks moved by more than 5 % while busy.',
    fix: 'Lock the clocks (sudo nvidia-smi -lgc), fix the governor.',
  },
  hot: {doc: 'Temperature at or above the slowdown threshold (°C).', fix: 'Cool the host.'},
  'power-implausible': {
    doc: 'Power was read above 1.1 × the limit of the card (highest W / limit W): energy is not to be believed.',
    fix: 'Compare with a meter, or with the energy counter.',
  },
  'power-capped': {doc: 'The power limit is below the default (W).', fix: 'sudo nvidia-smi -pl <default>.'},
  'ecc-off': {
    doc: 'ECC is switched off: memory is larger and faster than on a stock card.',
    fix: 'sudo nvidia-smi -e 1, then reboot.',
  },
  'persistence-off': {
    doc: 'Persistence mode is off: load times include driver start-up.',
    fix: 'sudo nvidia-smi -pm 1.',
  },
  mig: {
    doc: 'The device is a MIG slice: memory and processes are its own; power, energy and clocks are those of the whole card.',
    fix: 'Name the slice as a device of its own.',
  },
  battery: {doc: 'The host runs on battery.', fix: 'Plug it in.'},
  governor: {
    doc: 'The CPU frequency governor is not `performance`.',
    fix: 'sudo cpupower frequency-set -g performance.',
  },
  'sampler-gaps': {
    doc: 'A sampler missed readings (ratio): peaks are lower bounds.',
    fix: 'Raise the period, or free a core.',
  },
  'sampler-lost': {doc: 'A sampler ended before the cell did.', fix: 'Read the log; check the driver.'},
  'short-for-energy': {doc: 'Too short, or sampled too thinly, for an energy figure.', fix: 'Raise the budget.'},
  'energy-disagrees': {
    doc: 'Energy counter and integrated power differ by more than 5 %.',
    fix: 'Trust neither; measure longer.',
  },
  'host-drift': {
    doc: 'The canary cell ran at another speed after the sweep than before (ratio).',
    fix: 'Run again on a quiet host.',
  },
  'in-cache': {
    doc: 'The weights fit in the last-level cache (bytes read per token / bytes of cache): memory bandwidth is not the limit.',
    fix: 'Measure a model several times as large as the cache.',
  },
  'above-roofline': {
    doc: 'Decoding seems to read faster than the memory was measured to be (ratio): one of the two was disturbed, or a part of the weights stays in a cache.',
    fix: 'Run again on a quiet host; take a model several times as large as the cache.',
  },
  'forced-device': {
    doc: 'The device was named by --device, not recognised.',
    fix: 'Leave --device out, or add the device to devices.yaml.',
  },
  'isa-capped': {
    doc: 'A narrower instruction set than the machine has was used on purpose.',
    fix: 'Nothing: it is the point of the cell.',
  },
  virtual: {doc: 'The host is a virtual machine: its neighbours are not visible.', fix: 'Rent bare metal.'},
  alongside: {doc: 'Another bench run was active on this host.', fix: 'Run one at a time.'},
  swapped: {doc: 'The worker was swapped out (bytes).', fix: 'Free memory or switch swap off.'},
  oversubscribed: {doc: 'More threads than cores.', fix: 'Lower `threads`.'},
  'synthetic-weights': {
    doc: 'Random weights of the exact architecture: speed and memory are real, quality is not defined.',
    fix: 'Use hf: or file: for quality.',
  },
  simulated: {doc: 'Not a measurement: made by the simulated runner.', fix: 'Choose a real runner.'},
  'threadless-engine': {
    doc: 'The engine makes its threads anew for every token (no thread pool).',
    fix: 'Use the llama-cpp runner.',
  },
  'tokens-not-streamed': {
    doc: 'The engine gives no time per token: TTFT and TPOT are empty.',
    fix: 'Use a streaming runner.',
  },
  'prompt-text-short': {doc: 'Prompts of the workload were cut to the context.', fix: 'Raise the context.'},
  'cached-prefix': {
    doc: 'A part of the prompt came from a cache because the workload says so.',
    fix: 'Nothing: it is the point of the cell.',
  },
  'unverified-server': {
    doc: 'A server has its own weights: model, format and device are as the matrix states them, nothing was verified.',
    fix: 'Let bench start the server with weights that it knows: `command` with `{model}`.',
  },
  'lengths-vary': {
    doc: 'The server decides lengths: prompts or answers had other token counts than the workload asks; the row has medians.',
    fix: 'Use `endpoint: completions` with token ids, and a server that honours ignore_eos.',
  },
  'tokens-in-groups': {
    doc: 'Some tokens came together in one piece of the stream (their share): they have one time between them.',
    fix: 'Switch off output buffering of server and proxy; speculative decoding does this, too.',
  },
  'pieces-counted': {
    doc: 'The server told no usage: pieces of the stream were counted as tokens.',
    fix: 'Use a server that honours stream_options.include_usage.',
  },
  'cache-unknown': {
    doc: 'The server does not say how much of a prompt it took from its cache; every prompt was another one.',
    fix: 'vLLM: --enable-prompt-tokens-details; SGLang: --enable-cache-report.',
  },
  'kernel-substituted': {doc: 'The engine ran another kernel than the one asked for.', fix: 'See the column kernel.'},
  'interrupted-rounds': {
    doc: 'Some rounds of this cell are missing (crash or interruption).',
    fix: 'Run the same command again.',
  },
} as const satisfies Record<string, {doc: string; fix: string}>;

export type CaveatCode = keyof typeof CAVEATS;
export const CAVEAT_CODES = Object.keys(CAVEATS) as readonly CaveatCode[];
export const CaveatSchema = z.object({
  code: z.enum(CAVEAT_CODES),
  /** The number or name that goes with it: `0.12`, `python3`, … No blanks, no semicolons. */
  value: z
    .string()
    .regex(/^[^\s;]*$/)
    .optional(),
});
export type Caveat = z.infer<typeof CaveatSchema>;

/** The text of the column `caveats`: `code` or `code=value`, blank-separated, sorted, each code once. */
export function formatCaveats(caveats: readonly Caveat[]): string {
  const first = new Map<string, Caveat>();
  for (const caveat of caveats) if (!first.has(caveat.code)) first.set(caveat.code, caveat);
  return [...first.values()]
    .map(({code, value}) => (value === undefined || value === '' ? code : `${code}=${value}`))
    .sort()
    .join(' ');
}
