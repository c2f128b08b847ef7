import { conform } from '../../../../support/node/conform.js';
import { CONNECTS } from '../../../../support/node/scenarios/connects.js';

conform('sockets connect as they do over the kernel', CONNECTS);
