import {z} from 'zod';

/**
 * engines.yaml: what a site calls its devices. Every name in it is the site's own; bench guesses none. Keys are
 * snake_case, as in matrix files. Nothing here decides what a result says: a cell looks at its device itself.
 */

const line = z.string().regex(/^[^\r\n\0]*$/, 'one line, please');
const word = z.string().regex(/^[^\s\0]+$/, 'one word, without blanks');
/** Shell lines: what an administrator or the user writes into the job, `module load …`. */
const shell = z.string().regex(/^[^\0]*$/);

export const GROUPINGS = ['none', 'model'] as const;
export type Grouping = (typeof GROUPINGS)[number];

const walltime = z.strictObject({
  /** Times the estimate of the plan, which is an upper bound of measuring and leaves out making the weights. */
  factor: z.number().positive().default(3),
  least_minutes: z.int().positive().default(15),
});

const SlurmDeviceSchema = z
  .strictObject({
    gres: word.optional().describe('Typed generic resource: gpu:t4:1'),
    constraint: line.optional().describe('Feature of the nodes: ryzen'),
    partition: word.optional(),
    arguments: z.array(line).default([]).describe('More arguments of sbatch for this device'),
  })
  .refine(
    ({gres, constraint, partition}) => gres !== undefined || constraint !== undefined || partition !== undefined,
    {
      error: 'give gres, constraint or partition: without one a cell may land on any node',
    },
  );

export const SlurmSiteSchema = z.strictObject({
  partition: word.optional(),
  account: word.optional(),
  qos: word.optional(),
  arguments: z.array(line).default([]).describe('More arguments of sbatch for every job'),
  command: z.array(line).min(1).optional().describe('How to call bench on a node. Default: as it was called here'),
  setup: shell.default('').describe('Shell lines before bench: module load, export BENCH_CACHE=…'),
  scratch: line.optional().describe('Folder of the node for a cell under way. Default: beside the attempts'),
  group: z.enum(GROUPINGS).default('none').describe('model: all formats of a model in one task, weights made once'),
  walltime: walltime.default({factor: 3, least_minutes: 15}),
  tries: z.int().positive().max(20).default(3).describe('Times a task is started that asks to be tried again'),
  max_parallel: z.int().positive().optional().describe('Tasks of one device at the same time'),
  max_array_size: z.int().positive().default(1000).describe('MaxArraySize of the cluster, less one'),
  devices: z.record(z.string().regex(/^[a-z0-9][a-z0-9._-]*$/), SlurmDeviceSchema),
  merge: z
    .strictObject({partition: word.optional(), constraint: line.optional(), arguments: z.array(line).default([])})
    .default({arguments: []})
    .describe('Where the merge runs at the end: on no GPU, please'),
});
export type SlurmSite = z.infer<typeof SlurmSiteSchema>;

const SkyPilotDeviceSchema = z
  .strictObject({
    accelerators: word.optional().describe("Name in SkyPilot's catalogue: T4:1, A100-80GB:1"),
    instance_type: word.optional(),
    cpus: z.union([z.number().positive(), word]).optional(),
    memory: z.union([z.number().positive(), word]).optional(),
    infra: word.optional().describe('aws, gcp/us-central1, ssh/my-pool, slurm/my-cluster'),
    image_id: word.optional(),
    use_spot: z.boolean().default(false),
    disk_gb: z.int().positive().default(200),
    max_hourly_cost: z.number().positive().describe('USD an hour; SkyPilot takes nothing dearer'),
  })
  .refine(
    ({accelerators, instance_type, infra}) =>
      accelerators !== undefined || instance_type !== undefined || infra?.startsWith('ssh/') === true,
    {
      error:
        'SkyPilot cannot ask for a CPU model: give accelerators; or an instance_type whose CPU you know; or infra: ssh/<pool> of hosts you own',
    },
  );
export type SkyPilotDevice = z.infer<typeof SkyPilotDeviceSchema>;

export const SkyPilotSiteSchema = z
  .strictObject({
    bucket: z
      .string()
      .regex(/^(s3|gs|r2|oci|azure|https|cos|nebius):\/\/\S+$/, 'an address such as s3://my-bucket/bench')
      .optional()
      .describe('Where attempts are kept. Without one they are fetched with rsync before the host goes'),
    idle_minutes: z.int().positive().default(10).describe('The host ends itself after being idle this long'),
    setup: shell
      .optional()
      .describe(
        'Shell lines that install bench on the host. Default: Node, npm ci, and the engines that the cells need',
      ),
    devices: z.record(z.string().regex(/^[a-z0-9][a-z0-9._-]*$/), SkyPilotDeviceSchema),
  })
  .refine(({bucket, devices}) => bucket !== undefined || Object.values(devices).every(({use_spot}) => !use_spot), {
    path: ['bucket'],
    error: 'use_spot needs a bucket: a host that is taken away takes the only copy of its results along',
  });
export type SkyPilotSite = z.infer<typeof SkyPilotSiteSchema>;

export const EnginesSchema = z.strictObject({
  slurm: SlurmSiteSchema.optional(),
  skypilot: SkyPilotSiteSchema.optional(),
});
export type Engines = z.infer<typeof EnginesSchema>;
