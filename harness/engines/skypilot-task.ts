import {z} from 'zod';

/**
 * The part of SkyPilot's task YAML that bench writes, as sky/utils/schemas.py of SkyPilot 0.14 has it. Strict: a key that
 * SkyPilot would refuse is refused here, without SkyPilot.
 */
export const SkyPilotTaskSchema = z.strictObject({
  name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/),
  workdir: z.string(),
  num_nodes: z.literal(1),
  resources: z.strictObject({
    infra: z.string().optional(),
    accelerators: z.string().optional(),
    instance_type: z.string().optional(),
    cpus: z.union([z.string(), z.number()]).optional(),
    memory: z.union([z.string(), z.number()]).optional(),
    image_id: z.string().optional(),
    use_spot: z.boolean(),
    disk_size: z.int().positive(),
    max_hourly_cost: z.number().positive(),
    autostop: z.strictObject({
      idle_minutes: z.int().positive(),
      down: z.boolean(),
      wait_for: z.enum(['jobs_and_ssh', 'jobs', 'none']),
    }),
    job_recovery: z.strictObject({
      max_restarts_on_errors: z.int().nonnegative(),
      recover_on_exit_codes: z.array(z.int().min(0).max(255)),
    }),
    labels: z.record(z.string(), z.string()),
  }),
  file_mounts: z.record(
    z.string(),
    z.union([z.string(), z.strictObject({source: z.string(), mode: z.enum(['MOUNT', 'COPY', 'MOUNT_CACHED'])})]),
  ),
  secrets: z.record(z.string(), z.null()).optional(),
  setup: z.string(),
  run: z.string(),
});
export type SkyPilotTask = z.infer<typeof SkyPilotTaskSchema>;
