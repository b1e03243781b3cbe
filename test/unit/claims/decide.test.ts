import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {requestFacts} from '../../../harness/claims/candidate.ts';
import {judgePair} from '../../../harness/claims/decide.ts';
import {nextSteps, notMeasured, reasonSentence} from '../../../harness/claims/decision-report.ts';
import type {DecisionRow} from '../../../harness/claims/screen.ts';
import type {DeviceEntry} from '../../../harness/contract/device.ts';
import {buildMeasured} from './build.ts';
import {buildNeed, decideOn, decisionRow, factsFor, PRICES} from './decide-build.ts';

describe('the cost of a deployment, by hand', () => {
  it('rents one T4 around the clock for little demand, mostly idle', () => {
    const {recommended: best, verdict} = decideOn([decisionRow()], buildNeed({requests_per_hour: 360}));
    expect(verdict).toBe('recommended');
    // 730 h × 0.36; 360 of the 3600 requests that an hour could hold; 262 800 requests a month.
    expect(best?.usdPerMonth.value).toBeCloseTo(262.8, 9);
    expect(best?.deployment.idleShare).toBeCloseTo(0.9, 9);
    expect(best?.usdPer1kRequests.value).toBeCloseTo(1, 9);
    // No bound on time: every request met the need. 1 000 requests are 10 000 tokens.
    expect(best?.usdPer1kMet?.value).toBeCloseTo(1, 9);
    expect(best?.usdPer1mMetTokens?.value).toBeCloseTo(100, 9);
  });

  it('counts replicas by demand and by requests at once, whichever takes more', () => {
    // A replica is planned for 0.7 × 3600 = 2520 requests/h.
    const replicas = (over: object) => decideOn([decisionRow()], buildNeed(over)).recommended?.replicas.value;
    expect(replicas({requests_per_hour: 2520})).toBe(1);
    expect(replicas({requests_per_hour: 2521})).toBe(2);
    expect(replicas({requests_per_hour: 10, concurrency: 5})).toBe(5);
    expect(replicas({requests_per_hour: 3600, max_utilization: 1})).toBe(1);
    const batched = decideOn([decisionRow({batch: 4})], buildNeed({requests_per_hour: 10, concurrency: 5}));
    expect(batched.recommended?.replicas.value).toBe(2);
  });

  it('takes over the interval of the speed into replicas and cost', () => {
    const row = decisionRow({requests_per_s_ci_low: 0.9, requests_per_s_ci_high: 1.1});
    const {recommended} = decideOn([row], buildNeed({requests_per_hour: 2520}));
    expect(recommended?.replicas).toEqual({low: 1, value: 1, high: 2});
    expect(recommended?.usdPerMonth.high).toBeCloseTo(525.6, 9);
  });

  it('pays for loading and for the minimum of each start', () => {
    const prices = {
      ...PRICES,
      rentals: [{...PRICES.rentals[0], billing: {minimum_seconds: 3600, increment_seconds: 60}}],
    } as typeof PRICES;
    // 100 requests take 100 s, and 10 s of loading: an hour is paid, 30 times.
    const need = buildNeed({requests_per_run: 100, runs_per_month: 30});
    expect(decideOn([decisionRow()], need, {prices: {...prices, apis: []}}).recommended?.usdPerMonth.value).toBeCloseTo(
      10.8,
      9,
    );
    // 7 195 s of work and 10 s of loading are 7 205 s: 121 minutes are paid.
    const longer = buildNeed({requests_per_run: 7195, runs_per_month: 1});
    expect(
      decideOn([decisionRow()], longer, {prices: {...prices, apis: []}}).recommended?.usdPerMonth.value,
    ).toBeCloseTo((121 / 60) * 0.36, 9);
  });

  it('takes as many machines as finish a run in time, and none where loading alone is too long', () => {
    const need = buildNeed({requests_per_run: 7200, runs_per_month: 1, finish_within_hours: 1});
    // 7 200 s of work, 3 590 s for it: three machines.
    expect(decideOn([decisionRow()], need).recommended?.replicas.value).toBe(3);
    const slow = decideOn([decisionRow({load_ms: 4_000_000})], need);
    expect(slow.verdict).toBe('nothing-fits');
    expect(slow.excluded[0]?.reason).toBe('rent-t4: loading alone takes longer than 1 h');
  });

  it('pays for a whole host where devices are rented by eight', () => {
    const prices = {...PRICES, apis: [], rentals: PRICES.rentals.map((one) => ({...one, devices_per_machine: 8}))};
    const {recommended} = decideOn([decisionRow()], buildNeed({requests_per_hour: 1}), {prices});
    expect(recommended?.usdPerMonth.value).toBeCloseTo(8 * 262.8, 9);
    expect(recommended?.notes).toContain('rented by 8: 7 of them idle, but paid');
  });

  it('writes an owned machine off all month, and pays its power', () => {
    const row = decisionRow({device: 'cpu', gpu_layers: 0});
    const {recommended} = decideOn([row], buildNeed({requests_per_hour: 360}));
    // 73 USD of depreciation; a tenth of 730 h at 100 W is 7.3 kWh.
    expect(recommended?.usdPerMonth.value).toBeCloseTo(73.73, 9);
  });

  it('does not price an owned machine whose purchase nobody knows', () => {
    const prices = {...PRICES, apis: [], owned: PRICES.owned.map((one) => ({...one, purchase_usd: null}))};
    const {verdict, excluded} = decideOn([decisionRow({device: 'cpu'})], buildNeed(), {prices});
    expect(verdict).toBe('no-price');
    expect(excluded[0]?.reason).toMatch(/purchase is not in the prices/);
  });

  it('divides by the share of requests that met the need', () => {
    const row = decisionRow();
    const need = buildNeed({requests_per_hour: 360, p90_ms: 1000});
    const {recommended} = decideOn([row], need, {facts: new Map([factsFor(row, 60, 64)])});
    expect(recommended?.usdPer1kMet?.value).toBeCloseTo(64 / 60, 9);
    // Wilson of 60 of 64: 0.8501 … 0.9754.
    expect(recommended?.usdPer1kMet?.low).toBeCloseTo(1 / 0.9754, 3);
    expect(recommended?.usdPer1kMet?.high).toBeCloseTo(1 / 0.8501, 3);
    expect(recommended?.metOf).toBe(64);
  });

  it('says so where requests are not at hand, and does not make up the share', () => {
    const {recommended} = decideOn([decisionRow()], buildNeed({requests_per_hour: 360, p90_ms: 1000}));
    expect(recommended?.metShare).toBeNull();
    expect(recommended?.usdPer1kMet).toBeNull();
    expect(recommended?.rank.low).toBeCloseTo(1, 9);
    expect(recommended?.rank.high).toBeCloseTo(1 / 0.9, 9);
    expect(recommended?.notes.join()).toContain('requests.csv is not at hand');
  });
});

