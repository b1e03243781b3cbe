import {homedir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import {cacheDir} from '../../../harness/weights/cache-dir.ts';
import {formatSource, parseSource} from '../../../harness/weights/source.ts';

const context = {architectures: ['llama-3.2-1b', 'llama-3.2-3b', 'phi-2'], baseDir: '/matrices'};
const parse = (text: string) => parseSource(text, context);

describe('a model source', () => {
  test.each([
    ['synthetic:phi-2', {kind: 'synthetic', architecture: 'phi-2'}],
    ['file:/models/a.gguf', {kind: 'file', path: '/models/a.gguf'}],
    ['file:///models/a.gguf', {kind: 'file', path: '/models/a.gguf'}],
    ['file:../models/a b', {kind: 'file', path: '/models/a b'}],
    ['hf:org/repo', {kind: 'hf', repo: 'org/repo', file: null, revision: null}],
    ['hf:org/repo@main', {kind: 'hf', repo: 'org/repo', file: null, revision: 'main'}],
    [
      'hf:org/Re-po.v1/q4/m.Q4_K_M.gguf@refs/pr/1',
      {kind: 'hf', repo: 'org/Re-po.v1', file: 'q4/m.Q4_K_M.gguf', revision: 'refs/pr/1'},
    ],
  ])('%s is understood', (text, source) => {
    expect(parse(text)).toEqual(source);
  });

  test.each([
    'llama',
    '',
    'synthetic:',
    'synthetic:llama-3.2-1B',
    'synthetic:lama-3.2-1b',
    'synthetic:something-else-entirely',
    'file:',
    'hf:',
    'hf:repo',
    'hf:../repo',
    'hf:org/..',
    'hf:org/repo/../../secret',
    'hf:org/repo//x.gguf',
    'hf:org/repo/.git/config',
    'hf:org/repo/a%2e%2e/x.gguf',
    'hf:org/repo@',
    'hf:org/repo@../main',
    'hf:org/repo@a b',
    'hf:org/repo?x=1',
    'http://example.org/x.gguf',
  ])('%j is refused in one line', (text) => {
    expect(() => parse(text)).toThrow(BenchError);
    let line = '';
    try {
      parse(text);
    } catch (error) {
      line = error instanceof BenchError ? `${error.code}: ${error.message}` : 'another error';
    }
    expect(line).toMatchSnapshot();
  });

  test('in its canonical spelling is understood the same', () => {
    const part = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
    fc.assert(
      fc.property(
        part,
        part,
        fc.array(part, {maxLength: 3}),
        fc.option(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_/-]{0,20}$/)),
        (org, repo, file, revision) => {
          const source = {
            kind: 'hf',
            repo: `${org}/${repo}`,
            file: file.length === 0 ? null : file.join('/'),
            revision,
          } as const;
          expect(parse(formatSource(source))).toEqual(source);
        },
      ),
    );
  });

  test('that is any text is understood or refused, and never leaves the repository', () => {
    fc.assert(
      fc.property(
        fc.string({unit: 'binary'}),
        fc.constantFrom('hf:', 'hf:a/b/', 'hf:a/b@', 'synthetic:', ''),
        (text, start) => {
          try {
            const source = parse(start + text);
            if (source.kind === 'hf')
              expect(`${source.repo}/${source.file ?? ''}/${source.revision ?? ''}`).not.toMatch(
                /(?:^|\/)\.\.?(?:\/|$)|[\\\0\n]/,
              );
          } catch (error) {
            if (!(error instanceof BenchError)) throw error;
          }
        },
      ),
    );
  });
});

test('the cache folder is BENCH_CACHE, else that of XDG, else below the home folder', () => {
  expect(cacheDir({BENCH_CACHE: '/a', XDG_CACHE_HOME: '/x', HOME: '/h'})).toBe('/a');
  expect(cacheDir({BENCH_CACHE: '', XDG_CACHE_HOME: '/x', HOME: '/h'})).toBe('/x/bench');
  expect(cacheDir({XDG_CACHE_HOME: 'relative', HOME: '/h'})).toBe('/h/.cache/bench');
  expect(cacheDir({BENCH_CACHE: 'here'})).toBe(join(process.cwd(), 'here'));
  expect(cacheDir({})).toBe(join(homedir(), '.cache', 'bench'));
});
