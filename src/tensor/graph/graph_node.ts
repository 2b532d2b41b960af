/**
 * The part of a recorded operation that a tensor needs to know. It has a file of its own so that `tensor.ts`, on which `autograd.ts` is
 * built, does not have to import `autograd.ts`.
 */
export interface TensorNode {
  /** Name of the operation that computed the tensor: `conv2d`. */
  readonly op: string;
  /** What freed the operation's saved tensors (`backward()`, `dispose()`, …); null while a backward pass through it is possible. */
  readonly freedBy: string | null;
  /** Decrements the reference count; frees the node, and the nodes that only it needed, at zero. */
  releaseReference(by: string): void;
}
