import {afterEach, describe, expect, test, vi} from 'vitest';
import {Duty} from '../../../harness/samplers/duty.ts';
import {SeriesLog} from '../../../harness/samplers/series-log.ts';
import {Ticker} from '../../../harness/samplers/ticker.ts';
import {fakeClock} from '../../support/fake-clock.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('the ticker', () => {
  test('calls at multiples of the period, whenever the subscription began', () => {
    const clock = fakeClock();
    const times: number[] = [];
    clock.advance(7);
    const end = new Ticker().every(50, clock.nowMs, (tMs) => times.push(tMs));
    clock.advance(200);
    end();
    clock.advance(200);
    expect(times).toEqual([50, 100, 150, 200]);
  });

  test('samplers with one period share one timer', () => {
    const clock = fakeClock();
    const ticker = new Ticker();
    const calls: string[] = [];
    ticker.every(50, clock.nowMs, () => calls.push('a'));
    clock.advance(20);
    ticker.every(50, clock.nowMs, () => calls.push('b'));
    expect(vi.getTimerCount()).toBe(1);
    clock.advance(80);
    expect(calls).toEqual(['a', 'b', 'a', 'b']);
  });

  test('deadlines that passed while the harness stood still are told, and later ones are not moved', () => {
    const clock = fakeClock();
    const calls: [number, number][] = [];
    new Ticker().every(50, clock.nowMs, (tMs, missed) => calls.push([tMs, missed]));
    clock.advance(50);
    clock.stall(130);
    clock.advance(100);
    // 100 and 150 passed unseen; the reading at 230 is the one that was due at 200.
    expect(calls).toEqual([
      [50, 0],
      [230, 2],
      [250, 0],
    ]);
  });

  test('a call may end another subscription', () => {
    const clock = fakeClock();
    const ticker = new Ticker();
    const calls: string[] = [];
    let endSecond = () => {};
    ticker.every(50, clock.nowMs, () => {
      calls.push('first');
      endSecond();
    });
    endSecond = ticker.every(50, clock.nowMs, () => calls.push('second'));
    clock.advance(100);
    expect(calls).toEqual(['first', 'first']);
  });

  test('without subscriptions no timer keeps the process alive', () => {
    const clock = fakeClock();
    const end = new Ticker().every(50, clock.nowMs, () => {});
    end();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('the duty of a dear reading', () => {
  test('puts the next one off by its cost divided by the share', () => {
    let cost = 0;
    const duty = new Duty(0.002, () => cost);
    expect(duty.due(0)).toBe(true);
    duty.spend(1000, () => {
      cost += 20;
    });
    expect([duty.due(10_999), duty.due(11_000)]).toEqual([false, true]);
  });

  test('counts a reading that throws', () => {
    let cost = 0;
    const duty = new Duty(0.5, () => cost);
    expect(() =>
      duty.spend(0, () => {
        cost += 5;
        throw new Error('no');
      }),
    ).toThrow('no');
    expect([duty.due(9), duty.due(10)]).toEqual([false, true]);
  });
});

describe('a log of series', () => {
  test('leaves out a channel that never had a value, and counts a reading without any as a gap', () => {
    const log = new SeriesLog({cpu_clock_hz: 'Hz', cpu_temperature_c: '°C'}, 100);
    log.push(0, {cpu_clock_hz: 1});
    log.push(100, {});
    log.push(400, {cpu_clock_hz: 2}, 2);
    expect(log.series()).toEqual([
      {channel: 'cpu_clock_hz', unit: 'Hz', tMs: [0, 100, 400], values: [1, null, 2], periodMs: 100, gaps: 3},
    ]);
    expect(log.gapRatio).toBe(0.6);
  });
});
