import {memLayout, system} from 'systeminformation';

/** What the firmware says of the machine: read once, for people; nothing is measured by it. */
export interface Inventory {
  /** Maker and model of the machine, or of the virtual machine; null when the firmware does not tell. */
  readonly machine: string | null;
  /** `4 × DDR4-3200, 16 GiB`, one entry per kind of module; null where it needs root or there is no such table. */
  readonly memoryModules: string | null;
}

/** The two calls of systeminformation that are used: it blocks, so never while a cell runs. */
export interface InventorySource {
  readonly system: () => Promise<{readonly manufacturer: string; readonly model: string}>;
  readonly memLayout: () => Promise<
    readonly {readonly size: number; readonly type: string; readonly clockSpeed: number | null}[]
  >;
}

/** Never rejects: what cannot be read is null. */
export async function readInventory(source: InventorySource = {system, memLayout}): Promise<Inventory> {
  const system = await source.system().catch(() => null);
  const modules = await source.memLayout().catch(() => []);
  return {machine: machineText(system), memoryModules: moduleText(modules)};
}

function machineText(system: {readonly manufacturer: string; readonly model: string} | null): string | null {
  const words = [system?.manufacturer ?? '', system?.model ?? ''].map((word) => word.trim());
  const known = words.filter(
    (word) => word !== '' && !/^(unknown|to be filled|default string|not specified)/i.test(word),
  );
  return known.length === 0 ? null : [...new Set(known)].join(' ');
}

const GIB = 1024 ** 3;

function moduleText(modules: Awaited<ReturnType<InventorySource['memLayout']>>): string | null {
  const kinds = new Map<string, number>();
  for (const {size, type, clockSpeed} of modules) {
    // An empty slot has no size; a module whose type or clock the firmware hides says nothing about bandwidth.
    if (size <= 0 || !/^(LP)?DDR/i.test(type) || clockSpeed === null || clockSpeed <= 0) continue;
    const kind = `${type}-${clockSpeed}, ${Math.round(size / GIB)} GiB`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return kinds.size === 0 ? null : [...kinds].map(([kind, count]) => `${count} × ${kind}`).join('; ');
}
