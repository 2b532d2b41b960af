/** `zfnet verify`: checks every file of a run against its checksum and against the other files. */
import type { Command } from 'commander';
import { type VerifiedFile, verifyRun } from 'zfnet';
import { defineCommand, handler, UsageError } from '../command.js';
import { FolderStore } from '../run/run_folder.js';
import { isRun, openRun } from '../run/runs.js';
import { columns } from '../terminal/columns.js';

const EXAMPLES = ['zfnet verify runs/demo', 'zfnet verify runs/photos --json     # exit status 1 if a file is damaged or missing'];

export function verifyCommand(program: Command): void {
  defineCommand(program, 'verify <run>', 'check the configuration, the metrics and every checkpoint of a run for damage', EXAMPLES).action(
    handler(async (context, path: string) => {
      if (!(await isRun(path))) throw new UsageError(`${path} is not a run: it contains no config.json`);
      await context.engine();
      const files = await verifyRun(new FolderStore(path));
      const imported = files.findIndex((file) => file.path.endsWith('.onnx') && file.state === 'unchecked');
      if (imported >= 0) files[imported] = await opened(path, files[imported]);
      const bad = files.filter(({ state }) => state === 'damaged' || state === 'missing');
      context.result({ run: path, whole: bad.length === 0, files }, () => table(path, files, bad.length === 0));
      if (bad.length > 0) throw new Error(verdict(path, files.length, bad.length));
    }),
  );
}

/** Checks an imported model, which has no checksum, by opening it. */
async function opened(path: string, file: VerifiedFile): Promise<VerifiedFile> {
  try {
    (await openRun(path)).model.dispose();
    return { ...file, detail: 'the model can be opened; it has no checksum' };
  } catch (error) {
    return { ...file, state: 'damaged', detail: (error as Error).message };
  }
}

function table(path: string, files: readonly VerifiedFile[], isWhole: boolean): string {
  const rows = [['file', 'state', ''], ...files.map(({ path, state, detail }) => [path, state, detail])];
  return [...columns(rows, new Set()), ...(isWhole ? [`${path}: every file is intact`] : [])].join('\n');
}

function verdict(path: string, count: number, bad: number): string {
  const [verb, them] = bad === 1 ? ['is', 'it'] : ['are', 'them'];
  return `${path}: ${bad} of ${count} files ${verb} damaged or missing. Restore ${them} from a copy; train --resume uses the newest intact checkpoint`;
}
