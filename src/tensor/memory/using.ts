/** The method that `using` calls, for classes with a method `dispose`. */

/** `Symbol.dispose` where the compiler's library knows it. The library of ES2022 does not, and the published types must compile with it. */
type DisposeSymbol = SymbolConstructor extends { readonly dispose: infer S extends symbol } ? S : never;

/** The method `[Symbol.dispose]()`; an empty type where the compiler's library does not know the symbol. */
export type DisposeMethod = { [S in DisposeSymbol]: () => void };

/** @internal Adds the method to a class. Runtimes without `Symbol.dispose` get it under the symbol that compilers of `using` fall back to. */
export function addDisposeMethod(prototype: { dispose(): void }): void {
  const { dispose = Symbol.for('Symbol.dispose') } = Symbol as { dispose?: symbol };
  Object.defineProperty(prototype, dispose, {
    value(this: { dispose(): void }) {
      this.dispose();
    },
    writable: true,
    configurable: true,
  });
}
