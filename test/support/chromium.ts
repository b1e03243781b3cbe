import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Readable, Writable} from 'node:stream';

/** What the browser sends: the answer to a command, or an event. */
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly sessionId?: string;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: {readonly message: string};
}

interface Waiting {
  readonly resolve: (result: Readonly<Record<string, unknown>>) => void;
  readonly reject: (error: Error) => void;
}

export interface BrowserEvent {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/**
 * A headless Chromium driven over its DevTools protocol through a pipe (file descriptors 3 and 4, JSON ended by a zero
 * byte): no port, no WebSocket, no package.
 */
export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #commands: Writable;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pages = new Map<string, BrowserEvent[]>();
  #last = 0;
  #rest = '';

  private constructor(process: ChildProcess, profile: string) {
    this.#process = process;
    this.#profile = profile;
    // Opened as pipes below.
    const [, , , commands, answers] = process.stdio as unknown as [null, null, null, Writable, Readable];
    this.#commands = commands;
    answers.setEncoding('utf8');
    answers.on('data', (text: string) => this.#receive(text));
    // A browser that ends early closes its pipes: commands then fail by `exit`.
    commands.on('error', () => {});
    process.once('exit', (code) => this.#fail(`chromium ended with ${code}`));
    process.once('error', (error) => this.#fail(String(error)));
  }

  static async start(path: string): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), 'bench-chromium-'));
    const child = spawn(
      path,
      [
        '--headless=new',
        '--remote-debugging-pipe',
        `--user-data-dir=${profile}`,
        '--no-first-run',
        '--no-default-browser-check',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-dev-shm-usage',
        '--disable-extensions',
        '--disable-gpu',
        '--disable-sync',
        '--force-color-profile=srgb',
        // Its sandbox does not work for root, which containers of CI run as.
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ],
      {stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']},
    );
    return new Chromium(child, profile);
  }

  /** An empty page of its own size, whose console, log, network and exceptions are recorded. */
  async page({width, height}: {readonly width: number; readonly height: number}): Promise<Page> {
    const {targetId} = await this.send('Target.createTarget', {url: 'about:blank'});
    const {sessionId} = await this.send('Target.attachToTarget', {targetId, flatten: true});
    if (typeof sessionId !== 'string') throw new Error('chromium gave no session');
    const events: BrowserEvent[] = [];
    this.#pages.set(sessionId, events);
    const page = new Page(this, sessionId, events);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.send(`${domain}.enable`);
    await page.send('Emulation.setDeviceMetricsOverride', {width, height, deviceScaleFactor: 1, mobile: false});
    return page;
  }

  async send(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
    sessionId?: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#last;
    const answer = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      this.#waiting.set(id, {resolve, reject: (error) => reject(new Error(`${method}: ${error.message}`))});
    });
    const session = sessionId === undefined ? {} : {sessionId};
    this.#commands.write(`${JSON.stringify({id, method, params, ...session})}\0`);
    return await answer;
  }

  async close(): Promise<void> {
    const running = this.#process.exitCode === null && this.#process.signalCode === null;
    const ended = running ? once(this.#process, 'exit') : Promise.resolve();
    await this.send('Browser.close').catch(() => {});
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
    await rm(this.#profile, {recursive: true, force: true, maxRetries: 5});
  }

  #receive(text: string): void {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) {
      const message = JSON.parse(part) as Message; // what the protocol says
      const {id, method, params = {}, sessionId = '', result = {}, error} = message;
      if (id === undefined) {
        if (method !== undefined) this.#pages.get(sessionId)?.push({method, params});
        continue;
      }
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error.message));
    }
  }

  #fail(reason: string): void {
    for (const {reject} of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }
}

const KEYS = {
  Tab: {code: 'Tab', windowsVirtualKeyCode: 9},
  Enter: {code: 'Enter', windowsVirtualKeyCode: 13, text: '\r'},
  Escape: {code: 'Escape', windowsVirtualKeyCode: 27},
} as const;

/** One tab. */
export class Page {
  /** Everything that it told since it was opened. */
  readonly events: readonly BrowserEvent[];
  readonly #browser: Chromium;
  readonly #session: string;

  constructor(browser: Chromium, session: string, events: readonly BrowserEvent[]) {
    this.#browser = browser;
    this.#session = session;
    this.events = events;
  }

  async send(method: string, params: Readonly<Record<string, unknown>> = {}) {
    return await this.#browser.send(method, params, this.#session);
  }

  async open(url: string): Promise<void> {
    const before = this.events.length;
    await this.send('Page.navigate', {url});
    await this.until(async () => this.events.slice(before).some(({method}) => method === 'Page.loadEventFired'));
  }

  /** Value of an expression, awaited, as with a person’s hand on the page. @throws what it throws. */
  async evaluate(expression: string): Promise<unknown> {
    const {result, exceptionDetails} = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    });
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return typeof result === 'object' && result !== null && 'value' in result ? result.value : undefined;
  }

  async press(key: keyof typeof KEYS, {shift = false} = {}): Promise<void> {
    const event = {key, ...KEYS[key], modifiers: shift ? 8 : 0};
    await this.send('Input.dispatchKeyEvent', {type: 'keyDown', ...event});
    await this.send('Input.dispatchKeyEvent', {type: 'keyUp', ...event, text: undefined});
  }

  async moveTo(x: number, y: number): Promise<void> {
    await this.send('Input.dispatchMouseEvent', {type: 'mouseMoved', x, y});
  }

  async click(x: number, y: number): Promise<void> {
    const event = {x, y, button: 'left', clickCount: 1};
    await this.send('Input.dispatchMouseEvent', {type: 'mousePressed', ...event});
    await this.send('Input.dispatchMouseEvent', {type: 'mouseReleased', ...event});
  }

  async colourScheme(value: 'light' | 'dark'): Promise<void> {
    await this.send('Emulation.setEmulatedMedia', {features: [{name: 'prefers-color-scheme', value}]});
  }

  /** PNG, base64. */
  async screenshot(): Promise<string> {
    const {data} = await this.send('Page.captureScreenshot', {format: 'png'});
    return String(data);
  }

  /** @throws when it does not become true within half a minute. */
  async until(holds: () => Promise<boolean>): Promise<void> {
    for (let turn = 0; turn < 600; turn++) {
      if (await holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('waited in vain');
  }
}
