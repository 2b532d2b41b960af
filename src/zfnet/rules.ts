/** Checks for arguments that are classifiers, preprocessing or stores. */
import { arrayOf, func, isPlainObject, objectWith, oneOf, type Rule, rule, text } from '../backend/validate.js';
import { INIT_SCHEMES } from '../nn/init.js';
import { network } from '../nn/rules.js';

export const initScheme: Rule = oneOf(...INIT_SCHEMES);

export const preprocessing: Rule = objectWith('a Preprocess, such as run.preprocess of openRun() or new Preprocess({ … })', {
  options: rule('an object', isPlainObject),
  evaluation: func,
  training: func,
});

/** Rule for a network with its preprocessing. */
export const preparedNetwork: Rule = objectWith('a network with its preprocessing { model, preprocess }, such as await openRun(store)', {
  model: network,
  preprocess: preprocessing,
});

export const classifier: Rule = objectWith('a classifier { model, preprocess, classes }, such as await openRun(store)', {
  model: network,
  preprocess: preprocessing,
  classes: arrayOf(text),
});

export const runStore: Rule = objectWith('a store of files { read, write, append, list }, such as new MemoryStore()', {
  read: func,
  write: func,
  append: func,
  list: func,
});