describe('requestFacts', () => {
  it('counts requests that met every bound on time', () => {
    const {requests} = buildMeasured({tpotUs: [20_000, 20_000, 20_000], ttftUs: 50_000});
    const rows = requests.map((row, index) => (index % 3 === 0 ? {...row, latency_us: 900_000} : row));
    expect(requestFacts(rows, buildNeed({p90_ms: 500}))).toMatchObject({requests: 33, met: 22});
    expect(requestFacts(rows, buildNeed({p90_ms: 500, ttft_ms: 0.1}))).toMatchObject({met: 0});
    const judged = requestFacts(rows, buildNeed({ttft_ms: 51}));
    expect(judged.ttftMsP90High).toBeGreaterThan(50.5);
    expect(requestFacts(rows.slice(0, 28), buildNeed({ttft_ms: 51})).ttftMsP90High).toBeNull();
  });
});

describe('the filter', () => {
  const reason = (over: Parameters<typeof decisionRow>[0], need: Parameters<typeof buildNeed>[0]) =>
    decideOn([decisionRow(over)], buildNeed(need)).excluded[0]?.reason;

  it('judges p90 by the upper end of its interval', () => {
    expect(reason({}, {p90_ms: 910})).toBeUndefined();
    expect(reason({}, {p90_ms: 905})).toBe('p90 of 900 ms may be up to 910 ms, above 905 ms');
    expect(reason({}, {p90_ms: 800})).toBe('p90 of 900 ms is above 800 ms');
    const few = {latency_ms_p90: null, latency_ms_p90_ci_high: null};
    expect(reason({...few, latency_ms_p50: 700}, {p90_ms: 800})).toBe('p90 was not measured: it takes 29 requests');
    expect(reason({...few, latency_ms_p50: 700, requests: 18}, {p90_ms: 800})).toBe(
      'no p90: that takes 11 requests more than its 18',
    );
  });

  it('needs no p90 where half of the requests are too slow already', () => {
    const few = {latency_ms_p90: null, latency_ms_p90_ci_high: null};
    expect(reason({...few, latency_ms_p50: 850}, {p90_ms: 800})).toBe(
      'half of the requests take more than 850 ms, above 800 ms',
    );
  });

  it('names the cell that misses a bound by least', () => {
    const rows = [1500, 950, 1200].map((p50, index) =>
      decisionRow({
        cell_id: `c${index}`,
        format: `f${index}`,
        latency_ms_p50: p50,
        latency_ms_p90: null,
        latency_ms_p90_ci_high: null,
      }),
    );
    expect(reasonSentence(decideOn(rows, buildNeed({p90_ms: 800})))).toContain(
      'nearest is f1 llama-cpp cpu-haswell on t4: half of the requests take more than 950 ms, above 800 ms (all fail alike)',
    );
  });

  it('gives every other reason, too', () => {
    expect(reason({ttft_ms_p90: 600}, {ttft_ms: 500})).toBe('p90 of the first token of 600 ms is above 500 ms');
    expect(reason({ttft_ms_p90: null}, {ttft_ms: 500})).toBe('the time to the first token was not measured');
    expect(reason({vram_peak_bytes: 3 * 2 ** 30}, {memory_bytes: 2 ** 31})).toBe('takes 3.00 GiB, more than 2.00 GiB');
    expect(reason({}, {memory_bytes: 2 ** 31})).toBe('its memory was not measured');
    expect(reason({ram_peak_bytes: 5e9, gpu_layers: 0}, {memory_bytes: 2 ** 31})).toBe(
      'takes 4.66 GiB, more than 2.00 GiB',
    );
    expect(reason({}, {min_quality: 0.9})).toBe('its quality was not measured');
    expect(reason({quality_value: 0.95, quality_ci_low: 0.88}, {min_quality: 0.9})).toBe(
      'quality of 0.950 may be as low as 0.880, below 0.9',
    );
    expect(reason({}, {devices: ['cpu', 'a1*']})).toBe('the device is not allowed');
    expect(reason({device: 'x9'}, {})).toBe('no price for x9');
    expect(reason({}, {offers: 'rent-a*'})).toBe('no price for t4 among the offers allowed');
    expect(reason({}, {budget_usd_per_month: 100})).toBe('costs $263 a month, above $100');
    expect(reason({status: 'does-not-fit', status_reason: 'needs 20 GiB'}, {})).toBe('does-not-fit: needs 20 GiB');
    expect(reason({caveats: 'simulated virtual'}, {})).toBe('simulated, not measured');
    expect(reason({requests_per_s: null}, {})).toBe('its speed was not measured');
  });

  it('judges the first token by its interval where requests are at hand', () => {
    const row = decisionRow({ttft_ms_p90: 490});
    const facts = new Map([[`${row.run_id}/${row.cell_id}`, {requests: 64, met: 60, ttftMsP90High: 520}]]);
    const {excluded} = decideOn([row], buildNeed({ttft_ms: 500}), {facts});
    expect(excluded[0]?.reason).toBe('p90 of the first token may be up to 520 ms, above 500 ms');
  });

  it('does not compare workloads, nor models without a bound on quality', () => {
    const other = decisionRow({cell_id: 'b', workload: 'long'});
    expect(() => decideOn([decisionRow(), other], buildNeed())).toThrow(/2 workloads.*chat \(10 tokens\), long/);
    expect(decideOn([decisionRow(), other], buildNeed({workload: 'chat'})).candidates).toHaveLength(1);
    const model = decisionRow({cell_id: 'c', model: 'phi-2'});
    expect(() => decideOn([decisionRow(), model], buildNeed())).toThrow(/2 models.*llama-3.2-1b, phi-2/);
  });

  it('counts a cell that waits once, and not where another run has measured it', () => {
    const waits = {status: 'waiting', requests_per_s: null} as const;
    const rows = [
      decisionRow({cell_id: 'w', device: 'h200', run_id: 'a', host: 'a', ...waits}),
      decisionRow({cell_id: 'w', device: 'h200', run_id: 'b', host: 'b', ...waits}),
      decisionRow({cell_id: 'm', run_id: 'a', host: 'a', ...waits}),
      decisionRow({cell_id: 'm', run_id: 'b', host: 'b'}),
    ];
    expect(notMeasured(decideOn(rows, buildNeed()))).toEqual(['1 cell waits for its device']);
  });

  it('counts the last measurement of a cell on a host', () => {
    const old = decisionRow({run_id: 'a', started_at: '2026-01-01T00:00:00Z', requests_per_s: 5});
    const now = decisionRow({run_id: 'b', started_at: '2026-02-01T00:00:00Z'});
    const {candidates} = decideOn([now, old], buildNeed());
    expect(candidates.map(({row}) => row?.run_id)).toEqual(['b']);
  });
});

