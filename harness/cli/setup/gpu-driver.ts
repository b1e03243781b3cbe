import {execa} from 'execa';

/** torch 2.14 from PyPI is built for CUDA 13, whose release notes ask for this driver branch or a newer one. */
const OLDEST_DRIVER = 580;
/** nvidia-smi takes seconds where persistence mode is off and there are many cards. */
const TIMEOUT_MS = 60_000;

/** Why the driver of this host cannot run the PyTorch that is installed; null when it can, or when it does not answer. */
export async function driverProblem(smi: string): Promise<string | null> {
  const {stdout} = await execa(smi, ['--query-gpu=driver_version', '--format=csv,noheader'], {
    reject: false,
    stdin: 'ignore',
    timeout: TIMEOUT_MS,
  });
  const version = /^\d+(?:\.\d+)+/.exec(stdout?.trim() ?? '')?.[0];
  if (version === undefined || Number.parseInt(version, 10) >= OLDEST_DRIVER) return null;
  return (
    `the driver is ${version}, and PyTorch for CUDA 13 needs ${OLDEST_DRIVER} or newer: it will see no GPU. Ctrl-C, then update ` +
    'the driver, or set BENCH_PYTHON to a Python whose PyTorch (2.6 or newer) was built for CUDA 12'
  );
}
