/**
 * Every threshold of the derivation in one place, each with where it comes from. "Ours" marks a choice of this project
 * for which no better source was found.
 */

/** Confidence of every interval. */
export const CONFIDENCE = 0.95;

/**
 * Confidence of Student's t over rounds, and weight of the variance within rounds, in the half width of an interval.
 * Set by simulation (`npm run bench:self -- coverage`) so that the whole interval covers 93 … 97 %: see median-interval.ts.
 */
export const ROUNDS_CONFIDENCE = 0.945;
export const FLOOR_WEIGHT = 0.4;

/** Least samples for a two-sided distribution-free 95 % interval of p90 to exist: 1 − 0.9^n ≥ 0.95. */
export const MIN_REQUESTS_P90 = 29;

/** The same for p99: 1 − 0.99^n ≥ 0.95. */
export const MIN_REQUESTS_P99 = 299;

/** Resamples of a bootstrap: the Monte Carlo error of a bound is then below 4 % of the standard error. Ours. */
export const RESAMPLES = 2000;

/** Tukey's fences, in interquartile ranges beyond the quartiles (Tukey 1977; criterion.rs uses the same two). */
export const OUTLIER_MILD_IQR = 1.5;
export const OUTLIER_SEVERE_IQR = 3;

/** Rounds differ when chance alone explains their spread with less than this probability. Ours. */
export const ROUNDS_DIFFER_P = 0.01;

/** … and only when the spread between the fastest and the slowest round is above this share of the median. Ours. */
export const ROUNDS_DIFFER_SPREAD = 0.02;

/** Canary: speed afterwards ÷ before may differ this much (criterion.rs calls 1 % noise, pytest-benchmark fails at 5 %). */
export const CANARY_DRIFT = 0.05;

/** First quarter of the requests of each round ÷ their last half may differ this much. Ours. */
export const UNSTEADY_DRIFT = 0.05;

/** Missed ÷ expected readings of a memory channel above which a peak is called a lower bound. Ours. */
export const SAMPLER_GAPS_RATIO = 0.05;

/** Cores' worth of CPU time used by other programs while the cell ran. Ours: a tenth of a core. */
export const FOREIGN_CORES = 0.1;

/** CPU time taken by the hypervisor, relative to the host's total. Ours. */
export const STEAL_RATIO = 0.01;

/** Share of busy samples with clocks held down. Ours: nvbench drops single samples, we keep all and mark the row. */
export const THROTTLED_RATIO = 0.05;

/** Spread of the clock while busy, (max − min) ÷ median (mudler/vllm.cpp #2005). */
export const CLOCK_SPREAD = 0.05;

/** … told only from this many busy samples of a round, and where the card was busy for half of them (the same source). */
export const CLOCK_MIN_SAMPLES = 30;
export const CLOCK_MIN_BUSY = 0.5;

/** Energy from power: longest pause between two samples, seconds (InferenceX aggregate_power.py). */
export const POWER_MAX_GAP_S = 3;

/** Energy: least share of the expected samples, and of the window covered by samples (ML.ENERGY validate_results.py). */
export const POWER_MIN_COVERAGE = 0.75;

/** Energy counter against integrated power (InferenceX aggregate_power.py). */
export const ENERGY_AGREEMENT = 0.05;

/**
 * Least seconds for an energy figure of a GPU. The power sensor of A100 and H100 looks at only a quarter of the time
 * (25 ms of every 100 ms; Yang, Adamek, Armour 2023, "Part-time Power Measurements", arXiv:2312.02741): after 5 s it
 * has seen 50 separate windows. The figure of 5 s is ours.
 */
export const GPU_ENERGY_MIN_S = 5;

/** Least seconds for RAPL: its counters step about every millisecond (Intel SDM vol. 3B), so 0.5 s is 500 steps. Ours. */
export const RAPL_ENERGY_MIN_S = 0.5;

/** Smallest relative difference in speed that matters when results are compared. Ours; criterion.rs uses 1 %. */
export const SMALLEST_EFFECT = 0.02;

/**
 * How much faster or slower a host may be in another run, for all rounds of it alike: a shared virtual machine ran the
 * very same 0.80 to 1.27 times as fast an hour later. Ours.
 */
export const RUN_DRIFT = 0.3;

/**
 * Paired rounds from which a comparison leaves out this share of the ratios at each end. Of fewer rounds too little would
 * remain: Student's t of four degrees of freedom is a third wider than that of nine.
 */
export const TRIMMED_FROM = 10;
export const TRIMMED = 0.2;
