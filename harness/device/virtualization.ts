import type {SystemFiles} from '../linux/system-files.ts';

/** Makers and products in the firmware tables (DMI) of virtual machines. Order matters: the first that matches. */
const DMI_NAMES: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/vmware/i, 'vmware'],
  [/virtualbox|innotek/i, 'virtualbox'],
  [/xen/i, 'xen'],
  [/microsoft corporation virtual machine/i, 'hyper-v'],
  [/parallels/i, 'parallels'],
  [/qemu|kvm|amazon ec2|google compute engine|openstack|digitalocean|hetzner|firecracker/i, 'kvm'],
];

/**
 * `kvm`, `docker`, `kvm+docker`, … or null on bare metal. Firmware names alone prove nothing (the bare-metal machines of
 * a cloud carry its name, too): without the CPU's hypervisor flag there is no virtual machine.
 */
export function readVirtualization(files: SystemFiles, hypervisor: boolean): string | null {
  const names = [hypervisor ? machine(files) : null, container(files)].filter((name) => name !== null);
  return names.length === 0 ? null : names.join('+');
}

function machine(files: SystemFiles): string {
  if (/microsoft/i.test(files.text('/proc/sys/kernel/osrelease') ?? '')) return 'wsl';
  const dmi = ['sys_vendor', 'product_name']
    .map((name) => files.text(`/sys/class/dmi/id/${name}`)?.trim() ?? '')
    .join(' ');
  const known = DMI_NAMES.find(([pattern]) => pattern.test(dmi))?.[1];
  if (known !== undefined) return known;
  const type = files.text('/sys/hypervisor/type')?.trim();
  if (type) return type;
  const clocks = files.text('/sys/devices/system/clocksource/clocksource0/available_clocksource') ?? '';
  if (clocks.includes('kvm-clock')) return 'kvm';
  if (clocks.includes('hyperv')) return 'hyper-v';
  return 'vm';
}

function container(files: SystemFiles): string | null {
  if (files.text('/.dockerenv') !== null) return 'docker';
  if (files.text('/run/.containerenv') !== null) return 'podman';
  const declared = /(?:^|\0)container=([a-z0-9-]+)/.exec(files.text('/proc/1/environ') ?? '')?.[1];
  if (declared !== undefined) return declared;
  return /docker|kubepods|lxc|containerd|libpod/.exec(files.text('/proc/1/cgroup') ?? '')?.[0] ?? null;
}
