// Makes an empty project, writes files into it, installs packages from the local registry, and runs commands there.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECTS = fileURLToPath(new URL('projects/', import.meta.url));

/** Digest of `program.mjs`, from the first environment that ran it; all others must be equal. */
let expected;
/** The sum that `program.mjs` returns, in any environment. */
const SUM = 36.0408937;

export class Project {
  constructor(folder, { env }, manifest = {}) {
    this.folder = folder;
    this.env = env;
    mkdirSync(folder, { recursive: true });
    this.write('package.json', JSON.stringify({ name: 'project', private: true, type: 'module', ...manifest }, null, 2));
    cpSync(join(PROJECTS, 'program.mjs'), join(folder, 'program.mjs'));
  }

  write(name, text) {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  install(...packages) {
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...packages], {
      cwd: this.folder,
      env: this.env,
      stdio: 'pipe',
      timeout: 240_000,
    });
  }

  /** Runs a command and returns its output; throws with the output if it fails. */
  run(command, args, { timeout = 180_000, env = {} } = {}) {
    return execFileSync(command, args, {
      cwd: this.folder,
      env: { ...this.env, ...env },
      encoding: 'utf8',
      stdio: 'pipe',
      timeout,
      maxBuffer: 1 << 26,
    });
  }

  /** Runs a command and returns `{ stdout, stderr }`. */
  runBoth(command, args, { timeout = 180_000 } = {}) {
    return new Promise((resolve, reject) => {
      execFile(
        command,
        args,
        { cwd: this.folder, env: this.env, encoding: 'utf8', timeout, maxBuffer: 1 << 26 },
        (error, stdout, stderr) => (error ? reject(Object.assign(error, { stdout, stderr })) : resolve({ stdout, stderr })),
      );
    });
  }

  bin(name) {
    return join(this.folder, 'node_modules', '.bin', name);
  }
}

/** Checks the result of `program.mjs`, and returns the text to show. */
export function checkResult(result, { threads } = {}) {
  expected ??= result.digest;
  if (result.digest !== expected) throw new Error(`the digest is ${result.digest}, expected ${expected}, as in the first environment`);
  if (result.backend !== 'wasm') throw new Error(`the backend is ${result.backend}, expected wasm: ${result.fallbackBecause}`);
  if (threads !== undefined && result.threads !== threads)
    throw new Error(`${result.threads} threads, expected ${threads}: ${result.threadsOffBecause}`);
  return `${result.variant}, ${result.threads} ${result.threads === 1 ? 'thread' : 'threads'}, first result after ${result.milliseconds.toFixed(0)} ms`;
}

/** Checks the result of `program.mjs` on the reference backend, which rounds differently, and that the fallback's reason matches. */
export function checkFallback(result, reason) {
  if (result.backend !== 'reference') throw new Error(`the backend is ${result.backend}, expected reference`);
  if (!reason.test(result.fallbackBecause)) throw new Error(`the reason is "${result.fallbackBecause}", expected ${reason}`);
  if (Math.abs(result.sum / SUM - 1) > 1e-4) throw new Error(`the sum is ${result.sum}, expected ${SUM}`);
  return `reference, first result after ${result.milliseconds.toFixed(0)} ms`;
}

/** Returns the result that a program printed as the last line of its output. */
export const lastLine = (output) => JSON.parse(output.trim().split('\n').at(-1));

/** Throws if the output of a tool contains a warning. */
export function refuseWarnings(output) {
  const line = output
    .split('\n')
    .find((text) => /\bwarn(ing)?\b|critical dependency|deprecat/i.test(text) && !/\b0 warnings?\b/i.test(text));
  if (line !== undefined) throw new Error(`a warning: ${line.trim()}\n${output.slice(-2000)}`);
}
