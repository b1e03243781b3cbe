import {type ChildProcess, execFile, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {hostname, userInfo} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';

const NODES = ['t4-1', 't4-2', 'a100-1', 'ryzen-1'] as const;
export type VirtualNode = (typeof NODES)[number];

const CONTROLLER = 'slurmctld';
const agentOf = (node: VirtualNode) => `slurmd.${node}`;

/**
 * A real Slurm on loopback: one controller and four nodes, without root, munge, cgroups or systemd. For tests only: its
 * authentication trusts every local user. GPUs are /dev/null under a label. Daemons run in the foreground, as children of
 * the test: it holds them, and need not trust a file for their process ids.
 */
export class VirtualSlurm {
  readonly env: NodeJS.ProcessEnv;
  /** Put before a program it gives it the host name that cells see; empty where that is the machine's own. */
  readonly prefix: readonly string[];
  readonly #root: string;
  readonly #conf: string;
  readonly #daemons = new Map<string, ChildProcess>();

  private constructor(root: string, port: number, {ip, prefix}: Footing) {
    this.#root = root;
    this.#conf = join(root, 'slurm.conf');
    this.prefix = prefix;
    for (const name of ['state', 'spool', 'run', 'log']) mkdirSync(join(root, name), {recursive: true});
    writeFileSync(this.#conf, config(root, port, ip));
    writeFileSync(
      join(root, 'gres.conf'),
      'NodeName=t4-[1-2] Name=gpu Type=t4 File=/dev/null\nNodeName=a100-1 Name=gpu Type=a100 File=/dev/null\n',
    );
    this.env = {
      ...process.env,
      PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
      SLURM_CONF: this.#conf,
    };
  }

  static async make(root: string): Promise<VirtualSlurm> {
    const footing = findFooting();
    if (footing === null) throw new Error(whyNoCluster() ?? '');
    return new VirtualSlurm(root, await freePorts(footing.ip, 1 + NODES.length), footing);
  }

  async up(): Promise<void> {
    await this.startController();
    await Promise.all(NODES.map((node) => this.startAgent(node)));
    await until('four idle nodes', async () => {
      const idle = await this.text('sinfo', ['-h', '-N', '-t', 'idle', '-o', '%N']);
      return idle.split('\n').length === NODES.length;
    });
  }

  async startController(): Promise<void> {
    await until('the controller', async () => {
      // Right after a kill its port may still be taken: then it ends at once, and is started again.
      if (!this.#runs(CONTROLLER)) {
        const saved = existsSync(join(this.#root, 'state', 'job_state'));
        this.#start(CONTROLLER, ['slurmctld', '-D', ...(saved ? [] : ['-i'])]);
      }
      return (await this.text('scontrol', ['ping'])).includes('is UP');
    });
  }

  async killController(): Promise<void> {
    await this.#kill(CONTROLLER);
  }

  /** Ends when the controller has heard of it. */
  async startAgent(node: VirtualNode): Promise<void> {
    await until(`the agent of ${node}`, async () => {
      if (!this.#runs(agentOf(node))) this.#start(agentOf(node), ['slurmd', '-D', '-N', node]);
      const state = await this.nodeState(node);
      return state !== '' && !/^(down|unk)|\*$/.test(state);
    });
  }

  /** Only the daemon of the node: its jobs go on, and nobody knows. */
  async killAgent(node: VirtualNode): Promise<void> {
    await this.#kill(agentOf(node));
  }

  /** The whole host: daemon, the stepds of its jobs, and everything below them. */
  async killHost(node: VirtualNode): Promise<void> {
    const jobs = () => this.#own().filter(({environment}) => environment.includes(`SLURMD_NODENAME=${node}`));
    const found = jobs();
    const parents = new Set(found.map(({parent}) => parent));
    const steps = processes().filter(({pid, command}) => parents.has(pid) && command.startsWith('slurmstepd'));
    // Daemon and stepds first, in one go: one that outlived its job would tell the controller how it ended.
    const agent = this.#kill(agentOf(node));
    for (const {pid} of steps) signal(pid, 'SIGKILL');
    for (let left = found; left.length > 0; left = jobs()) {
      for (const {pid} of left) signal(pid, 'SIGKILL');
      await sleep(50);
    }
    await agent;
  }

  async nodeState(node: VirtualNode): Promise<string> {
    return await this.text('sinfo', ['-h', '-N', '-n', node, '-o', '%T']);
  }

  /** What a program of Slurm prints; '' also when it fails. */
  async text(program: string, args: readonly string[]): Promise<string> {
    return await new Promise((resolve) => {
      execFile(program, [...args], {env: this.env, encoding: 'utf8'}, (_, stdout) => resolve(stdout.trim()));
    });
  }

  log(): string {
    const lines = readFileSync(join(this.#root, 'log', 'slurmctld.log'), 'utf8').split('\n');
    return lines.slice(-60).join('\n');
  }

  async down(): Promise<void> {
    await this.text('scancel', ['-u', userInfo().username]);
    for (const child of this.#daemons.values()) child.kill('SIGTERM');
    const end = Date.now() + 8_000;
    while (Date.now() < end && [...this.#daemons.keys()].some((name) => this.#runs(name))) await sleep(50);
    for (const child of this.#daemons.values()) child.kill('SIGKILL');
    // Nodes whose daemon was killed have left stepds and jobs behind; all carry the name of this cluster's own file.
    for (let tries = 0, left = this.#own(); left.length > 0 && tries < 40; tries++, left = this.#own()) {
      for (const {pid} of left) signal(pid, 'SIGKILL');
      await sleep(50);
    }
  }

  #start(name: string, command: readonly string[]): void {
    const [file = '', ...args] = [...this.prefix, ...command];
    const child = spawn(file, args, {env: this.env, detached: true, stdio: 'ignore'});
    child.on('error', () => undefined);
    child.unref();
    this.#daemons.set(name, child);
  }

  #runs(name: string): boolean {
    const child = this.#daemons.get(name);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async #kill(name: string): Promise<void> {
    const child = this.#daemons.get(name);
    if (child === undefined || !this.#runs(name)) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Everything that this cluster has started. */
  #own(): Process[] {
    return processes().filter(
      ({pid, environment}) => pid !== process.pid && environment.includes(`SLURM_CONF=${this.#conf}`),
    );
  }
}

export interface Waiting {
  /** A generous end for what is broken; what works is not waited for a moment longer than it takes. */
  readonly seconds?: number;
  readonly everyMs?: number;
}

/** Looks again and again, without holding the processor; fails with what it waited for. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  {seconds = 300, everyMs = 250}: Waiting = {},
): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await sleep(everyMs);
  }
}

/** Why this host cannot have a virtual cluster; null when it can. */
export function whyNoCluster(): string | null {
  if (findFooting() !== null) return null;
  return `host name ${hostname()} does not resolve to 127.x, and this user may not run a program under another one`;
}

interface Footing {
  readonly ip: string;
  readonly prefix: readonly string[];
}

/**
 * Daemons bind to the address of their host name, and must not be seen from outside. Containers often have a name that
 * resolves to their outer address: there, daemons and cells get another name, which root may give them.
 */
function findFooting(): Footing | null {
  const {stdout} = spawnSync('getent', ['ahostsv4', hostname()], {encoding: 'utf8'});
  const ip = /^(127\.\S+)/.exec(stdout)?.[1];
  if (ip !== undefined) return {ip, prefix: []};
  const [file, ...args] = RENAMED;
  return spawnSync(file, [...args, 'true']).status === 0 ? {ip: '127.0.0.1', prefix: RENAMED} : null;
}

const RENAMED = ['unshare', '-u', 'sh', '-c', 'hostname localhost && exec "$@"', 'sh'] as const;

/** @returns The first of several ports in a row that nobody listens on, below those that the system gives away. */
async function freePorts(ip: string, count: number): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    const ports = Array.from({length: count}, (_, index) => first + index);
    if ((await Promise.all(ports.map((port) => isFree(ip, port)))).every(Boolean)) return first;
  }
  throw new Error('no free ports');
}

async function isFree(ip: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, ip, () => server.close(() => resolve(true)));
  });
}

function signal(pid: number, name: NodeJS.Signals): void {
  if (pid <= 1) return;
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** `NAME=value`; empty for a zombie. */
  readonly environment: readonly string[];
}

function processes(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const text = (file: string) => readFileSync(join('/proc', name, file), 'latin1');
      const stat = text('stat');
      // The command stands in parentheses and may hold blanks and parentheses itself.
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      const environment = text('environ').split('\0');
      return [{pid: Number(name), parent, command: text('cmdline').replaceAll('\0', ' '), environment}];
    } catch {
      return [];
    }
  });
}

/**
 * Times are those of a machine with other work. MessageTimeout: one that is too short makes a launch that is slow look
 * lost, and its job held. SlurmdTimeout: after how long a silent node is taken for dead. BatchStartTimeout: after how long
 * a job that its node does not know yet is.
 */
function config(root: string, port: number, ip: string): string {
  const user = userInfo().username;
  const node = (name: VirtualNode, extra: string) =>
    `NodeName=${name} NodeHostname=localhost NodeAddr=${ip} Port=${port + 1 + NODES.indexOf(name)} CPUs=2 RealMemory=1000 ${extra}`;
  return `ClusterName=bench
SlurmctldHost=localhost(${ip})
SlurmctldPort=${port}
SlurmUser=${user}
SlurmdUser=${user}
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=${root}/state
SlurmdSpoolDir=${root}/spool/%n
SlurmctldPidFile=${root}/run/slurmctld.pid
SlurmdPidFile=${root}/run/slurmd.%n.pid
SlurmctldLogFile=${root}/log/slurmctld.log
SlurmdLogFile=${root}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=1
SlurmdTimeout=8
MessageTimeout=15
TCPTimeout=10
BatchStartTimeout=60
KillWait=2
MinJobAge=3600
PartitionName=bench Nodes=ALL Default=YES MaxTime=INFINITE State=UP
${node('t4-1', 'Gres=gpu:t4:1 Feature=t4')}
${node('t4-2', 'Gres=gpu:t4:1 Feature=t4')}
${node('a100-1', 'Gres=gpu:a100:1 Feature=a100')}
${node('ryzen-1', 'Feature=ryzen,cpu')}
`;
}
