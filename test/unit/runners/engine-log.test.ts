import {expect, it} from 'vitest';
import {EngineLog} from '../../../runners/llama-cpp/engine-log.ts';

it('passes on what the engine says at once, but for its debugging, and keeps errors put together from pieces', () => {
  const written: string[] = [];
  const log = new EngineLog((text) => written.push(text));
  log.listen(2, 'offloaded 17/17 layers to GPU\n');
  log.listen(1, 'create_tensor: x');
  log.listen(5, ' more of it\n');
  log.listen(4, 'error loading');
  log.listen(5, ' model\n');
  log.listen(4, 'second\nthird\n\n');
  expect(log.errors).toEqual(['error loading model', 'second', 'third']);
  expect(log.find(/offloaded (\d+)\//)?.[1]).toBe('17');
  expect(log.find(/create_tensor/)).toBeNull();
  expect(written.join('')).not.toContain('more of it');
  expect(written[0]).toBe('offloaded 17/17 layers to GPU\n');
});
