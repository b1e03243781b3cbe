import {GuardedChild} from './guarded-child.ts';

/** No query that we make prints more. */
const MAX_BYTES = 4 << 20;
const STATUS_MS = 1000;

export type SmiAnswer =
  | {readonly ok: true; readonly text: string}
  | {readonly ok: false; readonly reason: string; readonly fix: string | null};

/** Runs nvidia-smi once and waits for its answer, at most for a while: it hangs when the driver does. */
export async function runNvidiaSmi(
  file: string,
  args: readonly string[],
  {
    env,
    timeoutMs,
    signal,
  }: {readonly env: NodeJS.ProcessEnv; readonly timeoutMs: number; readonly signal?: AbortSignal},
): Promise<SmiAnswer> {
  const child = new GuardedChild(file, args, env);
  const chunks: Buffer[] = [];
  let bytes = 0;
  child.onOutput((chunk) => {
    bytes += chunk.length;
    if (bytes <= MAX_BYTES) chunks.push(chunk);
  });
  const ended = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    signal?.addEventListener('abort', () => child.kill(), {once: true});
    child.onClosed(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
  const status = ended ? await child.status(STATUS_MS) : null;
  child.kill();
  const text = Buffer.concat(chunks).toString('utf8');
  if (!ended) {
    return {
      ok: false,
      reason: `nvidia-smi gave no answer within ${timeoutMs / 1000} s and was killed`,
      fix: 'the driver hangs: sudo dmesg | grep -i nvrm tells why; reboot',
    };
  }
  if (status === 0) return {ok: true, text};
  const said = text.split('\n').find((line) => line.trim() !== '') ?? '';
  return {ok: false, reason: `nvidia-smi ended with status ${status ?? '?'}: ${said.trim().slice(0, 200)}`, fix: null};
}
