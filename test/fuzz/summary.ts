/** The table at the end of a fuzz run. */
import { FAILURES, type Report } from './report.js';

const COLUMNS = [
  'format',
  'inputs',
  'accepted',
  'refused',
  'untyped',
  'wrong',
  'hangs',
  'deaths',
  'over 1 GiB',
  'slowest',
  'largest',
  'refused by',
];

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): [string, number][] {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}

const greatest = (reports: readonly Report[], of: (report: Report) => number | undefined): number =>
  reports.reduce((most, report) => Math.max(most, of(report) ?? 0), 0);

function rowOf(name: string, reports: readonly Report[]): string[] {
  const count = (outcome: Report['outcome']) => String(reports.filter((report) => report.outcome === outcome).length);
  const refused = reports.filter(({ outcome }) => outcome === 'refused');
  return [
    name,
    String(reports.length),
    count('accepted'),
    count('refused'),
    count('untyped'),
    count('wrong'),
    count('hang'),
    count('death'),
    count('memory'),
    `${(greatest(reports, ({ milliseconds }) => milliseconds) / 1000).toFixed(1)} s`,
    `${Math.round(greatest(reports, ({ growth }) => growth) / 2 ** 20)} MiB`,
    countBy(refused, ({ error }) => error ?? '')
      .map(([error, times]) => `${error} ${times}`)
      .join(', '),
  ];
}

/** Prints a row per format, every kind of failure once, and `N passed, N failed`. Returns the number of failures. */
export function printSummary(reports: ReadonlyMap<string, readonly Report[]>, seconds: number): number {
  const rows = [COLUMNS, ...[...reports].map(([name, found]) => rowOf(name, found))];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  );
  const all = [...reports].flatMap(([format, found]) => found.map((report) => ({ ...report, format })));
  const failures = all.filter(({ outcome }) => FAILURES.includes(outcome));
  const kinds = countBy(failures, ({ format, outcome, error = '', message = '', place = '' }) => {
    const innermost = place.split('\n').find((line) => line.includes('/src/')) ?? place.split('\n')[0];
    return `${format}: ${outcome}: ${error} ${message.replaceAll(/\d+/g, '#').slice(0, 120)} ${innermost.trim()}`;
  });
  for (const [kind, times] of kinds) lines.push(`${times} × ${kind}`);
  lines.push(`${(seconds / 60).toFixed(1)} minutes`, `${all.length - failures.length} passed, ${failures.length} failed`);
  process.stdout.write(`${lines.join('\n')}\n`);
  return failures.length;
}
