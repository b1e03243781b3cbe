type Range = readonly [first: number, last: number, name: string];

/** Models of AMD families 0x17, 0x19 and 0x1a, as the Linux kernel divides them (arch/x86/kernel/cpu/amd.c). */
const AMD: Readonly<Record<number, readonly Range[]>> = {
  23: [
    [0x00, 0x2f, 'zen'],
    [0x30, 0xaf, 'zen2'],
  ],
  25: [
    [0x00, 0x0f, 'zen3'],
    [0x10, 0x1f, 'zen4'],
    [0x20, 0x5f, 'zen3'],
    [0x60, 0xaf, 'zen4'],
  ],
  26: [[0x00, 0x7f, 'zen5']],
};

/** Server models of Intel family 6, as in arch/x86/include/asm/intel-family.h. */
const INTEL: readonly Range[] = [
  [0x3f, 0x3f, 'haswell'],
  [0x4f, 0x4f, 'broadwell'],
  [0x55, 0x55, 'skylake'],
  [0x6a, 0x6a, 'icelake'],
  [0x6c, 0x6c, 'icelake'],
  [0x8f, 0x8f, 'sapphirerapids'],
  [0xcf, 0xcf, 'emeraldrapids'],
  [0xad, 0xae, 'graniterapids'],
];

/** Name of the core design from one processor of /proc/cpuinfo; null when it is none of the known ones. */
export function microarchitecture(processor: ReadonlyMap<string, string>): string | null {
  const family = Number(processor.get('cpu family'));
  const model = Number(processor.get('model'));
  const vendor = processor.get('vendor_id');
  const inRange = ([first, last]: Range) => model >= first && model <= last;
  if (vendor === 'AuthenticAMD') return AMD[family]?.find(inRange)?.[2] ?? null;
  if (vendor !== 'GenuineIntel' || family !== 6) return null;
  const name = INTEL.find(inRange)?.[2] ?? null;
  // One model number for three generations: the stepping tells them apart.
  const stepping = Number(processor.get('stepping'));
  if (name === 'skylake' && stepping >= 10) return 'cooperlake';
  return name === 'skylake' && stepping >= 5 ? 'cascadelake' : name;
}

/** ARM has no model name, only numbers: implementer and part, as the ARM manuals assign them. */
const ARM_PARTS: Readonly<Record<string, string>> = {
  '0x41:0xd0c': 'ARM Neoverse-N1',
  '0x41:0xd40': 'ARM Neoverse-V1',
  '0x41:0xd49': 'ARM Neoverse-N2',
  '0x41:0xd4f': 'ARM Neoverse-V2',
  '0xc0:0xac3': 'Ampere-1',
};

export function armPartName(processor: ReadonlyMap<string, string>): string | null {
  const part = processor.get('CPU part');
  const implementer = processor.get('CPU implementer');
  if (part === undefined || implementer === undefined) return null;
  return ARM_PARTS[`${implementer}:${part}`] ?? `ARM ${implementer} ${part}`;
}
