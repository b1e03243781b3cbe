import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import type {Series} from '../../../harness/contract/sampler.ts';
import {energyOf} from '../../../harness/derive/energy.ts';

/** A series read every `periodMs` from 0 to `untilS`. */
function sampled(channel: string, value: (s: number) => number | null, untilS = 20, periodMs = 100): Series {
  const tMs = Array.from({length: (untilS * 1000) / periodMs + 1}, (_, index) => index * periodMs);
  const unit = channel.endsWith('_w') ? 'W' : 'J';
  return {channel, unit, tMs, values: tMs.map((t) => value(t / 1000)), periodMs, gaps: 0};
}

describe('energyOf', () => {
  it('integrates a ramp of power by trapezoids, with both ends interpolated', () => {
    // P(t) = 100 + 10 t W from 2.05 s to 12.05 s: 1000 + 5 · (12.05² − 2.05²) = 1705 J.
    const {energyJ, source, caveats} = energyOf([sampled('gpu_power_w', (s) => 100 + 10 * s)], 2050, 12_050);
    expect(energyJ).toBeCloseTo(1705, 6);
    expect(source).toBe('nvidia-smi-power');
    expect(caveats).toEqual([]);
  });

  it('prefers the counter, and says when the integrated power disagrees', () => {
    const counter = sampled('gpu_energy_j', (s) => 5000 + 200 * s);
    expect(energyOf([counter, sampled('gpu_power_w', () => 196)], 1000, 11_000)).toMatchObject({
      source: 'nvml-counter',
      caveats: [],
    });
    expect(energyOf([counter], 1000, 11_000).energyJ).toBeCloseTo(2000, 6);
    expect(energyOf([counter, sampled('gpu_power_w', () => 150)], 1000, 11_000).caveats).toEqual([
      {code: 'energy-disagrees', value: '0.75'},
    ]);
  });

  it('reads RAPL where there is no GPU channel', () => {
    const {energyJ, source} = energyOf([sampled('rapl_package_j', (s) => 45 * s)], 1000, 3000);
    expect(energyJ).toBeCloseTo(90, 9);
    expect(source).toBe('rapl-package');
  });

  it('refuses a window that is too short for the sensor', () => {
    const short = {energyJ: null, source: null, caveats: [{code: 'short-for-energy'}]};
    expect(energyOf([sampled('gpu_power_w', () => 100)], 0, 4900)).toEqual(short);
    expect(energyOf([sampled('rapl_package_j', (s) => s)], 0, 400)).toEqual(short);
  });

  it('refuses a pause of more than 3 s, and a window that samples cover for less than three quarters', () => {
    const short = {energyJ: null, source: null, caveats: [{code: 'short-for-energy'}]};
    const paused = sampled('gpu_power_w', (s) => (s > 6 && s < 9.5 ? null : 100), 20);
    expect(energyOf([paused], 0, 20_000)).toEqual(short);
    expect(energyOf([sampled('gpu_power_w', () => 100, 6)], 0, 10_000)).toEqual(short);
    expect(energyOf([sampled('gpu_power_w', () => 100, 8)], 0, 10_000).energyJ).toBeCloseTo(1000, 6);
    const thin = {...sampled('gpu_power_w', () => 100, 20, 1000), periodMs: 100};
    expect(energyOf([thin], 0, 20_000)).toEqual(short);
  });

  it('refuses a counter that runs backwards', () => {
    const reset = sampled('gpu_energy_j', (s) => (s < 5 ? 1000 + s : s));
    expect(energyOf([reset], 0, 10_000).energyJ).toBeNull();
  });

  it('has nothing to say without a channel, and no caveat then', () => {
    expect(energyOf([], 0, 10_000)).toEqual({energyJ: null, source: null, caveats: []});
  });

  it('adds up: the energy of two halves is the energy of the whole', () => {
    const power = sampled('gpu_power_w', (s) => 150 + 50 * Math.sin(s), 40);
    fc.assert(
      fc.property(fc.integer({min: 6000, max: 30_000}), (middle) => {
        const [a, b, all] = [
          energyOf([power], 0, middle),
          energyOf([power], middle, 38_000),
          energyOf([power], 0, 38_000),
        ];
        expect((a.energyJ ?? 0) + (b.energyJ ?? 0)).toBeCloseTo(all.energyJ ?? 0, 6);
      }),
    );
  });
});
