/** The paper's experiments: from what was found to numbers, pictures and a section of the page. */
export { type Top9Input, top9Experiment } from './top9.js';
