/** `node --import` of this: the project's modules that are loaded afterwards report their blocks. */
import { register } from 'node:module';
import { sharedFeedback } from './feedback.js';

sharedFeedback();
register(new URL('./coverage-hooks.js', import.meta.url));