describe('the verdict', () => {
  const fast = {
    cell_id: 'fast',
    device: 'a100',
    requests_per_s: 20,
    requests_per_s_ci_low: 19,
    requests_per_s_ci_high: 21,
  };

  it('prefers one busy A100 over many T4s, and the T4 for little', () => {
    const rows = [decisionRow(), decisionRow(fast)];
    const device = (perHour: number) =>
      decideOn(rows, buildNeed({requests_per_hour: perHour})).recommended?.row?.device;
    expect(device(100)).toBe('t4');
    expect(device(40_000)).toBe('a100');
  });

  it('gives the break-even demand', () => {
    // A T4 costs 0.36 and serves 2 520 requests/h, an A100 3.60 and 50 400: the tenth T4 is no longer cheaper.
    const {breakEvens} = decideOn([decisionRow(), decisionRow(fast)], buildNeed({requests_per_hour: 100}));
    expect(breakEvens).toHaveLength(1);
    expect(breakEvens[0]?.cheaperBelow).toContain('t4');
    expect(breakEvens[0]?.demand).toBeCloseTo(22_680, 3);
  });

  it('is undecided where the intervals overlap', () => {
    // At full use, 0.36 against 0.36: $0.1429 per 1 000, ± the speed.
    const prices = {...PRICES, apis: [], rentals: PRICES.rentals.map((one) => ({...one, usd_per_hour: 0.36}))};
    const a = decisionRow({requests_per_s_ci_low: 0.9, requests_per_s_ci_high: 1.1});
    const b = decisionRow({
      cell_id: 'b',
      device: 'a100',
      requests_per_s: 1.05,
      requests_per_s_ci_low: 1,
      requests_per_s_ci_high: 1.1,
    });
    const {verdict, tied, recommended} = decideOn([a, b], buildNeed(), {prices});
    expect(verdict).toBe('undecided');
    expect(recommended?.row?.device).toBe('a100');
    expect(tied.map(({row}) => row?.device)).toEqual(['t4']);
  });

  it('takes the one that answers sooner of two that are paid alike', () => {
    const sooner = decisionRow({
      cell_id: 'zz',
      format: 'gguf-q8_0',
      latency_ms_p90: 500,
      latency_ms_p90_ci_low: 490,
      latency_ms_p90_ci_high: 510,
    });
    const {verdict, recommended} = decideOn([decisionRow(), sooner], buildNeed({requests_per_hour: 10}));
    expect([verdict, recommended?.row?.format]).toEqual(['recommended', 'gguf-q8_0']);
    const near = {...sooner, latency_ms_p90: 895, latency_ms_p90_ci_low: 885, latency_ms_p90_ci_high: 905};
    expect(decideOn([decisionRow(), near], buildNeed({requests_per_hour: 10})).verdict).toBe('undecided');
  });

  it('names prices that would change it', () => {
    const prices = {
      ...PRICES,
      apis: [],
      rentals: PRICES.rentals.map((one) => ({...one, usd_per_hour: one.name === 'rent-t4' ? 0.36 : 0.45})),
    };
    const rows = [decisionRow(), decisionRow({...fast, requests_per_s_ci_low: 20, requests_per_s_ci_high: 20})];
    const {priceFlips} = decideOn(rows, buildNeed({requests_per_hour: 10}), {prices});
    expect(priceFlips).toMatchObject([{byItsFall: true, byOurRise: true}]);
    const far = decideOn(rows, buildNeed({requests_per_hour: 10}));
    expect(far.priceFlips).toEqual([]);
  });

  it('does not say that nothing fits where nothing but a price is missing', () => {
    const rows = [
      decisionRow({device: 'x9', requests_per_s: 1}),
      decisionRow({device: 'x9', cell_id: 'b', format: 'gguf-q8_0', requests_per_s: 2}),
      decisionRow({device: 'x9', cell_id: 'c', format: 'fp16', latency_ms_p90: 2000}),
    ];
    const decision = decideOn(rows, buildNeed({p90_ms: 1000}));
    expect([decision.verdict, decision.recommended]).toEqual(['no-price', null]);
    expect(decision.unpriced.map(({device, cells, best}) => [device, cells, best.format])).toEqual([
      ['x9', 2, 'gguf-q8_0'],
    ]);
    expect(reasonSentence(decision)).toBe(
      'Not priced: the need is met by 2 cells on x9, the fastest gguf-q8_0 llama-cpp cpu-haswell with a p90 of 900 ms, and nothing says what an hour of it costs.',
    );
    expect(nextSteps(decision)).toContain(
      '2 cells on x9 would do and have no price: add --price x9=USD (an hour), or an entry in prices.yaml',
    );
    // Offers that the need rules out are no missing price.
    expect(decideOn(rows, buildNeed({offers: 'mine'})).verdict).toBe('nothing-fits');
  });

  it('says what to type to settle it', () => {
    const few = decisionRow({latency_ms_p90: null, latency_ms_p90_ci_high: null, latency_ms_p50: 500, requests: 12});
    expect(nextSteps(decideOn([few], buildNeed({p90_ms: 1000})))).toEqual([
      '1 cell had too few requests for a p90, the fastest is gguf-q4_k_m llama-cpp cpu-haswell on t4: bench matrix matrices/test.yaml --only model=llama-3.2-1b --only format=gguf-q4_k_m --only runner=llama-cpp --only device=t4 --only workload=chat --fresh --budget 300',
    ]);
    const near = decisionRow({cell_id: 'b', format: 'gguf-q8_0', latency_ms_p90: 895, latency_ms_p90_ci_high: 912});
    const tied = decideOn([decisionRow(), near], buildNeed({requests_per_hour: 10}));
    expect(tied.verdict).toBe('undecided');
    expect(nextSteps(tied)).toEqual([
      'more rounds narrow the intervals: bench matrix matrices/test.yaml --only device=t4 --only workload=chat --fresh --rounds 10',
    ]);
    // Names come from files: what is typed must stay one argument.
    const evil = decisionRow({device: 'x; rm -rf ~', latency_ms_p90: null, requests: 1, latency_ms_p50: 1});
    expect(nextSteps(decideOn([evil], buildNeed({p90_ms: 1000}))).join()).toContain(`--only device='x; rm -rf ~'`);
    expect(nextSteps(decideOn([decisionRow()], buildNeed({requests_per_hour: 10})))).toEqual([]);
  });

  it('tells a cell with a capped instruction set from the one without', () => {
    const capped = decisionRow({cell_id: 'b', caveats: 'isa-capped=avx2 virtual'});
    const {candidates} = decideOn([decisionRow(), capped], buildNeed({requests_per_hour: 10}));
    expect(candidates.map(({name}) => name).sort()).toEqual([
      'gguf-q4_k_m llama-cpp cpu-haswell avx2 on t4 (rent-t4)',
      'gguf-q4_k_m llama-cpp cpu-haswell on t4 (rent-t4)',
    ]);
  });

  it('says what fits nothing, and why', () => {
    const {verdict, recommended, excluded} = decideOn([decisionRow()], buildNeed({p90_ms: 1}));
    expect([verdict, recommended]).toEqual(['nothing-fits', null]);
    expect(excluded).toHaveLength(1);
    expect(decideOn([], buildNeed()).verdict).toBe('nothing-fits');
  });
});

