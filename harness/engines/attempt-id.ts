/** Who runs this attempt, as far as the engine says; none of it tells two attempts apart. */
export interface EngineJob {
  readonly engine: string;
  readonly job: string | null;
  readonly node: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function engineJob(env: Environment): EngineJob {
  const slurm = env['SLURM_ARRAY_JOB_ID'] ?? env['SLURM_JOB_ID'];
  if (slurm !== undefined) {
    const task = env['SLURM_ARRAY_TASK_ID'] ?? '0';
    const node = env['SLURMD_NODENAME'] ?? null;
    return {engine: 'slurm', job: `${slurm}_${task}-r${env['SLURM_RESTART_COUNT'] ?? '0'}`, node};
  }
  const sky = env['SKYPILOT_TASK_ID'];
  if (sky !== undefined) return {engine: 'skypilot', job: sky, node: env['SKYPILOT_NODE_IPS'] ?? null};
  const kubernetes = env['JOB_COMPLETION_INDEX'];
  // Its own host name is that of the pod; the node is known where the manifest passes it on.
  const node = env['NODE_NAME'] ?? env['HOSTNAME'] ?? null;
  if (kubernetes !== undefined) return {engine: 'kubernetes', job: kubernetes, node};
  const parallel = env['PARALLEL_SEQ'];
  if (parallel !== undefined) return {engine: 'parallel', job: parallel, node: env['PARALLEL_SSHHOST'] ?? null};
  return {engine: 'local', job: null, node: null};
}

/**
 * Unique by its nonce, drawn before anything is measured. After a crash of its controller Slurm gives two attempts the
 * same job, task and restart count; SkyPilot keeps its task id across recoveries.
 */
export function attemptId({engine, job}: EngineJob, nonce: string): string {
  const text = job === null ? engine : `${engine}-${job}`;
  return `${text.replaceAll(/[^a-zA-Z0-9_.-]/g, '-').slice(-96)}-${nonce}`.replace(/^[^a-zA-Z0-9]+/, '');
}
