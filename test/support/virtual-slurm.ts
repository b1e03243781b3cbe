import {execFileSync, spawn, spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {hostname, userInfo} from 'node:os';
import {dirname, join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';

const NODES = ['t4-1', 't4-2', 'a100-1', 'ryzen-1'] as const;
export type VirtualNode = (typeof NODES)[number];

/**
 * A real Slurm on loopback: one controller and four nodes, without root, munge, cgroups or systemd. For tests only: its
 * authentication trusts every local user. GPUs are /dev/null under a label.
 */
export class VirtualSlurm {
  readonly #root: string;
  readonly env: NodeJS.ProcessEnv;

  constructor(root: string, port: number) {
    this.#root = root;
    for (const name of ['state', 'spool', 'run', 'log']) mkdirSync(join(root, name), {recursive: true});
    writeFileSync(join(root, 'slurm.conf'), config(root, port, loopback()));
    writeFileSync(
      join(root, 'gres.conf'),
      'NodeName=t4-[1-2] Name=gpu Type=t4 File=/dev/null\nNodeName=a100-1 Name=gpu Type=a100 File=/dev/null\n',
    );
    this.env = {
      ...process.env,
      PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
      SLURM_CONF: join(root, 'slurm.conf'),
    };
  }

  async up(): Promise<void> {
    await this.startController();
    for (const node of NODES) this.startAgent(node);
    await until(
      'four idle nodes',
      () => this.text('sinfo', ['-h', '-N', '-t', 'idle', '-o', '%N']).split('\n').length === NODES.length,
    );
  }

  async startController(): Promise<void> {
    this.text('slurmctld', existsSync(join(this.#root, 'state', 'job_state')) ? [] : ['-i']);
    await until('the controller', () => this.text('scontrol', ['ping']).includes('is UP'));
  }

  killController(): void {
    this.#kill([this.#pid('slurmctld')]);
  }

  startAgent(node: VirtualNode): void {
    spawn('slurmd', ['-N', node], {env: this.env, detached: true, stdio: 'ignore'}).unref();
  }

  /** Only the daemon of the node: its jobs go on, and nobody knows. */
  killAgent(node: VirtualNode): void {
    this.#kill([this.#pid(`slurmd.${node}`)]);
  }

  /** The whole host: daemon, the stepds of its jobs, and everything below them. */
  killHost(node: VirtualNode): void {
    const jobs = this.text('squeue', ['-h', '-t', 'R,CG', '-w', node, '-o', '%A']).split('\n');
    const steps = processes().filter(({command}) =>
      jobs.some((job) => job !== '' && command.startsWith(`slurmstepd: [${job}.`)),
    );
    this.#kill([this.#pid(`slurmd.${node}`), ...steps.flatMap(({pid}) => descendants(pid))]);
  }

  nodeState(node: VirtualNode): string {
    return this.text('sinfo', ['-h', '-N', '-n', node, '-o', '%T']);
  }

  text(program: string, args: readonly string[]): string {
    const {stdout} = spawnSync(program, [...args], {env: this.env, encoding: 'utf8'});
    return (stdout ?? '').trim();
  }

  log(): string {
    return readFileSync(join(this.#root, 'log', 'slurmctld.log'), 'utf8')
      .split('\n')
      .slice(-40)
      .join('\n');
  }

  async down(): Promise<void> {
    this.text('scancel', ['-u', userInfo().username]);
    const pids = readdirSync(join(this.#root, 'run')).map((name) =>
      Number(readFileSync(join(this.#root, 'run', name), 'utf8')),
    );
    for (const pid of pids) signal(pid, 'SIGTERM');
    const end = Date.now() + 8_000;
    while (Date.now() < end && pids.some(alive)) await sleep(50);
    this.#kill(pids.filter(alive));
    // Nodes whose daemon was killed have left jobs behind; all are called with a path of this cluster's own folder.
    const own = dirname(this.#root);
    this.#kill(processes().flatMap(({pid, command}) => (command.includes(own) && pid !== process.pid ? [pid] : [])));
  }

  #pid(name: string): number {
    return Number(readFileSync(join(this.#root, 'run', `${name}.pid`), 'utf8'));
  }

  #kill(pids: readonly number[]): void {
    for (const pid of pids) signal(pid, 'SIGKILL');
  }
}

/** Polls without holding the processor; fails with what it waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, seconds = 180): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await sleep(100);
  }
}

/** Why this host cannot have a virtual cluster; null when it can. */
export function whyNoCluster(): string | null {
  try {
    return loopback() === '' ? `host name ${hostname()} does not resolve to 127.x` : null;
  } catch {
    return `host name ${hostname()} does not resolve`;
  }
}

/** Daemons bind to the address of the host name; it must not be seen from outside. */
function loopback(): string {
  const text = execFileSync('getent', ['ahostsv4', hostname()], {encoding: 'utf8'});
  return /^(127\.\S+)/.exec(text)?.[1] ?? '';
}

function signal(pid: number, name: NodeJS.Signals): void {
  if (!Number.isSafeInteger(pid) || pid <= 1) return;
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

function processes(): {pid: number; parent: number; command: string}[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      return [
        {pid: Number(name), parent, command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')},
      ];
    } catch {
      return [];
    }
  });
}

function descendants(root: number): number[] {
  const all = processes();
  const found = [root];
  for (const pid of found) found.push(...all.filter(({parent}) => parent === pid).map((one) => one.pid));
  return found;
}

function config(root: string, port: number, ip: string): string {
  const user = userInfo().username;
  const node = (name: string, index: number, extra: string) =>
    `NodeName=${name} NodeHostname=localhost NodeAddr=${ip} Port=${port + index} CPUs=2 RealMemory=1000 ${extra}`;
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
SlurmdTimeout=2
MessageTimeout=2
KillWait=2
MinJobAge=3600
PartitionName=bench Nodes=ALL Default=YES MaxTime=INFINITE State=UP
${node('t4-1', 1, 'Gres=gpu:t4:1 Feature=t4')}
${node('t4-2', 2, 'Gres=gpu:t4:1 Feature=t4')}
${node('a100-1', 3, 'Gres=gpu:a100:1 Feature=a100')}
${node('ryzen-1', 4, 'Feature=ryzen,cpu')}
`;
}