describe('what was not measured', () => {
  it('ranks an API by its list price when nothing but price is asked', () => {
    const need = buildNeed({requests_per_hour: 1});
    const {recommended} = decideOn([decisionRow()], need, {prices: PRICES});
    // 100 prompt tokens at 1, 10 at 10 USD per million: 0.2 USD per 1 000 requests.
    expect(recommended?.offer.name).toBe('api');
    expect(recommended?.usdPer1kMet?.value).toBeCloseTo(0.2, 9);
    expect(recommended?.usdPer1mMetTokens?.value).toBeCloseTo(20, 9);
  });

  it('keeps an API beside the ranking when its latency or quality is asked and unknown', () => {
    const decision = decideOn([decisionRow()], buildNeed({requests_per_hour: 1, p90_ms: 1000}), {prices: PRICES});
    expect(decision.recommended?.offer.name).toBe('rent-t4');
    expect(decision.unverified.map(({candidate, missing}) => [candidate.offer.name, missing])).toEqual([
      ['api', ['p90 latency']],
    ]);
    // 0.36 USD/h ÷ 0.0002 USD a request.
    expect(decision.breakEvens[0]?.cheaperBelow).toContain('api');
    expect(decision.breakEvens[0]?.demand).toBeCloseTo(1800, 3);
  });

  it('shows the roofline of a waiting device as a ceiling, and never ranks it', () => {
    const t4: DeviceEntry = {
      name: 'h200',
      title: 'H200',
      kind: 'cuda',
      memory_bytes: null,
      memory_bandwidth_bytes_per_s: 4.8e12,
      fp16_flops: null,
      tdp_w: null,
      compute_capability: null,
      sm_clock_hz: null,
      match: {names: [], pci_ids: [], by_memory: false},
      source: 'a test',
    };
    const rows: DecisionRow[] = [
      decisionRow({bytes_per_token: 1e9}),
      decisionRow({cell_id: 'w', device: 'h200', status: 'waiting', requests_per_s: null, generated_tokens: 10}),
    ];
    const prices = {
      ...PRICES,
      apis: [],
      rentals: PRICES.rentals.map((one) => ({...one, devices: [...one.devices, 'h200']})),
    };
    const {ceilings, candidates, waiting} = decideOn(rows, buildNeed({p90_ms: 1000}), {devices: [t4], prices});
    expect(candidates).toHaveLength(1);
    expect(waiting).toEqual(['llama-3.2-1b gguf-q4_k_m llama-cpp cpu-haswell on h200']);
    expect(ceilings).toHaveLength(1);
    expect(ceilings[0]?.tokensPerS).toBe(4800);
    expect(ceilings[0]?.usdPer1mTokensAtLeast).toBeCloseTo((0.36 / (4800 * 3600)) * 1e6, 12);
    expect(ceilings[0]?.latencyMsAtLeast).toBeCloseTo(9 / 4.8, 9);
    expect(ceilings[0]?.impossible).toBe(false);
  });

  it('tells of each device that waits the highest ceiling, and how many more cells there are', () => {
    const t4: DeviceEntry = {
      name: 'h200',
      kind: 'cuda',
      title: 'H200',
      memory_bytes: 141e9,
      memory_bandwidth_bytes_per_s: 4.8e12,
      fp16_flops: null,
      tdp_w: null,
      compute_capability: null,
      sm_clock_hz: null,
      match: {names: [], pci_ids: [], by_memory: false},
      source: 'a test',
    };
    const waits = {device: 'h200', status: 'waiting', requests_per_s: null} as const;
    const rows: DecisionRow[] = [
      decisionRow({bytes_per_token: 1e9}),
      decisionRow({cell_id: 'slow', format: 'gguf-q8_0', bytes_per_token: 2e9}),
      decisionRow({cell_id: 'w1', format: 'gguf-q8_0', ...waits}),
      decisionRow({cell_id: 'w2', ...waits}),
    ];
    const [first, ...others] = notMeasured(decideOn(rows, buildNeed({}), {devices: [t4]}));
    expect(first).toBe('h200: ceiling (not a measurement) of gguf-q4_k_m, the highest of 2 there: 4800 tokens/s');
    expect(others.filter((text) => text.includes('ceiling'))).toEqual([]);
  });
});

