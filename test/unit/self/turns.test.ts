import {describe, expect, test} from 'vitest';
import {Baton, type Contestant, logRatios, ratioFigure, ratioInterval, repetitionsOf} from '../../self/turns.ts';

describe('Baton', () => {
  /** A process as the baton sees it: it begins repetitions, and obeys signals. */
  function process() {
    const signals: string[] = [];
    return {signals, baton: new Baton((name) => void signals.push(name))};
  }

  test('stops the first repetition, and counts only those that ran without a stop', async () => {
    const {signals, baton} = process();
    const started = baton.started();
    baton.begins(0);
    await started;
    expect(signals).toEqual(['SIGSTOP']);

    const turn = baton.turn(2);
    for (const repetition of [1, 2]) baton.begins(repetition);
    expect(signals).toEqual(['SIGSTOP', 'SIGCONT']);
    baton.begins(3);
    expect(await turn).toEqual([1, 2]);
    expect(signals).toEqual(['SIGSTOP', 'SIGCONT', 'SIGSTOP']);
  });

  test('leaves out a repetition that began before the stop took effect', async () => {
    const {baton} = process();
    baton.begins(0);
    const first = baton.turn(1);
    for (const repetition of [1, 2, 3]) baton.begins(repetition);
    expect(await first).toEqual([1]);
    const second = baton.turn(1);
    for (const repetition of [4, 5]) baton.begins(repetition);
    expect(await second).toEqual([4]);
  });

  test('has no turn left when the process has ended, and hands on what it failed with', async () => {
    const ended = process().baton;
    ended.begins(0);
    const turn = ended.turn(2);
    ended.ends(null);
    expect(await turn).toBeNull();
    expect(await ended.turn(1)).toBeNull();

    const failed = process().baton;
    const started = failed.started();
    failed.ends(new Error('no such model'));
    await expect(started).rejects.toThrow('no such model');
    await expect(failed.turn(1)).rejects.toThrow('no such model');
  });

  test('lets the process run once it is released', () => {
    const {signals, baton} = process();
    baton.begins(0);
    baton.release();
    baton.begins(1);
    expect(signals).toEqual(['SIGSTOP', 'SIGCONT']);
  });
});

describe('logRatios', () => {
  const turns = {processes: 2, turns: 3, repetitions: 2};

  /** Repetitions take `seconds(machine time)`; those in which it is stopped are a hundred times slower. */
  function contestant(name: string, seconds: () => number, log: string[]): () => Promise<Contestant> {
    return async () => {
      const rates = [1 / (100 * seconds())];
      log.push(`${name} starts`);
      return {
        async turn(count) {
          log.push(name);
          const from = rates.length;
          for (let index = 0; index < count; index++) rates.push(1 / seconds());
          rates.push(1 / (100 * seconds()));
          return Array.from({length: count}, (_, index) => from + index);
        },
        finish: async () => rates,
        end: async () => void log.push(`${name} ends`),
      };
    };
  }

  test('takes turns in starting and in running, and ends both sides', async () => {
    const log: string[] = [];
    await logRatios(
      contestant('A', () => 1, log),
      contestant('B', () => 1, log),
      turns,
    );
    expect(log.join(' ')).toBe(
      'A starts B starts A B B A A B A ends B ends B starts A starts A B B A A B B ends A ends',
    );
  });

  test('finds a ratio that drift hides, without the repetitions in which a side was stopped', async () => {
    let clock = 0;
    // The machine slows down by a tenth of a percent with every repetition of either side.
    const machine = () => 1.001 ** clock++;
    const logs = await logRatios(
      contestant('A', () => machine(), []),
      contestant('B', () => 1.02 * machine(), []),
      {processes: 4, turns: 8, repetitions: 2},
    );
    const {ratio, low, high} = ratioInterval(logs);
    expect(ratio).toBeCloseTo(1.02, 3);
    expect(low).toBeGreaterThan(1.01);
    expect(high).toBeLessThan(1.03);
  });

  test('ends what it started when a side fails', async () => {
    const log: string[] = [];
    const broken = async () => {
      throw new Error('no engine');
    };
    await expect(
      logRatios(
        contestant('A', () => 1, log),
        broken,
        turns,
      ),
    ).rejects.toThrow('no engine');
    expect(log).toEqual(['A starts', 'A ends']);
  });

  test('asks for enough repetitions', () => {
    // Two that count and one spoiled by the stop, three times; the first, and two to spare.
    expect(repetitionsOf(turns)).toBe(12);
  });
});

describe('ratioInterval', () => {
  test('is Student’s t on the logarithm, whichever side began', () => {
    // Began first: 0.01 and 0.03; began second: 0.11 and 0.13. Each kind has its own mean, and the same spread.
    const {ratio, low, high} = ratioInterval([0.01, 0.11, 0.03, 0.13]);
    expect(Math.log(ratio)).toBeCloseTo(0.07, 12);
    // Pooled variance 2e-4 with two degrees of freedom, t = 4.303; standard error √(2e-4 × (1/2 + 1/2) / 4).
    const reach = 4.3027 * Math.sqrt(2e-4 / 4);
    expect(Math.log(high)).toBeCloseTo(0.07 + reach, 4);
    expect(Math.log(low)).toBeCloseTo(0.07 - reach, 4);
  });

  test('has no bounds with one pair of each kind', () => {
    expect(ratioInterval([0.5])).toMatchObject({low: Number.NaN, high: Number.NaN});
    expect(ratioInterval([0.5, 0.7])).toMatchObject({low: Number.NaN, high: Number.NaN});
  });
});

describe('ratioFigure', () => {
  test.each([
    ['above the goal', [0, 0.001, -0.001, 0.002], true],
    ['below it', [-0.02, -0.021, -0.019, -0.02], false],
    ['on both sides of it', [-0.05, 0.05, -0.02, 0], null],
    ['unknown', [0], null],
  ])('judges an interval that lies %s', (_name, logs, met) => {
    const figure = ratioFigure('ours ÷ theirs', logs, 0.99);
    expect(figure.met).toBe(met);
    expect(figure.resolved).toBe(met === null ? false : undefined);
  });
});
