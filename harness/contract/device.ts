import {z} from 'zod';

/** One entry of matrices/devices.yaml: what the maker says of a device. Every figure is a data-sheet figure with its source. */
export const DeviceEntrySchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  title: z.string(),
  kind: z.enum(['cpu', 'cuda']),
  memory_bytes: z.int().positive().nullable(),
  memory_bandwidth_bytes_per_s: z.number().positive().nullable(),
  /** Dense FP16 rate, tensor cores where there are any; null for CPUs. */
  fp16_flops: z.number().positive().nullable(),
  tdp_w: z.number().positive().nullable(),
  compute_capability: z
    .string()
    .regex(/^\d+\.\d$/)
    .nullable(),
  /** Reference SM clock under load, Hz: base clock of the data sheet. */
  sm_clock_hz: z.number().positive().nullable(),
  /** How it names itself: exact names as nvidia-smi or /proc/cpuinfo print them (case-insensitive), and PCI device ids. */
  match: z.strictObject({
    names: z.array(z.string().min(1)),
    pci_ids: z.array(z.string().regex(/^[0-9a-f]{4}:[0-9a-f]{4}$/)).default([]),
    /** Tells variants with one name apart (40 and 80 GB): total memory within 10 % of `memory_bytes`. */
    by_memory: z.boolean().default(false),
  }),
  source: z.string().min(1),
});
export type DeviceEntry = z.infer<typeof DeviceEntrySchema>;

/** A CPU as this machine reports it. */
export interface CpuFacts {
  readonly model: string;
  readonly vendor: string;
  readonly architecture: 'x64' | 'arm64' | string;
  /** Physical cores that this process may use (affinity and cgroup quota considered), at least 1. */
  readonly usableCores: number;
  readonly physicalCores: number;
  readonly logicalCores: number;
  /** Flags of /proc/cpuinfo, sorted. */
  readonly flags: readonly string[];
  /** Widest instruction set in words people use: `avx2`, `avx512-vnni-bf16`, `neon`, … */
  readonly isa: string;
  readonly l3Bytes: number | null;
  readonly governor: string | null;
}

export interface MemoryFacts {
  readonly totalBytes: number;
  /** MemAvailable now, cut to what the cgroup still allows. */
  readonly availableBytes: number;
  readonly cgroupLimitBytes: number | null;
  readonly cgroupVersion: 1 | 2 | null;
  readonly swapTotalBytes: number;
}

export interface GpuFacts {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  readonly memoryBytes: number;
  readonly memoryUsedBytes: number | null;
  readonly computeCapability: string | null;
  readonly driver: string;
  readonly cuda: string | null;
  readonly pciId: string | null;
  readonly migMode: string | null;
  readonly persistence?: boolean | null;
  /** null: the card has no ECC, or does not tell. */
  readonly ecc?: boolean | null;
  /** What the maker switches on; null where the driver does not tell. */
  readonly eccDefault?: boolean | null;
  /** The limit that holds now. */
  readonly powerLimitW?: number | null;
  readonly powerDefaultLimitW?: number | null;
  readonly maxSmClockHz?: number | null;
  readonly maxMemoryClockHz?: number | null;
  /** °C at which the card slows down by itself; null for cards that tell only how far they are from it. */
  readonly slowdownC?: number | null;
  /** Instances of a partitioned card that this process may see. */
  readonly mig?: readonly {readonly uuid: string; readonly memoryBytes: number | null}[];
}

/** How fast a device reads its memory, measured, and how that was measured. */
export interface MeasuredBandwidth {
  readonly bytesPerS: number;
  /** What one pass read, by all threads together. */
  readonly arrayBytes: number;
  /** Last-level caches of the device, summed: what fits in there is read faster than this. null: unknown. */
  readonly cacheBytes: number | null;
}

/** One thing on this machine that can execute a cell. */
export interface DeviceIdentity {
  /** Slug: catalogue name, or made from what the device reports. */
  readonly name: string;
  readonly title: string;
  readonly kind: 'cpu' | 'cuda';
  /** Index of the GPU; null for the CPU. */
  readonly gpuIndex: number | null;
  /** null: none of the known ones. */
  readonly entry: DeviceEntry | null;
  /** True when --device named it. */
  readonly forced: boolean;
}

/** What can be run on this host besides hardware: found, not configured. */
export interface SoftwareFacts {
  /** Folder of the prebuilt llama.cpp libraries inside node_modules; null when the platform has none. */
  readonly llamaPrebuiltDir: string | null;
  /** Folder of a llama.cpp built on this host; null before `bench setup llama-cpp --native`. */
  readonly llamaNativeDir: string | null;
  /** GPU back ends whose prebuilt library can be loaded here. */
  readonly llamaGpu: readonly ('cuda' | 'vulkan')[];
  readonly python: PythonFacts | null;
  /** Why there is no Python, in words; null when there is. */
  readonly pythonReason: string | null;
}

export interface PythonFacts {
  readonly executable: string;
  readonly version: string;
  readonly torch: string;
  readonly transformers: string;
  readonly cuda: boolean;
  /** Kernels for gptq-4bit that can run, and for the others why not. */
  readonly kernels: Readonly<Record<string, true | string>>;
}

/** What this machine is: measured or read, never assumed. */
export interface HostFacts {
  /** Short, stable, file-name safe: the host name's first label, slugged. */
  readonly host: string;
  readonly os: string;
  readonly kernelRelease: string;
  readonly node: string;
  /** `kvm`, `docker`, … or null on bare metal. */
  readonly virtualization: string | null;
  readonly cpu: CpuFacts;
  readonly memory: MemoryFacts;
  readonly gpus: readonly GpuFacts[];
  /** Why GPUs could not be read although a driver is installed, and what to do; null when there is nothing to say. */
  readonly gpuProblem?: {readonly reason: string; readonly fix: string | null} | null;
  readonly devices: readonly DeviceIdentity[];
  readonly software: SoftwareFacts;
}
