/** What a command needs of the process: passed in, so that tests need no terminal and no exit. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: {write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number | undefined};
  readonly stderr: {write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number | undefined};
  /** Aborts on Ctrl-C and SIGTERM: everything started is ended, what is measured is kept. */
  readonly signal: AbortSignal;
  /** The exit status of a command that ended without an error. */
  exit(status: number): void;
}
