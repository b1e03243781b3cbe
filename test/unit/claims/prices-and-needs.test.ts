import {readdirSync, readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import {devicePrices} from '../../../harness/claims/offer.ts';
import {parseNeed} from '../../../harness/claims/parse-need.ts';
import {parsePrices} from '../../../harness/claims/parse-prices.ts';
import {BenchError} from '../../../harness/contract/errors.ts';

const PRICES = 'matrices/prices.yaml';
const mistake = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof BenchError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
};
const price = (lines: string) => mistake(() => parsePrices(`currency: USD\nrentals:\n${lines}`, 'p.yaml'));
const RENTAL = '  - {name: a, devices: [t4], usd_per_hour: 1, date: "2026-11-01", source: x}\n';

describe('prices.yaml', () => {
  it('is whole: every price has its day and its source', () => {
    const prices = parsePrices(readFileSync(PRICES, 'utf8'), PRICES);
    expect(prices.rentals.length).toBeGreaterThan(10);
    for (const {date, source} of [...prices.rentals, ...prices.owned, ...prices.apis]) {
      expect(date >= '2026-01-01').toBe(true);
      expect(source.length).toBeGreaterThan(5);
    }
  });

  it('keeps prices of earlier days apart: nothing is decided by them', () => {
    const {apis, past_apis} = parsePrices(readFileSync(PRICES, 'utf8'), PRICES);
    expect(past_apis.length).toBeGreaterThan(3);
    expect(past_apis.every(({date, source}) => date < '2026-01-01' && source.length > 5)).toBe(true);
    expect(apis.some(({name}) => past_apis.some((past) => past.name === name))).toBe(false);
  });

  it('names devices of the catalogue, or slices of a processor', () => {
    const known = new Set(
      [...readFileSync('matrices/devices.yaml', 'utf8').matchAll(/^ {2}- name: (\S+)/gm)].map(([, name]) => name),
    );
    const prices = parsePrices(readFileSync(PRICES, 'utf8'), PRICES);
    for (const {devices} of [...prices.rentals, ...prices.owned]) {
      // A part of a shared processor is no entry of the catalogue: its name ends with its virtual CPUs.
      for (const device of devices.filter((name) => !/-\d+c$/.test(name))) expect(known).toContain(device);
    }
  });

  it('gives the lowest offer to the columns of results.csv, and nothing where a price is not known', () => {
    const byDevice = devicePrices(parsePrices(readFileSync(PRICES, 'utf8'), PRICES));
    expect(byDevice.get('t4')).toEqual({usdPerHour: 0.35, date: '2026-03-31'});
    expect(byDevice.get('ryzen-7-5800hs')).toBeUndefined();
  });

  it('tells mistakes with file, line and column', () => {
    expect(price(RENTAL)).toBe('accepted');
    expect(price(RENTAL.replace('usd_per_hour', 'usd_per_hours'))).toMatchInlineSnapshot(`
      "PRICES_INVALID p.yaml:3:5: rentals[0].usd_per_hour: is missing: give a number
      p.yaml:3:30: rentals[0].usd_per_hours: no such key; did you mean "usd_per_hour"?"
    `);
    expect(price(RENTAL.replace('usd_per_hour: 1', 'usd_per_hour: -1'))).toMatchInlineSnapshot(
      `"PRICES_INVALID p.yaml:3:44: rentals[0].usd_per_hour: -1 is too small: it must be above 0"`,
    );
    expect(price(RENTAL.replace('"2026-11-01"', 'yesterday'))).toMatchInlineSnapshot(
      `"PRICES_INVALID p.yaml:3:53: rentals[0].date: "yesterday": write the day as yyyy-mm-dd"`,
    );
    expect(price(RENTAL.replace('"2026-11-01"', '"2026-02-31"'))).toMatchInlineSnapshot(
      `"PRICES_INVALID p.yaml:3:53: 2026-02-31 is no day of the calendar"`,
    );
    expect(price(RENTAL + RENTAL)).toMatchInlineSnapshot(
      `"PRICES_INVALID p.yaml:4:12: "a" is the name of another offer, too"`,
    );
    expect(price(RENTAL.replace(', source: x', ''))).toMatchInlineSnapshot(
      `"PRICES_INVALID p.yaml:3:5: rentals[0].source: is missing: give a text"`,
    );
    expect(mistake(() => parsePrices('currency: EUR\n', 'p.yaml'))).toMatchInlineSnapshot(
      `"PRICES_INVALID p.yaml:1:11: currency: "EUR" is no value for currency; it is USD"`,
    );
    expect(mistake(() => parsePrices('currency: [', 'p.yaml'))).toMatch(/^PRICES_INVALID p\.yaml:\d+:\d+: /);
  });
});

describe('needs', () => {
  it('has examples that are whole', () => {
    const files = readdirSync('matrices/needs');
    expect(files.length).toBeGreaterThanOrEqual(4);
    for (const file of files) {
      const path = `matrices/needs/${file}`;
      expect(`${parseNeed(readFileSync(path, 'utf8'), path).need}.yaml`).toBe(file);
    }
  });

  it('tells mistakes with file, line and column', () => {
    const need = (text: string) => mistake(() => parseNeed(`need: x\n${text}`, 'n.yaml'));
    expect(need('p90ms: 800\n')).toMatchInlineSnapshot(
      `"NEED_INVALID n.yaml:2:1: p90ms: no such key; did you mean "p90_ms"?"`,
    );
    expect(need('min_quality: 99\n')).toMatchInlineSnapshot(
      `"NEED_INVALID n.yaml:2:14: min_quality: 99 is too large: it must be at most 1"`,
    );
    expect(need('requests_per_run: 5\n')).toMatchInlineSnapshot(
      `"NEED_INVALID n.yaml:2:19: requests_per_run: requests_per_run and runs_per_month go together: give both or none"`,
    );
    expect(need('requests_per_run: 5\nruns_per_month: 1\nrequests_per_hour: 3\n')).toMatchInlineSnapshot(
      `"NEED_INVALID n.yaml:4:20: requests_per_hour: give requests_per_hour, or requests_per_run for batch work, not both"`,
    );
    expect(need('finish_within_hours: 5\n')).toMatchInlineSnapshot(
      `"NEED_INVALID n.yaml:2:22: finish_within_hours: is about batch work: give requests_per_run and runs_per_month, too"`,
    );
  });
});
