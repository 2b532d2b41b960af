/** The operator sets that a model or a function uses. */
import type { OperatorSetProto } from '../decoding/schema.js';

/** Returns the domain as in the table of operators: '' for ONNX's own. */
export const domainOf = (domain: string | undefined): string => (domain === 'ai.onnx' ? '' : (domain ?? ''));

/** Returns the version by domain. The first entry of a domain counts. */
export function opsetsOf(imports: readonly OperatorSetProto[]): Map<string, number> {
  const opsets = new Map<string, number>();
  for (const { domain, version } of imports)
    if (version !== undefined && !opsets.has(domainOf(domain))) opsets.set(domainOf(domain), version);
  return opsets;
}
