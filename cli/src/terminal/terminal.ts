/** What goes to the terminal. Names of classes, layers and files come from strangers: their control characters must not reach it. */
import { visible } from 'zfnet/report';

/** Text of several lines with control characters, and characters that reorder text, written as `\u…`. */
export const printable = (text: string): string => text.split('\n').map(visible).join('\n');

/**
 * Readers of the output may stop reading, as `head` does. A command goes on without progress, and without its result where nobody reads that:
 * its work is in files. Any other fault of standard output, such as a full disk, is a failure.
 */
export function surviveClosedStreams(): void {
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'EIO') return;
    process.stderr.write(`error: the result cannot be written to standard output: ${error.message}\n`);
    process.exit(1);
  });
}
