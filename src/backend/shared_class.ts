/**
 * Classes whose instances the copies of the engine in one process exchange, such as the ES module and the CommonJS build. Each copy has
 * classes of its own, so a plain `instanceof` refuses the objects of the other copy.
 */

type AnyClass = abstract new (...args: never[]) => object;

/**
 * @internal Makes `instanceof` accept the instances of the class of the same name in every copy of the engine. They are recognised by a
 * property of their prototype, the symbol `zfnet.NAME` of the global registry. Subclasses without a call of their own keep the plain
 * check.
 *
 * @param name stays the same when a bundler renames the class
 */
export function shareAcrossCopies(shared: AnyClass, name: string): void {
  const brand = Symbol.for(`zfnet.${name}`);
  const plain = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(shared.prototype, brand, { value: true });
  Object.defineProperty(shared, Symbol.hasInstance, {
    value(this: AnyClass, value: unknown): boolean {
      if (this !== shared) return plain.call(this, value);
      return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true;
    },
  });
}
