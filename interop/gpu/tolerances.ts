/**
 * Tolerances of operations on a GPU, beyond those of `zfnet/testing` (`OPERATION_TOLERANCES`), as factors on them. The CPU backends add in
 * float64; WGSL has float32 only.
 */
interface GpuTolerance {
  factor: number;
  reason: string;
}

export const GPU_TOLERANCES: Readonly<Record<string, GpuTolerance>> = {
  batchNorm2d: {
    factor: 3,
    reason: 'the gradients of scale and shift are sums of up to 60,000 terms of both signs, whose partial sums of up to 100 round by 4e-6',
  },
};

/** Returns the factor for an operation: 1 if the table does not name it. */
export const slackOf = (operation: string): number => (Object.hasOwn(GPU_TOLERANCES, operation) ? GPU_TOLERANCES[operation].factor : 1);
