import {defineConfig} from 'vitest/config';
import {SCRATCH} from './support/scratch.ts';

const report = process.env['BENCH_TEST_REPORT'];

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/scratch.ts'],
    env: {TMPDIR: SCRATCH},
    testTimeout: 60_000,
    hookTimeout: 300_000,
    pool: 'forks',
    // Tests that start real processes lean on a scheduler that CI shares with others; what is broken fails three times.
    retry: process.env['CI'] === undefined ? 0 : 2,
    maxWorkers: 2,
    reporters: report === undefined ? ['default'] : ['default', ['json', {outputFile: report}]],
  },
});