describe('properties', () => {
  const speed = fc.double({min: 0.01, max: 100, noNaN: true});
  const cell = fc
    .record({
      value: speed,
      spread: fc.double({min: 1, max: 1.5, noNaN: true}),
      device: fc.constantFrom('t4', 'a100', 'cpu'),
      p90: speed,
    })
    .map(({value, spread, device, p90}) => ({
      device,
      requests_per_s: value,
      requests_per_s_ci_low: value / spread,
      requests_per_s_ci_high: value * spread,
      latency_ms_p90: p90,
      latency_ms_p90_ci_low: p90 / spread,
      latency_ms_p90_ci_high: p90 * spread,
    }));
  const cells = fc
    .array(cell, {minLength: 1, maxLength: 8})
    .map((all) => all.map((one, index) => decisionRow({...one, cell_id: `c${index}`})));
  const demand = fc.option(fc.double({min: 0.1, max: 1e5, noNaN: true}), {nil: undefined});
  const needOf = (perHour: number | undefined) => buildNeed(perHour === undefined ? {} : {requests_per_hour: perHour});

  it('does not depend on the order of rows', () => {
    fc.assert(
      fc.property(cells, demand, fc.array(fc.nat(), {minLength: 8, maxLength: 8}), (rows, perHour, keys) => {
        const shuffled = rows.map((row, index) => ({row, key: keys[index] ?? 0})).sort((a, b) => a.key - b.key);
        const ids = (list: readonly DecisionRow[]) => {
          const decision = decideOn(list, needOf(perHour));
          return [decision.verdict, decision.candidates.map(({id}) => id), decision.tied.map(({id}) => id)];
        };
        expect(ids(shuffled.map(({row}) => row))).toEqual(ids(rows));
      }),
      {numRuns: 60},
    );
  });

  it('never makes a candidate worse by a lower price', () => {
    fc.assert(
      fc.property(cells, demand, fc.double({min: 0.05, max: 1, noNaN: true}), (rows, perHour, factor) => {
        const cheaper = {
          ...PRICES,
          apis: [],
          rentals: PRICES.rentals.map((one) =>
            one.name === 'rent-t4' ? {...one, usd_per_hour: one.usd_per_hour * factor} : one,
          ),
        };
        const before = decideOn(rows, needOf(perHour)).candidates;
        const after = decideOn(rows, needOf(perHour), {prices: cheaper}).candidates;
        const costs = (list: typeof before) => new Map(list.map((one) => [one.id, one.rank.value]));
        const rank = (list: typeof before, id: string) =>
          [...costs(list).values()].filter((usd) => usd < (costs(list).get(id) ?? 0)).length;
        for (const {id, offer} of before) {
          if (offer.name !== 'rent-t4') continue;
          expect(costs(after).get(id)).toBeLessThanOrEqual((costs(before).get(id) ?? 0) * (1 + 1e-12));
          expect(rank(after, id)).toBeLessThanOrEqual(rank(before, id));
        }
      }),
      {numRuns: 60},
    );
  });

  it('judges a pair alike from both sides, and a candidate undecided against itself', () => {
    const mirror = {first: 'second', second: 'first', undecided: 'undecided'};
    fc.assert(
      fc.property(cells, demand, (rows, perHour) => {
        const {candidates} = decideOn(rows, needOf(perHour));
        for (const a of candidates) {
          for (const b of candidates) expect(judgePair(b, a)).toBe(mirror[judgePair(a, b)]);
          expect(judgePair(a, a)).toBe('undecided');
        }
      }),
      {numRuns: 60},
    );
  });
});
